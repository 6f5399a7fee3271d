"""Pipes: long operations beside the handler, whose results come back as messages."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import TooManyPipes
from eco_actor.runtime.testing import run_virtual
from tests.runtime.pipers import KINDS, Diary, Piper, at, crash, failing, lasting, tree


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
