"""Ends of incarnations that are cut short, doubled, deaf or given up: at most one is at work."""

import asyncio
import contextlib
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorDead,
    DynamicSupervisor,
    HandlerFailed,
    Restart,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.states import State
from eco_actor.runtime.testing import run_virtual

Diary = list[Any]


def now() -> float:
    return asyncio.get_running_loop().time()


async def deaf(seconds: float) -> None:
    """Wait so long, whatever cancellations come."""
    until = now() + seconds
    while now() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(until - now())


def cell_at(system: System, path: str) -> Cell:
    found = system.find(path)
    assert found is not None
    return found


class Lingering(Actor[Any]):
    """Takes its time to end; `living` are those that have begun and not ended yet."""

    def __init__(self, living: list[Any], seconds: float = 0.3) -> None:
        self.living, self.seconds = living, seconds

    def init(self) -> None:
        self.living.append(self)

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(self.seconds)
        self.living.remove(self)


class Nest(DynamicSupervisor):
    """Has one lingering child from the start."""

    def __init__(self, living: list[Any]) -> None:
        super().__init__(4)
        self.living = living

    def init(self) -> None:
        self._life.signal("hatch")

    async def handle(self, message: Any) -> object:
        if message != "hatch":
            return await super().handle(message)
        self.start_child_nowait(child("x", Lingering, self.living, restart=Restart.TEMPORARY))
        return None


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.29])
@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_kills_of_a_supervisor_that_stops_leave_no_child_behind(
    kind: str, times: int, gap: float
) -> None:
    """Its terminate stops the children, each further kill lets it: no two of a name ever live."""
    living: list[Any] = []

    async def main() -> None:
        fixed = child("m", Supervisor, [child("x", Lingering, living)])
        middle = fixed if kind == "fixed" else child("m", Nest, living)
        async with System(child("top", Supervisor, [middle])) as system:
            await asyncio.sleep(0.1)
            supervisor, old = cell_at(system, "/top/m"), cell_at(system, "/top/m/x")
            for _ in range(times):
                supervisor.kill()
                for _ in range(3):
                    await asyncio.sleep(gap / 3)
            for _ in range(20):
                assert len(living) <= 1
                await asyncio.sleep(0.1)
            assert old.state is State.DEAD
            assert not old.alive
            assert supervisor.state is State.RUNNING
            assert cell_at(system, "/top/m/x") is not old
            assert len(living) == 1
        assert living == []

    run_virtual(main())


def test_a_dynamic_supervisor_that_stops_starts_no_more_children() -> None:
    """ActorDead says so at once, and what was not started is nowhere."""
    living: list[Any] = []

    async def main() -> None:
        async with System(child("top", Supervisor, [child("d", DynamicSupervisor, 9)])) as system:
            cell = cell_at(system, "/top/d")
            supervisor = cell.actor
            assert isinstance(supervisor, DynamicSupervisor)
            spec = child("x", Lingering, living, restart=Restart.TEMPORARY)
            first = supervisor.start_child_nowait(spec)
            late = child("late", Lingering, living, restart=Restart.TEMPORARY)
            cell.kill()
            await asyncio.sleep(0.1)
            assert cell.state is State.STOPPING
            with pytest.raises(ActorDead) as caught:
                supervisor.start_child_nowait(late)
            assert caught.value.handled is False
            assert "late" not in supervisor
            await asyncio.sleep(1)
            assert not first.alive
            assert living == []

    run_virtual(main())


class Deaf(Actor[Any]):
    """One that its supervisor gives up; `diary` has what each incarnation was given."""

    shutdown = 0.1

    def __init__(self, diary: Diary, *, dies: bool = False) -> None:
        self.diary, self.dies = diary, dies

    def init(self) -> None:
        self.me = self._life.cell.incarnation

    async def handle(self, message: Any) -> Any:
        self.diary.append((self.me, message))
        if message == "deaf":
            await deaf(10)
            if self.dies:
                raise ValueError("at last")
        else:
            await asyncio.sleep(1)
        return self.me


@pytest.mark.parametrize("dies", [False, True])
def test_a_handler_that_was_given_up_handles_nothing_more(dies: bool) -> None:
    """It goes on in the background, then ends; what was queued is the next incarnation's alone."""
    diary: Diary = []

    async def main() -> None:
        specs = [child("faulty", Actor), child("deaf", Deaf, diary, dies=dies)]
        async with System(child("top", Supervisor, specs, Strategy.ONE_FOR_ALL)) as system:
            ref = cell_at(system, "/top/deaf")
            first = asyncio.ensure_future(ref.ask("deaf", timeout=100))
            await asyncio.sleep(0.1)
            asked = [asyncio.ensure_future(ref.ask(n, timeout=100)) for n in range(20)]
            cell_at(system, "/top/faulty").tell("boom")
            with pytest.raises(HandlerFailed):
                await first
            assert now() < 2
            assert await asyncio.gather(*asked) == [2] * 20
            assert now() > 20
            assert (ref.state, ref.incarnation) == (State.RUNNING, 2)
            assert (ref.mailbox.in_hand, ref.mailbox.handled) == (0, 20)

    run_virtual(main())
    assert diary == [(1, "deaf"), *((2, n) for n in range(20))]


def test_a_handler_that_was_given_up_for_good_stays_so() -> None:
    """When it ends at last, its cell is dead: no state, no message and no turn comes back."""
    diary: Diary = []

    async def main() -> None:
        top = child("top", Supervisor, [child("deaf", Deaf, diary, restart=Restart.TEMPORARY)])
        root = child("root", Supervisor, [top])
        async with System(root) as system:
            ref = cell_at(system, "/root/top/deaf")
            ref.tell("deaf")
            await asyncio.sleep(0.1)
            ref.tell("never")
            cell_at(system, "/root/top").kill()
            await asyncio.sleep(5)
            assert ref.state is State.DEAD
            assert cell_at(system, "/root/top/deaf") is not ref
            await asyncio.sleep(20)
            assert (ref.state, ref.alive, ref.actor) == (State.DEAD, False, None)

    run_virtual(main())
    assert diary == [(1, "deaf")]


class DeafInit(Actor[Any]):
    """Its second init, of those in `diary`, does not hear that it is cancelled."""

    shutdown = 0.1

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    async def init(self) -> None:
        self.me = len(self.diary)
        self.diary.append(self.me)
        if self.me == 2:
            await deaf(10)

    def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError
        return self.me


@pytest.mark.parametrize("after", [0, 0.1])
def test_a_start_that_is_cancelled_is_cancelled_although_init_is_deaf(after: float) -> None:
    """CancelledError, in the second that a cancelled init gets to end."""

    async def main() -> None:
        async with System(child("top", Supervisor, [])) as system:
            cell = Cell(system, None, child("deaf", DeafInit, [0, 1]))
            starting = asyncio.ensure_future(cell.start())
            await asyncio.sleep(after)
            starting.cancel()
            await asyncio.wait([starting])
            assert starting.cancelled()
            assert now() < after + 1.5

    run_virtual(main())


def test_an_init_that_was_given_up_starts_nothing_when_it_ends() -> None:
    """Its supervisor was killed meanwhile: the dead cell stays dead, the one in its place alone."""
    diary: Diary = [0]

    async def main() -> None:
        middle = child("m", Supervisor, [child("deaf", DeafInit, diary)])
        async with System(child("top", Supervisor, [middle])) as system:
            old = cell_at(system, "/top/m/deaf")
            old.tell("crash")
            await asyncio.sleep(0.1)
            assert (old.incarnation, old.state) == (2, State.STARTING)
            cell_at(system, "/top/m").kill()
            await asyncio.sleep(4)
            assert cell_at(system, "/top/m").incarnation == 2
            new = cell_at(system, "/top/m/deaf")
            assert new is not old
            await asyncio.sleep(20)
            assert (old.state, old.alive, old.actor) == (State.DEAD, False, None)
            assert await new.ask("who", timeout=1) == 3

    run_virtual(main())
    assert diary == [0, 1, 2, 3]


class DeafEnd(Actor[Any]):
    """Its first terminate does not hear; the next ones take two seconds."""

    shutdown = 5.0

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def init(self) -> None:
        self.me = self._life.cell.incarnation
        self.diary.append(f"+{self.me}")

    def handle(self, message: Any) -> None:
        self.stop()

    async def terminate(self, reason: Any) -> None:
        await (deaf(10) if self.me == 1 else asyncio.sleep(2))
        self.diary.append(f"-{self.me}")


def test_a_terminate_that_was_given_up_ends_no_other_incarnation() -> None:
    """The next incarnation is just ending, too, when it is through: that end is not cut short."""
    diary: Diary = []

    async def main() -> None:
        specs = [child("faulty", Actor), child("deaf", DeafEnd, diary)]
        async with System(child("top", Supervisor, specs, Strategy.ONE_FOR_ALL)) as system:
            ref, faulty = cell_at(system, "/top/deaf"), cell_at(system, "/top/faulty")
            faulty.tell("boom")
            await asyncio.sleep(9)
            assert ref.incarnation == 2
            ref.tell("stop")  # at 9, through at 11; the one given up is through at 10
            await asyncio.sleep(1.5)
            assert (ref.incarnation, ref.state) == (2, State.STOPPING)
            await asyncio.sleep(1)
            assert ref.incarnation == 3

    run_virtual(main())
    assert diary == ["+1", "+2", "-1", "-2", "+3", "-3"]
