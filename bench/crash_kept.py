"""What a data directory of the crash harness holds, and what was removed from it.

Only to be read while no server has it open.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from eco_actor.eventlog.pages import LAST

NAME: Final = "eco.db"

RECORD: Final = (
    "CREATE TABLE IF NOT EXISTS removed_events (position INTEGER, channel TEXT, data BLOB)",
    "CREATE TABLE IF NOT EXISTS removed_rewards (task_id TEXT, points INTEGER, character TEXT)",
    "CREATE TABLE IF NOT EXISTS removed_scans (task_id TEXT, finished INTEGER, keyed INTEGER)",
    "CREATE TRIGGER IF NOT EXISTS removed_event AFTER DELETE ON events BEGIN"
    " INSERT INTO removed_events VALUES (old.position, old.channel, old.data); END",
    "CREATE TRIGGER IF NOT EXISTS removed_reward AFTER DELETE ON rewards BEGIN"
    " INSERT INTO removed_rewards VALUES (old.task_id, old.points, old.character); END",
    "CREATE TRIGGER IF NOT EXISTS removed_scan AFTER DELETE ON scans BEGIN"
    " INSERT INTO removed_scans VALUES (old.task_id, old.finished, old.keyed); END",
)
"""Lets a database remember what is removed from it, in the transaction that removes it."""

PARTS: Final = {
    "gone, and was not over": "SELECT task_id FROM removed_scans WHERE NOT finished",
    "gone, and has a row": "SELECT task_id FROM gone JOIN scans USING (task_id)",
    "gone, and has a reward": "SELECT task_id FROM gone JOIN rewards USING (task_id)",
    "gone, and has a picture": "SELECT task_id FROM gone JOIN pictures USING (task_id)",
    "gone, and has events": "SELECT DISTINCT task_id FROM gone"
    " JOIN events ON channel = 'scan:' || task_id",
    "not gone, and has lost events": "SELECT DISTINCT task_id FROM scans"
    " JOIN removed_events ON channel = 'scan:' || task_id",
    "not gone, and has lost its reward": "SELECT task_id FROM scans"
    " JOIN removed_rewards USING (task_id)",
    "neither there nor gone": "SELECT task_id FROM removed_scans"
    " LEFT JOIN gone USING (task_id) WHERE at_ms IS NULL",
    "gone, and has a key that still answers": "SELECT task_id FROM removed_scans WHERE keyed",
}
"""Scans that are in part what they are to be whole: there, or gone."""


class Logged(NamedTuple):
    place: int
    channel: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a data directory holds. `removed`: what retention took, where that was remembered."""

    events: Sequence[Logged]
    unfinished: frozenset[str]
    scans: frozenset[str]
    pictures: frozenset[str]
    rewards: Sequence[tuple[str, int, str]]  # task id, points, character; with those removed
    integrity: str
    removed: Sequence[Logged] = ()
    gone: frozenset[str] = frozenset()
    trimmed: Mapping[str, int] = field(default_factory=dict)
    parts: Sequence[str] = ()
    epochs: Sequence[tuple[str, int]] = ()
    head: int = 0  # the last position that was given


def unfinished(database: Path) -> dict[str, int]:
    """The scans that a start would go on with, and how many events each has."""
    with closing(_open(database)) as db:
        rows = db.execute(
            "SELECT task_id, (SELECT count(*) FROM events WHERE channel = 'scan:' || task_id)"
            " FROM scans WHERE NOT finished"
        )
        return dict(rows.fetchall())


def parts(database: Path) -> list[str]:
    """Which scans are neither whole nor gone, in words; none where removals are not remembered."""
    with closing(_open(database)) as db:
        return _parts(db) if _remembers(db) else []


def _parts(db: sqlite3.Connection) -> list[str]:
    return [f"scan {each} is {what}" for what, sql in PARTS.items() for each in _column(db, sql)]


def read(data_dir: Path) -> Kept:
    """All that is in the database, if there is one."""
    database = data_dir / NAME
    if not database.exists():
        return Kept((), frozenset(), frozenset(), frozenset(), (), "ok")
    with closing(_open(database)) as db:
        remembers = _remembers(db)
        rewards = db.execute("SELECT task_id, points, character FROM rewards").fetchall()
        if remembers:
            rewards += db.execute("SELECT * FROM removed_rewards").fetchall()
        return Kept(
            _events(db, "events"),
            frozenset(_column(db, "SELECT task_id FROM scans WHERE NOT finished")),
            frozenset(_column(db, "SELECT task_id FROM scans")),
            frozenset(_column(db, "SELECT task_id FROM pictures")),
            rewards,
            " ".join(_column(db, "PRAGMA integrity_check")),
            _events(db, "removed_events") if remembers else (),
            frozenset(_column(db, "SELECT task_id FROM gone")),
            dict(db.execute("SELECT channel, upto FROM trimmed")),
            _parts(db) if remembers else (),
            db.execute("SELECT token, begins FROM epochs ORDER BY begins, rowid").fetchall(),
            db.execute(LAST).fetchone()[0],
        )


def _events(db: sqlite3.Connection, table: str) -> list[Logged]:
    rows = db.execute(f"SELECT position, channel, data FROM {table} ORDER BY position")
    return [Logged(place, name, msgpack.unpackb(data)) for place, name, data in rows]


def _remembers(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'removed_scan'").fetchone()
    return found is not None


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


def _column(db: sqlite3.Connection, sql: str) -> Iterator[str]:
    return (value for (value,) in db.execute(sql))
