"""Data of older versions: it is brought to this one with everything in it, or left as it was."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, StoreError, schema
from eco_actor.eventlog.schema import MIGRATIONS, VERSION

VERSION_1 = """
CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,
 at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_by_channel ON events (channel);
CREATE TABLE epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY);
CREATE TABLE opened (durability TEXT NOT NULL);
INSERT INTO epochs VALUES (1, 'abc123');
INSERT INTO events VALUES (1, 'scan:a', 5, 1, x'81a16e01'), (2, 'app:b', 6, 0, x'81a16e02'),
 (3, 'scan:a', 7, 6, x'81a16e03');
PRAGMA user_version=1;
"""
"""A log of version 1 after an orderly close."""


def write_version_1(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(VERSION_1)
    db.close()


async def test_data_of_version_1_is_read_and_goes_on(tmp_path: Path) -> None:
    """Events, marks, epoch and positions are as they were; new events may have a key."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write_version_1, path)
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    assert (log.head, str(log.cursor(3))) == (3, "abc123-3")
    events = (await log.page(["scan:a", "app:b"], 0)).events
    assert [(e.position, e.channel, e.at_ms, e.data["n"], e.key) for e in events] == [
        (1, "scan:a", 5, 1, None),
        (2, "app:b", 6, 2, None),
        (3, "scan:a", 7, 3, None),
    ]
    assert [(e.opens, e.terminal, e.final) for e in events] == [
        (True, False, False),
        (False, False, False),
        (False, True, True),
    ]
    assert log.resume("app:b", "abc123-1", 0).position == 1
    await log.commit([Draft("app:b", {}, 8, key="k")])
    await log.close()
    await log.open()
    (_, event) = (await log.page(["app:b"], 0)).events
    assert (event.position, event.key) == (4, "k")
    await log.close()


def shape(path: Path) -> tuple[int, list[tuple[str, ...]]]:
    """The version of a file, and what each of its tables has."""
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    names = db.execute("SELECT type, name FROM sqlite_master ORDER BY type, name").fetchall()
    columns = [
        (table, *(row[1] for row in db.execute(f"PRAGMA table_info({table})")))
        for kind, table in names
        if kind == "table"
    ]
    db.close()
    return version, [*names, *columns]


async def test_a_migrated_file_is_like_a_new_one(tmp_path: Path) -> None:
    """The same tables, columns and indexes, and the version of this program."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    await asyncio.to_thread(write_version_1, old)
    for path in (old, new):
        log = EventLog(SqliteStore(path, Durability.FULL))
        await log.open()
        await log.close()
    assert shape(old) == shape(new)
    assert shape(new)[0] == VERSION == len(MIGRATIONS)


@pytest.mark.parametrize("good", range(1, len(MIGRATIONS[1]) + 1))
async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    """Whatever of it had been done: the file is of the old version, and can be migrated later."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write_version_1, path)
    before = shape(path)
    broken = (*MIGRATIONS[1][:good], "CREATE TABLE events (again)")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (MIGRATIONS[0], broken))
        with pytest.raises(StoreError, match="already exists"):
            await EventLog(SqliteStore(path, Durability.FULL)).open()
    assert shape(path) == before
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    assert log.head == 3
    await log.close()
