"""One life of an actor, from `init` to the end of `terminate`: everything that dies with it.

    STARTING ──init──► RUNNING ──exit──► STOPPING ──terminate──► over
        └── init raised ──────────────────────────────────────────►─┘

What outlives it (the address, the mailbox, the counters, who watches) is in its cell. A life that
is over ignores whatever still happens to it: a late turn, a task that would not end.

What it does in between is in `turns.py`.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from eco_actor.runtime.actor import Actor
from eco_actor.runtime.asking import Request, running
from eco_actor.runtime.belongings import Belongings
from eco_actor.runtime.errors import ActorDead, HandlerFailed, StartFailed
from eco_actor.runtime.jobs import ABANDON_AFTER
from eco_actor.runtime.restarts import KILLED, Exit, ExitKind, forget_frames
from eco_actor.runtime.states import RUNNING, STARTING, State
from eco_actor.runtime.turns import EXITS, NOTHING, Turns

if TYPE_CHECKING:
    from eco_actor.runtime.cell import Cell
    from eco_actor.runtime.ref import Ref

log = logging.getLogger(__name__)


class Incarnation(Turns):
    __slots__ = ("belongings", "cancelled", "waits_for")

    def __init__(self, cell: "Cell") -> None:
        self.cell = cell
        self.state = STARTING
        self.actor = None
        self.over = False
        self.suspended = False
        self.exit = None
        self.task = None
        self.waits_for: tuple[Ref[Any], asyncio.Future[Any]] | None = None
        self.cancelled = False  # the job that runs, perhaps before its first step
        self.asleep = False
        self._busy = False
        self._attention = True  # until the first look at what there is
        self._in_hand = NOTHING
        self._signals = None
        self.belongings: Belongings | None = None

    # ---- start

    def begin(self) -> Coroutine[Any, Any, Any] | None:
        """Make the actor and call its init; what is still to be awaited of it, or None."""
        cell = self.cell
        try:
            actor = cell.spec.factory()
            if not isinstance(actor, Actor):
                raise TypeError(f"{cell.path}: the factory made {actor!r}, which is no Actor")
            if cell.incarnation > 1 and hasattr(actor, "_life"):
                raise TypeError(f"{cell.path}: the factory made the same actor twice")
            cell.equip(actor)
            actor._life = self
            self.actor = actor
            waiting = actor.init()
        except BaseException as error:
            self._fail_start(error)
            if isinstance(error, (Exception, *EXITS)):
                raise
            raise StartFailed(cell.path, f"its init raised {error!r}") from error
        if waiting is not None and inspect.isawaitable(waiting):
            return as_coroutine(waiting)
        self._run()
        return None

    def await_init(self, waiting: Coroutine[Any, Any, Any]) -> "asyncio.Future[None]":
        """Await the rest of init in a job; done, or failed, when that has ended."""
        started: asyncio.Future[None] = self.cell.host.loop.create_future()
        self._spawn(self._init(waiting, started), "init")
        return started

    def refuse_init(self, waiting: Coroutine[Any, Any, Any], error: Exception) -> None:
        """It cannot be waited for here: it has not started."""
        waiting.close()
        self._fail_start(error)

    async def _init(
        self, waiting: Coroutine[Any, Any, Any], started: "asyncio.Future[None]"
    ) -> None:
        failed: BaseException | None = None
        try:
            await waiting
        except asyncio.CancelledError:
            failed = StartFailed(self.cell.path, "its init was cancelled")
        except GeneratorExit:
            raise
        except (Exception, *EXITS) as error:
            failed = error
        except BaseException as error:
            failed = StartFailed(self.cell.path, f"its init raised {error!r}")
        if failed is not None and self.belongings is not None and self.belongings.cancel_pipes():
            await self.belongings.wait_pipes()
        if failed is None and not self.over:
            self._busy, self.task = False, None
            self._run()
        elif not self.over:
            self._fail_start(failed)
        if not started.done():
            if failed is None:
                started.set_result(None)
            else:
                started.set_exception(failed)
        if isinstance(failed, EXITS):
            raise failed

    def _fail_start(self, error: BaseException | None) -> None:
        self._release()
        self.cell.not_started(error)

    def _run(self) -> None:
        self.state = RUNNING
        self.asleep = True
        if self._signals or self.exit is not None or len(self.cell.mailbox):
            self.wake()

    def _crash(self, error: BaseException) -> None:
        if self.exit is None or not self.exit.abnormal:
            self.exit = Exit(ExitKind.CRASHED, error)
            log.error("%s: crashed", self.cell.path, exc_info=error)
            forget_frames(error)
        self._stop()

    # ---- the end

    @property
    def ending(self) -> bool:
        return self.state is State.STOPPING

    def stop(self, reason: Exit) -> None:
        """End after the message in hand, by its own wish; the first wish stands."""
        if not isinstance(reason, Exit):
            raise TypeError(f"an actor ends for an Exit, such as NORMAL, not for {reason!r}")
        self._want(reason)
        if running.get() is not self:  # not by the handler itself, but a callback of its actor
            self._interrupt()

    def request_exit(self, reason: Exit) -> None:
        """As `stop`, wished from outside: an interruptible handler is cancelled, once."""
        self._want(reason)
        self._interrupt()

    def _want(self, reason: Exit) -> None:
        if self.exit is None and self.state is not State.STOPPING:
            self.exit = reason
            self._attention = True
            self.wake()

    def _interrupt(self) -> None:
        if not self._busy or self.cancelled or self.state is not RUNNING:
            return
        if self.actor is not None and self.actor.interruptible:
            self.cancel()

    def kill(self) -> None:
        """End at once, abnormally: a running init or handler is cancelled.

        An end that is under way goes on as it is: `terminate` may be closing what the next `init`
        opens, and has its own bound, `shutdown`.
        """
        if self.state is State.STOPPING:
            return
        self.exit = KILLED
        self._attention = True
        if self._busy:
            self.cancel()
            self._abandon_later()
        else:
            self.wake()

    def fail(self, error: BaseException) -> None:
        """End because of *error*, which happened beside the handler."""
        log.error("%s: crashed", self.cell.path, exc_info=error)
        forget_frames(error)
        self.request_exit(Exit(ExitKind.CRASHED, error))

    def cut_short(self) -> None:
        """Cancel whatever hook runs, also `terminate`: its time is over."""
        self.exit = KILLED
        self._attention = True
        if self._busy:
            self.cancel()
        else:
            self.wake()

    def cancel(self) -> None:
        """Cancel the hook that runs in a job, also one that has not had its first step yet."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()

    def _stop(self) -> None:
        assert self.exit is not None
        assert self.actor is not None
        self.state = State.STOPPING
        self.cell.stopping(self.exit)
        self._lose_in_hand()
        try:
            waiting = self.actor.terminate(self.exit)
        except BaseException as error:
            log.exception("%s: terminate failed", self.cell.path)
            waiting = None
            if isinstance(error, EXITS):
                self.finish()
                raise
        if self.belongings is not None and self.belongings.cancel_pipes():
            waiting = self._end_pipes(waiting)
        if waiting is not None and inspect.isawaitable(waiting):
            waiting = as_coroutine(waiting)
            overdue = None
            if self.cell.shutdown is not None:
                overdue = self.cell.host.loop.call_later(self.cell.shutdown, self._overdue)
            self._spawn(self._terminate(waiting, overdue), "terminate")
        else:
            self.finish()

    def _overdue(self) -> None:
        """Nobody may be waiting for this end, so nobody else would see to it."""
        log.warning("%s: terminate takes more than %g s", self.cell.path, self.cell.shutdown)
        self.cut_short()
        self._abandon_later()

    def _abandon_later(self) -> None:
        """Whatever was just cancelled is not waited for much longer, unless it stops children."""
        if self.cell.shutdown is not None:
            self.cell.host.loop.call_later(ABANDON_AFTER, self._abandon, self.task)

    def _abandon(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and task is self.task and not self.over:
            log.error("%s: does not end when cancelled, given up", self.cell.path)
            self.finish()

    async def _terminate(
        self, waiting: Coroutine[Any, Any, Any], overdue: asyncio.TimerHandle | None
    ) -> None:
        try:
            await waiting
        except GeneratorExit:
            raise
        except asyncio.CancelledError:
            log.warning("%s: terminate was cut short", self.cell.path)
        except BaseException as error:
            log.exception("%s: terminate failed", self.cell.path)
            if isinstance(error, EXITS):
                self.finish()
                raise
        finally:
            if overdue is not None:
                overdue.cancel()
        self.finish()

    async def _end_pipes(self, waiting: Any) -> None:
        """Await terminate, then the operations that were cancelled: the next init comes after."""
        assert self.belongings is not None
        try:
            if waiting is not None and inspect.isawaitable(waiting):
                await waiting
        finally:
            await self.belongings.wait_pipes()

    def finish(self) -> None:
        """Over, orderly or given up: free what it had, then let its cell and supervisor know."""
        if self.over:
            return
        if self.exit is None:
            self.exit = KILLED
        self._lose_in_hand()
        lost = None if self._in_hand is NOTHING else self._in_hand
        self._release()
        self.cell.went_down(self.exit, lost.message if type(lost) is Request else lost)

    def _lose_in_hand(self) -> None:
        """The message in hand will not be handled: whoever asked hears of it at once."""
        mailbox, message = self.cell.mailbox, self._in_hand
        if message is NOTHING or not mailbox.in_hand:
            return
        mailbox.died()
        if type(message) is Request:
            message.fail(HandlerFailed(self.cell.path, self.exit or KILLED))
            message = message.message
        self.cell.dead_letter(message, f"its handler ended: {self.exit}")

    def _release(self) -> None:
        """Give back what dies with this life; from here on it is over."""
        self.over = True
        self.state = State.STOPPING
        self.asleep = False
        self._busy, self.task, self._signals = False, None, None
        self._in_hand = NOTHING
        if self.belongings is not None:
            self.belongings.release()
            self.belongings = None
        self.actor = None  # each knows the other: without this only the collector would free them

    def watched_no_more(self, cell: "Cell") -> None:
        """*cell*, which it watched, has ended for good."""
        if self.belongings is not None:
            self.belongings.watched_no_more(cell)

    # ---- jobs

    def _spawn(self, coro: Coroutine[Any, Any, Any], what: str) -> None:
        self._busy, self.task, self.cancelled = True, None, False
        try:
            self.cell.host.jobs.spawn(self._own_task(coro), f"{self.cell.path}:{what}")
        except RuntimeError:  # the system has closed; this life was given up before
            coro.close()
            raise

    async def _own_task(self, coro: Coroutine[Any, Any, Any]) -> None:
        running.set(self)
        self.task = asyncio.current_task()
        if self.cancelled and self.task is not None:
            self.task.cancel()
        await coro

    def own(self) -> Belongings:
        """Its belongings, made when the first is asked for. ActorDead when it is over."""
        if self.over:
            raise ActorDead(self.cell.path, "this incarnation has ended")
        if self.belongings is None:
            self.belongings = Belongings(self)
        return self.belongings


def as_coroutine(waiting: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """What a hook returned, to be run as a job: a future, say of `gather`, is awaited as well."""
    if inspect.iscoroutine(waiting):
        return waiting

    async def awaiting() -> None:
        await waiting

    return awaiting()
