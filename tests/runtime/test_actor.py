"""Actors one by one: messages, asks, timers, watches, and how an incarnation ends."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import (
    KILLED,
    Actor,
    ActorDead,
    AskTimeout,
    Down,
    ExitKind,
    HandlerFailed,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual


class Recorder(Actor[Any]):
    """Writes down what happens to it; the list outlives its incarnations."""

    mailbox = MailboxSpec(4)

    def __init__(self, diary: list[Any]) -> None:
        self.diary = diary

    def init(self) -> None:
        self.diary.append("init")

    def handle(self, message: Any) -> Any:
        self.diary.append(message)
        match message:
            case "crash":
                raise ValueError("boom")
            case "stop":
                self.stop()
            case ("timer", key, delay):
                self.start_timer(key, delay, f"{key} rang")
        return f"re: {message}"

    def terminate(self, reason: Any) -> None:
        self.diary.append(f"terminate {reason.kind.value}")


class Slow(Recorder):
    """The same with an async handler that takes a second a message."""

    async def handle(self, message: Any) -> Any:
        await asyncio.sleep(1)
        return super().handle(message)


def one(actor: type[Recorder], diary: list[Any], restart: Restart = Restart.PERMANENT) -> System:
    return System(child("top", Supervisor, [child("one", actor, diary, restart=restart)]))


def cell_of(system: System) -> Cell:
    found = system.find("/top/one")
    assert isinstance(found, Cell)
    return found


@pytest.mark.parametrize("kind", [Recorder, Slow])
def test_messages_are_handled_one_at_a_time_in_order(kind: type[Recorder]) -> None:
    """First in, first out, for plain and async handlers alike."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(kind, diary) as system:
            ref = cell_of(system)
            assert [ref.tell(n) for n in range(3)] == [Outcome.ENQUEUED] * 3
            assert await ref.ask("last", timeout=10) == "re: last"

    run_virtual(main())
    assert diary == ["init", 0, 1, 2, "last", "terminate shutdown"]


def test_a_full_mailbox_refuses_a_tell_and_lets_a_send_wait_its_turn() -> None:
    """`tell` answers FULL at once; `send` goes in, first come first served, as room is made."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(Slow, diary) as system:
            ref = cell_of(system)
            for n in range(4):
                ref.tell(n)
            assert ref.tell("refused") is Outcome.FULL
            with pytest.raises(MailboxFull) as caught:
                await ref.ask("refused too", timeout=1)
            assert caught.value.handled is False
            senders = [asyncio.ensure_future(ref.send(f"sent {n}")) for n in range(3)]
            await asyncio.sleep(0)
            senders[1].cancel()
            await asyncio.wait(senders)
            await asyncio.sleep(3)
            assert await ref.ask("last", timeout=20) == "re: last"
            assert ref.mailbox.refused == 2

    run_virtual(main())
    assert diary[1:-1] == [0, 1, 2, 3, "sent 0", "sent 2", "last"]


@pytest.mark.parametrize("kind", [Recorder, Slow])
def test_a_crash_restarts_the_actor_and_keeps_its_ref_and_its_mailbox(
    kind: type[Recorder],
) -> None:
    """Only the failing message is lost; terminate is over before the next init begins."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(kind, diary) as system:
            ref = cell_of(system)
            ref.tell("crash")
            ref.tell("after")
            assert await ref.ask("ping", timeout=10) == "re: ping"
            assert (ref.incarnation, ref.mailbox.dead, system.dead_letters) == (2, 1, 1)
            assert ref.last_error == "crashed: ValueError: boom"

    run_virtual(main())
    assert diary[:5] == ["init", "crash", "terminate crashed", "init", "after"]


def test_an_ask_says_whether_its_message_was_handled() -> None:
    """Crash: handled. Timeout: nobody knows; still queued it is skipped. Dead: not handled."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(Slow, diary, Restart.TEMPORARY) as system:
            ref = cell_of(system)
            ref.tell("long")
            with pytest.raises(AskTimeout) as late:
                await ref.ask("too late", timeout=0.5)
            assert late.value.handled is False
            with pytest.raises(HandlerFailed) as crashed:
                await ref.ask("crash", timeout=10)
            assert crashed.value.handled is True
            with pytest.raises(ActorDead) as dead:
                await ref.ask("anybody?", timeout=10)
            assert dead.value.handled is False
            assert ref.tell("anybody?") is Outcome.DEAD
            assert ref.mailbox.expired == 1

    run_virtual(main())
    assert "too late" not in diary


def test_whoever_waits_for_an_actor_that_dies_is_told_at_once() -> None:
    """Queued asks and waiting sends fail when the actor ends for good, not at their deadline."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(Slow, diary, Restart.TEMPORARY) as system:
            ref = cell_of(system)
            ref.tell("crash")
            await asyncio.sleep(0.5)
            asked = asyncio.ensure_future(ref.ask("queued", timeout=1000))
            await asyncio.sleep(0)
            for n in range(3):
                ref.tell(n)
            sending = asyncio.ensure_future(ref.send("waiting"))
            done, _ = await asyncio.wait([asked, sending], timeout=5)
            assert {type(task.exception()) for task in done} == {ActorDead}
            assert len(done) == 2
            assert asyncio.get_running_loop().time() < 3

    run_virtual(main())


def test_the_rule_close_ends_the_actor_when_its_mailbox_overflows() -> None:
    """The offer answers CLOSED and the incarnation ends abnormally, for its supervisor to judge."""

    class Closing(Slow):
        mailbox = MailboxSpec(1, Overflow.CLOSE)

    diary: list[Any] = []

    async def main() -> None:
        async with one(Closing, diary, Restart.TEMPORARY) as system:
            ref = cell_of(system)
            assert ref.tell("kept") is Outcome.ENQUEUED
            assert ref.tell("one too many") is Outcome.CLOSED
            await asyncio.sleep(5)
            assert not ref.alive
            assert ref.last_error == "overflow"

    run_virtual(main())
    assert diary == ["init", "terminate overflow"]


def test_timers_ring_once_and_die_with_their_incarnation() -> None:
    """A timer of the same key replaces the first; a restart silences what was set before it."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(Recorder, diary) as system:
            ref = cell_of(system)
            ref.tell(("timer", "tea", 5))
            ref.tell(("timer", "tea", 7))
            await asyncio.sleep(10)
            ref.tell(("timer", "egg", 5))
            ref.tell("crash")
            await asyncio.sleep(10)

    run_virtual(main())
    assert [entry for entry in diary if str(entry).endswith("rang")] == ["tea rang"]


def test_a_watcher_hears_of_every_end_and_what_was_lost_with_it() -> None:
    """One Down an incarnation, with the message in hand, and one when it will not come back; one
    at once for an actor already dead.
    """
    heard: list[Down] = []

    class Watcher(Actor[Any]):
        def handle(self, message: Any) -> None:
            if isinstance(message, Down):
                heard.append(message)
            else:
                self.watch(message)

    async def main() -> None:
        specs = [child("one", Recorder, [], restart=Restart.TRANSIENT), child("eye", Watcher)]
        async with System(child("top", Supervisor, specs)) as system:
            ref, eye = cell_of(system), system.find("/top/eye")
            assert eye is not None
            eye.tell(ref)
            await asyncio.sleep(1)
            ref.tell("crash")
            await asyncio.sleep(1)
            ref.tell("stop")
            await asyncio.sleep(1)
            eye.tell(ref)
            await asyncio.sleep(1)

    run_virtual(main())
    assert [(down.incarnation, down.reason.kind, down.lost) for down in heard] == [
        (1, ExitKind.CRASHED, "crash"),
        (2, ExitKind.NORMAL, None),
        (2, ExitKind.NORMAL, None),
        (2, ExitKind.NORMAL, None),
    ]


@pytest.mark.parametrize("how", ["kill", "stray cancel"])
def test_a_kill_and_a_cancellation_nobody_asked_for_are_abnormal(how: str) -> None:
    """Both end the handler at once and bring a transient actor back."""
    diary: list[Any] = []

    async def main() -> None:
        async with one(Slow, diary, Restart.TRANSIENT) as system:
            ref = cell_of(system)
            asked = asyncio.ensure_future(ref.ask("long", timeout=100))
            await asyncio.sleep(0.5)
            if how == "kill":
                ref.kill()
            else:
                handlers = [t for t in asyncio.all_tasks() if t.get_name() == "/top/one:handle"]
                handlers[0].cancel()
            with pytest.raises(HandlerFailed):
                await asked
            await asyncio.sleep(0)
            assert ref.incarnation == 2
            assert str(KILLED) in str(ref.last_error)

    run_virtual(main())
    assert diary == ["init", "terminate killed", "init", "terminate shutdown"]


def test_an_idle_actor_has_no_task_and_no_queue() -> None:
    """Nothing is allocated for messages before the first, and no task outlives a handler."""

    async def main() -> None:
        async with one(Slow, []) as system:
            ref = cell_of(system)
            assert ref.mailbox.queue == ()
            await ref.ask("hello", timeout=5)
            await asyncio.sleep(0.001)
            assert len(system.jobs) == 0

    run_virtual(main())
