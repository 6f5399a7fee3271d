"""The SQLite side of the store, synchronous: connections, epochs, transactions, pages.

`Database` belongs to one thread, the only one that writes or checkpoints: SQLite before 3.51.3 can
corrupt a database when two connections do.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from eco_actor.eventlog.event import Draft, Event, Page
from eco_actor.eventlog.schema import migrate
from eco_actor.eventlog.store import Durability, Statement, StoreError, Tables, Write

ROWS: Final = 64
"""Rows a statement takes at most; it bounds how many different statements SQLite must prepare."""

OPENS, TERMINAL, FINAL = 1, 2, 4

INSERT_EVENTS: Final = Statement(
    "INSERT INTO events (position, channel, at_ms, flags, data, key) VALUES ", "(?,?,?,?,?,?)"
)

# What was trimmed had a position, too: none is ever given twice.
LAST: Final = (
    "SELECT max((SELECT coalesce(max(position), 0) FROM events),"
    " (SELECT coalesce(max(upto), 0) FROM trimmed))"
)

EPOCHS: Final = "SELECT token, begins FROM epochs ORDER BY begins, rowid"

SYNCHRONOUS: Final = {Durability.FULL: "FULL", Durability.NORMAL: "NORMAL", Durability.OFF: "OFF"}


@dataclass(slots=True)  # frozen, making one would cost several times as much
class Item:
    """What is committed or fails as one: events, with their data packed, and rows.

    `packed` is None for the transient ones: they are placed among the others, and not written.
    """

    drafts: Sequence[Draft]
    packed: Sequence[bytes | None]
    writes: Sequence[Write]


class Database:
    """The one connection that writes. `path` None: everything in memory, gone with it."""

    def __init__(self, path: Path | None, durability: Durability, tables: Sequence[Tables]) -> None:
        self._durability = durability
        self._statements = [statement for table in tables for statement in table.statements]
        self.epochs: list[tuple[str, int]] = []
        self.position = 0
        self.trimmed: dict[str, int] = {}
        try:
            self.connection = _connect(str(path) if path is not None else ":memory:")
            self._configure(path)
            migrate(self.connection, [ddl for table in tables for ddl in table.schema])
            self._begin_epoch()
        except BaseException as error:
            if hasattr(self, "connection"):
                self.connection.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{path or 'memory'}: {error}") from error
            raise

    def _configure(self, path: Path | None) -> None:
        db = self.connection
        if path is not None:
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StoreError(f"{path}: no write-ahead log here (journal mode {mode})")
        db.execute(f"PRAGMA synchronous={SYNCHRONOUS[self._durability]}")

    def _begin_epoch(self) -> None:
        """Go on with the last epoch, or begin one where history may have been reissued."""
        db = self.connection
        (self.position,) = db.execute(LAST).fetchone()
        self.trimmed = dict(db.execute("SELECT channel, upto FROM trimmed"))
        self.epochs = db.execute(EPOCHS).fetchall()
        unclean = [row[0] for row in db.execute("SELECT durability FROM opened")]
        db.execute("BEGIN IMMEDIATE")
        if not self.epochs or any(promise != Durability.FULL.value for promise in unclean):
            self.epochs.append((secrets.token_hex(3), self.position + 1))
            db.execute("INSERT INTO epochs (token, begins) VALUES (?,?)", self.epochs[-1])
        db.execute("DELETE FROM opened")
        db.execute("INSERT INTO opened (durability) VALUES (?)", (self._durability.value,))
        db.execute("COMMIT")

    def close(self) -> None:
        """Note that the end was an orderly one, and close."""
        self.connection.execute("DELETE FROM opened")
        self.connection.close()

    def commit(self, items: Sequence[Item]) -> list[list[Event]]:
        """Write *items* in one transaction; returns their events. sqlite3.Error: none was."""
        db, epoch = self.connection, self.epochs[-1][0]
        events, position = [], self.position
        for item in items:
            placed, position = _place(item, position, epoch)
            events.append(placed)
        groups = self._group(items, events)
        if len(groups) == 1 and len(groups[0][1]) <= ROWS:
            _execute(db, *groups[0])  # alone it is its own transaction, two statements cheaper
        elif groups:
            db.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in groups:
                    _execute(db, statement, rows)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        self.position = position
        return events

    def _group(
        self, items: Sequence[Item], events: list[list[Event]]
    ) -> list[tuple[Statement, list[tuple[Any, ...]]]]:
        """The rows of a batch by statement, events first, then in the order of registration."""
        groups: dict[Statement, list[tuple[Any, ...]]] = {INSERT_EVENTS: []}
        groups.update((statement, []) for statement in self._statements)
        for item, placed in zip(items, events, strict=True):
            groups[INSERT_EVENTS].extend(
                _row(event, packed)
                for event, packed in zip(placed, item.packed, strict=True)
                if packed is not None
            )
            for write in item.writes:
                groups[write.statement].append(write.row)
        return [(statement, rows) for statement, rows in groups.items() if rows]


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for pages and queries."""
    db = _connect(str(path))
    db.execute("PRAGMA query_only=ON")
    return db


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


def _connect(path: str) -> sqlite3.Connection:
    # autocommit: transactions are begun by hand; the thread that uses it is not always its maker
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)


def _place(item: Item, position: int, epoch: str) -> tuple[list[Event], int]:
    """The events of *item* behind *position*, and the position of the last."""
    events = []
    for draft, packed in zip(item.drafts, item.packed, strict=True):
        if packed is None:
            events.append(Event(draft, position, None))
        else:
            position += 1
            events.append(Event(draft, position, epoch, len(packed)))
    return events, position


def _row(event: Event, packed: bytes) -> tuple[Any, ...]:
    flags = OPENS * event.opens | TERMINAL * event.terminal | FINAL * event.final
    return (event.position, event.channel, event.at_ms, flags, packed, event.key)


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


def _execute(db: sqlite3.Connection, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        db.execute(statement.sql(len(part)), [value for row in part for value in row])
