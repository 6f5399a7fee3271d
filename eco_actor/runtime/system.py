"""One tree of actors on one loop: its root, clock, tasks, names and dead letters."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from eco_actor.runtime.actor import ChildSpec
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dispatcher import (
    Dispatcher,
    Schedule,
    ScheduledDispatcher,
    WatchedDispatcher,
)
from eco_actor.runtime.halting import cut_short, halt
from eco_actor.runtime.jobs import Jobs
from eco_actor.runtime.names import Names
from eco_actor.runtime.restarts import SHUTDOWN, Exit
from eco_actor.runtime.states import State
from eco_actor.runtime.watchdog import Watchdog

log = logging.getLogger(__name__)

DEAD_LETTERS_LOGGED: Final = 10
"""Dead letters that a system writes to the log in DEAD_LETTERS_S; the rest is only counted."""

DEAD_LETTERS_S: Final = 300.0


class System:
    """`async with System(spec) as system:` starts the root and stops it again, in order.

    Everything happens in the loop that it was started in; another thread tells with
    `loop.call_soon_threadsafe(ref.tell, message)`. Several systems may run in one loop; they share
    nothing. *watchdog* warns of turns that are too
    long, *schedule* decides in tests who is next, *jobs* is for tests that look at tasks.
    """

    def __init__(
        self,
        root: ChildSpec,
        schedule: Schedule | None = None,
        watchdog: Watchdog | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        if not isinstance(root, ChildSpec):
            raise TypeError(f"a system is started from a ChildSpec, see child(), not {root!r}")
        if schedule is not None and watchdog is not None:
            raise ValueError("a schedule decides on turns, a watchdog times them: one at a time")
        self._spec = root
        self._root: Cell | None = None
        self._schedule = schedule
        self.watchdog = watchdog
        self.jobs = Jobs() if jobs is None else jobs
        self.names = Names()
        self.dead_letters = 0
        self._letters_logged = 0
        self._letters_until = -math.inf
        self.on_dead_letter: Callable[[Cell, object, str], None] | None = None
        """Shown each message that nobody will handle, with its actor and why."""

    async def __aenter__(self) -> Self:
        if self._root is not None:
            raise RuntimeError("a System runs once: make another")
        self.loop = asyncio.get_running_loop()
        self.dispatcher = self._new_dispatcher()
        self._ended: asyncio.Future[Exit] = self.loop.create_future()
        self._root = Cell(self, None, self._spec)
        if self.watchdog is not None:
            self.watchdog.start(self.loop)
        try:
            await self._root.start()
        except BaseException:
            await self._stop(self._root)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._root is not None
        await self._stop(self._root)

    async def _stop(self, root: Cell) -> None:
        """In order; cancelled, at once, but whatever happens nothing stays behind."""
        try:
            await halt([root], SHUTDOWN)
        except asyncio.CancelledError:
            await cut_short([root])
            raise
        finally:
            root.bury()
            if self.watchdog is not None:
                self.watchdog.stop()
            await self.jobs.close()

    def _new_dispatcher(self) -> Dispatcher:
        if self._schedule is not None:
            return ScheduledDispatcher(self.loop, self._schedule)
        if self.watchdog is not None:
            return WatchedDispatcher(self.loop, self.watchdog)
        return Dispatcher(self.loop)

    def root_ended(self, cell: Cell, reason: Exit) -> None:
        cell.bury()
        self.end(reason)

    def end(self, reason: Exit) -> None:
        """Let `wait_ended` return; leaving the context then stops the tree."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def wait_ended(self) -> Exit:
        """Wait until the root ended by itself (its budget is spent, it crashed), or for `end`."""
        return await asyncio.shield(self._ended)

    def dead_letter(self, cell: Cell, message: object, why: str) -> None:
        """Count, and at first log, a message that nobody will handle.

        Its kind, not what is in it: that may be anybody's. An orderly end is no news.
        """
        self.dead_letters += 1
        if self.on_dead_letter is not None:
            try:
                self.on_dead_letter(cell, message, why)
            except Exception:  # of somebody who only watches
                log.exception("on_dead_letter failed")
        orderly = cell.last_exit is not None and not cell.last_exit.abnormal
        if orderly or not self._may_log_letter(self.loop.time()):
            return
        log.warning("%s: dead letter (%s): %s", cell.path, why, type(message).__name__)

    def _may_log_letter(self, now: float) -> bool:
        if now >= self._letters_until:
            self._letters_until, self._letters_logged = now + DEAD_LETTERS_S, 0
        self._letters_logged += 1
        return self._letters_logged <= DEAD_LETTERS_LOGGED

    def whereis(self, name: str) -> Cell | None:
        """The actor that is registered by *name* now."""
        return self.names.get(name)

    def find(self, path: str) -> Cell | None:
        """The living actor at *path*, if there is one."""
        root, *names = path.strip("/").split("/")
        cell = self._root if root == self._spec.name else None
        if cell is None or cell.state is State.DEAD:
            return None
        for name in names:
            cell = cell.child(name) if cell is not None else None
        return cell

    def at(self, path: str) -> Cell:
        """The living actor at *path*. LookupError when there is none."""
        cell = self.find(path)
        if cell is None:
            raise LookupError(f"there is no actor at {path}")
        return cell

    def tree(self) -> list[dict[str, object]]:
        """Every living actor, parents before their children, in start order."""
        return [cell.snapshot() for cell in self.walk()]

    def walk(self) -> Iterator[Cell]:
        """Every living actor, parents before their children, in start order."""
        root = self._root
        waiting = [root] if root is not None and root.state is not State.DEAD else []
        while waiting:
            cell = waiting.pop()
            if hasattr(cell, "mailbox"):  # else its constructor runs right now
                yield cell
            waiting.extend(reversed(list(cell.children)))
