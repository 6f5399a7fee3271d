"""The publisher of `system:actors`: when it looks, and what it tells; in virtual time."""

import asyncio
import itertools

import pytest

from eco_actor.delivery import observer
from eco_actor.delivery.frames import SSE_CHANNEL
from eco_actor.delivery.observer import INTERVAL, RECOVERY, SLICE
from eco_actor.runtime import Actor, child
from eco_actor.runtime.fold import ROWS
from eco_actor.runtime.testing import run_virtual
from tests.delivery.observed_tree import SOON, running, timers


def test_nothing_happens_while_nobody_watches() -> None:
    """No walk, no message, no timer, however long; neither before the first nor after the last."""

    async def main() -> None:
        async with running() as world:
            await asyncio.sleep(100)
            assert (world.looks, timers()) == (0, 0)
            watcher = world.watch()
            await asyncio.sleep(3 * INTERVAL + SOON)
            world.leave(watcher)
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
                world.leave(world.watch())
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
            assert event.frames[SSE_CHANNEL.name] is SSE_CHANNEL.event(event)

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
