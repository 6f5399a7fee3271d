"""Draining: nobody new, and all who are here told to go, oldest first, evenly; in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime.testing import run_virtual
from eco_actor.web.drain import SLICE, SWEEP, TICK, Begin, Drained, End, Look, Tick
from tests.web.draining import Told, World


def in_virtual_time(
    streams: Callable[[], Told], main: Callable[[World], Coroutine[Any, Any, None]]
) -> None:
    async def run() -> None:
        world = World(streams())
        async with world.system:
            await main(world)

    run_virtual(run())


@pytest.mark.parametrize("leave", [True, False])
@pytest.mark.parametrize(("count", "over_s"), [(1000, 10.0), (10_000, 1.0), (7, 3.0), (1, 60.0)])
def test_all_are_told_oldest_first_and_evenly(count: int, over_s: float, leave: bool) -> None:
    """At any time the share of the told is that of the time gone, give or take a tick."""

    async def main(world: World) -> None:
        begun = asyncio.get_running_loop().time()
        state = await world.ask(Begin(over_s))
        assert (state["connections"], state["over_s"]) == (count, over_s)
        await asyncio.sleep(over_s + TICK)
        told = world.streams.told
        assert [number for _, number in told] == list(range(count))
        for place, (when, _) in enumerate(told, 1):
            due = over_s * place / count
            assert due - 0.001 <= when - begun <= due + TICK + 0.001
        assert world.streams.most <= SLICE

    in_virtual_time(lambda: Told(count, leave=leave), main)


def test_in_a_hurry_the_loop_gets_its_turns() -> None:
    """Over no time all are told at once, a slice at a turn."""

    async def main(world: World) -> None:
        await world.ask(Begin(0.0))
        left = []
        for _ in range(100):
            await asyncio.sleep(0)
            left.append(len(world.streams))
        assert left[-1] == 0
        assert {*left} >= {*range(0, 1000, SLICE)}  # there was a turn after each slice
        assert asyncio.get_running_loop().time() < TICK
        assert world.streams.most == SLICE

    in_virtual_time(lambda: Told(1000), main)


def test_nobody_is_admitted_until_it_is_ended() -> None:
    """The gate is closed as soon as the begin is answered, and open as soon as the end is."""

    async def main(world: World) -> None:
        assert world.gate.admit(0.0, True)
        await world.ask(Begin(10.0))
        assert not world.gate.admit(1.0, True)
        await asyncio.sleep(100)
        assert not world.gate.admit(2.0, True)
        await world.ask(End())
        assert world.gate.admit(3.0, True)

    in_virtual_time(lambda: Told(10), main)


def test_an_end_in_the_middle_leaves_the_others_alone() -> None:
    """Who was not told stays, however long; nothing more is looked at."""

    async def main(world: World) -> None:
        await world.ask(Begin(10.0))
        await asyncio.sleep(5.0)
        await world.ask(End())
        left, calls = list(world.streams.open), world.streams.calls
        assert len(left) == pytest.approx(500, abs=10)
        await asyncio.sleep(100)
        world.drain.tell(Tick())  # one that was on its way when it ended
        await world.ask(End())  # harmless
        assert (world.streams.open, world.streams.calls) == (left, calls)

    in_virtual_time(lambda: Told(1000), main)


def test_another_begin_sets_another_pace_for_those_that_are_left() -> None:
    """As an operator in a hurry wants it."""

    async def main(world: World) -> None:
        await world.ask(Begin(1000.0))
        await asyncio.sleep(500.0)
        state = await world.ask(Begin(10.0))
        assert state["connections"] == pytest.approx(500, abs=2)
        await asyncio.sleep(5.0)
        assert len(world.streams) == pytest.approx(250, abs=5)
        await asyncio.sleep(5.0 + TICK)
        assert not world.streams

    in_virtual_time(lambda: Told(1000), main)


def test_who_was_just_opening_is_told_as_well() -> None:
    """Within a second of the end of the time, whenever it comes."""

    async def main(world: World) -> None:
        await world.ask(Begin(2.0))
        for _ in range(5):
            await asyncio.sleep(3.0)
            assert not world.streams
            world.streams.one_more()
        await asyncio.sleep(SWEEP)
        assert not world.streams

    in_virtual_time(lambda: Told(10), main)


def test_streams_that_leave_by_themselves_are_not_replaced_by_others() -> None:
    """The pace is never faster than announced, and nothing spins when nobody is left."""

    async def main(world: World) -> None:
        await world.ask(Begin(10.0))
        del world.streams.open[:900]
        await asyncio.sleep(0.5)
        assert len(world.streams.told) <= 51
        await asyncio.sleep(9.5 + TICK)
        assert not world.streams
        assert world.streams.calls <= 10 / TICK + 2

    in_virtual_time(lambda: Told(1000), main)


def test_a_fault_of_a_stream_does_not_end_the_drain(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, no more than once a second, and the rest is told when it is over."""

    async def main(world: World) -> None:
        world.streams.fault = ValueError("no")
        await world.ask(Begin(10.0))
        await asyncio.sleep(5.0)
        assert world.drain.incarnation == 1
        assert 1 <= caplog.text.count("could not be told to go") <= 6
        world.streams.fault = None
        await asyncio.sleep(5.0 + SWEEP)
        await asyncio.sleep(2 * SWEEP)
        assert not world.streams

    in_virtual_time(lambda: Told(100), main)


def test_a_drain_goes_on_where_it_was_when_its_actor_is_restarted() -> None:
    """The operator's wish outlives the actor; nobody comes in meanwhile."""

    async def main(world: World) -> None:
        await world.ask(Begin(10.0))
        await asyncio.sleep(5.0)
        world.drain.kill()
        await asyncio.sleep(0.1)
        assert world.drain.incarnation == 2
        assert not world.gate.admit(0.0, True)
        assert (await world.ask(Look()))["told"] == pytest.approx(500, abs=15)
        await asyncio.sleep(5.0)
        assert [number for _, number in world.streams.told] == list(range(1000))

    in_virtual_time(lambda: Told(1000), main)


@given(st.integers(0, 20_000), st.floats(0, 100), st.lists(st.floats(0, 3)))
def test_what_is_due_grows_up_to_all(total: int, over_s: float, steps: list[float]) -> None:
    """Never more than the share of the time gone, never less than a whole one below it."""
    drained = Drained()
    drained.begin(5.0, over_s, total)
    now = 5.0
    for seconds in steps:
        now += seconds
        due = drained.due(now)
        drained.told += due
        assert due >= 0
        if now - 5.0 >= over_s:
            assert drained.told == total
        else:
            assert -1 < drained.told - total * (now - 5.0) / over_s <= 1e-6
    drained.told = total + 1  # one was just opening
    assert drained.due(now) == 0
