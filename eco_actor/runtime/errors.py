"""What can go wrong between actors, split by what the caller may conclude about its message."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eco_actor.runtime.restarts import Exit


class ActorError(Exception):
    """Base of the errors below; `handled` tells whether the callee acted on the message.

    `True`: it did, or began to. `False`: it certainly did not, so repeating is safe.
    `None`: nobody can tell.
    """

    handled: bool | None = None

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path


class MailboxFull(ActorError):
    """The mailbox refused the message, or gave its place to a newer one."""

    handled = False


class ActorDead(ActorError):
    """The actor has ended for good, before it took the message."""

    handled = False


class AskTimeout(ActorError):
    """No reply within the deadline.

    `handled` is False when the request was still queued, and is then skipped, not handled late;
    True when the callee had begun with it.
    """

    def __init__(self, path: str, detail: str, *, handled: bool) -> None:
        super().__init__(path, detail)
        self.handled = handled


class AskCycle(ActorError):
    """Waiting would never end: the callee waits, perhaps through others, for the one who asks.

    `cycle` holds the paths, from the asker to the asker. The request was not sent. A `send` that
    would wait for room in such a cycle ends in the same way.
    """

    handled = False

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(cycle[0], "it would wait for itself: " + " -> ".join(cycle))
        self.cycle = list(cycle)


class HandlerFailed(ActorError):
    """The handler raised, or was killed, while it had the message in hand; `reason` says which."""

    handled = True

    def __init__(self, path: str, reason: "Exit") -> None:
        super().__init__(path, str(reason))
        self.reason = reason
        self.__cause__ = reason.error


class StartFailed(ActorError):
    """`init` of an actor, or of a child of a starting supervisor, raised."""


class TooManyChildren(ActorError):
    """A dynamic supervisor is at its `max_children`: nothing was started."""


class NoSuchChild(ActorError):
    """A supervisor was asked for a child that it does not have, or that is in the wrong state."""


class TooManyPipes(ActorError):
    """The actor has as many operations under way as its class allows: nothing was started."""


class NameTaken(ActorError):
    """Another living actor is registered by this name."""
