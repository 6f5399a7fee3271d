"""Long operations beside the handler: their results come back as messages."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from eco_actor.runtime.jobs import ABANDON_AFTER, Jobs

log = logging.getLogger(__name__)

T = TypeVar("T")


class Pipes:
    """The operations of one incarnation; each delivers one message, or is cancelled with it."""

    __slots__ = ("_closed", "_deliver", "_fail", "_jobs", "_tasks", "_waiting", "path")

    def __init__(
        self,
        jobs: Jobs,
        path: str,
        deliver: Callable[[Any], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._jobs = jobs
        self.path = path
        self._deliver = deliver
        self._fail = fail
        self._waiting = 0  # started, and not at their first step yet
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return self._waiting + len(self._tasks)

    def start(
        self,
        coro: Coroutine[Any, Any, T],
        done: Callable[[T], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """Run *coro*; then deliver `done(result)`, or `failed(error)`.

        A cancellation that nobody asked for is an error like another: `failed` gets a RuntimeError.
        """
        self._waiting += 1
        try:
            self._jobs.spawn(self._run(coro, done, failed), f"{self.path}:pipe")
        except RuntimeError:
            self._waiting -= 1
            raise

    async def _run(
        self,
        coro: Coroutine[Any, Any, T],
        done: Callable[[T], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        self._waiting -= 1
        if self._closed:
            coro.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        convert: Callable[[Any], Any] = failed
        outcome: Any
        try:
            outcome = await coro
            convert = done
        except asyncio.CancelledError:
            outcome = RuntimeError("the operation was cancelled from outside")
        except Exception as error:
            outcome = error
        finally:
            self._tasks.discard(task)
        if self._closed:
            return
        try:
            message = convert(outcome)
        except Exception as error:  # the actor would never hear of it
            self._fail(error)
        else:
            self._deliver(message)

    def cancel(self) -> bool:
        """Cancel all; whether there is one to wait for."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        return bool(self._tasks)

    async def wait(self) -> None:
        """Wait until all have ended, but not for ever."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=ABANDON_AFTER)
            if left:
                log.error("%s: an operation does not end when cancelled, given up", self.path)
