"""How much of scans is in the log, and which of them have to go. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from eco_actor.eventlog import Event

KEYED_MS: Final = (24 * 60 + 1) * 60 * 1000
"""A scan with an Idempotency-Key stays as long as its key does, and a minute more: the key's day
begins a moment later."""

GONE_MS: Final = 30 * 24 * 60 * 60 * 1000
"""How long a scan that was removed is known to be gone, in milliseconds."""

GONE_MOST: Final = 1_000_000
"""Scans that are known to be gone, at most."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What may be in the log: scans, bytes of their events, milliseconds since the end of each."""

    scans: int = 20_000
    size: int = 256 << 20
    age_ms: int = 24 * 60 * 60 * 1000


class Row(NamedTuple):
    """A scan in the log. `ended_ms` means nothing while it is not `finished`."""

    task_id: str
    created_ms: int
    finished: int
    keyed: int
    ended_ms: int
    size: int


class Volume:
    """Counts the scans in the log and the bytes of their events, as these become durable.

    Counting in the database at each look would read every event. The price is one pass over those
    that were there before (`load`), and that nothing is in excess until then.
    """

    def __init__(self) -> None:
        self.scans = 0
        self.size = 0
        self.loaded = False

    def begin(self) -> None:
        """What is added from now on is not in what `load` will bring."""
        self.scans = self.size = 0
        self.loaded = False

    def load(self, scans: int, size: int) -> None:
        self.scans += scans
        self.size += size
        self.loaded = True

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            self.scans += event.opens
            self.size += event.size

    def removed(self, rows: Sequence[Row]) -> None:
        self.scans -= len(rows)
        self.size -= sum(row.size for row in rows)

    def excess(self, keep: Keep) -> tuple[int, int]:
        """How many scans and bytes are too much; nothing before `load`."""
        if not self.loaded:
            return 0, 0
        return max(0, self.scans - keep.scans), max(0, self.size - keep.size)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of some scans go; `last`: of those behind them none has to."""

    rows: Sequence[Row]
    last: bool


def choose(rows: Sequence[Row], keep: Keep, now_ms: int, scans: int, size: int) -> Choice:
    """Which of *rows*, oldest first, go when so many *scans* and so many bytes are too much.

    Those that are not over stay, and so do those whose key still answers.
    """
    before_ms = now_ms - keep.age_ms
    chosen: list[Row] = []
    for row in rows:
        if scans <= 0 and size <= 0 and row.created_ms >= before_ms:
            return Choice(chosen, last=True)  # none behind it ended before it began
        if not row.finished or (row.keyed and row.created_ms > now_ms - KEYED_MS):
            continue
        if scans > 0 or size > 0 or row.ended_ms < before_ms:
            chosen.append(row)
            scans -= 1
            size -= row.size
    return Choice(chosen, last=False)
