"""What each bin was asked for, and how often it could not be told, since the log was begun.

Things are counted, so a scan that asks about one again is not.

Counted in the transaction of the answer, so once for each scan, whatever happens in between; and
kept beside the scans, so that it does not matter how long those are kept.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from eco_actor.eventlog import EventLog, StoreError, Write
from eco_actor.runtime import Actor, MailboxSpec, Overflow
from eco_actor.scan.options import Options
from eco_actor.scan.presence import UNKNOWN
from eco_actor.scan.rules import RuleBook, UnknownChoice
from eco_actor.scan.tables import ALL_COUNTS, COUNT_CHOICE, COUNT_SCAN, MARK_CHOICE

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0
"""Between two looks at what is in the log; after this long its figures may be shown."""


class Counted(NamedTuple):
    """`answers`: things with an answer. `unsure`: those without, by where the best guess would have
    gone. `unsure_answered`: those of them that somebody answered, by where the answer sent them.
    """

    answers: int = 0
    unsure: int = 0
    unsure_answered: int = 0


Row = tuple[str, int, int, int]
"""A bin's id and its `Counted`, as in the database."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by the rules that *book* finds, which are there before the first scan ends."""

    book: Callable[[], RuleBook]

    def writes(self, options: Options, result: Mapping[str, Any]) -> list[Write]:
        """What belongs into the transaction of the answer that has *result*; nothing when it is of
        a thing that was counted."""
        if options.revises is not None:
            return []
        rule = result.get("rule")
        if not isinstance(rule, Mapping):
            return [Write(COUNT_SCAN, (self._guessed(options, result), 0, 1))]
        said = rule.get("bin_id")
        bin_id = said if said in self.book().bin_ids else UNKNOWN
        counted = [Write(COUNT_SCAN, (bin_id, 1, 0))]
        if options.after_scan is not None:
            counted.append(Write(COUNT_CHOICE, (options.after_scan, bin_id)))
            counted.append(Write(MARK_CHOICE, (options.after_scan,)))
        return counted

    def _guessed(self, options: Options, result: Mapping[str, Any]) -> str:
        """The bin that the best guess would have gone to. Stages of others may say anything."""
        match result.get("classification"):
            case {"alternatives": [{"category": str(category)}, *_]}:
                try:
                    return self.book().apply(category, options.tags, options.lang).bin_id
                except UnknownChoice:
                    pass
        return UNKNOWN


def by_bin(rows: Iterable[Sequence[Any]], bins: Iterable[str]) -> dict[str, Counted]:
    """Rows of the database by their bins: first all of *bins*, counted or not, then any others."""
    found = {bin_id: Counted(*numbers) for bin_id, *numbers in rows}
    known = {bin_id: found.pop(bin_id, Counted()) for bin_id in bins}
    return known | found


class Counts:
    """The counts as they were a few seconds ago, for whoever must not wait for the disk."""

    def __init__(self) -> None:
        self.rows: Sequence[Sequence[Any]] | None = None
        """None until they were read."""


class Look(Enum):
    DUE = "it is time to look"


class Counting(Actor[Look]):
    """Reads the counts into *counts* every few seconds in which something was logged.

    While the log cannot be read they stay as they were.
    """

    interruptible = True
    mailbox = MailboxSpec(1, Overflow.LATEST)

    def __init__(self, eventlog: EventLog, counts: Counts) -> None:
        self._log = eventlog
        self._counts = counts
        self._seen: int | None = None  # the head of the log when they were read

    def init(self) -> None:
        self.ref.tell(Look.DUE)

    async def handle(self, message: Look) -> None:
        head = self._log.head
        if head != self._seen:
            try:
                self._counts.rows = await self._log.query(ALL_COUNTS)
                self._seen = head
            except StoreError as error:
                log.debug("%s: %s", self.ref.path, error.reason)
        self.start_timer("look", INTERVAL_S, Look.DUE)
