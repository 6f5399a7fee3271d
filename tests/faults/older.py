"""Databases as earlier versions of this program left them, with scans that are not finished."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgpack

AT_MS: Final = 1_780_000_000_000

LOG_1: Final = """
CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,
 at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_by_channel ON events (channel);
CREATE TABLE epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY);
CREATE TABLE opened (durability TEXT NOT NULL);
INSERT INTO epochs VALUES (1, 'abc123');
INSERT INTO opened VALUES ('full');
"""

LOG_2: Final = """
ALTER TABLE events ADD COLUMN key TEXT;
CREATE TABLE trimmed (channel TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX trimmed_by_upto ON trimmed (upto);
"""

SCANS: Final = """
CREATE TABLE scans (task_id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, options BLOB NOT NULL,
 finished INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX scans_unfinished ON scans (task_id) WHERE finished = 0;
CREATE TABLE pictures (task_id TEXT PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE rewards (task_id TEXT PRIMARY KEY, points INTEGER NOT NULL,
 character TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
"""

ANSWERS: Final = """
CREATE TABLE answers (scope TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL,
 at_ms INTEGER NOT NULL, head INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB,
 PRIMARY KEY (scope, key));
CREATE INDEX answers_by_time ON answers (at_ms);
"""

SCHEMAS: Final = {
    1: (LOG_1, SCANS, "PRAGMA user_version=1;"),
    2: (LOG_1, LOG_2, SCANS, ANSWERS, "PRAGMA user_version=2;"),
}
"""Version of the log -> what makes the tables of its time."""

SEEN: Final = {
    "category": "glass",
    "name": "유리병",
    "confidence": 1.0,
    "alternatives": [],
    "unsure": False,
    "backend": "user",
}


def task_id(number: int) -> str:
    return f"{AT_MS + number:011x}{'A' * 20}{number:02d}"


def write_old(path: Path, version: int, after: Sequence[int]) -> list[str]:
    """A database of this version, left by a kill; its scans had so many events. Their ids."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        for script in SCHEMAS[version]:
            db.executescript(script)
        for number, events in enumerate(after):
            _write_scan(db, number, events)
        db.commit()
    return [task_id(number) for number in range(len(after))]


def _write_scan(db: sqlite3.Connection, number: int, events: int) -> None:
    own = task_id(number)
    options: dict[str, Any] = {"lang": "ko", "category": "glass", "tags": [], "user_input": None}
    db.execute(
        "INSERT INTO scans (task_id, created_ms, options) VALUES (?,?,?)",
        (own, AT_MS, msgpack.packb(options)),
    )
    for seq, fields in enumerate(_story()[:events], 1):
        data = {"task_id": own, "seq": seq, "at": "2026-05-28T20:26:40.000Z", **fields}
        db.execute(
            "INSERT INTO events (channel, at_ms, flags, data) VALUES (?,?,?,?)",
            (f"scan:{own}", AT_MS, 1 if seq == 1 else 0, msgpack.packb(data)),
        )


def _story() -> list[dict[str, Any]]:
    """The fields of a scan's events up to its rule."""
    rule = {"bin": "유리", "steps": [], "not_these": [], "why": "", "layer": "national"}
    return [
        {"step": "vision", "status": "processing", "progress": 10},
        {"step": "vision", "status": "completed", "progress": 33, **SEEN},
        {"step": "rule", "status": "completed", "progress": 50, "rule": {**rule, "source": None}},
    ]
