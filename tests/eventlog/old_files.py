"""Files as released versions of the program left them, and all there is in a file."""

import sqlite3
from pathlib import Path
from typing import Any

LOG = {
    1: """
CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,
 at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_by_channel ON events (channel);
CREATE TABLE epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY);
CREATE TABLE opened (durability TEXT NOT NULL);
INSERT INTO epochs VALUES (1, 'abc123');
INSERT INTO events VALUES (1, 'scan:a', 5, 1, x'81a16e01'), (2, 'app:b', 6, 0, x'81a16e02'),
 (3, 'scan:a', 7, 6, x'81a16e03');
PRAGMA user_version=1;
""",
    2: """
CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,
 at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL, key TEXT);
CREATE INDEX events_by_channel ON events (channel);
CREATE TABLE epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY);
CREATE TABLE opened (durability TEXT NOT NULL);
CREATE TABLE trimmed (channel TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX trimmed_by_upto ON trimmed (upto);
INSERT INTO epochs VALUES (1, 'abc123');
INSERT INTO trimmed VALUES ('app:t', 5);
INSERT INTO events VALUES (1, 'scan:a', 5, 1, x'81a16e01', NULL),
 (2, 'app:b', 6, 0, x'81a16e02', 'k'), (3, 'scan:a', 7, 6, x'81a16e03', NULL);
PRAGMA user_version=2;
""",
}
"""A log of each version after an orderly close."""

THINGS_BEFORE = """
CREATE TABLE things (name TEXT PRIMARY KEY);
INSERT INTO things VALUES ('old');
"""
"""The table of a package, from before the versions of packages were counted."""


def write(path: Path, *scripts: str, mode: str = "WAL") -> None:
    """Make a file of these scripts; to be called outside the loop."""
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode={mode}")
    for script in scripts:
        db.executescript(script)
    db.close()


def content(path: Path) -> tuple[int, int, list[str]]:
    """Version, application id, and everything else as SQL."""
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    dump = list(db.iterdump())
    db.close()
    return version, application, dump


def shape(path: Path) -> tuple[int, int, list[tuple[Any, ...]]]:
    """Version, application id, and what each table and index has."""
    version, application, _ = content(path)
    db = sqlite3.connect(path)
    names = db.execute("SELECT type, name FROM sqlite_master ORDER BY type, name").fetchall()
    parts: list[tuple[Any, ...]] = []
    for kind, name in names:
        pragma = "table_info" if kind == "table" else "index_info"
        parts += [(kind, name, *row) for row in db.execute(f"PRAGMA {pragma}({name})")]
    if ("table", "schemas") in names:
        parts += db.execute("SELECT name, version FROM schemas ORDER BY name").fetchall()
    db.close()
    return version, application, parts
