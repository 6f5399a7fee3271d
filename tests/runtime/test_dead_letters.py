"""Dead letters: messages that nobody will handle are counted, shown and, at first, logged."""

import asyncio
import logging
from typing import Any

import pytest

from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    ActorDead,
    Exit,
    HandlerFailed,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
    StopChild,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.system import DEAD_LETTERS_LOGGED
from eco_actor.runtime.testing import conserved, run_virtual

SECRET = "what nobody but the two of them may know"


class Worker(Actor[Any]):
    """Does what it is told."""

    mailbox = MailboxSpec(64)

    def handle(self, message: Any) -> Any:
        if message == SECRET:
            raise ValueError("boom")
        return message(self) if callable(message) else message


class Busy(Worker):
    """The same, in a second a message."""

    async def handle(self, message: Any) -> Any:
        await asyncio.sleep(1)
        return super().handle(message)


Letters = list[tuple[str, Any, str]]


def tree(
    kind: type[Worker] = Worker, restart: Restart = Restart.TEMPORARY
) -> tuple[System, Letters]:
    """A system with two actors, and the letters that its hook is shown."""
    specs = [child(name, kind, restart=restart) for name in "ab"]
    system = System(child("top", Supervisor, specs, intensity=100))
    letters: Letters = []
    system.on_dead_letter = lambda cell, message, why: letters.append((cell.path, message, why))
    return system, letters


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "dead letter" in r.getMessage()]


CRASHED = "its handler ended: crashed: ValueError: boom"
ENDED = "its actor has ended"


@pytest.mark.parametrize("kind", [Worker, Busy])
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TEMPORARY])
def test_the_message_that_fails_and_those_queued_at_the_death_are_dead_letters(
    kind: type[Worker], restart: Restart
) -> None:
    """An actor that comes back keeps what is queued; a request is shown without its envelope."""

    async def main() -> None:
        system, letters = tree(kind, restart)
        async with system:
            ref = at(system)
            asked = [asyncio.ensure_future(ref.ask(m, timeout=60)) for m in (SECRET, "queued")]
            await asyncio.sleep(0)
            ref.tell("told")
            await asyncio.sleep(9)
            with pytest.raises(HandlerFailed):
                await asked[0]
            if restart is Restart.PERMANENT:
                assert await asked[1] == "queued"
                assert letters == [("/top/a", SECRET, CRASHED)]
            else:
                with pytest.raises(ActorDead):
                    await asked[1]
                assert letters == [
                    ("/top/a", SECRET, CRASHED),
                    ("/top/a", "queued", ENDED),
                    ("/top/a", "told", ENDED),
                ]
            assert system.dead_letters == len(letters) == ref.mailbox.dead
            conserved([ref])

    run_virtual(main())


@pytest.mark.parametrize("how", ["kill", "stray cancel", "overflow"])
def test_what_was_in_hand_at_a_violent_end_is_a_dead_letter(how: str) -> None:
    """Whoever ended the handler: the letter says why."""

    class Closing(Busy):
        mailbox = MailboxSpec(1, Overflow.CLOSE)
        interruptible = True

    async def main() -> None:
        system, letters = tree(Closing if how == "overflow" else Busy)
        async with system:
            ref = at(system)
            ref.tell("in hand")
            await asyncio.sleep(0.5)
            match how:
                case "kill":
                    ref.kill()
                case "overflow":
                    assert [ref.tell(n) for n in (1, 2)] == [Outcome.ENQUEUED, Outcome.CLOSED]
                case _:
                    assert ref._life is not None
                    assert ref._life.task is not None
                    ref._life.task.cancel()
            await asyncio.sleep(0.1)
            why = "overflow" if how == "overflow" else "killed"
            assert letters[0] == ("/top/a", "in hand", f"its handler ended: {why}")
            assert [letter[1:] for letter in letters[1:]] == (
                [(1, ENDED)] if why != "killed" else []
            )

    run_virtual(main())


def test_what_a_dead_actor_is_told_is_refused_and_no_dead_letter() -> None:
    """The sender has been told: DEAD. So it was for what a mailbox turned away."""

    async def main() -> None:
        system, letters = tree()
        async with system:
            ref = at(system)
            ref.kill()
            await asyncio.sleep(1)
            assert ref.tell("hello") is Outcome.DEAD
            with pytest.raises(ActorDead):
                await ref.ask("hello", timeout=1)
            assert (letters, system.dead_letters, ref.mailbox.refused) == ([], 0, 2)

    run_virtual(main())


def test_the_first_ten_are_logged_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """By path, reason and kind of message, never by what is in it; the hook is shown them all."""

    async def main() -> None:
        system, letters = tree(restart=Restart.PERMANENT)
        async with system:
            for number in range(DEAD_LETTERS_LOGGED + 5):
                at(system, "ab"[number % 2]).tell(SECRET)
                await asyncio.sleep(0.1)
            assert system.dead_letters == len(letters) == DEAD_LETTERS_LOGGED + 5

    run_virtual(main())
    assert len(warned(caplog)) == DEAD_LETTERS_LOGGED == 10
    assert warned(caplog)[0] == f"/top/a: dead letter ({CRASHED}): str"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("how", ["stop", "StopChild", "system"])
def test_an_orderly_end_is_no_news(caplog: pytest.LogCaptureFixture, how: str) -> None:
    """What was queued is counted and shown, but nothing is written to the log."""

    async def main() -> Letters:
        system, letters = tree()
        async with system:
            ref = at(system)
            ref.tell(lambda me: me.stop() if how == "stop" else ref.suspend())
            for number in range(5):
                ref.tell(number)
            await asyncio.sleep(1)
            if how == "StopChild":
                root = system.find("/top")
                assert root is not None
                await root.ask(StopChild("a"), timeout=9)
        assert system.dead_letters == 5
        return letters

    assert run_virtual(main()) == [("/top/a", number, ENDED) for number in range(5)]
    assert warned(caplog) == []


def test_orderly_ends_do_not_use_up_what_may_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A server that has closed ten connections must still say when something fails."""

    async def main() -> None:
        system, _ = tree()
        async with system:
            ref = at(system)
            ref.tell(lambda me: me.stop(SHUTDOWN))
            for number in range(DEAD_LETTERS_LOGGED + 1):
                ref.tell(number)
            await asyncio.sleep(1)
            assert warned(caplog) == []
            at(system, "b").tell(SECRET)
            await asyncio.sleep(1)

    run_virtual(main())
    assert warned(caplog) == [f"/top/b: dead letter ({CRASHED}): str"]


@pytest.mark.parametrize("kind", [Worker, Busy])
def test_a_hook_that_raises_harms_neither_the_actor_nor_its_supervisor(kind: type[Worker]) -> None:
    """What only looks at messages must not keep an actor from ending and coming back."""

    def hook(cell: Cell, message: object, why: str) -> None:
        raise RuntimeError("the hook's own fault")

    async def main() -> None:
        system, _ = tree(kind, Restart.PERMANENT)
        system.on_dead_letter = hook
        async with system:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
            ref = at(system)
            asked = asyncio.ensure_future(ref.ask(SECRET, timeout=60))
            await asyncio.sleep(9)
            assert (ref.incarnation, ref.state.value) == (2, "running")
            assert isinstance(asked.exception(), HandlerFailed)
            assert system.dead_letters == 1

    run_virtual(main())


def test_a_signal_in_hand_is_no_dead_letter_and_a_message_that_was_handled_neither(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A timer that fails, a terminate that fails: no message is lost by it."""

    class Fails(Worker):
        async def terminate(self, reason: Exit) -> None:
            raise KeyError("terminate")

    async def main() -> None:
        system, letters = tree(Fails, Restart.PERMANENT)
        async with system:
            ref = at(system)
            await ref.ask(lambda me: me.start_timer("t", 1, SECRET), timeout=1)
            await asyncio.sleep(2)
            assert ref.incarnation == 2
            assert (letters, ref.mailbox.dead, ref.mailbox.handled) == ([], 0, 1)
            conserved([ref])

    run_virtual(main())
    assert "/top/a: terminate failed" in caplog.text
    assert logging.getLogger("eco_actor.runtime.system").name not in {
        r.name for r in caplog.records
    }
