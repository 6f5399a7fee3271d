"""Backoff: how long a restart waits, who waits with it, and what ends the waiting."""

import asyncio
import itertools
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Outcome,
    Restart,
    StartChild,
    StopChild,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual

Diary = list[Any]
ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def now() -> float:
    return asyncio.get_running_loop().time()


class Worker(Actor[Any]):
    """Crashes when told; writes down when it starts and ends. `faults`: seconds before an init
    fails, one for each of those after the first.
    """

    def __init__(self, name: str, diary: Diary, faults: list[float] | None = None) -> None:
        self.name, self.diary, self.faults = name, diary, faults if faults is not None else []

    async def init(self) -> None:
        self.diary.append((f"+{self.name}", now()))
        if self.faults and self._life.cell.incarnation > 1:
            await asyncio.sleep(self.faults.pop(0))
            raise RuntimeError("no start")

    def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("boom")
        return message

    def terminate(self, reason: Any) -> None:
        self.diary.append((f"-{self.name}", now()))


def workers(diary: Diary, names: str = "abc", **options: Any) -> list[ChildSpec]:
    return [child(name, Worker, name, diary, **options) for name in names]


def tree(
    diary: Diary, backoff: Backoff, strategy: Strategy = ONE, names: str = "abc", **options: Any
) -> System:
    options.setdefault("intensity", 100)
    return System(
        child("top", Supervisor, workers(diary, names), strategy, backoff=backoff, **options)
    )


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def starts(diary: Diary, name: str = "a") -> list[float]:
    return [when for what, when in diary if what == f"+{name}"]


def gaps(times: list[float]) -> list[float]:
    return [round(later - sooner, 6) for sooner, later in itertools.pairwise(times)]


async def crash_whenever_it_runs(cell: Cell, times: int) -> None:
    for _ in range(times):
        cell.tell("crash")
        while cell.state.value == "running":  # noqa: ASYNC110
            await asyncio.sleep(0)
        while cell.state.value != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.0625)


# ---- how long


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
