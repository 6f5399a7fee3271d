"""A client that comes back with its cursor whenever it is cut off, and keeps account of it all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from eco_actor.delivery.cohort import WRITE
from eco_actor.delivery.rule import MAX_WAITING, RESERVE
from eco_actor.eventlog import Event
from tests.delivery.stage import Client, Stage
from tests.delivery.wire import Hole, Told, position

EVENT_MAX = 80_000
"""More than the largest event that the tests publish, on any wire."""


def conserved(told: dict[str, int | str]) -> bool:
    """Whether a subscription's counters add up."""
    number = {name: value for name, value in told.items() if isinstance(value, int)}
    out = ("handled", "replaced", "coalesced", "dead", "expired", "depth")
    return (
        number["offered"] == number["accepted"] + number["refused"]
        and number["accepted"] == sum(number[name] for name in out)
        and number["dropped"] <= number["refused"]
    )


@dataclass
class Follower:
    """Follows *channels* over one kind of connection, under one rule."""

    stage: Stage
    kind: str
    overflow: str
    capacity: int
    channels: Sequence[str]
    client: Client | None = None
    begins: dict[str, int] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    sessions: int = 0

    @property
    def here(self) -> bool:
        """Whether it is connected."""
        return self.client is not None and not self.client.transport.closing

    async def come(self, room: int | None = None) -> None:
        """Connect, the first time or again."""
        self.sessions += 1
        connect, how = self.stage.connect, {"overflow": self.overflow, "capacity": self.capacity}
        if self.kind == "sse":
            after = self.after.get("")
            self.client = await connect(
                *self.channels,
                kind="sse",
                after=after,
                room=room,
                **how,  # type: ignore[arg-type]
            )
        elif not self.after:
            self.client = await connect(
                *self.channels,
                kind=self.kind,
                room=room,
                **how,  # type: ignore[arg-type]
            )
        else:
            self.client = await connect(kind=self.kind, room=room)
            for channel in self.channels:
                after = self.after.get(channel)
                self.client.say(op="subscribe", channel=channel, after=after, id=channel, **how)

    def leave(self) -> None:
        """Note what this connection has brought; it is over."""
        client, self.client = self.client, None
        if client is None:
            return
        self._check(client)
        if not client.transport.closing:
            client.transport.vanish()
        if not client.opened:
            return
        self.told += client.events
        self.holes += client.gaps
        for opened in client.opened:  # cut off before the gap: the verdict and the cursor say it
            channels = self.channels if self.kind == "sse" else [opened.told["channel"]]
            for channel in channels if opened.resume == "partial" else ():
                before = position(self.after["" if self.kind == "sse" else channel])
                self.holes.append(Hole(channel, before, opened.position, 0, "trimmed", None))
        if self.kind == "sse":
            for channel in self.channels:
                self.begins.setdefault(channel, client.opened[0].position)
            assert client.sse.last_id is not None
            self.after[""] = client.sse.last_id
        else:
            for opened in client.opened:
                self.begins.setdefault(opened.told["channel"], opened.position)
            self.after.update(client.ws.last)

    def look(self) -> None:
        """What must hold at any time."""
        if self.client is None:
            return
        self._check(self.client)
        if self.client.transport.closing or self.client.cell.actor is None:
            return
        assert self.client.transport.get_write_buffer_size() <= WRITE + 2 * EVENT_MAX
        for statistics in self.client.counters():
            assert conserved(statistics), statistics
            assert int(statistics["bytes"]) <= MAX_WAITING
        for each in self.client.subscriptions:
            assert each.mailbox is None or len(each.mailbox) <= self.capacity + RESERVE

    def _check(self, client: Client) -> None:
        """One connection: order, ids, verdicts, and nothing twice."""
        for channel in self.channels:
            at = [e.position for e in client.events if e.channel == channel and e.position]
            assert all(a < b for a, b in pairwise(at)), f"{channel}: {at}"
        if self.kind == "sse":
            ids = client.sse.ids
            assert ids == sorted(ids), ids
        for opened in client.opened:
            known = "" if self.kind == "sse" else opened.told["channel"]
            verdicts = ("recovered", "partial") if known in self.after else ("fresh",)
            assert opened.resume in verdicts
            if known in self.after:
                assert opened.position >= position(self.after[known])

    def audit(self, published: Sequence[Event], shown: int) -> None:
        """What was told, and what the gaps cover, is what was published since it began."""
        durable = [(e.channel, e.position) for e in self.told if e.position is not None]
        assert len(durable) == len(set(durable)), "told twice"
        transient = [e.data["n"] for e in self.told if e.position is None]
        assert len(transient) == len(set(transient)), "a transient one was told twice"
        got = set(durable)
        missed = 0
        for event in published:
            begin = self.begins.get(event.channel)
            place = event.channel, event.position
            if begin is None or event.position <= begin or place in got:
                continue
            covering = [h for h in self.holes if h.channel == event.channel]
            covering = [h for h in covering if h.begin < event.position <= h.end]
            assert covering, f"{self.kind} {self.overflow}: {place} was lost in silence"
            trimmed = any(h.reason == "trimmed" for h in covering)
            assert trimmed or not event.terminal, f"{place} is terminal"
            assert trimmed or self.overflow not in ("buffer", "close")
            missed += not trimmed
        dropped = sum(h.dropped for h in self.holes)
        if self.sessions == 1:  # who comes back may lose the same events again
            most = len(published) + shown - len(self.told)
            assert missed <= dropped <= most, f"{missed} to {most} are missing, {dropped} were told"
