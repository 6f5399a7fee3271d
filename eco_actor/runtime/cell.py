"""The life of an actor: one cell per child, through all its incarnations.

    STARTING ──init──► RUNNING ──exit──► STOPPING ──terminate──► DOWN ──► STARTING (restart)
        └── init raised ──────────────────────────────────────►─┘  └───► DEAD (for good)

Everything that outlives an incarnation is here (mailbox, counters, watchers), everything that dies
with it is dropped in `_down` (the actor, its timers, its task). Only the supervisor leaves DOWN.

An actor owns no task while it has nothing to do. A turn (`_turn`) is called by the dispatcher; a
plain handler runs inside it, an async one in a job that drains the mailbox and ends (`_drain`).
Signals (`Down`, timers) come in a lane of their own before messages, and a wish to end comes before
both, so a full mailbox can always be stopped.
"""

import asyncio
import functools
import inspect
import logging
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol

from eco_actor.runtime.actor import Actor, ChildSpec, Down
from eco_actor.runtime.dispatcher import Dispatcher
from eco_actor.runtime.errors import ActorDead, HandlerFailed, StartFailed
from eco_actor.runtime.jobs import Jobs
from eco_actor.runtime.ref import Ref, Request
from eco_actor.runtime.restarts import KILLED, OVERFLOW, Exit, ExitKind
from eco_actor.runtime.timers import Timers

log = logging.getLogger(__name__)

TURN_BUDGET: Final = 64
"""Messages a plain handler is given in one turn, before others get theirs."""

CANCEL_PATIENCE: Final = 1.0
"""Seconds that a cancelled init gets to end before whoever cancelled it goes on."""

NOTHING: Final = object()


class Host(Protocol):
    """What a cell needs of the system that it lives in."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def dispatcher(self) -> Dispatcher: ...
    @property
    def jobs(self) -> Jobs: ...

    def dead_letter(self, cell: "Cell", message: object, why: str) -> None:
        """Take note of a message that nobody will handle."""


class State(Enum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DOWN = "down"
    DEAD = "dead"


class Cell(Ref[Any]):
    __slots__ = (
        "_actor",
        "_busy",
        "_cancelled",
        "_drains",
        "_ended",
        "_exit",
        "_host",
        "_in_hand",
        "_on_exit",
        "_signals",
        "_task",
        "_timers",
        "_watchers",
        "incarnation",
        "last_error",
        "spec",
        "state",
    )

    def __init__(
        self,
        host: Host,
        path: str,
        spec: ChildSpec,
        on_exit: Callable[["Cell", Exit], None],
    ) -> None:
        self._host = host
        self._loop = host.loop
        self._on_exit = on_exit
        self.path = path
        self.spec = spec
        self.alive = True
        self.state = State.DOWN
        self.incarnation = 0
        self.last_error: str | None = None
        self._scheduled = False
        self._drains = False  # handle is async
        self._busy = False  # a job runs a hook of the actor; _task is its task after its first step
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False  # before that first step
        self._actor: Actor[Any] | None = None
        self._in_hand: Any = NOTHING
        self._exit: Exit | None = None  # wanted, and since STOPPING decided
        self._waiters = None
        self._signals: deque[Any] | None = None
        self._timers: Timers | None = None
        self._watchers: dict[Cell, None] | None = None
        self._ended: asyncio.Future[None] | None = None  # set while the supervisor stops it

    # ---- start

    async def start(self) -> None:
        """Make a new incarnation and wait for its `init`. Raises what the factory or init raised.

        Cancelled while it waits: the init is cancelled too and has ended before this returns.
        """
        waiting = self._begin()
        if waiting is None:
            self._started()
            return
        started: asyncio.Future[None] = self._loop.create_future()
        self._spawn(self._init(waiting, started), "init")
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            self.kill()
            await asyncio.wait((started,), timeout=CANCEL_PATIENCE)
            if started.done() and not started.cancelled():
                started.exception()  # looked at: the cancellation is what the caller hears of
            raise

    def start_nowait(self) -> None:
        """As `start`, for an actor whose `init` is a plain def (TypeError otherwise)."""
        waiting = self._begin()
        if waiting is not None:
            waiting.close()
            error = TypeError(f"{self.path}: an async init cannot be started without waiting")
            self._not_started(error)
            raise error
        self._started()

    def _begin(self) -> Any:
        """Make the actor and call its init; a coroutine that is still to be awaited, or None."""
        assert self.state is State.DOWN, f"{self.path} is started while {self.state.value}"
        self.state = State.STARTING
        self.incarnation += 1
        self._exit = None
        try:
            actor = self.spec.factory()
            if not isinstance(actor, Actor):
                raise TypeError(f"{self.path}: the factory made {actor!r}, which is no Actor")
            if self.incarnation == 1:
                self.mailbox = actor.mailbox.build()
            actor._cell = self
            self._actor = actor
            self._drains = _has_async_handle(type(actor))  # type: ignore[arg-type]  # a class is hashable
            waiting = actor.init()
        except Exception as error:
            self._not_started(error)
            raise
        return waiting if inspect.iscoroutine(waiting) else None

    async def _init(self, waiting: Any, started: "asyncio.Future[None]") -> None:
        actor = self._actor
        failed: BaseException | None = None
        try:
            await waiting
        except (Exception, asyncio.CancelledError) as error:
            failed = error
        if self._actor is not actor:
            return  # given up long ago
        if failed is not None:
            self._not_started(failed)
            started.set_exception(
                StartFailed(self.path, "its init was cancelled")
                if isinstance(failed, asyncio.CancelledError)
                else failed
            )
        else:
            self._busy, self._task = False, None
            self._started()
            started.set_result(None)

    def _not_started(self, error: BaseException) -> None:
        self.last_error = f"{type(error).__name__}: {error}"
        if self.incarnation == 1 and self._actor is None:
            self.mailbox = Actor.mailbox.build()  # its own was never made; nothing was offered
        self._clear()
        self.state = State.DOWN
        self._tell_ended()

    def _started(self) -> None:
        self.state = State.RUNNING
        if self.mailbox or self._signals or self._exit is not None:
            self._wake()

    # ---- turns

    def _wake(self) -> None:
        if self.state is State.RUNNING and not self._busy and not self._scheduled:
            self._scheduled = True
            self._host.dispatcher.schedule(self._turn)

    def _overflowed(self) -> None:
        self.request_exit(OVERFLOW)

    def signal(self, message: Any) -> None:
        """Deliver *message* ahead of the mailbox, whatever its depth: for timers and `Down`."""
        if not self.alive:
            return
        if self._signals is None:
            self._signals = deque()
        self._signals.append(message)
        if not self._scheduled:
            self._wake()

    def _turn(self) -> None:
        self._scheduled = False
        if self.state is not State.RUNNING or self._busy:
            return
        if self._drains:
            self._spawn(self._drain(), "handle")
            return
        assert self._actor is not None
        handle = self._actor.handle
        for _ in range(TURN_BUDGET):
            message = self._next()
            if message is NOTHING:
                break
            try:
                reply = handle(message.message if type(message) is Request else message)
            except (Exception, asyncio.CancelledError) as error:
                self._crashed(error)
                return
            self._handled(message, reply)
        if self._exit is not None:
            self._stop_incarnation()
        elif self.mailbox or self._signals:
            self._wake()

    async def _drain(self) -> None:
        """Handle what there is, then end: the job of an actor whose handler is async."""
        actor = self._actor
        assert actor is not None
        crash: Exception | None = None
        try:
            for _ in range(TURN_BUDGET):
                message = self._next()
                if message is NOTHING:
                    break
                bare = message.message if type(message) is Request else message
                reply = await actor.handle(bare)
                if self._actor is not actor:
                    return  # given up long ago, whatever it still finds out
                self._handled(message, reply)
        except asyncio.CancelledError:
            if self._exit is None:  # nobody asked for it: that is no orderly end
                self._exit = KILLED
        except Exception as error:
            crash = error
        if self._actor is not actor:
            return
        self._busy, self._task = False, None
        if crash is not None:
            self._crashed(crash)
        elif self._exit is not None:
            self._stop_incarnation()
        elif self.mailbox or self._signals:
            self._wake()

    def _next(self) -> Any:
        """The next signal or message, taken in hand; NOTHING when none, or when it is to end."""
        if self._exit is not None:
            return NOTHING
        if self._signals:
            return self._signals.popleft()
        mailbox = self.mailbox
        while mailbox:
            message = mailbox.take()
            if self._waiters:
                self._admit_waiter()
            if type(message) is Request and (
                message.reply.done() or message.deadline < self._loop.time()
            ):
                mailbox.lapsed()
                continue
            self._in_hand = message
            return message
        return NOTHING

    def _handled(self, message: Any, reply: object) -> None:
        if self._in_hand is NOTHING:
            return  # it was a signal
        self._in_hand = NOTHING
        self.mailbox.done()
        if type(message) is Request:
            message.answer(reply)

    def _crashed(self, error: BaseException) -> None:
        if self._exit is None or not self._exit.abnormal:
            self._exit = Exit(ExitKind.CRASHED, error)
        self._stop_incarnation()

    # ---- the end of an incarnation

    def request_exit(self, reason: Exit) -> None:
        """End the incarnation after the message in hand; the first wish stands."""
        if self.state not in (State.STARTING, State.RUNNING) or self._exit is not None:
            return
        self._exit = reason
        if not self._busy:
            self._wake()
        elif self._actor is not None and self._actor.interruptible:
            self._cancel()

    def kill(self) -> None:
        """End the incarnation at once, abnormally: a running init or handler is cancelled.

        An end that is under way goes on as it is: its `terminate` may be stopping children.
        """
        if self.state not in (State.STARTING, State.RUNNING) or self._exit is KILLED:
            return
        self._exit = KILLED
        if self._busy:
            self._cancel()
        else:
            self._wake()

    def expect_end(self) -> "asyncio.Future[None]":
        """Done when the incarnation has ended; its supervisor is told in no other way then."""
        self._ended = self._loop.create_future()
        return self._ended

    def cut_short(self) -> None:
        """Cancel whatever hook runs, also `terminate`: its time is over."""
        self._exit = KILLED
        self._cancel()

    def give_up(self) -> None:
        """Go on without a task that does not end when cancelled; what it still does is ignored."""
        self._down()

    def _cancel(self) -> None:
        """Cancel the hook that runs in a job, also one that has not had its first step yet."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def bury(self) -> None:
        """Dead for good: what is queued becomes dead letters, everybody who waits is told."""
        if self.state is State.DEAD:
            return
        self.state = State.DEAD
        self.alive = False
        for message in self.mailbox.discard():
            if type(message) is Request:
                message.fail(ActorDead(self.path, "it ended before the request was handled"))
            self._host.dead_letter(self, message, "its actor has ended")
        self._signals = None
        self._fail_waiters()
        for watcher in tuple(self._watchers or ()):  # what was queued is lost, too
            watcher.signal(Down(self, self.incarnation, self._exit or KILLED, None))
        self._watchers = None

    def _stop_incarnation(self) -> None:
        assert self._actor is not None
        assert self._exit is not None
        self.state = State.STOPPING
        if self._exit.error is not None or self._exit.abnormal:
            self.last_error = str(self._exit)
        try:
            waiting = self._actor.terminate(self._exit)
        except Exception:
            log.exception("%s: terminate failed", self.path)
            waiting = None
        if inspect.iscoroutine(waiting):
            self._spawn(self._terminate(waiting), "terminate")
        else:
            self._down()

    async def _terminate(self, waiting: Any) -> None:
        actor = self._actor
        try:
            await waiting
        except asyncio.CancelledError:
            log.warning("%s: terminate was cut short", self.path)
        except Exception:
            log.exception("%s: terminate failed", self.path)
        if self._actor is actor:  # not given up meanwhile
            self._down()

    def _down(self) -> None:
        reason = self._exit or KILLED
        lost = self._clear()
        self.state = State.DOWN
        for watcher in tuple(self._watchers or ()):
            watcher.signal(Down(self, self.incarnation, reason, lost))
        if not self._tell_ended():
            self._on_exit(self, reason)

    def _tell_ended(self) -> bool:
        """Wake the supervisor that waits for this end, if one does: it needs no other notice."""
        ended, self._ended = self._ended, None
        if ended is None:
            return False
        if not ended.done():
            ended.set_result(None)
        return True

    def _clear(self) -> object | None:
        """Drop what dies with the incarnation; returns the message that it had in hand."""
        if self._timers is not None:
            self._timers.cancel_all()
            self._timers = None
        self._signals = None
        self._actor = None
        self._busy, self._task = False, None
        message, self._in_hand = self._in_hand, NOTHING
        if message is NOTHING:
            return None
        self.mailbox.died()
        if type(message) is Request:
            message.fail(HandlerFailed(self.path, str(self._exit)))
            message = message.message
        self._host.dead_letter(self, message, f"its handler ended: {self._exit}")
        lost: object = message
        return lost

    def _spawn(self, coro: Any, what: str) -> None:
        self._busy, self._task, self._cancelled = True, None, False
        try:
            self._host.jobs.spawn(self._own_task(coro), f"{self.path}:{what}")
        except RuntimeError:  # the system has closed; this cell was given up before
            coro.close()
            raise

    async def _own_task(self, coro: Any) -> None:
        self._task = asyncio.current_task()
        if self._cancelled and self._task is not None:
            self._task.cancel()
        await coro

    # ---- what an actor asks of its own cell

    def watch(self, ref: Ref[Any]) -> None:
        assert isinstance(ref, Cell)
        if ref.state is State.DEAD:
            self.signal(Down(ref, ref.incarnation, ref._exit or KILLED, None))
            return
        if ref._watchers is None:
            ref._watchers = {}
        ref._watchers[self] = None

    def unwatch(self, ref: Ref[Any]) -> None:
        assert isinstance(ref, Cell)
        if ref._watchers is not None:
            ref._watchers.pop(self, None)

    def start_timer(self, key: str, delay: float, message: Any) -> None:
        if self._timers is None:
            self._timers = Timers(self._loop, self.signal)
        self._timers.start(key, delay, message)

    def cancel_timer(self, key: str) -> None:
        if self._timers is not None:
            self._timers.cancel(key)

    # ---- what a supervisor asks of its own cell

    def child(self, spec: ChildSpec, on_exit: Callable[["Cell", Exit], None]) -> "Cell":
        """A cell below this one, not started; *on_exit* is called at each end of an incarnation."""
        return Cell(self._host, f"{self.path}/{spec.name}", spec, on_exit)

    def now(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    # ---- inspection

    @property
    def actor(self) -> Actor[Any] | None:
        """The running incarnation; None while there is none."""
        return self._actor

    @property
    def ended_orderly(self) -> bool:
        """Whether the last incarnation ended by itself, or because it was told to."""
        return self._exit is not None and not self._exit.abnormal

    def snapshot(self) -> dict[str, object]:
        """This actor as `/actors` shows it."""
        return {
            "path": self.path,
            "kind": _kind(self.spec),
            "incarnation": self.incarnation,
            "state": self.state.value,
            "restarts": max(0, self.incarnation - 1),
            "last_error": self.last_error,
            "mailbox": self.mailbox.statistics(),
        }


@functools.cache
def _has_async_handle(kind: type[Actor[Any]]) -> bool:
    return inspect.iscoroutinefunction(kind.handle)


def _kind(spec: ChildSpec) -> str:
    made: object = getattr(spec.factory, "func", spec.factory)
    return getattr(made, "__name__", type(made).__name__)
