"""What a supervisor says when its budget is spent, and that a crash is never a secret."""

import asyncio
import logging
from typing import Any

import pytest

from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    Backoff,
    DynamicSupervisor,
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


class Worker(Actor[Any]):
    """Does what it is told; its inits after the first fail if they are to."""

    def __init__(self, faulty: bool = False) -> None:
        self.faulty = faulty

    def init(self) -> Any:
        if self.faulty and self._life.cell.incarnation > 1:
            raise RuntimeError("no start")

    def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("boom")
        if message == "alarm":
            self.start_timer("t", 1, "crash")
        return message


class SlowStart(Worker):
    """The same, and its init lets others in between."""

    async def init(self) -> None:
        await asyncio.sleep(0)
        super().init()


def at(system: System, name: str) -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def verdicts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in lines(caplog) if "giving up" in line]


async def crash(*cells: Cell) -> None:
    for cell in cells:
        cell.tell("crash")
        await asyncio.sleep(0.1)


# ---- who spent it


def test_a_supervisor_that_gives_up_names_who_spent_its_budget(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each child with its number of restarts, most first, and the last end with its reason."""

    async def main() -> None:
        inner = child(
            "in", Supervisor, [child(n, Worker) for n in "abc"], restart=Restart.TEMPORARY
        )
        async with System(child("top", Supervisor, [inner])) as system:
            a, b = at(system, "in/a"), at(system, "in/b")
            await crash(a, b, b, a)
            assert not a.alive
            assert system.find("/top/in") is None

    run_virtual(main())
    assert verdicts(caplog) == [
        "/top/in: giving up, more than 3 restarts in 5 s, spent by a 2, b 2;"
        " the last was a (crashed: ValueError: boom)"
    ]


def test_what_is_out_of_the_window_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    """Only restarts that count: those of the last seconds, the last one included."""

    async def main() -> None:
        specs = [child(n, Worker) for n in "abc"]
        async with System(child("top", Supervisor, specs, intensity=2, period=5)) as system:
            a, b, c = (at(system, name) for name in "abc")
            await crash(a, a)
            await asyncio.sleep(10)
            await crash(c, b, b)
            await system.wait_ended()

    run_virtual(main())
    assert "spent by b 2, c 1; the last was b" in verdicts(caplog)[0]


@pytest.mark.parametrize("strategy", list(Strategy))
def test_with_no_budget_the_first_restart_is_too_many(
    caplog: pytest.LogCaptureFixture, strategy: Strategy
) -> None:
    """Intensity 0: the supervisor ends with shutdown, and with it the system, if it is the root."""

    async def main() -> None:
        specs = [child(n, Worker) for n in "abc"]
        async with System(child("top", Supervisor, specs, strategy, intensity=0)) as system:
            root = system.find("/top")
            assert root is not None
            await crash(at(system, "b"))
            assert await asyncio.wait_for(system.wait_ended(), 1) == SHUTDOWN
            assert (root.alive, root.state.value) == (False, "dead")

    run_virtual(main())
    assert [line.split(";")[0] for line in verdicts(caplog)] == [
        "/top: giving up, more than 0 restarts in 5 s, spent by b 1"
    ]


def test_an_end_that_asks_for_no_restart_spends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Temporary children may crash, and others be stopped, as often as they like."""

    async def main() -> None:
        async with System(child("top", Supervisor, [], intensity=0)) as system:
            root = system.find("/top")
            assert root is not None
            for number in range(9):
                name = f"x{number}"
                spec = child(name, Worker, restart=Restart.TEMPORARY)
                await crash(await root.ask(StartChild(spec), timeout=1))
                spec = child(name, Worker)
                await root.ask(StartChild(spec), timeout=1)
                await root.ask(StopChild(name), timeout=1)
            assert root.incarnation == 1

    run_virtual(main())
    assert verdicts(caplog) == []


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_restarts_that_fail_are_counted_for_the_child_that_fails(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """One for the crash, one more for each init that raised; each is logged with its error."""

    async def main() -> None:
        top = child("top", *((Supervisor, []) if kind == "fixed" else (DynamicSupervisor, 3)))
        async with System(top) as system:
            root = system.find("/top")
            assert root is not None
            spec = child("a", Worker, True)
            await crash(await root.ask(StartChild(spec), timeout=1))
            await system.wait_ended()

    run_virtual(main())
    written = lines(caplog)
    assert written.count("/top/a: restart failed: RuntimeError: no start") == 3
    assert written[-1].endswith("spent by a 4; the last was a (crashed: RuntimeError: no start)")


@pytest.mark.parametrize("actor", [Worker, SlowStart])
@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_restarts_that_fail_for_ever_do_not_hold_up_a_stop_from_above(
    kind: str, actor: type[Worker]
) -> None:
    """However large the budget: other messages come in between, and the stop is one of them."""

    async def main() -> None:
        options: Any = {"intensity": 10**9, "period": 10**6}
        spec = child("a", actor, True)
        inner = (
            child("in", Supervisor, [spec], **options)
            if kind == "fixed"
            else child("in", DynamicSupervisor, 3, **options)
        )
        async with System(child("top", Supervisor, [inner])) as system:
            if kind == "dynamic":
                await at(system, "in").ask(StartChild(spec), timeout=1)
            cell = at(system, "in/a")
            cell.tell("crash")
            for _ in range(50):
                await asyncio.sleep(0)
            assert cell.incarnation > 5
        assert not cell.alive

    run_virtual(main())


# ---- restarts in the log


def test_each_restart_is_told_with_its_reason_and_its_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line each, with the path, which life it was and why it ended."""
    caplog.set_level(logging.INFO)

    async def main() -> None:
        specs = [child("a", Worker)]
        top = child("top", Supervisor, specs, backoff=Backoff(2.5, 60, 0))
        async with System(top) as system:
            at(system, "a").kill()
            await asyncio.sleep(3)
            await crash(at(system, "a"))

    run_virtual(main())
    assert [line for line in lines(caplog, logging.INFO) if "restart" in line] == [
        "/top/a: restart in 2.5 s after incarnation 1 (killed)",
        "/top/a: restart in 5 s after incarnation 2 (crashed: ValueError: boom)",
    ]


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("how", ["crash", "alarm"])
def test_a_crash_is_logged_where_it_happened(
    caplog: pytest.LogCaptureFixture, how: str, restart: Restart
) -> None:
    """A warning, or worse, with the traceback, whether a message, a timer or a Down was in hand."""

    async def main() -> None:
        async with System(
            child("top", Supervisor, [child("a", Worker, restart=restart)])
        ) as system:
            at(system, "a").tell(how)
            await asyncio.sleep(2)

    run_virtual(main())
    told = [r for r in caplog.records if r.levelno >= logging.WARNING and r.exc_info]
    assert [type(record.exc_info[1]) for record in told if record.exc_info] == [ValueError]
    assert "/top/a" in told[0].getMessage()


@pytest.mark.parametrize("letters", [0, 20])
def test_a_crash_of_an_actor_that_is_not_restarted_is_never_silent(
    caplog: pytest.LogCaptureFixture, letters: int
) -> None:
    """Nobody restarts it, so no restart is told: the end has to be, the hundredth as well."""

    async def main() -> None:
        async with System(child("top", DynamicSupervisor, 99)) as system:
            root = system.find("/top")
            assert root is not None
            for number in range(letters):
                spec = child(str(number), Worker, restart=Restart.TEMPORARY)
                await crash(await root.ask(StartChild(spec), timeout=1))
            caplog.clear()
            spec = child("last", Worker, restart=Restart.TEMPORARY)
            await crash(await root.ask(StartChild(spec), timeout=1))

    run_virtual(main())
    assert any("/top/last" in line for line in lines(caplog))
