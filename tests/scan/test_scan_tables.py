"""The tables of the scans: brought along from before, and never walked where few rows are meant."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from eco_actor.eventlog import Statement, Write
from eco_actor.scan import tables
from eco_actor.scan.options import Options
from eco_actor.scan.tables import ADD_REWARD, TABLES
from eco_actor.scan.task_id import TaskIds
from tests.scan.rig import GOOD, Rig, leave, open_log, tried
from tests.scan_world import NOW

BEFORE = """
CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,
 at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL, key TEXT);
CREATE INDEX events_by_channel ON events (channel);
CREATE TABLE epochs (begins INTEGER NOT NULL, token TEXT PRIMARY KEY);
CREATE TABLE opened (durability TEXT NOT NULL);
CREATE TABLE trimmed (channel TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX trimmed_by_upto ON trimmed (upto);
CREATE TABLE scans (task_id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL,
 options BLOB NOT NULL, finished INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX scans_unfinished ON scans (task_id) WHERE finished = 0;
CREATE TABLE pictures (task_id TEXT PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE rewards (task_id TEXT PRIMARY KEY, points INTEGER NOT NULL,
 character TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO epochs VALUES (1, 'abc123');
INSERT INTO opened VALUES ('full');
PRAGMA user_version=2;
"""
"""What a server of before scans had tries and an end left at a crash, without its rows."""


def write_before(path: Path, now: Path) -> None:
    """The rows of *now*, as far as there was a place for them then."""
    db = sqlite3.connect(path)
    db.executescript(BEFORE)
    db.execute("ATTACH ? AS now", (str(now),))
    for table in ("events", "scans", "pictures", "rewards"):
        names = ",".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
        db.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM now.{table}")
    db.commit()
    db.close()


async def test_scans_of_before_go_on_and_grow_old(tmp_path: Path) -> None:
    """What was unfinished is finished; what was over counts from its beginning."""
    now = open_log(tmp_path / "now.db")
    await now.open()
    over = await leave(now, *GOOD[1:])
    waiting = await leave(now, number=1)
    chosen = await leave(now, GOOD[1], number=2, picture=None)
    await now.close()
    await asyncio.to_thread(write_before, tmp_path / "log.db", tmp_path / "now.db")
    log = open_log(tmp_path / "log.db")
    await log.open()
    assert await tried(log, waiting) == (None, 0)
    rig = Rig(log)
    async with rig.running():
        await rig.finished([waiting, chosen])
        for task_id in (over, waiting, chosen):
            assert await rig.steps(task_id) == GOOD
        new = await rig.admission.submit(None, Options(category="glass"), keyed=True)
        await rig.finished([new])
    rows = {row[0]: row[1:] for row in await log.query(tables.OLDEST, ("", 9))}
    assert rows[over][:4] == (NOW, 1, 0, NOW)
    assert [rows[task_id][2] for task_id in (waiting, new)] == [0, 1]
    assert rows[new][3] >= rows[new][0]
    await log.close()


# The name of an option, and a byte that follows it where an id does: no text can be both.
TRAPS = ("revises", "after_scan", "\u00a7revises!", "after_scan\u0659!" + "x" * 40)


async def test_what_asked_again_before_is_of_the_thing_of_the_first_one(tmp_path: Path) -> None:
    """Servers of before did not keep whose thing a scan was of, but what it named; and they
    granted each scan its own reward. The first one has it now, if one of its thing was given.
    """
    now = open_log(tmp_path / "now.db")
    await now.open()
    ids = [await leave(now, *GOOD[1:4], number=n) for n in range(7 + len(TRAPS))]
    first, again, further, unsure, answer, orphan, other, *traps = ids
    gone = TaskIds().make(NOW - 1)
    named = {
        again: Options(revises=first),
        further: Options(category="glass", user_input="\u00a7", revises=again),
        answer: Options(category="glass", after_scan=unsure),
        orphan: Options(revises=gone),
    } | {task_id: Options(user_input=text) for task_id, text in zip(traps, TRAPS, strict=True)}
    for task_id in (first, further, answer, orphan, other):
        await now.commit([], [Write(ADD_REWARD, (task_id, 3, "iseul", NOW))])
    await now.close()

    def write() -> None:
        write_before(tmp_path / "log.db", tmp_path / "now.db")
        db = sqlite3.connect(tmp_path / "log.db")
        for task_id, options in named.items():
            packed = options.pack()
            db.execute("UPDATE scans SET options = ? WHERE task_id = ?", (packed, task_id))
        db.commit()
        db.close()

    await asyncio.to_thread(write)
    log = open_log(tmp_path / "log.db")
    await log.open()
    things = dict(await log.query("SELECT task_id, thing FROM scans WHERE thing IS NOT NULL"))
    assert things == {again: first, further: first, answer: unsure, orphan: gone}
    ledger = {task_id for (task_id,) in await log.query("SELECT task_id FROM rewards")}
    assert ledger == {first, further, unsure, orphan, other}
    await log.close()


READS = ("UNFINISHED", "UNFINISHED_SCAN", "OLDEST", "GONE", "OLDEST_GONE")


@pytest.fixture
def db() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.executescript(BEFORE.partition("CREATE TABLE scans")[0])
    for step in TABLES.migrations:
        for ddl in step:
            made.execute(ddl)
    return made


def plan(db: sqlite3.Connection, sql: str) -> list[str]:
    values = [None] * sql.count("?")
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("rows", [1, 64])
@pytest.mark.parametrize("number", range(len(TABLES.statements)))
def test_no_statement_walks_a_table(db: sqlite3.Connection, number: int, rows: int) -> None:
    """Each finds its rows by their key, one or a full batch of them."""
    statement: Statement = TABLES.statements[number]
    told = plan(db, statement.sql(rows))
    for table in ("scans", "pictures", "rewards", "gone", "events"):
        assert f"SCAN {table}" not in told
    if "UPDATE" in statement.head:
        assert "SEARCH scans USING PRIMARY KEY (task_id=?)" in told
    db.close()


@pytest.mark.parametrize("name", READS)
def test_no_look_walks_a_table(db: sqlite3.Connection, name: str) -> None:
    """What is read again and again begins at a key, and ends at a limit."""
    sql = getattr(tables, name)
    told = plan(db, sql)
    assert not [line for line in told if line.startswith("SCAN") and "LIMIT" not in sql]
    assert not [line for line in told if "TEMP B-TREE" in line]
    db.close()
