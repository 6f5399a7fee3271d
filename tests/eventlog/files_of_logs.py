"""Files of logs as servers leave them, to be read from outside."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from eco_actor.eventlog import Draft, Durability, copying
from eco_actor.eventlog.copying import consult
from eco_actor.eventlog.database import Database, Item
from eco_actor.eventlog.schema import MIGRATIONS

BYTES = b"\x81\xa1n\xda\x10\x00" + b"n" * 4096  # {"n": 4 KiB}
COUNT = "SELECT count(*) FROM events"


def add(database: Database, events: int) -> None:
    draft = Draft("app:a", {}, at_ms=1)
    for _ in range(events):
        database.commit([Item([draft], [BYTES], ())])


def closed(path: Path, events: int) -> Path:
    """A log that was closed in order."""
    database = Database(path, Durability.FULL, ())
    add(database, events)
    database.close()
    return path


def left(path: Path, events: int) -> Path:
    """A log as a kill leaves it, with its newest events beside it."""
    path.parent.mkdir(exist_ok=True)
    elsewhere = path.with_name("running.db")
    database = Database(elsewhere, Durability.FULL, ())
    add(database, events)
    for ending in ("", "-wal", "-shm"):
        shutil.copy(copying.beside(elsewhere, ending), copying.beside(path, ending))
    database.close()
    elsewhere.unlink()
    return path


def count(path: Path) -> int:
    """How many events there are, read from outside."""
    return int(consult(path, lambda db: db.execute(COUNT).fetchone()[0]))


def of_version_1(path: Path, events: int) -> Path:
    """A log that the first release has closed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        for ddl in MIGRATIONS[0]:
            db.execute(ddl)
        db.execute("INSERT INTO epochs VALUES (1, 'abc123')")
        for _ in range(events):
            db.execute("INSERT INTO events VALUES (NULL, 'app:a', 1, 0, ?)", (BYTES,))
        db.execute("PRAGMA user_version=1")
    return path
