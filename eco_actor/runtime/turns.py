"""How an incarnation takes what comes: signals and messages, in turns and in jobs.

It owns no task while it has nothing to do. A turn is called by the dispatcher; a plain handler runs
inside it, an async one in a job that drains the mailbox and ends. Signals (`Down`, timers, results
of pipes) come in a lane of their own before messages, and a wish to end comes before both, so a
full mailbox can always be stopped.

`_attention` is what keeps the common case short: while it is False there is nothing to look at but
a plain queue, and a turn is little more than a loop over it.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from eco_actor.runtime.actor import Actor
from eco_actor.runtime.asking import Request
from eco_actor.runtime.dispatcher import TURN_BUDGET
from eco_actor.runtime.restarts import KILLED, Exit
from eco_actor.runtime.states import RUNNING, State

if TYPE_CHECKING:
    from eco_actor.runtime.cell import Cell

_ROUNDS: Final = (None,) * TURN_BUDGET  # to count rounds by; the quickest there is

LINGER: Final = 4
"""Times that the loop comes round before the job of an idle async handler ends. The answer to what
it has just sent is then handled by the same job; making another costs more than these rounds."""

EXITS: Final = (KeyboardInterrupt, SystemExit)
"""What ends the actor like any other error, and then goes on to end the program."""

NOTHING: Final = object()


class Turns:
    """The part of an incarnation that runs; how it begins and ends is the other."""

    __slots__ = (
        "_attention",
        "_busy",
        "_in_hand",
        "_signals",
        "actor",
        "asleep",
        "cell",
        "exit",
        "over",
        "state",
        "suspended",
        "task",
    )

    cell: "Cell"
    actor: Actor[Any] | None  # from its making until it is over
    state: State
    exit: Exit | None  # wanted, and since STOPPING decided
    over: bool
    suspended: bool
    asleep: bool  # it runs, without a job, and without a turn that is to come
    task: asyncio.Task[None] | None  # of the hook that runs in a job
    _busy: bool  # a job runs a hook; `task` is its task after its first step
    _attention: bool
    _in_hand: Any
    _signals: deque[Any] | None

    def _spawn(self, coro: Coroutine[Any, Any, Any], what: str) -> None:
        """Run *coro* in a job."""
        raise NotImplementedError

    def _crash(self, error: BaseException) -> None:
        """End because of *error*."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End for the reason that `exit` holds."""
        raise NotImplementedError

    def wake(self) -> None:
        """Get a turn, unless there is one to come already, or a job is at it."""
        if not self.asleep:
            return
        self.asleep = False
        cell = self.cell
        mailbox = cell.mailbox
        if mailbox.queue and mailbox.appendable:
            mailbox.quick = mailbox.capacity
        cell.host.dispatcher.schedule(self)

    def attend(self) -> None:
        """There is more to look at than the queue: look from the next message on."""
        self._attention = True

    def recheck(self) -> None:
        """Whether there is anything to look at but the queue."""
        cell = self.cell
        self._attention = (
            not cell.mailbox.appendable
            or bool(self._signals)
            or self.exit is not None
            or self.suspended
            or cell.wants_attention
        )

    def suspend(self) -> None:
        """Take nothing in hand until `resume`."""
        self.suspended = self._attention = True

    def resume(self) -> None:
        self.suspended = False
        self.wake()

    def signal(self, message: Any) -> None:
        """Handle *message* ahead of the mailbox, whatever its depth."""
        if self.over:
            return
        if self._signals is None:
            self._signals = deque()
        self._signals.append(message)
        self._attention = True
        self.wake()

    def turn(self, budget: int) -> None:
        """Handle at most *budget* messages; called by the dispatcher alone."""
        if self.state is not RUNNING:
            return  # given up since
        mailbox, actor = self.cell.mailbox, self.actor
        assert actor is not None
        if actor.is_async:
            self._spawn(self._drain(budget), "handle")
            return
        queue = mailbox.queue
        handle = actor.handle
        depth = len(queue)
        if depth > mailbox.peak:
            mailbox.peak = depth
        mailbox.in_hand = 1  # whenever a handler can look
        message: Any = NOTHING
        try:
            for _ in _ROUNDS if budget == TURN_BUDGET else repeat(None, budget):
                if self._attention:
                    message = NOTHING
                    if not self._step(handle):
                        break
                elif queue:
                    message = queue.popleft()
                    handle(message)
                    mailbox.handled += 1
                else:
                    break
        except BaseException as error:
            if message is not NOTHING:
                self._in_hand = message
            self._crash(error)
            if isinstance(error, EXITS):
                raise
            return
        self._in_hand = NOTHING
        mailbox.in_hand = 0
        if self._attention or mailbox.queue:
            self._rest()
        else:
            self.asleep = True
            mailbox.quick = 0

    def _step(self, handle: Callable[[Any], Any]) -> bool:
        """Handle one signal or message, with everything looked at; False when there is none."""
        mailbox = self.cell.mailbox
        self._in_hand = NOTHING
        mailbox.in_hand = 0  # what the plain way had in hand was counted
        message = self._next()
        if message is NOTHING:
            return False
        reply = handle(message.message if type(message) is Request else message)
        self._handled(message, reply)
        mailbox.in_hand = 1  # as the plain way has it
        return True

    def _next(self) -> Any:
        """The next signal or message, taken in hand; NOTHING when none, or when it is to end."""
        if self.exit is not None or self.suspended:
            return NOTHING
        cell = self.cell
        if self._signals:
            message = self._signals.popleft()
            if cell.tracer is not None:
                cell.tracer.add(message)
            return message
        if self._attention:
            self.recheck()
        mailbox = cell.mailbox
        while mailbox:
            message = mailbox.take()
            if cell._waiters:
                cell._admit_waiters()
            self._in_hand = message
            if type(message) is Request and not self._take(message):
                continue
            if cell.tracer is not None:
                cell.tracer.add(message)
            return message
        return NOTHING

    def _handled(self, message: Any, reply: object) -> None:
        if reply is not None and inspect.iscoroutine(reply):
            reply.close()
            kind = type(self.actor).__name__
            raise TypeError(f"{kind}.handle is a plain def that made a coroutine: async def it")
        if self._in_hand is NOTHING:
            return  # it was a signal
        self._in_hand = NOTHING
        self.cell.mailbox.done()
        if type(message) is Request:
            message.answer(reply)

    async def _drain(self, budget: int) -> None:
        """Handle what there is, linger for a moment, then end: the job of an async handler."""
        crash: BaseException | None = None
        try:
            idle = 0
            while idle < LINGER:
                idle = 0 if await self._drain_some(budget) else idle + 1
                if self.exit is not None or self.over:
                    break
                await asyncio.sleep(0)  # others get their turn
        except GeneratorExit:  # the loop has closed over it
            raise
        except asyncio.CancelledError:
            if self.exit is None:  # nobody asked for it: that is no orderly end
                self.exit = KILLED
        except BaseException as error:
            crash = error
        if not self.over:  # given up long ago, whatever it still finds out
            self._busy, self.task = False, None
            if crash is not None:
                self._crash(crash)
            else:
                self._rest()
        if isinstance(crash, EXITS):
            raise crash

    async def _drain_some(self, budget: int) -> bool:
        """Handle at most *budget* messages; whether there was one."""
        mailbox, actor = self.cell.mailbox, self.actor
        assert actor is not None
        mailbox.mark()
        message: Any = NOTHING
        for _ in repeat(None, budget):
            if self._attention or not mailbox.queue:
                following = self._next()
                if following is NOTHING:
                    break
                message = following
            else:
                self._in_hand = message = mailbox.queue.popleft()
                mailbox.in_hand = 1
            reply = await actor.handle(message.message if type(message) is Request else message)
            if self.over:
                break
            self._handled(message, reply)
        return message is not NOTHING

    def _take(self, request: Request) -> bool:
        """Take a request in hand, or skip one for which nobody waits any more."""
        self.cell.request_left()
        if request.lapsed(self.cell.host.loop.time()):
            self._in_hand = NOTHING
            self.cell.mailbox.lapsed()
            return False
        request.taken = True
        return True

    def _has_work(self) -> bool:
        if self.suspended:
            return False
        return bool(self._signals) or len(self.cell.mailbox) > 0

    def _rest(self) -> None:
        """A turn, or a job of turns, is over: end, go on, or sleep."""
        if self.exit is not None:
            self._stop()
            return
        self.asleep = True
        if self._has_work():
            self.wake()
        else:
            self.cell.mailbox.quick = 0
