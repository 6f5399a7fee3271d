"""What a client is not shown of a channel, as a range that it can read again."""

from dataclasses import dataclass

from eco_actor.eventlog import Cursor

OVERFLOW = "overflow"
COALESCED = "coalesced"
TRIMMED = "trimmed"
RESET = "reset"


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that a client is not shown: those behind *begin*, up to and including *end*.

    `dropped` of them are missing; between them there may be some that it is shown all the same.
    Begin and end are equal when none of what is missing was ever in the log.
    """

    channel: str
    begin: Cursor
    end: Cursor
    dropped: int
    reason: str
