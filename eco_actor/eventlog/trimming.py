"""Letting go of what is oldest in a channel, in SQLite: counting it, and trimming it in steps."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from eco_actor.eventlog.history import Count, Excess, Trimmed

STEP: Final = 512
"""Events that one transaction trims at most: as many as appends share one."""

STEP_SIZE: Final = 1 << 20
"""Bytes of data after which a transaction trims no more: large events cost pages, not rows."""

_COUNTS: Final = (
    # SQLite takes at_ms from the row that has the smallest position
    "SELECT channel, count(*), sum(length(data)), at_ms, min(position) FROM events"
    " WHERE channel {} ? AND position <= ? GROUP BY channel"
)
COUNTS: Final = f"{_COUNTS.format('<')} UNION ALL {_COUNTS.format('>=')}"

OLDEST: Final = (
    "SELECT position, at_ms, length(data) FROM events WHERE channel = ? ORDER BY position LIMIT ?"
)


def count_channels(db: sqlite3.Connection, besides: str, upto: int) -> list[Count]:
    """What there is up to a position, of all channels but those that begin with *besides*."""
    behind = besides[:-1] + chr(ord(besides[-1]) + 1)
    rows = db.execute(COUNTS, (besides, upto, behind, upto))
    return [Count(channel, events, size, at_ms) for channel, events, size, at_ms, _ in rows]


def trim_step(db: sqlite3.Connection, excess: Excess) -> Trimmed:
    """Delete what is in excess, at most STEP events, and mark how far, in one transaction."""
    channel = excess.channel
    oldest = db.execute(OLDEST, (channel, STEP + 1)).fetchall()
    events, size = excess.take(within := _step_of(oldest))
    upto = oldest[events - 1][0] if events else 0
    if events:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("DELETE FROM events WHERE channel = ? AND position <= ?", (channel, upto))
            db.execute(
                "INSERT OR REPLACE INTO trimmed (channel, upto) VALUES (?,?)", (channel, upto)
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    left = oldest[events][1] if events < len(oldest) else None
    return Trimmed(channel, upto, events, size, left, done=events < len(within) or left is None)


def _step_of(oldest: Sequence[tuple[int, int, int]]) -> Sequence[tuple[int, int, int]]:
    """The first of them that one transaction takes."""
    size = 0
    for n, (_, _, length) in enumerate(oldest[:STEP]):
        if size >= STEP_SIZE:
            return oldest[:n]
        size += length
    return oldest[:STEP]
