"""Where a client begins on a channel, given the cursor that it came with. Pure."""

from dataclasses import dataclass
from enum import Enum

from eco_actor.eventlog.event import Cursor


class Resume(Enum):
    """What a client is told about the place from which it reads on."""

    FRESH = "fresh"  # it named none
    RECOVERED = "recovered"  # everything behind it is there
    PARTIAL = "partial"  # some of what lay behind it was trimmed
    RESET = "reset"  # unknown, or of an epoch that ended before it: read from the beginning


@dataclass(frozen=True, slots=True)
class Place:
    """Read on behind `position`, which lies behind what was trimmed unless the verdict is fresh.

    `missing`: what was lost, everything behind the first cursor up to the second; the same cursor
    twice when nobody can say what was.
    """

    resume: Resume
    position: int
    missing: tuple[Cursor, Cursor] | None = None
