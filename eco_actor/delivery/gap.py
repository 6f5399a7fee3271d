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


class Loss:
    """A gap that the client has not been told of yet: one merged range."""

    __slots__ = ("begin", "dropped", "end", "reason")

    def __init__(self, begin: int, end: int, dropped: int, reason: str) -> None:
        self.begin = begin
        self.end = end
        self.dropped = dropped
        self.reason = reason

    def add(self, begin: int, end: int, dropped: int, reason: str) -> None:
        """Make the range cover this, too. What was never in the log only counts."""
        self.dropped += dropped
        if reason != self.reason and self.reason == COALESCED:
            self.reason = reason
        if begin == end:
            return
        if self.begin == self.end:
            self.begin, self.end = begin, end
        else:
            self.begin, self.end = min(self.begin, begin), max(self.end, end)
