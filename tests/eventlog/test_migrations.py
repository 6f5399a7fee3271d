"""Data of older versions: it is brought to this one with everything in it, or left as it was."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from eco_actor.eventlog import (
    Draft,
    Durability,
    EventLog,
    SqliteStore,
    Statement,
    StoreError,
    Tables,
    Write,
    schema,
)
from eco_actor.eventlog.schema import APPLICATION_ID, MIGRATIONS, VERSION
from tests.eventlog.old_files import LOG, THINGS_BEFORE, content, shape, write

BROKEN = "CREATE TABLE events (again)"

ADD = Statement("INSERT INTO things (name, size) VALUES ", "(?,?)")

FIRST = ("CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY)",)
LATER = (
    ("ALTER TABLE things ADD COLUMN size INTEGER", "CREATE TABLE more (x)"),
    ("UPDATE things SET size = 7 WHERE size IS NULL", "CREATE INDEX by_size ON things (size)"),
)
THINGS = Tables("things", (FIRST, *LATER), (ADD,))
OTHERS = Tables("others", (("CREATE TABLE others (x)",),), ())

Packages = Sequence[Tables]


async def opened(path: Path, packages: Packages = ()) -> EventLog:
    log = EventLog(SqliteStore(path, Durability.FULL, packages))
    await log.open()
    return log


async def pass_through(path: Path, packages: Packages = ()) -> None:
    await (await opened(path, packages)).close()


async def refusal(path: Path, packages: Packages = ()) -> str:
    """The reason for which the file is not opened."""
    with pytest.raises(StoreError) as caught:
        await opened(path, packages)
    return caught.value.reason


@pytest.mark.parametrize("version", LOG)
async def test_data_of_every_earlier_version_is_read_and_goes_on(
    tmp_path: Path, version: int
) -> None:
    """Events, marks, epoch and positions are as they were; new events may have a key."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write, path, LOG[version])
    log = await opened(path)
    head = 5 if version >= 2 else 3  # what was trimmed had a position
    assert (log.head, str(log.cursor(3))) == (head, "abc123-3")
    events = (await log.page(["scan:a", "app:b"], 0)).events
    key = "k" if version >= 2 else None
    assert [(e.position, e.channel, e.at_ms, e.data["n"], e.key) for e in events] == [
        (1, "scan:a", 5, 1, None),
        (2, "app:b", 6, 2, key),
        (3, "scan:a", 7, 3, None),
    ]
    assert [(e.opens, e.terminal, e.final) for e in events] == [
        (True, False, False),
        (False, False, False),
        (False, True, True),
    ]
    assert log.resume("app:b", "abc123-1", 0).position == 1
    assert log.trimmed("app:t") == (5 if version >= 2 else 0)
    await log.commit([Draft("app:b", {}, 8, key="new")])
    await log.close()
    log = await opened(path)
    (_, event) = (await log.page(["app:b"], 0)).events
    assert (event.position, event.key) == (head + 1, "new")
    await log.close()


@pytest.mark.parametrize("version", LOG)
async def test_a_migrated_file_is_like_a_new_one(tmp_path: Path, version: int) -> None:
    """The same tables, columns, indexes, versions and id, with and without tables of packages."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    await asyncio.to_thread(write, old, LOG[version], THINGS_BEFORE)
    for path in (old, new):
        await pass_through(path, [THINGS, OTHERS])
    assert shape(old) == shape(new)
    assert shape(new)[:2] == (VERSION, APPLICATION_ID)
    assert VERSION == len(MIGRATIONS) == max(LOG) + 1


async def test_opening_a_file_of_this_version_again_changes_nothing_of_its_tables(
    tmp_path: Path,
) -> None:
    """Each step is done once."""
    path = tmp_path / "log.db"
    await pass_through(path, [THINGS])
    before = shape(path)
    await pass_through(path, [THINGS])
    assert shape(path) == before


HALF_WAY = [
    (start, step, good)
    for start in (0, *LOG)
    for step in range(start, len(MIGRATIONS))
    for good in range(len(MIGRATIONS[step]) + 1)
    if start or step or good  # the events that break it are there
]


@pytest.mark.parametrize(("start", "step", "good"), HALF_WAY)
async def test_a_migration_that_fails_half_way_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, step: int, good: int
) -> None:
    """Whatever of it had been done: the file is of the old version, and can be migrated later."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write, path, LOG.get(start, ""))
    before = content(path)
    with monkeypatch.context() as patched:
        broken = (*MIGRATIONS[:step], (*MIGRATIONS[step][:good], BROKEN))
        patched.setattr(schema, "MIGRATIONS", broken)
        assert "already exists" in await refusal(path, [THINGS])
    assert content(path) == before
    await pass_through(path, [THINGS])
    assert shape(path)[0] == VERSION


@pytest.mark.parametrize("version", LOG)
@pytest.mark.parametrize("upto", [0, 1, 2, 3])
async def test_a_step_of_a_package_that_fails_changes_nothing(
    tmp_path: Path, version: int, upto: int
) -> None:
    """Not even of the log's own: all of it is one transaction."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write, path, LOG[version], THINGS_BEFORE)
    before = content(path)
    steps = (*THINGS.migrations[:upto], ("CREATE TABLE half (x)", BROKEN))
    assert "already exists" in await refusal(path, [OTHERS, Tables("things", steps, ())])
    assert content(path) == before
    await pass_through(path, [OTHERS, THINGS])


@pytest.mark.parametrize("upto", [1, 2])
async def test_a_package_goes_on_from_the_version_that_it_has(tmp_path: Path, upto: int) -> None:
    """Only the steps behind it are done; its rows are kept."""
    path = tmp_path / "log.db"
    log = await opened(path, [Tables("things", THINGS.migrations[:upto], (ADD,))])
    if upto > 1:
        await log.commit([], [Write(ADD, ("kept", None))])
    await log.close()
    assert ("things", upto) in shape(path)[2]
    log = await opened(path, [THINGS])
    assert await log.query("SELECT name, size FROM things") == ([("kept", 7)] if upto > 1 else [])
    await log.commit([], [Write(ADD, ("new", 1))])
    await log.close()
    assert ("things", 3) in shape(path)[2]


@pytest.mark.parametrize("version", LOG)
async def test_tables_from_before_packages_had_versions_keep_their_rows(
    tmp_path: Path, version: int
) -> None:
    """The first step finds them there, and the later ones change them."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write, path, LOG[version], THINGS_BEFORE)
    log = await opened(path, [THINGS])
    assert await log.query("SELECT name, size FROM things") == [("old", 7)]
    await log.close()


async def test_a_package_may_come_later_and_go_again(tmp_path: Path) -> None:
    """Its tables are made in a file that is there; without it they are left as they are."""
    path = tmp_path / "log.db"
    log = await opened(path, [THINGS])
    await log.commit([Draft("app:a", {}, 1)], [Write(ADD, ("kept", 1))])
    await log.close()
    await pass_through(path, [THINGS, OTHERS])
    assert {("things", 3), ("others", 1)} <= set(shape(path)[2])
    await pass_through(path, [OTHERS])
    log = await opened(path, [OTHERS, THINGS])
    assert await log.query("SELECT name FROM things") == [("kept",)]
    assert log.head == 1
    await log.close()


NEWER_LOG = f"PRAGMA user_version={VERSION + 1};"
NEWER_THINGS = "UPDATE schemas SET version = 4 WHERE name = 'things';"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (NEWER_LOG, f"of version {VERSION + 1}, this program knows {VERSION}: use a newer one"),
        (NEWER_THINGS, "'things' is of version 4, this program knows 3: use a newer one"),
    ],
)
async def test_data_of_a_newer_version_is_refused_and_left_untouched(
    tmp_path: Path, script: str, reason: str
) -> None:
    """To the byte; the reason says what to do, and names the file."""
    path = tmp_path / "log.db"
    await pass_through(path, [THINGS])
    await asyncio.to_thread(write, path, script)
    before = path.read_bytes()
    told = await refusal(path, [OTHERS, THINGS])
    assert told.startswith(f"{path}: ")
    assert reason in told
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["log.db"]


FOREIGN = {
    "any table": "CREATE TABLE notes (x);",
    "a table of that name": "CREATE TABLE events (x); PRAGMA user_version=1;",
    "our tables without a version": LOG[2] + "PRAGMA user_version=0;",
    "our tables without an id": LOG[2] + f"PRAGMA user_version={VERSION};",
    "another id": LOG[2] + f"PRAGMA user_version={VERSION}; PRAGMA application_id=77;",
}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
async def test_the_database_of_another_program_is_refused_and_left_untouched(
    tmp_path: Path, script: str, mode: str
) -> None:
    """To the byte, with no file beside it."""
    path = tmp_path / "log.db"
    await asyncio.to_thread(write, path, script, mode=mode)
    before = path.read_bytes()
    assert "of another program: pick another data directory" in await refusal(path, [THINGS])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["log.db"]


async def test_a_file_of_ours_has_our_id_before_anything_is_in_it(tmp_path: Path) -> None:
    """So that the next program can tell whose it is."""
    path = tmp_path / "log.db"
    path.touch()
    await pass_through(path)
    assert content(path)[:2] == (VERSION, APPLICATION_ID)
