"""Supervisors: order of start and stop, who is restarted, and when they give up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    ExitKind,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual

Diary = list[str]


class Worker(Actor[str]):
    """Obeys. `faults` makes the next inits fail, a negative one makes it hang."""

    def __init__(self, name: str, diary: Diary, faults: list[int] | None = None) -> None:
        self.name, self.diary, self.faults = name, diary, faults or []

    async def init(self) -> None:
        if self.faults:
            if self.faults.pop(0) < 0:
                await asyncio.Event().wait()
            raise RuntimeError("no start")
        self.diary.append(f"+{self.name}")

    async def handle(self, message: str) -> None:
        match message:
            case "crash":
                raise ValueError(self.name)
            case "stop":
                self.stop()
            case "hang":
                await asyncio.Event().wait()
            case "deaf":
                for _ in range(3):
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        self.diary.append(f"?{self.name}")

    async def terminate(self, reason: Any) -> None:
        self.diary.append(f"-{self.name}")


def three(diary: Diary, **restart: Restart) -> list[ChildSpec]:
    return [child(n, Worker, n, diary, restart=restart.get(n, Restart.PERMANENT)) for n in "abc"]


def ref(system: System, name: str) -> Cell:
    found = system.find(f"/top/{name}")
    assert isinstance(found, Cell)
    return found


def test_children_start_left_to_right_and_stop_right_to_left() -> None:
    """The list in the supervisor is the order of start, its reverse the order of stop."""
    diary: Diary = []

    async def main() -> None:
        async with System(child("top", Supervisor, three(diary))):
            diary.append("up")

    run_virtual(main())
    assert diary == ["+a", "+b", "+c", "up", "-c", "-b", "-a"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["-b", "+b"]),
        (Strategy.ONE_FOR_ALL, ["-b", "-c", "-a", "+a", "+b", "+c"]),
        (Strategy.REST_FOR_ONE, ["-b", "-c", "+b", "+c"]),
    ],
)
def test_a_crash_restarts_whom_the_strategy_names(strategy: Strategy, expected: list[str]) -> None:
    """The failed child ends, its group is stopped in reverse and started in order."""
    diary: Diary = []

    async def main() -> None:
        async with System(child("top", Supervisor, three(diary), strategy)) as system:
            diary.clear()
            ref(system, "b").tell("crash")
            await asyncio.sleep(1)
            assert diary == expected

    run_virtual(main())


@pytest.mark.parametrize(
    ("restart", "order", "survives"),
    [
        (Restart.PERMANENT, "stop", True),
        (Restart.PERMANENT, "crash", True),
        (Restart.TRANSIENT, "stop", False),
        (Restart.TRANSIENT, "crash", True),
        (Restart.TEMPORARY, "stop", False),
        (Restart.TEMPORARY, "crash", False),
    ],
)
def test_the_restart_type_decides_whether_a_child_comes_back(
    restart: Restart, order: str, survives: bool
) -> None:
    """Who does not come back is dead, out of the tree when temporary; siblings are left alone."""
    diary: Diary = []

    async def main() -> None:
        async with System(child("top", Supervisor, three(diary, b=restart))) as system:
            cell = ref(system, "b")
            cell.tell(order)
            await asyncio.sleep(1)
            assert cell.alive is survives
            assert (system.find("/top/b") is None) is (restart is Restart.TEMPORARY)
            assert ref(system, "a").incarnation == ref(system, "c").incarnation == 1

    run_virtual(main())


def test_one_restart_too_many_ends_the_supervisor_and_its_parent_decides() -> None:
    """Three crashes in five seconds pass, the fourth escalates; crashes far apart never do."""
    diary: Diary = []

    async def main() -> None:
        inner = child("in", Supervisor, [child("a", Worker, "a", diary)], intensity=3, period=5)
        async with System(child("top", Supervisor, [inner], intensity=1, period=60)) as system:
            for _ in range(8):
                ref(system, "in/a").tell("crash")
                await asyncio.sleep(2)
            assert ref(system, "in").incarnation == 1
            await asyncio.sleep(5)
            for _ in range(4):
                ref(system, "in/a").tell("crash")
                await asyncio.sleep(0.1)
            assert ref(system, "in").incarnation == 2
            assert ref(system, "in/a").incarnation == 1
            for _ in range(4):
                ref(system, "in/a").tell("crash")
                await asyncio.sleep(0.1)
            assert (await system.wait_ended()).kind is ExitKind.SHUTDOWN

    run_virtual(main())
    assert diary[-1] == "-a"


def test_a_restart_that_fails_counts_again_and_is_tried_again() -> None:
    """Two failing inits use up two of the three restarts, then the child is back."""
    diary: Diary = []
    faults: list[int] = []

    async def main() -> None:
        specs = [child("a", Worker, "a", diary), child("b", Worker, "b", diary, faults)]
        async with System(child("top", Supervisor, specs)) as system:
            faults.extend([1, 1])
            ref(system, "b").tell("crash")
            await asyncio.sleep(1)
            assert ref(system, "b").incarnation == 4
            assert ref(system, "b").state.value == "running"

    run_virtual(main())
    assert diary == ["+a", "+b", "-b", "+b", "-b", "-a"]


def test_a_failing_start_stops_what_had_started() -> None:
    """The first start is not tried again: everything is undone and the error names the child."""
    diary: Diary = []

    async def main() -> None:
        specs = [*three(diary), child("d", Worker, "d", diary, [1])]
        with pytest.raises(StartFailed, match="/top/d: RuntimeError: no start"):
            async with System(child("top", Supervisor, specs)):
                raise AssertionError("started")

    run_virtual(main())
    assert diary == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_a_stop_interrupts_a_restart_whose_init_hangs() -> None:
    """A hanging child holds up nobody: its init is cancelled and the siblings stop in order."""
    diary: Diary = []
    faults: list[int] = []

    async def main() -> None:
        specs = [child("a", Worker, "a", diary), child("b", Worker, "b", diary, faults)]
        async with System(child("top", Supervisor, specs)) as system:
            faults.append(-1)
            ref(system, "b").tell("crash")
            await asyncio.sleep(1)
            assert ref(system, "b").state.value == "starting"
        assert asyncio.get_running_loop().time() < 3

    run_virtual(main())
    assert diary == ["+a", "+b", "-b", "-a"]


def test_a_child_that_does_not_end_in_time_is_killed_and_at_worst_given_up() -> None:
    """`shutdown` seconds for an orderly end, then a cancellation, then the stop goes on."""
    diary: Diary = []

    async def main() -> float:
        specs = [
            child("a", Worker, "a", diary),
            child("b", Worker, "b", diary, shutdown=2.0),
            child("c", Worker, "c", diary, shutdown=3.0),
        ]
        async with System(child("top", Supervisor, specs)) as system:
            ref(system, "b").tell("hang")
            ref(system, "c").tell("deaf")
            await asyncio.sleep(1)
            begun = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - begun

    took = run_virtual(main())
    assert diary[:6] == ["+a", "+b", "+c", "?c", "-b", "-a"]
    assert 6.0 <= took < 7.0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Supervisor([child("a", Actor), child("a", Actor)]), "two children are named 'a'"),
        (lambda: Supervisor([Actor]), "are ChildSpecs"),  # type: ignore[list-item]
        (lambda: Supervisor([], "one_for_one"), "strategy is one of"),  # type: ignore[arg-type]
        (lambda: child("a/b", Actor), "without '/'"),
        (lambda: child("a", Actor, restart="always"), "restart is one of"),  # type: ignore[arg-type]
        (lambda: child("a", Actor, shutdown=0), "seconds above 0"),
        (lambda: ChildSpec("a", 7), "factory is called"),  # type: ignore[arg-type]
        (lambda: DynamicSupervisor(0), "at least 1, not 0"),
    ],
)
def test_a_tree_that_cannot_be_is_refused_with_a_sentence(
    make: Callable[[], object], sentence: str
) -> None:
    """Mistakes in specs are found where they are made, not when something crashes."""
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()


def test_a_factory_that_makes_no_actor_is_named() -> None:
    """The error says which child, and what came instead."""

    async def main() -> None:
        with pytest.raises(StartFailed, match=r"/top/a: TypeError: .* which is no Actor"):
            async with System(child("top", Supervisor, [ChildSpec("a", dict)])):  # type: ignore[arg-type]
                raise AssertionError("started")

    run_virtual(main())
