"""What can go wrong between actors, split by what the caller may conclude about its message."""


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
    """The mailbox refused the message."""

    handled = False


class ActorDead(ActorError):
    """The actor has ended for good, before it took the message."""

    handled = False


class AskTimeout(ActorError):
    """No reply within the deadline; a request still queued then is skipped, not handled late."""


class HandlerFailed(ActorError):
    """The handler raised, or was killed, while it had the message in hand."""

    handled = True


class StartFailed(ActorError):
    """`init` of an actor, or of a child of a starting supervisor, raised."""


class TooManyChildren(ActorError):
    """A dynamic supervisor is at its `max_children`: nothing was started."""
