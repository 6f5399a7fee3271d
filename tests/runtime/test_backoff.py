"""Backoff: how long a restart waits."""

import asyncio
import itertools
from typing import Any

import pytest

from eco_actor.runtime import Backoff, DynamicSupervisor, StartChild, Supervisor, System, child
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual
from tests.runtime.backoff_tree import Diary, Worker, at, starts, tree, workers


def gaps(times: list[float]) -> list[float]:
    return [round(later - sooner, 6) for sooner, later in itertools.pairwise(times)]


async def crash_whenever_it_runs(cell: Cell, times: int) -> None:
    for _ in range(times):
        cell.tell("crash")
        while cell.state.value == "running":  # noqa: ASYNC110
            await asyncio.sleep(0)
        while cell.state.value != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.0625)


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_delays_double_up_to_the_most(kind: str) -> None:
    """1, 2, 4, 8 and then 10 seconds, on either kind of supervisor."""
    diary: Diary = []
    options: Any = {"intensity": 100, "backoff": Backoff(1, 10, 0)}
    kinds = {
        "fixed": child("top", Supervisor, [], **options),
        "dynamic": child("top", DynamicSupervisor, 3, **options),
    }

    async def main() -> None:
        async with System(kinds[kind]) as system:
            top = system.find("/top")
            assert top is not None
            cell = await top.ask(StartChild(workers(diary, "a")[0]), timeout=1)
            await crash_whenever_it_runs(cell, 6)
            assert cell.incarnation == 7

    run_virtual(main())
    assert gaps(starts(diary)) == pytest.approx([1, 2, 4, 8, 10, 10], abs=0.1)


def test_chance_adds_up_to_the_jitter_and_takes_nothing_away() -> None:
    """Children that failed together do not come back together; none sooner than without."""
    diary: Diary = []
    names = "abcdefghijklmnop"

    async def main() -> None:
        async with tree(diary, Backoff(10, 100, 0.5), names=names) as system:
            for name in names:
                at(system, name).tell("crash")
            await asyncio.sleep(20)

    run_virtual(main())
    delays = [gaps(starts(diary, name))[0] for name in names]
    assert all(10 <= delay <= 15 for delay in delays)
    assert len(set(delays)) > len(names) / 2


def test_a_quiet_run_makes_failures_forgotten() -> None:
    """Counted from the start, not from the failure before; each child for itself."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, Backoff(1, 60, 0, reset_after=5)) as system:
            a = at(system)
            await crash_whenever_it_runs(a, 3)  # 1, 2, 4
            await asyncio.sleep(4)
            a.tell("crash")  # 8: four seconds are not enough
            await asyncio.sleep(8 + 5.5)
            a.tell("crash")  # 1 again
            await asyncio.sleep(2)
            at(system, "b").tell("crash")
            await asyncio.sleep(2)

    run_virtual(main())
    ends = [when for what, when in diary if what == "-a"]
    assert [round(start - end) for start, end in zip(starts(diary)[1:], ends, strict=False)] == [
        1,
        2,
        4,
        8,
        1,
    ]
    assert round(gaps(starts(diary, "b"))[0] - ends[4]) == 3


@pytest.mark.parametrize(
    "slow",
    [
        0.0,
        pytest.param(6.0),
    ],
)
def test_an_init_that_fails_is_delayed_like_a_crash_however_long_it_takes(slow: float) -> None:
    """To try for six seconds and fail is no quiet run: the delays go on doubling."""
    diary: Diary = []

    async def main() -> None:
        spec = child("a", Worker, "a", diary, [slow] * 4)
        backoff = Backoff(1, 60, 0, reset_after=5)
        async with System(
            child("top", Supervisor, [spec], intensity=100, backoff=backoff)
        ) as system:
            at(system).tell("crash")
            await asyncio.sleep(100)
            assert at(system).state.value == "running"

    run_virtual(main())
    assert gaps(starts(diary)) == [1, 2 + slow, 4 + slow, 8 + slow, 16 + slow]
