"""Fan-out: connections that want the same, and are in step, are written to in one go.

A cohort is a subscriber of the hub for all its members. What was published since its last flush is
joined once and written to each, so an event costs each member a part of one write. The flush is
adaptive: at once when the last one ended a while ago, else a moment after it, so that under load
more events share a write, and without load none waits.

A member that cannot be written to leaves, with what it has not got, and goes on with a mailbox of
its own. Nothing here waits, and nothing a member does stops the others.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from eco_actor.delivery.frames import Format
from eco_actor.delivery.traffic import StreamTraffic, Traffic
from eco_actor.eventlog import Event, EventLog

log = logging.getLogger(__name__)

REST: Final = 0.002
MOST_REST: Final = 0.004
"""Seconds between the end of one flush and the beginning of the next, at least and at most: half of
what the flush took, so that a third of the time is left for what is to be flushed next."""

RUN: Final = 0.004
"""Seconds after which a flush lets others have the loop before it goes on with the next cohort."""

WRITE: Final = 64 * 1024
"""Bytes in one write, unless one event has more: so much may wait in a transport."""

MEMBERS: Final = 512
"""Members of one cohort; more that want the same make another, so that a flush can be parted."""


class Member(Protocol):
    """A connection in step with others."""

    def step_in(self) -> None:
        """The cohort has flushed: it may be joined now."""

    def over(self, event: Event) -> None:
        """It was told of the last event of a channel; it may have left meanwhile."""


class Cohort:
    """Connections of one format that are in step on the same channels. Made by `Fanout.join`."""

    __slots__ = (
        "_fanout",
        "_rest",
        "channels",
        "counts",
        "flushed_at",
        "format",
        "members",
        "pending",
        "position",
        "traffic",
        "waiting",
    )

    def __init__(
        self, fanout: "Fanout", format: Format, traffic: StreamTraffic, channels: tuple[str, ...]
    ) -> None:
        self.format = format
        self.traffic = traffic
        self.channels = channels
        self.members: dict[Member, Callable[[bytes], None]] = {}
        self.waiting: dict[Member, None] = {}  # who joins when what is pending is written
        self.pending: list[Event] = []
        self.counts = dict.fromkeys(channels, 0)  # events, by channel
        self.position = 0  # of the last event that was flushed
        self.flushed_at = 0.0  # by the loop's clock
        self._rest: Sequence[Event] = ()  # of the flush that is under way, what no one has yet
        self._fanout = fanout

    def offer(self, event: Event) -> None:
        """A live event, from the hub."""
        if not self.pending:
            self._fanout.dirty(self)
        self.pending.append(event)
        self.counts[event.channel] += 1

    def leave(self, member: Member) -> list[Event]:
        """Take *member* out; returns what it has not got. Harmless when it was none."""
        self.waiting.pop(member, None)
        was_in = self.members.pop(member, None) is not None
        missed = [*self._rest, *self.pending] if was_in else []
        if not self.members and not self.waiting:
            self._fanout.drop(self)
        return missed

    def flush(self, now: float) -> None:
        """Write what is pending to all members, then let in who waits.

        After RUN seconds what is left becomes pending again.
        """
        events, self.pending = self.pending, []
        if not events:
            return
        until = time.monotonic() + RUN
        members = self.members
        over: list[tuple[Member, Event]] = []
        for part, data, rest in parts(events, self.format):
            self._rest = rest
            self.position = part[-1].position
            over += [(member, event) for event in part if event.final for member in members]
            writes = list(members.values())  # a write may make its member leave
            for write in writes:
                try:
                    write(data)
                except Exception:
                    self.traffic.broken += 1  # a closed transport: its member hears of it anyhow
            traffic = self.traffic
            traffic.writes += len(writes)
            traffic.deliveries += len(part) * len(writes)
            traffic.bytes += len(data) * len(writes)
            if rest and time.monotonic() > until:
                if not self.pending:
                    self._fanout.dirty(self)
                self.pending = [*rest, *self.pending]
                break
        self._rest = ()
        self.flushed_at = now
        for member, event in over:
            self._tell(partial(member.over, event))
        if self.pending:
            return  # who waits is let in when there is nothing left
        waiting, self.waiting = self.waiting, {}
        for member in waiting:
            self._tell(member.step_in)
        if not self.members and not self.waiting:
            self._fanout.drop(self)  # who waited did not come

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:
            log.exception("a member failed: %s", self.channels)


def parts(
    events: Sequence[Event], format: Format
) -> Iterator[tuple[Sequence[Event], bytes, Sequence[Event]]]:
    """*events* in writes of about WRITE bytes: the events of one, its bytes, and those left."""
    frames = [format.event(event) for event in events]
    if sum(map(len, frames)) <= WRITE:
        yield events, b"".join(frames), ()
        return
    begin = size = 0
    for end, frame in enumerate(frames):
        if size and size + len(frame) > WRITE:
            yield events[begin:end], b"".join(frames[begin:end]), events[end:]
            begin, size = end, 0
        size += len(frame)
    yield events[begin:], b"".join(frames[begin:]), ()


def rest(spent: float) -> float:
    """Seconds to wait after a flush that took *spent* seconds."""
    return min(MOST_REST, max(REST, spent / 2))


class Fanout:
    """All cohorts, and when they flush."""

    def __init__(self, log: EventLog, traffic: Traffic) -> None:
        self._log = log
        self._traffic = traffic
        self._cohorts: dict[tuple[str, tuple[str, ...]], list[Cohort]] = {}
        self._dirty: deque[Cohort] = deque()
        self._armed = False
        self._spent = 0.0  # seconds, on the flush that is under way
        self._rested_at = 0.0  # when the next may begin, by the monotonic clock

    def __len__(self) -> int:
        """How many cohorts there are."""
        return sum(map(len, self._cohorts.values()))

    def join(
        self,
        member: Member,
        write: Callable[[bytes], None],
        format: Format,
        traffic: StreamTraffic,
        channels: tuple[str, ...],
    ) -> Cohort:
        """Let *member*, who has all of *channels* up to the present, be in step from now on.

        While the cohort has something to flush, which *member* has already, it only waits: it is
        called (`step_in`) when that is done, and goes on with its own mailbox meanwhile.
        """
        key = (format.name, channels)
        cohorts = self._cohorts.setdefault(key, [])
        # The last one has room, mostly: all others were full once.
        cohort = cohorts[-1] if cohorts and len(cohorts[-1].members) < MEMBERS else None
        if cohort is None:
            cohort = next((each for each in cohorts if len(each.members) < MEMBERS), None)
        if cohort is None:
            cohort = Cohort(self, format, traffic, channels)
            cohorts.append(cohort)
            for channel in channels:
                self._log.subscribe(channel, cohort)
        if cohort.pending:
            cohort.waiting[member] = None
        else:
            cohort.members[member] = write
        return cohort

    def drop(self, cohort: Cohort) -> None:
        """Nobody is in it any more."""
        key = (cohort.format.name, cohort.channels)
        cohorts = self._cohorts.get(key, [])
        if cohort in cohorts:
            cohorts.remove(cohort)
            for channel in cohort.channels:
                self._log.unsubscribe(channel, cohort)
        if not cohorts:
            self._cohorts.pop(key, None)

    def dirty(self, cohort: Cohort) -> None:
        """*cohort* has something to flush."""
        self._dirty.append(cohort)
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        loop = asyncio.get_running_loop()
        wait = self._rested_at - time.monotonic()  # the loop's clock may be coarse
        if wait <= 0.0:
            loop.call_soon(self._flush)
        else:
            loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        begun = time.monotonic()
        self._traffic.flushes += 1
        dirty = self._dirty
        for _ in range(len(dirty)):
            cohort = dirty.popleft()
            try:
                cohort.flush(now)
            except Exception:
                log.exception("a flush failed: %s", cohort.channels)
            if dirty and time.monotonic() - begun > RUN:
                self._spent += time.monotonic() - begun
                loop.call_soon(self._flush)
                return
        ended = time.monotonic()
        self._rested_at = ended + rest(self._spent + ended - begun)
        self._spent = 0.0
        self._armed = False
        if dirty:
            self._arm()
