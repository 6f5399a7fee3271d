"""Backoff: who waits with a restart that is delayed, and what ends the waiting."""

import asyncio

import pytest

from eco_actor.runtime import (
    Backoff,
    Outcome,
    Restart,
    StartChild,
    StopChild,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.testing import run_virtual
from tests.runtime.backoff_tree import ALL, ONE, REST, Diary, at, now, starts, tree, workers

# ---- who waits


@pytest.mark.parametrize(
    ("strategy", "stopped", "started"),
    [(ONE, "b", "b"), (REST, "bc", "bc"), (ALL, "bca", "abc")],
)
def test_the_rest_of_the_group_is_stopped_at_once_and_started_after_the_delay(
    strategy: Strategy, stopped: str, started: str
) -> None:
    """In reverse and in order; what they are told meanwhile they take up then."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, Backoff(8, 8, 0), strategy) as system:
            diary.clear()
            at(system, "b").tell("crash")
            await asyncio.sleep(1)
            assert diary == [(f"-{name}", 0) for name in stopped]
            asked = [at(system, name).ask(name, timeout=60) for name in "abc"]
            assert await asyncio.gather(*asked) == ["a", "b", "c"]
            assert diary[len(stopped) :] == [(f"+{name}", 8) for name in started]

    run_virtual(main())


def test_who_dies_while_its_group_waits_joins_it_and_the_time_stays() -> None:
    """rest_for_one: c waits, b and then a die; all start when c would have, in order."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, Backoff(8, 8, 0), REST, "abcd") as system:
            diary.clear()
            for name in "cba":
                at(system, name).tell("crash")
                await asyncio.sleep(2)
            assert diary == [("-c", 0), ("-d", 0), ("-b", 2), ("-a", 4)]
            await asyncio.sleep(4)
            assert [entry for entry in diary if entry[0][0] == "+"] == [
                (f"+{name}", 8) for name in "abcd"
            ]
            await asyncio.sleep(60)
            assert [at(system, name).incarnation for name in "abcd"] == [2] * 4

    run_virtual(main())


@pytest.mark.parametrize("strategy", [REST, ONE])
def test_each_end_counts_against_the_budget_although_restarts_are_merged(
    strategy: Strategy,
) -> None:
    """Two are allowed, the third end is one too many: the supervisor does not wait to say so."""
    diary: Diary = []

    async def main() -> None:
        backoff = Backoff(8, 8, 0)
        async with tree(diary, backoff, strategy, intensity=2, period=60) as system:
            for name in "cb":
                at(system, name).tell("crash")
                await asyncio.sleep(1)
            at(system, "a").tell("crash")
            reason = await asyncio.wait_for(system.wait_ended(), 1)
            assert (reason.kind.value, now()) == ("shutdown", 2)

    run_virtual(main())


def test_a_child_that_is_added_while_the_group_waits_is_left_alone() -> None:
    """It runs at once, and the restart that waits does not touch it."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, Backoff(8, 8, 0), ALL) as system:
            at(system).tell("crash")
            await asyncio.sleep(1)
            top = system.find("/top")
            assert top is not None
            late = await top.ask(StartChild(workers(diary, "x")[0]), timeout=1)
            await asyncio.sleep(20)
            assert [at(system, name).incarnation for name in "abc"] == [2] * 3
            assert late.incarnation == 1

    run_virtual(main())


# ---- what ends the waiting


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_stop_during_the_delay_is_immediate(strategy: Strategy) -> None:
    """Of the whole system: nothing is started any more, who waits for an answer is told."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, Backoff(1000, 1000, 0), strategy) as system:
            cell = at(system)
            cell.tell("crash")
            await asyncio.sleep(1)
            asked = asyncio.ensure_future(cell.ask("hello", timeout=5000))
            await asyncio.sleep(1)
        assert now() == 2
        assert (cell.alive, cell.tell("x")) == (False, Outcome.DEAD)
        with pytest.raises(Exception, match="it ended before the request was handled"):
            await asked
        await asyncio.sleep(2000)

    run_virtual(main())
    assert len(starts(diary)) == 1


@pytest.mark.parametrize("restart", list(Restart))
def test_a_child_that_is_stopped_in_the_delay_does_not_come_back_by_itself(
    restart: Restart,
) -> None:
    """Its brothers' restarts go on waiting, and come when they are due."""
    diary: Diary = []

    async def main() -> None:
        specs = [*workers(diary, "a", restart=restart), *workers(diary, "b")]
        top = child("top", Supervisor, specs, intensity=100, backoff=Backoff(8, 8, 0))
        async with System(top) as system:
            a, b, root = at(system, "a"), at(system, "b"), system.find("/top")
            assert root is not None
            b.tell("crash")
            a.tell("crash")
            await asyncio.sleep(1)
            assert a.alive is (restart is not Restart.TEMPORARY)
            if a.alive:
                await root.ask(StopChild("a"), timeout=1)
            assert (a.alive, now()) == (False, 1)
            await asyncio.sleep(100)
            assert (a.incarnation, b.incarnation) == (1, 2)
            assert starts(diary, "b") == [0, 8]

    run_virtual(main())
