"""The tables of the log, version by version, and the way from an older version to this one."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from eco_actor.eventlog.store import StoreError

MIGRATIONS: Final = (
    (
        "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,"
        " at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL)",
        # the position is part of every index already
        "CREATE INDEX IF NOT EXISTS events_by_channel ON events (channel)",
        "CREATE TABLE IF NOT EXISTS epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY)",
        # the durability of the process that has the database open; no row after an orderly close
        "CREATE TABLE IF NOT EXISTS opened (durability TEXT NOT NULL)",
    ),
    (
        "ALTER TABLE events ADD COLUMN key TEXT",
        # everything of the channel up to this position is gone
        "CREATE TABLE trimmed (channel TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX trimmed_by_upto ON trimmed (upto)",
    ),
)
"""Step n makes version n of version n - 1; version 0 is an empty file. A step is never changed."""

VERSION: Final = len(MIGRATIONS)


def migrate(db: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Bring *db* to this version and make the *tables* of the packages: all of it, or nothing.

    StoreError when the data is of a newer version. The transaction of a failure is left to the end
    of the connection.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(
            f"the data is of version {version}, this program knows {VERSION}: use a newer one"
        )
    db.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[version:]:
        for ddl in step:
            db.execute(ddl)
    for ddl in tables:
        db.execute(ddl)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")
