"""Turns and jobs: nobody is stopped by another's fault or diligence, and no wish to end is lost."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    MailboxSpec,
    Restart,
    State,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dispatcher import TURN_BUDGET, TURNS, Dispatcher
from eco_actor.runtime.incarnation import Incarnation
from eco_actor.runtime.testing import run_virtual


class Echo(Actor[Any]):
    """Answers with what it is told."""

    def handle(self, message: Any) -> Any:
        return message


class Raising(Actor[BaseException]):
    """Raises what it is told, in a plain handler."""

    def handle(self, message: BaseException) -> None:
        raise message


class Faulty:
    """Breaks the rule of turns: it raises."""

    asleep = True

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def turn(self, budget: int) -> None:
        raise self.kind("a broken rule")


class Noted:
    """Notes its turn."""

    asleep = True

    def __init__(self, number: int, ran: list[int]) -> None:
        self.number = number
        self.ran = ran

    def turn(self, budget: int) -> None:
        self.ran.append(self.number)


class Busybody(Actor[int]):
    """Tells itself what it was just told, for as long as it lives."""

    mailbox = MailboxSpec(2 * TURN_BUDGET)

    def __init__(self, handled: list[int]) -> None:
        self.handled = handled

    def handle(self, message: int) -> None:
        self.handled.append(message)
        self.ref.tell(message)


def at_work(cell: Cell) -> Incarnation:
    """The life of *cell*, which has a job."""
    life = cell._life
    assert life is not None
    assert life._busy
    return life


def cell_at(system: System, path: str) -> Cell:
    found = system.find(path)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [AssertionError, asyncio.CancelledError])
@pytest.mark.parametrize("behind", [0, 1, 3 * TURNS])
def test_a_turn_that_raises_costs_nobody_else_a_turn(
    kind: type[BaseException], behind: int
) -> None:
    """What was scheduled behind it and what is scheduled later is run, each once, in order."""
    ran: list[int] = []
    reported: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context.get("exception")))
        dispatcher = Dispatcher(loop)

        dispatcher.schedule(Faulty(kind))
        for n in range(behind):
            dispatcher.schedule(Noted(n, ran))
        await asyncio.sleep(1)
        dispatcher.schedule(Noted(-1, ran))
        await asyncio.sleep(1)
        assert not dispatcher._ready

    run_virtual(main())
    assert ran == [*range(behind), -1]
    assert [type(error) for error in reported] == [kind]


@pytest.mark.parametrize("kind", [AssertionError, asyncio.CancelledError])
def test_a_plain_handler_that_raises_is_a_crash_of_its_own_actor_alone(
    kind: type[BaseException],
) -> None:
    """Also for CancelledError, which nobody asked for: a restart, and the others go on."""

    async def main() -> None:
        specs = [child("bad", Raising, restart=Restart.TRANSIENT), child("good", Echo)]
        async with System(child("top", Supervisor, specs)) as system:
            bad, good = cell_at(system, "/top/bad"), cell_at(system, "/top/good")
            bad.tell(kind("boom"))
            assert await good.ask("same run of turns", timeout=1) == "same run of turns"
            await asyncio.sleep(1)
            assert await good.ask("later", timeout=1) == "later"
            assert bad.incarnation == 2
            assert bad.last_error == f"crashed: {kind.__name__}: boom"
            bad.tell(kind("again"))
            await asyncio.sleep(1)
            assert bad.incarnation == 3

    run_virtual(main())


def test_an_actor_that_tells_itself_stands_in_the_queue_once() -> None:
    """However long it goes on, the run queue stays as short as there are actors."""
    handled: list[int] = []

    async def main() -> None:
        specs = [child("busy", Busybody, handled), child("other", Echo)]
        async with System(child("top", Supervisor, specs)) as system:
            busy = cell_at(system, "/top/busy")
            for n in range(100):
                busy.tell(n)
            for _ in range(12):
                before = len(handled)
                await asyncio.sleep(0)
                assert len(system.dispatcher._ready) <= 2
                assert len(handled) - before <= TURNS * TURN_BUDGET
            assert len(handled) > 100

    run_virtual(main())
    assert handled[:200] == [*range(100), *range(100)]


def test_others_get_turns_beside_actors_that_tell_themselves() -> None:
    """An ask is answered within few iterations of the loop, as are timers of the loop itself."""
    handled: list[int] = []

    async def main() -> None:
        specs = [child(f"busy{n}", Busybody, handled) for n in range(3)]
        async with System(child("top", Supervisor, [*specs, child("other", Echo)])) as system:
            for n in range(3):
                for k in range(TURN_BUDGET):
                    cell_at(system, f"/top/busy{n}").tell(k)
            for n in range(5):
                asked = asyncio.ensure_future(cell_at(system, "/top/other").ask(n, timeout=9))
                for _ in range(4):
                    await asyncio.sleep(0)
                assert asked.done()
                assert await asked == n

    run_virtual(main())


class Hung(Actor[Any]):
    """Waits for ever in its hooks, as long as `hangs` says so."""

    interruptible = True

    def __init__(self, diary: list[str], hangs: list[str]) -> None:
        self.diary, self.hangs = diary, hangs

    async def init(self) -> None:
        await self._hang("init")

    async def handle(self, message: Any) -> None:
        await self._hang("handle")

    async def _hang(self, where: str) -> None:
        self.diary.append(where)
        if where in self.hangs:
            self.hangs.remove(where)
            await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_wish_to_end_before_the_handlers_first_step_is_not_lost(how: str) -> None:
    """The job is spawned, its task has not begun: the actor ends at once all the same."""
    diary: list[str] = []

    async def main() -> None:
        spec = child("hung", Hung, diary, ["handle"], shutdown=100)
        async with System(child("top", Supervisor, [spec])) as system:
            ref = cell_at(system, "/top/hung")
            ref.tell("hang")
            await asyncio.sleep(0)
            assert at_work(ref).task is None, "this is not the moment that the test is about"
            if how == "kill":
                ref.kill()
            else:
                ref.request_exit(SHUTDOWN)
            await asyncio.sleep(0.5)
            assert ref.incarnation == 2

    run_virtual(main())
    assert diary[0] == "init"


def test_a_kill_before_the_inits_first_step_is_not_lost() -> None:
    """Nobody waits for ever for an init that was to end before it began."""
    diary: list[str] = []

    async def main() -> None:
        async with System(child("top", Supervisor, [])) as system:
            spec = child("hung", Hung, diary, ["init"])
            cell = Cell(system, None, spec)
            starting = asyncio.ensure_future(cell.start())
            await asyncio.sleep(0)
            assert at_work(cell).task is None, "this is not the moment that the test is about"
            cell.kill()
            done, _ = await asyncio.wait([starting], timeout=5)
            starting.cancel()
            assert done
            assert starting.exception() is not None
            assert cell.state is State.DOWN

    run_virtual(main())
