"""Pipes: long operations beside the handler, whose results come back as messages."""

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    ActorDead,
    Exit,
    MailboxSpec,
    Supervisor,
    System,
    TooManyPipes,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual

Diary = list[Any]


class Piper(Actor[Any]):
    """Does what it is told, and writes down what happens to it and what its pipes bring."""

    mailbox = MailboxSpec(4)
    max_pipes = 3

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def init(self) -> Any:
        self.diary.append("init")

    def handle(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.diary.append(message)
        return message

    def terminate(self, reason: Exit) -> Any:
        self.diary.append("terminate")

    def start(self, operation: Any) -> None:
        self.pipe(operation, done=lambda result: ("done", result), failed=lambda e: ("failed", e))


class AsyncPiper(Piper):
    """The same with async hooks."""

    async def handle(self, message: Any) -> Any:
        return super().handle(message)

    async def terminate(self, reason: Exit) -> None:
        super().terminate(reason)
        await asyncio.sleep(0.1)


KINDS = pytest.mark.parametrize("kind", [Piper, AsyncPiper])


def tree(diary: Diary, kind: type[Piper] = Piper) -> System:
    return System(child("top", Supervisor, [child("a", kind, diary)]))


def at(system: System) -> Cell:
    found = system.find("/top/a")
    assert found is not None
    return found


def crash(me: Any) -> None:
    raise ValueError("boom")


async def lasting(diary: Diary, seconds: float = 100.0, after: float = 0.0) -> str:
    """Takes so long, and when it is cancelled *after* seconds more to end."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(after)
        diary.append("cancelled")
        raise
    return "result"


async def failing() -> None:
    await asyncio.sleep(1)
    raise KeyError("no such thing")


@KINDS
def test_a_pipe_brings_its_result_or_its_error_back_as_a_message(kind: type[Piper]) -> None:
    """`done` and `failed` make the message, and the handler is free meanwhile."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            ref = at(system)
            ref.tell(lambda me: me.start(lasting(diary, 2)))
            ref.tell(lambda me: me.start(failing()))
            assert await ref.ask("meanwhile", timeout=0.5) == "meanwhile"
            await asyncio.sleep(3)
            assert ref.incarnation == 1

    run_virtual(main())
    assert diary[:2] == ["init", "meanwhile"]
    assert [what for what, _ in diary[2:4]] == ["failed", "done"]
    assert isinstance(diary[2][1], KeyError)
    assert diary[3][1] == "result"


def test_a_result_comes_ahead_of_a_full_mailbox() -> None:
    """What was begun is finished first, and no bound can lose it."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary) as system:
            ref = at(system)
            await ref.ask(lambda me: me.start(lasting(diary, 1)), timeout=1)
            ref.suspend()
            while not ref.mailbox.blocked:
                ref.tell("queued")
            await asyncio.sleep(2)
            ref.resume()
            await asyncio.sleep(0)

    run_virtual(main())
    assert diary[1:4] == [("done", "result"), "queued", "queued"]


@KINDS
@pytest.mark.parametrize("fails", [False, True])
def test_a_mapping_that_raises_crashes_the_actor(kind: type[Piper], fails: bool) -> None:
    """It would never hear of the end of its operation otherwise; the error is the one raised."""

    async def main() -> None:
        async with tree([], kind) as system:
            ref = at(system)
            operation: Callable[[], Any] = failing if fails else lambda: lasting([], 1)
            ref.tell(lambda me: me.pipe(operation(), done=crash, failed=crash))
            await asyncio.sleep(2)
            assert ref.incarnation == 2
            assert ref.last_error == "crashed: ValueError: boom"

    run_virtual(main())


@KINDS
@pytest.mark.parametrize("end", ["crash", "kill", "stop"])
def test_pipes_are_cancelled_with_their_incarnation_and_over_before_the_next(
    kind: type[Piper], end: str
) -> None:
    """However it ends: terminate, the operations' own ends, then init; no message comes of them."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            ref = at(system)
            for after in (0.0, 0.5):
                await ref.ask(lambda me, s=after: me.start(lasting(diary, after=s)), timeout=1)
            await asyncio.sleep(1)
            match end:
                case "kill":
                    ref.kill()
                case "crash":
                    ref.tell(crash)
                case _:
                    ref.tell(lambda me: me.stop(SHUTDOWN))
            await asyncio.sleep(1)
            assert ref.incarnation == 2
            assert ref.actor is not None
            assert diary == ["init", "terminate", "cancelled", "cancelled", "init"]
            await asyncio.sleep(200)
            assert len(system.jobs) == 0

    run_virtual(main())
    assert diary[5:] == ["terminate"]


async def bracketed(diary: Diary) -> None:
    """Says when it begins and when it is over, which takes a while."""
    diary.append("begin")
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(0.5)
        diary.append("over")


class NeverStarts(Piper):
    """Its second init starts an operation and fails."""

    def init(self) -> Any:
        super().init()
        if self.diary.count("init") == 2:
            self.start(bracketed(self.diary))
            raise RuntimeError("no start")


class NeverStartsLate(NeverStarts):
    """The same, when the operation has begun."""

    async def init(self) -> None:
        try:
            super().init()
        except RuntimeError:
            await asyncio.sleep(0.1)
            raise


class Farewell(Piper):
    """Starts an operation when it is over."""

    async def terminate(self, reason: Exit) -> None:
        with contextlib.suppress(ActorDead):
            self.start(bracketed(self.diary))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(("kind", "lives"), [(NeverStarts, 3), (NeverStartsLate, 3), (Farewell, 2)])
def test_what_init_or_terminate_starts_is_over_before_the_next_init_as_well(
    kind: type[Piper], lives: int
) -> None:
    """Two incarnations are never at work on one thing at once, whichever hook began it."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            at(system).tell(crash)
            await asyncio.sleep(5)
            assert at(system).incarnation == lives

    run_virtual(main())
    for when, entry in enumerate(diary):
        if entry == "init":
            assert diary[:when].count("begin") == diary[:when].count("over"), diary


def test_an_operation_too_many_is_refused_and_closed() -> None:
    """TooManyPipes says the bound; the coroutine never ran; one that ends makes room again."""

    async def main() -> None:
        async with tree([]) as system:
            ref = at(system)
            refused = lasting([])

            def start_four(me: Any) -> str:
                for _ in range(3):
                    me.start(lasting([], 1))
                with pytest.raises(TooManyPipes, match="3 operations are under way, its bound"):
                    me.start(refused)
                return inspect.getcoroutinestate(refused)

            assert await ref.ask(start_four, timeout=1) == inspect.CORO_CLOSED
            await asyncio.sleep(2)
            operation = lasting([])
            await ref.ask(lambda me: me.start(operation), timeout=1)
            await asyncio.sleep(0)
            assert inspect.getcoroutinestate(operation) == inspect.CORO_SUSPENDED

    run_virtual(main())


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancellation_that_nobody_asked_for_is_a_failure_of_the_operation(begun: bool) -> None:
    """The actor hears of it as of any error, also when the task never had its first step."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary) as system:
            ref = at(system)
            asked = asyncio.ensure_future(ref.ask(lambda me: me.start(lasting(diary)), timeout=1))
            for _ in range(100):
                tasks = [t for t in asyncio.all_tasks() if t.get_name() == "/top/a:pipe"]
                if tasks:
                    break
                await asyncio.sleep(0)
            await asyncio.sleep(1 if begun else 0)
            tasks[0].cancel()
            await asked
            await asyncio.sleep(1)
            assert ref.incarnation == 1

    run_virtual(main())
    what, error = next(entry for entry in diary if isinstance(entry, tuple))
    assert what == "failed"
    assert str(error) == "the operation was cancelled from outside"


def test_an_incarnation_that_has_ended_can_start_nothing() -> None:
    """ActorDead, and the coroutine is closed: a callback that kept the actor finds out."""

    async def main() -> None:
        async with tree([]) as system:
            ref = at(system)
            old = await ref.ask(lambda me: me, timeout=1)
            ref.tell(crash)
            await asyncio.sleep(1)
            operation = lasting([])
            with pytest.raises(ActorDead, match="this incarnation has ended"):
                old.start(operation)
            assert inspect.getcoroutinestate(operation) == inspect.CORO_CLOSED
            assert ref.incarnation == 2

    run_virtual(main())
