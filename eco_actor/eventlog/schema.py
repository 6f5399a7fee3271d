"""The tables of the log, version by version, and the way from an older version to this one."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from eco_actor.eventlog.store import StoreError, Tables

APPLICATION_ID: Final = 0x65636F61
"""Tells our files from those of other programs (`PRAGMA application_id`); since version 3."""

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
    (
        # one row each: no position up to this one is given again; the clock by which things age
        "CREATE TABLE floor (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL)",
        "INSERT INTO floor VALUES (1, 0)",
        "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), steady_ms INTEGER NOT NULL,"
        " wall_ms INTEGER NOT NULL)",
        # how far the tables of each package are
        "CREATE TABLE schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
        f"PRAGMA application_id={APPLICATION_ID}",
    ),
)
"""Step n makes version n of version n - 1; version 0 is an empty file. A step is never changed."""

VERSION: Final = len(MIGRATIONS)

IDENTIFIED: Final = 3
"""The first version that has the application id."""


def check_ours(db: sqlite3.Connection, packages: Sequence[Tables] = ()) -> int:
    """The version of a database of ours, 0 for an empty one. StoreError for a foreign or newer one.

    It is only read. Newer is also one in which the tables of one of *packages* are.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    early = 1 <= version < IDENTIFIED and {"events", "epochs", "opened"} <= tables
    if tables and application != APPLICATION_ID and not early:
        raise StoreError("it is the database of another program: pick another data directory")
    if version > VERSION:
        raise StoreError(
            f"the data is of version {version}, this program knows {VERSION}: use a newer one"
        )
    if version >= IDENTIFIED:
        known = dict(db.execute("SELECT name, version FROM schemas"))
        for package in packages:
            newest = len(package.migrations)
            if known.get(package.name, 0) > newest:
                raise StoreError(
                    f"the data of {package.name!r} is of version {known[package.name]}, this"
                    f" program knows {newest}: use a newer one"
                )
    return int(version)


def migrate(db: sqlite3.Connection, packages: Sequence[Tables]) -> None:
    """Bring *db* and the tables of the *packages* to this version: all of it, or nothing.

    StoreError when the data is another program's or of a newer version. The transaction of a
    failure is left to the end of the connection.
    """
    version = check_ours(db, packages)
    db.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[version:]:
        for ddl in step:
            db.execute(ddl)
    db.execute(f"PRAGMA user_version={VERSION}")
    known = dict(db.execute("SELECT name, version FROM schemas"))
    for package in packages:
        _migrate_package(db, package, known.get(package.name, 0))
    db.execute("COMMIT")


def _migrate_package(db: sqlite3.Connection, package: Tables, version: int) -> None:
    newest = len(package.migrations)
    if version == newest:
        return
    for step in package.migrations[version:]:
        for ddl in step:
            db.execute(ddl)
    db.execute(
        "INSERT OR REPLACE INTO schemas (name, version) VALUES (?,?)", (package.name, newest)
    )
