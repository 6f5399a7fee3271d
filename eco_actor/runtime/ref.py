"""What others may do with an actor: tell, send, ask. A ref is stable over restarts."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final, Generic, TypeVar

from eco_actor.runtime.asking import Request, asker, check_cycle
from eco_actor.runtime.errors import ActorDead, MailboxFull
from eco_actor.runtime.mailbox import Mailbox, Outcome, Overflow

M = TypeVar("M", contravariant=True)

_DEAD: Final = Outcome.DEAD


class Ref(ABC, Generic[M]):
    """The address of an actor, valid over its restarts and after its death."""

    __slots__ = ("_loop", "_waiters", "alive", "mailbox")

    mailbox: Mailbox[Any]
    alive: bool
    """Whether the actor runs or is about to come back. Only a child that ended orderly and is kept
    by its supervisor can be alive again, with its group."""

    _loop: asyncio.AbstractEventLoop
    _waiters: "deque[tuple[asyncio.Future[Outcome], Any]] | None"

    @property
    @abstractmethod
    def path(self) -> str:
        """Its place in the tree, such as `/eco/work/scans/x`."""

    @abstractmethod
    def _offer(self, message: Any) -> Outcome:
        """Put *message* into the mailbox by its rule, and see to it that the actor wakes."""

    @abstractmethod
    def _offer_request(self, request: Request) -> Outcome:
        """As `_offer`, and let the actor look for requests when it takes a message."""

    @abstractmethod
    def request_left(self) -> None:
        """A request has left the mailbox."""

    @abstractmethod
    def _attend(self) -> None:
        """There are senders that wait: let the actor look after them when it takes a message."""

    @abstractmethod
    def _waits_for(self) -> "Ref[Any] | None":
        """The actor for whose answer, or room, the running handler waits."""

    @abstractmethod
    def tell(self, message: M) -> Outcome:
        """Offer *message*; never waits, never raises. What became of it is the answer.

        Full: what the mailbox's rule says. Dead: `DEAD`. From the loop's own thread only.
        """

    async def send(self, message: M) -> Outcome:
        """Offer *message*, waiting for room while the mailbox has the rule buffer and is full.

        Waiters go first in, first out, and before those who `tell`; only a terminal message passes
        them, where there is room in reserve. ActorDead as soon as the actor ends for good,
        MailboxFull for a message that is larger than the whole mailbox, AskCycle when the wait
        could not end. Cancelled while waiting: the message was not accepted, unless room was made
        in that very moment.
        """
        mailbox = self.mailbox
        if self.alive and mailbox.overflow is Overflow.BUFFER:
            if mailbox.never_fits(message):
                raise MailboxFull(self.path, "the message is larger than the whole mailbox")
            first = not self._waiters or mailbox.is_terminal(message)
            if not (first and mailbox.fits(message)):
                return await self._wait_for_room(message)
        outcome = self.tell(message)
        if outcome is _DEAD:
            raise ActorDead(self.path, "it has ended, the message was not accepted")
        return outcome

    async def _wait_for_room(self, message: M) -> Outcome:
        who = asker()
        if who is not None:
            check_cycle(who, self)
        if self._waiters is None:
            self._waiters = deque()
        admitted: asyncio.Future[Outcome] = self._loop.create_future()
        if who is not None:
            who.waits_for = self, admitted
        self._waiters.append((admitted, message))
        self._attend()
        try:
            return await admitted
        except asyncio.CancelledError:
            self._gave_up(admitted)
            raise
        finally:
            if who is not None:
                who.waits_for = None

    def _gave_up(self, admitted: "asyncio.Future[Outcome]") -> None:
        """Nobody waits for this any more: do not keep its message."""
        left = [waiter for waiter in self._waiters or () if waiter[0] is not admitted]
        self._waiters = deque(left) or None
        self._admit_waiters()  # what stood behind it may fit
        self._attend()

    async def ask(self, message: M, timeout: float) -> Any:
        """Offer *message* and wait at most *timeout* seconds for what its handler returns.

        MailboxFull, ActorDead, AskTimeout, HandlerFailed or AskCycle; each says whether the message
        was handled. What the handler wraps in a `Failure` is raised as it is. A cycle is seen when
        the handler itself awaits the ask: *timeout* is better than `asyncio.wait_for`, which makes
        a task.
        """
        who = asker()
        if who is not None:
            check_cycle(who, self)
        if not isinstance(timeout, (int, float)) or timeout < 0:
            raise ValueError(f"an ask has a deadline, in seconds from now, not {timeout!r}")
        deadline = self._loop.time() + timeout
        reply: asyncio.Future[Any] = self._loop.create_future()
        request = Request(self, message, reply, deadline)
        outcome = self._offer_request(request)
        if outcome is _DEAD:
            raise ActorDead(self.path, "it has ended, the request was not accepted")
        if not outcome.accepted:
            raise MailboxFull(self.path, f"the request was refused ({outcome.value})")
        timer = self._loop.call_at(deadline, request.expire, timeout)
        if who is not None:
            who.waits_for = self, reply
        try:
            return await reply
        finally:
            timer.cancel()
            if who is not None:
                who.waits_for = None

    def _admit_waiters(self) -> None:
        """Something was taken: the senders that have waited longest get the room."""
        waiters = self._waiters
        while waiters:
            admitted, message = waiters[0]
            if not admitted.done():
                if not self.mailbox.fits(message):
                    return
                admitted.set_result(self.mailbox.offer(message))
            waiters.popleft()
        self._waiters = None

    def _fail_waiters(self) -> None:
        for admitted, _ in self._waiters or ():
            if not admitted.done():
                admitted.set_exception(ActorDead(self.path, "it ended while the sender waited"))
        self._waiters = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"
