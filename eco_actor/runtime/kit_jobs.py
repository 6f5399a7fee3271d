"""The jobs of a test kit: watched at each await, and cancelled there when a test wants it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from eco_actor.runtime.jobs import Jobs


class KitJobs(Jobs):
    """The jobs of a kit: known by name, and watched at each await."""

    def __init__(self) -> None:
        super().__init__()
        self.escaped: list[str] = []  # what jobs raised, which they should not
        self.note: Callable[[str], None] = lambda line: None
        self._running: dict[_Steps, None] = {}

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        steps = _Steps(coro, name, self)
        strike = self.begins(name)
        others = asyncio.all_tasks() if strike else set()
        super().spawn(steps, name)
        self._running[steps] = None
        self.note(f"{name} starts")
        for task in (asyncio.all_tasks() if strike else set()) - others:
            if task.get_name() == name:  # the scheduler may have started one of its own, too
                task.cancel()

    def names(self) -> list[str]:
        """Those that run, in the order of their start."""
        return [steps.name for steps in self._running]

    def cancel(self, path: str) -> bool:
        """Cancel the job of the actor at *path* that awaits something; False when none does."""
        for steps in self._running:
            if steps.name.startswith(f"{path}:") and steps.task is not None:
                self.note(f"{steps.name} is cancelled by nobody")
                steps.task.cancel()
                return True
        return False

    def begins(self, name: str) -> bool:
        """Called when a job starts; True cancels it before its first step."""
        return False

    def awaits(self, name: str) -> bool:
        """Called each time that a job awaits something; True cancels it there."""
        return False

    def ended(self, steps: "_Steps", error: BaseException | None) -> None:
        self._running.pop(steps, None)
        if error is not None:
            self.escaped.append(f"{steps.name} raised {error!r}")


class CancelAt(KitJobs):
    """Cancels whatever job comes to the k-th await of all, as nobody should; the first is 1.

    With *starts*, the job whose start is the k-th of all, before its first step. `struck` is the
    name of the job that it was; None: the run had fewer. Counted are jobs whose name is *where*:
    an actor's path, a colon, and init, handle, terminate or pipe.
    """

    def __init__(
        self, k: int, *, starts: bool = False, where: Callable[[str], bool] = lambda name: True
    ) -> None:
        super().__init__()
        self.k = k
        self.starts = starts
        self.count = 0
        self.struck: str | None = None
        self._where = where

    def begins(self, name: str) -> bool:
        return self.starts and self._counts(name)

    def awaits(self, name: str) -> bool:
        return not self.starts and self._counts(name)

    def _counts(self, name: str) -> bool:
        self.count += self._where(name)
        if not self._where(name) or self.count != self.k:
            return False
        self.struck = name
        self.note(f"{name} is cancelled by nobody, at {self.k}")
        return True


class _Steps(Coroutine[Any, Any, None]):
    """A job's coroutine, watched at each step."""

    def __init__(self, coro: Coroutine[Any, Any, None], name: str, jobs: KitJobs) -> None:
        self.name = name
        self.task: asyncio.Task[Any] | None = None
        self._coro = coro
        self._jobs = jobs

    def send(self, value: Any) -> Any:
        return self._step(self._coro.send, value)

    def throw(self, error: Any, *more: Any) -> Any:
        return self._step(self._coro.throw, error, *more)

    def close(self) -> None:
        self._jobs.ended(self, None)
        self._coro.close()

    def __await__(self) -> Any:
        raise TypeError("a job is run, not awaited")

    def _step(self, step: Callable[..., Any], *what: Any) -> Any:
        self.task = asyncio.current_task()
        try:
            awaited = step(*what)
        except (StopIteration, asyncio.CancelledError):
            self._jobs.ended(self, None)
            raise
        except BaseException as error:
            self._jobs.ended(self, error)
            raise
        if self._jobs.awaits(self.name) and self.task is not None:
            self.task.cancel()  # it is heard of where it awaits now
        return awaited
