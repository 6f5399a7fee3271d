"""Requests: an ask on its way, who waits for whom, and what an answer may be.

An actor handles one message at a time, so it waits for at most one other. Who waits for whom is
therefore a chain, and an ask that would close it to a ring is refused at once, by name, instead of
running into its deadline.
"""

import asyncio
import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eco_actor.runtime.errors import ActorError, AskCycle, AskTimeout, MailboxFull
from eco_actor.runtime.mailbox import MailboxSpec

if TYPE_CHECKING:
    from eco_actor.runtime.incarnation import Incarnation
    from eco_actor.runtime.ref import Ref

running: "ContextVar[Incarnation | None]" = ContextVar("running", default=None)
"""The incarnation in whose job this code runs."""


class Request:
    """The message, to whom, where the reply goes, until when it is of use, whether it was taken."""

    __slots__ = ("deadline", "message", "reply", "taken", "to")

    def __init__(
        self, to: "Ref[Any]", message: Any, reply: "asyncio.Future[Any]", deadline: float
    ) -> None:
        self.to = to
        self.message = message
        self.reply = reply
        self.deadline = deadline
        self.taken = False

    def lapsed(self, now: float) -> bool:
        """Whether nobody waits for the reply any more."""
        return self.reply.done() or self.deadline < now

    def answer(self, value: object) -> None:
        """Give the asker what the handler returned; a `Failure` is raised there."""
        if self.reply.done():
            return
        if type(value) is Failure:
            self.reply.set_exception(value.error)
        else:
            self.reply.set_result(value)

    def fail(self, error: ActorError) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)

    def expire(self, timeout: float) -> None:
        """The deadline is there."""
        where = "it has begun with the request" if self.taken else "the request was still queued"
        self.fail(
            AskTimeout(self.to.path, f"no reply within {timeout:g} s, {where}", handled=self.taken)
        )


class Failure:
    """Returned by a handler, it makes the ask raise *error*; the actor itself goes on."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            raise TypeError(f"a Failure holds an exception that can be raised, not {error!r}")
        self.error = error


def asker() -> "Incarnation | None":
    """The incarnation whose hook awaits here: what it waits for, it waits for altogether.

    None outside of actors, and in tasks that a hook started by itself: whether the hook waits for
    those (as `asyncio.wait_for` and `gather` do) or has let them go cannot be told.
    """
    life = running.get()
    if life is not None and life.task is asyncio.current_task():
        return life
    return None


def check_cycle(who: "Incarnation", target: "Ref[Any]") -> None:
    """AskCycle if *target* waits, through whomever, for *who*."""
    chain: list[Ref[Any]] = [who.cell]
    link: Ref[Any] | None = target
    while link is not None:
        chain.append(link)
        if link is who.cell:
            raise AskCycle([ref.path for ref in chain])
        if link in chain[:-1]:
            return  # a ring of others, which is theirs to find
        link = link._waits_for()


def gave_way(message: object) -> None:
    """A queued message made room for a newer one; for a request somebody waits."""
    if type(message) is Request:
        message.to.request_left()
        message.fail(MailboxFull(message.to.path, "the request gave way to a newer message"))


@functools.lru_cache(maxsize=256)
def seeing_through_requests(spec: MailboxSpec[Any]) -> MailboxSpec[Any]:
    """*spec*, with functions that are asked about the message of a request, not its envelope.

    A request has no key: whoever waits for the answer is not to be coalesced with another.
    """

    def looking_inside(function: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
        if function is None:
            return None
        return lambda m: function(m.message if type(m) is Request else m)

    key = spec.key
    return replace(
        spec,
        key=None if key is None else lambda m: None if type(m) is Request else key(m),
        size=looking_inside(spec.size),
        terminal=looking_inside(spec.terminal),
    )
