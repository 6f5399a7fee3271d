"""Reading the log in SQLite: events of some channels, one page a transaction."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from eco_actor.eventlog.event import Draft, Event, Page

OPENS, TERMINAL, FINAL = 1, 2, 4
"""The flags of an event, in its row."""

# What was removed had a position, too: none is ever given twice.
LAST: Final = (
    "SELECT max((SELECT coalesce(max(position), 0) FROM events),"
    " (SELECT coalesce(max(upto), 0) FROM trimmed), (SELECT position FROM floor))"
)


def read_page(
    db: sqlite3.Connection, channels: Sequence[str], after: int, limit: int, epoch: str
) -> Page:
    """The first *limit* events of *channels* behind *after*, and how far they are complete."""
    marks = ",".join("?" * len(channels))
    db.execute("BEGIN")
    try:
        (head,) = db.execute(LAST).fetchone()
        trimmed = db.execute(
            f"SELECT channel, upto FROM trimmed WHERE channel IN ({marks}) AND upto > ?",
            (*channels, after),
        ).fetchall()
        rows = db.execute(
            "SELECT position, channel, at_ms, flags, data, key FROM events"
            f" WHERE channel IN ({marks}) AND position > ? ORDER BY position LIMIT ?",
            (*channels, after, limit),
        ).fetchall()
    finally:
        db.execute("COMMIT")
    events = [_event(row, epoch) for row in rows]
    upto = events[-1].position if len(events) == limit else max(head, after)
    return Page(events, upto, trimmed)


def _event(row: tuple[Any, ...], epoch: str) -> Event:
    position, channel, at_ms, flags, data, key = row
    draft = Draft(
        channel,
        msgpack.unpackb(data, strict_map_key=False),
        at_ms,
        opens=bool(flags & OPENS),
        terminal=bool(flags & TERMINAL),
        final=bool(flags & FINAL),
        key=key,
    )
    return Event(draft, position, epoch, len(data))
