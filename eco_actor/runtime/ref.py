"""What others may do with an actor: tell, send, ask. A ref is stable over restarts."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final, Generic, TypeVar

from eco_actor.runtime.errors import ActorDead, ActorError, AskTimeout, MailboxFull
from eco_actor.runtime.mailbox import Mailbox, Outcome

M = TypeVar("M", contravariant=True)

_CLOSED: Final = Outcome.CLOSED
_DEAD: Final = Outcome.DEAD


class Request:
    """An ask on its way: the message, where the reply goes, and until when it is of use."""

    __slots__ = ("deadline", "message", "reply")

    def __init__(self, message: Any, reply: "asyncio.Future[Any]", deadline: float) -> None:
        self.message = message
        self.reply = reply
        self.deadline = deadline

    def answer(self, value: object) -> None:
        if not self.reply.done():
            self.reply.set_result(value)

    def fail(self, error: ActorError) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


class Ref(ABC, Generic[M]):
    """The address of an actor, valid over its restarts and after its death.

    `path` is its place in the tree, such as `/eco/work/scans/x`.
    """

    __slots__ = ("_loop", "_scheduled", "_waiters", "alive", "mailbox", "path")

    path: str
    mailbox: Mailbox[Any]
    alive: bool
    """Whether the actor runs or may come back; a dead one never does."""

    _loop: asyncio.AbstractEventLoop
    _scheduled: bool
    _waiters: "deque[tuple[asyncio.Future[Outcome], Any]] | None"

    @abstractmethod
    def _wake(self) -> None:
        """Schedule a turn; there is something in the mailbox and none is scheduled."""

    @abstractmethod
    def _overflowed(self) -> None:
        """A message met a full mailbox with the rule close."""

    def tell(self, message: M) -> Outcome:
        """Offer *message*; never waits, never raises. What became of it is the answer.

        Full: what the mailbox's rule says. Dead: `DEAD`.
        """
        if not self.alive:
            self.mailbox.refuse()
            return _DEAD
        outcome = self.mailbox.offer(message)
        if outcome is _CLOSED:
            self._overflowed()
        elif not self._scheduled:
            self._wake()
        return outcome

    async def send(self, message: M) -> Outcome:
        """Offer *message*, waiting for room while the mailbox has the rule buffer and is full.

        Waiters go first in, first out. ActorDead as soon as the actor ends for good. Cancelled
        while waiting: the message was not accepted, unless room was made in that very moment.
        """
        if not (self._waiters or self.mailbox.blocked) or not self.alive:
            outcome = self.tell(message)
            if outcome is _DEAD:
                raise ActorDead(self.path, "it has ended, the message was not accepted")
            return outcome
        if self._waiters is None:
            self._waiters = deque()
        admitted: asyncio.Future[Outcome] = self._loop.create_future()
        entry = (admitted, message)
        self._waiters.append(entry)
        return await admitted

    async def ask(self, message: M, timeout: float) -> Any:
        """Offer *message* and wait at most *timeout* seconds for what its handler returns.

        MailboxFull, ActorDead, AskTimeout or HandlerFailed; each says whether it was handled.
        """
        deadline = self._loop.time() + timeout
        reply: asyncio.Future[Any] = self._loop.create_future()
        outcome = self.tell(Request(message, reply, deadline))  # type: ignore[arg-type]
        if outcome is _DEAD:
            raise ActorDead(self.path, "it has ended, the request was not accepted")
        if not outcome.accepted:
            raise MailboxFull(self.path, f"the request was refused ({outcome.value})")
        late = AskTimeout(self.path, f"no reply within {timeout} s")
        timer = self._loop.call_at(deadline, _expire, reply, late)
        try:
            return await reply
        finally:
            timer.cancel()

    def _admit_waiter(self) -> None:
        """A slot is free: the sender that has waited longest gets it."""
        waiters = self._waiters
        while waiters:
            admitted, message = waiters.popleft()
            if not admitted.done():
                admitted.set_result(self.mailbox.offer(message))
                break
        if not waiters:
            self._waiters = None

    def _fail_waiters(self) -> None:
        for admitted, _ in self._waiters or ():
            if not admitted.done():
                admitted.set_exception(ActorDead(self.path, "it ended while the sender waited"))
        self._waiters = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


def _expire(reply: "asyncio.Future[Any]", error: AskTimeout) -> None:
    if not reply.done():
        reply.set_exception(error)
