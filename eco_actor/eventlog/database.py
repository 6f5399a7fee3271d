"""The SQLite side of the store, synchronous: connections, epochs, transactions, pages.

`Database` belongs to one thread, the only one that writes or checkpoints: SQLite before 3.51.3 can
corrupt a database when two connections do.
"""

import os
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eco_actor.eventlog.clock import SteadyClock
from eco_actor.eventlog.connecting import inspect, open_database, refused, sync_folder
from eco_actor.eventlog.event import Draft, Event
from eco_actor.eventlog.faults import FileReplaced
from eco_actor.eventlog.pages import FINAL, LAST, OPENS, TERMINAL
from eco_actor.eventlog.schema import check_ours, migrate
from eco_actor.eventlog.store import Durability, Statement, StoreError, Tables, Write

ROWS: Final = 64
"""Rows a statement takes at most; it bounds how many different statements SQLite must prepare."""

INSERT_EVENTS: Final = Statement(
    "INSERT INTO events (position, channel, at_ms, flags, data, key) VALUES ", "(?,?,?,?,?,?)"
)

FORGET: Final = Statement("DELETE FROM events WHERE channel IN (", "?", ")")

# Before events go: none of their positions is given again.
RAISE_FLOOR: Final = Statement(
    "UPDATE floor SET position = max(position, (SELECT max(column1) FROM (VALUES ",
    "(?)",
    ")), (SELECT coalesce(max(position), 0) FROM events))",
)

SAVE_CLOCK: Final = Statement(
    "INSERT OR REPLACE INTO clock (id, steady_ms, wall_ms) VALUES ", "(1,?,?)"
)

NEWEST: Final = "SELECT coalesce((SELECT at_ms FROM events ORDER BY position DESC LIMIT 1), 0)"

PAGE_SIZE: Final = 1024
"""Bytes of a page in a new file. A transaction writes whole pages, of which it changes little: with
the usual 4096 a scan writes twice as much, and what an SD card can take is numbered."""

CHECKPOINT_BYTES: Final = 4 << 20
"""Of write-ahead log, after which it is brought into the file: a page once, however often it
changed."""

ROOM: Final = 1 << 20
"""Bytes that must be free for a full disk to count as one that is not: a picture and some scans."""

CLOCK_MS: Final = 60_000
"""Between two notes of what the clock says; they go with what is written anyway."""

LEFT: Final = "the store was closed before this could be written"

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
    """The one connection that writes. `path` None: everything in memory, gone with it.

    With *connection* it is that one, which somebody else opened.
    """

    def __init__(
        self,
        path: Path | None,
        durability: Durability,
        tables: Sequence[Tables],
        clock: SteadyClock | None = None,
        connection: sqlite3.Connection | None = None,
    ) -> None:
        self._path = path
        self._durability = durability
        self._statements = [statement for table in tables for statement in table.statements]
        self._clock = clock if clock is not None else SteadyClock()
        self.epochs: list[tuple[str, int]] = []
        self.position = 0
        self.trimmed: dict[str, int] = {}
        self.left = False  # somebody else may have opened it: what has no lock yet is not written
        self._file = (0, 0)  # device and inode
        self._clock_saved_ms = 0
        opened, held = connection, None
        try:
            if path is not None:
                held = inspect(path, tables)
            if opened is None:
                opened = open_database(path)
            self.connection = opened
            self._configure(path)
            migrate(opened, tables)
            self._begin_epoch()
            if path is not None:
                self._settle_file(path)
            opened.execute(f"PRAGMA synchronous={SYNCHRONOUS[durability]}")
        except BaseException as error:
            if opened is not None:
                opened.close()
            raise refused(path, error) from error
        finally:
            # Last: so a database that was refused is left as it was, with its write-ahead log.
            if held is not None:
                held.close()

    def _configure(self, path: Path | None) -> None:
        db = self.connection
        if path is not None:
            if check_ours(db) == 0:
                db.execute(f"PRAGMA page_size={PAGE_SIZE}")
            (page_size,) = db.execute("PRAGMA page_size").fetchone()
            db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_BYTES // page_size}")
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StoreError(f"no write-ahead log here (journal mode {mode})")
        db.execute("PRAGMA synchronous=FULL")  # epochs are promised under normal, too

    def _settle_file(self, path: Path) -> None:
        """Bring what an earlier process left into the file, and make the file itself durable."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        status = path.stat()
        self._file = (status.st_dev, status.st_ino)
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)

    def _begin_epoch(self) -> None:
        """Go on with the last epoch, or begin one where history may have been reissued."""
        db = self.connection
        (self.position,) = db.execute(LAST).fetchone()
        self.trimmed = dict(db.execute("SELECT channel, upto FROM trimmed"))
        self.epochs = db.execute(EPOCHS).fetchall()
        (newest_ms,) = db.execute(NEWEST).fetchone()
        saved = db.execute("SELECT steady_ms, wall_ms FROM clock").fetchone()
        self._clock.resume(saved, newest_ms)
        unclean = [row[0] for row in db.execute("SELECT durability FROM opened")]
        db.execute("BEGIN IMMEDIATE")
        if not self.epochs or any(promise != Durability.FULL.value for promise in unclean):
            self.epochs.append((secrets.token_hex(3), self.position + 1))
            db.execute("INSERT INTO epochs (token, begins) VALUES (?,?)", self.epochs[-1])
        db.execute("DELETE FROM opened")
        db.execute("INSERT INTO opened (durability) VALUES (?)", (self._durability.value,))
        db.execute("COMMIT")
        self.save_clock()

    def close(self, *, in_order: bool = True) -> None:
        """Note that the end was an orderly one, and close; without the note, just close."""
        if not in_order:
            self.connection.close()
            return
        try:
            self.check_file()
            self.save_clock()
            self.connection.execute("DELETE FROM opened")
        finally:
            self.connection.close()

    def save_clock(self) -> None:
        """Note what the clock says: a small write, as durable as any. sqlite3.Error."""
        reading = self._clock.reading()
        self.connection.execute(SAVE_CLOCK.sql(1), reading)
        self._clock_saved(reading)

    def _clock_saved(self, reading: tuple[int, int]) -> None:
        self._clock.saved()
        self._clock_saved_ms = reading[0]

    def has_room(self) -> bool:
        """Whether its disk has room for more than the smallest of writes."""
        if self._path is None:
            return True
        try:
            disk = os.statvfs(self._path)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= ROOM

    def on_read_only_disk(self) -> bool:
        """Whether its disk takes no writes."""
        if self._path is None:
            return False
        try:
            return bool(os.statvfs(self._path).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    def _check_left(self) -> None:
        if self.left:
            raise StoreError(LEFT)

    def probe(self) -> None:
        """Try a small write, as durable as any. sqlite3.Error, OSError, FileReplaced."""
        self.check_file()
        self.save_clock()

    def check_file(self) -> None:
        """FileReplaced, when what is written would be found by nobody."""
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileReplaced from error
        if (status.st_dev, status.st_ino) != self._file:
            raise FileReplaced

    def commit(self, items: Sequence[Item]) -> list[list[Event]]:
        """Write *items* in one transaction; returns their events. An error: none was."""
        self._check_left()
        self.check_file()
        db, epoch = self.connection, self.epochs[-1][0]
        events, position = [], self.position
        for item in items:
            placed, position = _place(item, position, epoch)
            events.append(placed)
        groups = self._group(items, events)
        reading = self._note_clock(groups)
        if len(groups) == 1 and len(groups[0][1]) <= ROWS:
            _execute(db, *groups[0])  # alone it is its own transaction, two statements cheaper
        elif groups:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._check_left()  # whoever opened it meanwhile has read where the events end
                for statement, rows in groups:
                    _execute(db, statement, rows)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        self.position = position
        if reading is not None:
            self._clock_saved(reading)
        return events

    def _note_clock(
        self, groups: list[tuple[Statement, list[tuple[Any, ...]]]]
    ) -> tuple[int, int] | None:
        """Let a write that happens anyway take the clock along, when it is time; its reading."""
        due = self._clock.now_ms() - self._clock_saved_ms >= CLOCK_MS or self._clock.jumped()
        if not groups or not due:
            return None
        reading = self._clock.reading()
        groups.append((SAVE_CLOCK, [reading]))
        return reading

    def _group(
        self, items: Sequence[Item], events: list[list[Event]]
    ) -> list[tuple[Statement, list[tuple[Any, ...]]]]:
        """The rows of a batch by statement, events first, then in the order of registration."""
        groups: dict[Statement, list[tuple[Any, ...]]]
        groups = {INSERT_EVENTS: [], RAISE_FLOOR: [], FORGET: [], SAVE_CLOCK: []}
        groups.update((statement, []) for statement in self._statements)
        for item, placed in zip(items, events, strict=True):
            groups[INSERT_EVENTS].extend(
                _row(event, packed)
                for event, packed in zip(placed, item.packed, strict=True)
                if packed is not None
            )
            for write in item.writes:
                row = write.row
                if write.statement.placed:
                    row = (*row, _first(placed))
                groups[write.statement].append(row)
        return [(statement, rows) for statement, rows in groups.items() if rows]


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


def _first(placed: Sequence[Event]) -> int | None:
    """The position of the first event that is written."""
    return next((event.position for event in placed if not event.transient), None)


def _row(event: Event, packed: bytes) -> tuple[Any, ...]:
    flags = OPENS * event.opens | TERMINAL * event.terminal | FINAL * event.final
    return (event.position, event.channel, event.at_ms, flags, packed, event.key)


def _execute(db: sqlite3.Connection, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        db.execute(statement.sql(len(part)), [value for row in part for value in row])
