"""The publisher of `system:actors`, and subscriptions to a channel without a log; virtual time."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eco_actor.delivery import observer
from eco_actor.delivery.connection import RETRY_MS, Connection
from eco_actor.delivery.frames import SSE_CHANNEL, Gap, sse_channel_event
from eco_actor.delivery.live import LiveChannel, LiveSubscription
from eco_actor.delivery.observer import CHANNEL, INTERVAL, RECOVERY, SLICE, Observer, Vitals
from eco_actor.eventlog import Event, EventLog, Resume
from eco_actor.runtime import (
    Actor,
    DynamicSupervisor,
    MailboxSpec,
    Overflow,
    Ref,
    Restart,
    State,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.fold import ROWS
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeStore, FakeTransport

SOON = 0.25
"""Less than the time between two snapshots, and more than one takes."""


class Watcher:
    """Keeps what it is shown, and when."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.times: list[float] = []

    def offer(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())

    @property
    def last(self) -> dict[str, Any]:
        return dict(self.events[-1].data)

    def row(self, path: str) -> dict[str, Any]:
        (row,) = [row for row in self.last["rows"] if row["path"] == path]
        assert isinstance(row, dict)
        return row


class Idler(Actor[str]):
    def handle(self, message: str) -> None:
        if message == "crash":
            raise ValueError("told to")


class World:
    """A tree with an observer, idle actors and connections, and the channel on which it tells."""

    def __init__(self) -> None:
        self.channel = LiveChannel(CHANNEL)
        self.log = EventLog(FakeStore())
        self.fault: Exception | None = None
        self.looks = 0
        self.system = System(
            child(
                "eco",
                Supervisor,
                [
                    child("idlers", DynamicSupervisor, 10_000),
                    child("connections", DynamicSupervisor, 100),
                    child("one", Idler),
                    child("observer", Observer, self.channel, self.vitals),
                ],
            )
        )

    def vitals(self) -> Vitals | None:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        root = self.system.find("/eco")
        return None if root is None else Vitals(root, 12.5, len(self.system.jobs), 3)

    def cell(self, path: str) -> Cell:
        found = self.system.find(path)
        assert found is not None
        return found

    def dynamic(self, name: str) -> DynamicSupervisor:
        actor = self.cell(f"/eco/{name}").actor
        assert isinstance(actor, DynamicSupervisor)
        return actor

    def idlers(self, count: int) -> None:
        for n in range(count):
            self.dynamic("idlers").start_child_nowait(child(str(n), Idler))

    def watch(self) -> Watcher:
        watcher = Watcher()
        self.channel.subscribe(watcher)
        return watcher

    def connect(
        self, transport: FakeTransport, overflow: Overflow = Overflow.BUFFER, capacity: int = 4
    ) -> Ref[Any]:
        key = (lambda event: event.channel) if overflow is Overflow.COALESCE else None
        spec: MailboxSpec[Event] = MailboxSpec(capacity, overflow, key)
        source = LiveSubscription(self.log, self.channel, None, spec)
        connections = self.dynamic("connections")
        name = str(len(connections))
        return connections.start_child_nowait(
            child(name, Connection, transport, source, sse_channel_event, restart=Restart.TEMPORARY)
        )


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    await world.log.open()
    async with world.system:
        yield world


def timers() -> int:
    """How many timers the loop has that will still fire."""
    loop: Any = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


def data(sent: bytes) -> list[dict[str, Any]]:
    """The data events among the bytes of a stream."""
    found = []
    for block in sent.decode().split("\n\n"):
        if block.startswith("data: "):
            told = json.loads(block.removeprefix("data: "))
            found.append(told)
    return found


def controls(sent: bytes, name: str) -> list[dict[str, Any]]:
    """The control events of that name."""
    found = []
    for block in sent.decode().split("\n\n"):
        lines = block.split("\n")
        if f"event: eco.{name}" in lines:
            found.append(json.loads(lines[-1].removeprefix("data: ")))
    return found


def test_nothing_happens_while_nobody_watches() -> None:
    """No walk, no message, no timer, however long; neither before the first nor after the last."""

    async def main() -> None:
        async with running() as world:
            await asyncio.sleep(100)
            assert (world.looks, timers()) == (0, 0)
            watcher = world.watch()
            await asyncio.sleep(3 * INTERVAL + SOON)
            world.channel.unsubscribe(watcher)
            await asyncio.sleep(2 * INTERVAL)
            looks, seen = world.looks, len(watcher.events)
            await asyncio.sleep(100)
            assert (world.looks, timers(), len(watcher.events)) == (looks, 0, seen)

    run_virtual(main())


def test_the_first_snapshot_comes_at_once_and_then_one_a_second() -> None:
    """Whoever comes later is shown the last one at once, and shares all that follow."""

    async def main() -> None:
        async with running() as world:
            first = world.watch()
            await asyncio.sleep(0.01)
            assert len(first.events) == 1
            await asyncio.sleep(5 * INTERVAL)
            assert len(first.events) == 6
            gaps = [b - a for a, b in itertools.pairwise(first.times)]
            assert gaps == pytest.approx([INTERVAL] * 5, abs=0.01)
            looks = world.looks
            late = world.watch()
            assert late.events == first.events[-1:]
            assert world.looks == looks
            await asyncio.sleep(INTERVAL)
            assert late.events[-1] is first.events[-1]

    run_virtual(main())


def test_who_comes_and_goes_in_no_time_causes_one_walk_a_second() -> None:
    """A hundred short visits are not a hundred walks."""

    async def main() -> None:
        async with running() as world:
            for _ in range(100):
                world.channel.unsubscribe(world.watch())
                await asyncio.sleep(0.01)
            assert world.looks <= 2 * 3

    run_virtual(main())


def test_a_snapshot_tells_of_all_and_of_the_system() -> None:
    """A row an actor in walking order, with what `/actors` has, and figures of the whole."""

    async def main() -> None:
        async with running() as world:
            watcher = world.watch()
            await asyncio.sleep(SOON)
            told = watcher.last
            assert [row["path"] for row in told["rows"]] == [c.path for c in world.system.walk()]
            for row, cell in zip(told["rows"], world.system.walk(), strict=True):
                assert row.keys() == {*cell.snapshot(), "rate", "level"}
            assert (told["actors"], told["uptime_s"], told["dead_letters"]) == (5, 12.5, 3)
            assert (told["restarts"], told["recent"], told["watchers"]) == (0, [], 1)
            assert (told["rate"], told["lag_ms"]) == (None, 0.0)
            assert told["at"].endswith("Z")

    run_virtual(main())


def test_rates_are_messages_handled_since_the_snapshot_before() -> None:
    """Unknown at first; then per actor, for a folded group and in total."""

    async def main() -> None:
        async with running() as world:
            world.idlers(30)
            watcher = world.watch()
            await asyncio.sleep(SOON)
            assert watcher.row("/eco/one")["rate"] is None
            for _ in range(7):
                world.cell("/eco/one").tell("hello")
            for n in range(20):
                world.cell(f"/eco/idlers/{n}").tell("hello")
            await asyncio.sleep(INTERVAL)
            assert watcher.row("/eco/one")["rate"] == pytest.approx(7, rel=0.02)
            assert watcher.row("/eco/idlers/*")["rate"] == pytest.approx(20, rel=0.02)
            assert watcher.last["rate"] == pytest.approx(27, rel=0.05)
            await asyncio.sleep(INTERVAL)
            assert watcher.row("/eco/one")["rate"] == 0

    run_virtual(main())


def test_restarts_between_two_snapshots_are_told_with_their_reason() -> None:
    """The path, the new incarnation and why the old one ended; older ones stay in the list."""

    async def main() -> None:
        async with running() as world:
            world.cell("/eco/one").kill()  # before anybody looks: that is no news
            await asyncio.sleep(1)
            watcher = world.watch()
            await asyncio.sleep(SOON)
            assert watcher.last["recent"] == []
            world.cell("/eco/one").kill()
            await asyncio.sleep(INTERVAL)
            world.cell("/eco/one").tell("crash")
            await asyncio.sleep(INTERVAL)
            first, second = watcher.last["recent"]
            assert (first["path"], first["incarnation"]) == ("/eco/one", 3)
            assert (first["reason"], second["incarnation"]) == ("killed", 4)
            assert "told to" in second["reason"]
            assert watcher.row("/eco/one")["incarnation"] == 4
            assert watcher.last["restarts"] == 3

    run_virtual(main())


def test_a_large_tree_is_walked_in_slices_between_which_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never more than a slice of actors in a turn; everybody else has turns in between."""
    sizes: list[int] = []
    between: list[int] = []
    step = observer.Walk.step

    def counting(walk: observer.Walk) -> bool:
        before = walk.folding.actors
        done = step(walk)
        sizes.append(walk.folding.actors - before)
        between.append(0)
        return done

    monkeypatch.setattr(observer.Walk, "step", counting)

    class Busy(Actor[None]):
        """Tells itself for ever, and takes note."""

        def handle(self, message: None) -> None:
            if between:
                between[-1] += 1
            self.start_timer("next", 0.0, None)

    async def main() -> None:
        async with running() as world:
            world.idlers(9000)
            world.dynamic("connections").start_child_nowait(child("busy", Busy)).tell(None)
            watcher = world.watch()
            for _ in range(1000):
                await asyncio.sleep(0)
                if watcher.events:
                    break
            assert watcher.last["actors"] == 9006
            assert len(watcher.last["rows"]) == 7 <= ROWS

    run_virtual(main())
    assert sum(sizes) == 9006
    assert max(sizes) == SLICE
    assert len(sizes) == 9006 // SLICE + 1
    assert all(turns >= 1 for turns in between[:-1])


def test_a_snapshot_is_made_and_encoded_once_for_all_watchers() -> None:
    """A hundred watchers are shown the very same event, whose frame is there already."""

    async def main() -> None:
        async with running() as world:
            watchers = [world.watch() for _ in range(100)]
            await asyncio.sleep(SOON)
            assert world.looks <= 2
            events = {id(watcher.events[-1]) for watcher in watchers}
            assert len(events) == 1
            event = watchers[0].events[-1]
            assert event.cursor is None
            assert event.frames[SSE_CHANNEL] is sse_channel_event(event)

    run_virtual(main())


def test_a_killed_observer_goes_on_for_those_who_watch() -> None:
    """Its next incarnation publishes at once; the watchers need not come again."""

    async def main() -> None:
        async with running() as world:
            watcher = world.watch()
            await asyncio.sleep(SOON)
            world.cell("/eco/observer").kill()
            await asyncio.sleep(SOON)
            assert len(watcher.events) == 2
            assert watcher.row("/eco/observer")["incarnation"] == 2
            await asyncio.sleep(2 * INTERVAL)
            assert len(watcher.events) == 4

    run_virtual(main())


def test_a_fault_in_looking_restarts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the observer stays, and after a while it looks again."""

    async def main() -> None:
        async with running() as world:
            watcher = world.watch()
            await asyncio.sleep(SOON)
            world.fault = ValueError("cannot look")
            await asyncio.sleep(INTERVAL)
            world.fault = None
            assert world.cell("/eco/observer").incarnation == 1
            await asyncio.sleep(RECOVERY + INTERVAL)
            assert len(watcher.events) >= 2

    run_virtual(main())
    assert caplog.text.count("a snapshot failed") == 1


def test_actors_that_end_in_the_middle_of_a_walk_are_left_out() -> None:
    """A walk over a tree that changes under it tells of those who live."""

    async def main() -> None:
        async with running() as world:
            world.idlers(2 * SLICE)
            watcher = world.watch()
            await asyncio.sleep(0)
            world.dynamic("idlers").stop_children()
            await asyncio.sleep(SOON)
            assert watcher.last["actors"] <= 2 * SLICE + 5
            await asyncio.sleep(INTERVAL)
            assert set(watcher.row("/eco/idlers")["mailbox"]) == set(
                world.cell("/eco/idlers").mailbox.statistics()
            )

    run_virtual(main())


def test_a_stream_opens_and_then_tells_events_without_a_place() -> None:
    """The opening with the log's cursor and the rule; snapshots have neither id nor cursor."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport()
            world.connect(client, Overflow.LATEST, 1)
            await asyncio.sleep(2 * INTERVAL + SOON)
            opening = (
                f"retry: {RETRY_MS}\n\n"
                'event: eco.open\nid: e-0\ndata: {"cursor":"e-0","resume":"fresh",'
                '"overflow":"latest","capacity":1}\n\n'
                'data: {"channel":"system:actors","cursor":null,"data":{"at":"'
            )
            assert client.sent.startswith(opening.encode())
            told = data(client.sent)
            assert len(told) == 3
            assert {each["channel"] for each in told} == {CHANNEL}
            assert client.sent.count(b"id: ") == 1

    run_virtual(main())


def test_a_watcher_that_does_not_read_holds_up_nobody() -> None:
    """Others get a snapshot a second; the stalled one is ended in the end, and then forgotten."""

    async def main() -> None:
        async with running() as world:
            stalled, good = FakeTransport(stalled=True), FakeTransport()
            ref = world.connect(stalled, Overflow.LATEST, 1)
            world.connect(good, Overflow.LATEST, 1)
            await asyncio.sleep(10 * INTERVAL + SOON)
            assert len(data(good.sent)) == 11
            assert stalled.sent == b""
            assert ref.alive
            await asyncio.sleep(15)
            assert not ref.alive
            assert stalled.aborted
            assert len(world.channel) == 1

    run_virtual(main())


@pytest.mark.parametrize(
    ("overflow", "capacity", "shown", "reason"),
    [
        (Overflow.BUFFER, 2, "oldest", "overflow"),
        (Overflow.DROP, 2, "oldest", "overflow"),
        (Overflow.LATEST, 2, "newest", "overflow"),
        (Overflow.COALESCE, 2, "newest", "coalesced"),
    ],
)
def test_who_was_behind_is_told_what_it_missed(
    overflow: Overflow, capacity: int, shown: str, reason: str
) -> None:
    """The events that its rule kept, and one gap with the number of the others, in its place."""

    async def main() -> None:
        world = World()
        await world.log.open()
        subscription = LiveSubscription(
            world.log,
            world.channel,
            None,
            MailboxSpec(
                capacity,
                overflow,
                (lambda event: event.channel) if overflow is Overflow.COALESCE else None,
            ),
        )
        subscription.open(lambda: None)
        events = [Event.transient(CHANNEL, {"n": n}, 1) for n in range(6)]
        for event in events:
            world.channel.offer(event)
        told: list[Event | Gap] = []
        while items := await subscription.take():
            told += items
        kept = 1 if overflow is Overflow.COALESCE else capacity
        gap = Gap(CHANNEL, subscription.begins, subscription.begins, 6 - kept, reason)
        expected = [gap, *events[-kept:]] if shown == "newest" else [*events[:kept], gap]
        assert told == expected
        world.channel.offer(events[0])
        assert await subscription.take() == [events[0]]

    run_virtual(main())


def test_the_rule_close_ends_the_connection_of_who_is_behind() -> None:
    """It is told slow_consumer as soon as it reads again, and that it may come back."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport(stalled=True)
            ref = world.connect(client, Overflow.CLOSE, 2)
            await asyncio.sleep(2 * INTERVAL + SOON)  # one snapshot in hand, two wait
            assert world.cell(ref.path).state is State.RUNNING
            await asyncio.sleep(INTERVAL)
            assert world.cell(ref.path).state is State.STOPPING
            client.resumed.set()
            await asyncio.sleep(SOON)
            assert not ref.alive
            (bye,) = controls(client.sent, "bye")
            assert (bye["code"], bye["reconnect"]) == ("slow_consumer", True)
            assert client.closed_at is not None
            assert len(world.channel) == 0

    run_virtual(main())


def test_the_rule_close_gives_up_on_who_never_reads() -> None:
    """The bye is best effort: after a moment the connection is dropped."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport(stalled=True)
            ref = world.connect(client, Overflow.CLOSE, 1)
            await asyncio.sleep(4 * INTERVAL)
            assert not ref.alive
            assert client.aborted

    run_virtual(main())


def test_who_comes_back_goes_on_from_now() -> None:
    """A known cursor is recovered, for nothing was logged; an unknown one is told as a reset."""

    async def main() -> None:
        world = World()
        await world.log.open()
        spec: MailboxSpec[Event] = MailboxSpec(1)
        for after, verdict in (
            (None, Resume.FRESH),
            ("e-0", Resume.RECOVERED),
            ("earliest", Resume.RECOVERED),
            ("x-9", Resume.RESET),
        ):
            subscription = LiveSubscription(world.log, world.channel, after, spec)
            assert subscription.resume is verdict
            assert subscription.begins == world.log.cursor(0)

    run_virtual(main())
