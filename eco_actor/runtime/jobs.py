"""The only place where tasks begin: an adapter over aiojobs, which owns them all.

`Scheduler.spawn` is a coroutine, because a scheduler with a limit may have to wait for room. Turns
are synchronous, so `Jobs` uses a scheduler without a limit, whose `spawn` never suspends, and
drives it by hand. The bound on the number of jobs is elsewhere: an actor has at most one.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from aiojobs import Scheduler

ABANDON_AFTER: Final = 1.0
"""Seconds that a cancelled job gets to end; then it is given up and the fault is logged."""

log = logging.getLogger(__name__)


class Jobs:
    """Starts coroutines as named tasks that end with this owner at the latest.

    An exception that escapes a job is logged with the job's name; nobody waits for it.
    """

    def __init__(self) -> None:
        self._scheduler = Scheduler(limit=None, exception_handler=_report)

    def __len__(self) -> int:
        return len(self._scheduler)

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        """Start *coro* as a task called *name*, at the next iteration of the loop.

        RuntimeError after `close`; *coro* is then closed, never awaited.
        """
        spawning = self._scheduler.spawn(Started(coro), name=name)
        try:
            spawning.send(None)
        except StopIteration:
            return
        except BaseException:
            coro.close()
            raise
        spawning.close()
        raise RuntimeError("aiojobs suspended in spawn although its scheduler has no limit")

    async def close(self) -> None:
        """Cancel what still runs and wait for it; jobs that will not end are logged."""
        await self._scheduler.close()


class Started(Coroutine[Any, Any, None]):
    """Runs *coro* to its first await even when it is cancelled before: what it does at its end, as
    letting others know of it, is then done as at any other time."""

    __slots__ = ("_began", "_coro")

    def __init__(self, coro: Coroutine[Any, Any, None]) -> None:
        self._coro = coro
        self._began = False

    def send(self, value: Any) -> Any:
        self._began = True
        return self._coro.send(value)

    def throw(self, error: Any, value: Any = None, trace: Any = None) -> Any:
        if not self._began:
            awaited = self.send(None)
            if isinstance(awaited, asyncio.Future):
                awaited.cancel()  # as a task does to what it waits for
        return self._coro.throw(error)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Any:
        return self._coro.__await__()


def _report(scheduler: Scheduler, context: dict[str, Any]) -> None:
    log.error("%s: %r", context.get("message"), context.get("job"), exc_info=context["exception"])
