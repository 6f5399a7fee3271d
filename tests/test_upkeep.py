"""Backup, restore and the log by hand, on the data of a server: nothing is lost, at any moment."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest

from eco_actor import upkeep
from eco_actor.eventlog import Draft, Durability, StoreError
from eco_actor.eventlog.connecting import STAGED
from eco_actor.eventlog.copying import beside
from eco_actor.eventlog.database import Database, Item
from eco_actor.upkeep import (
    DATABASE,
    Meter,
    backup,
    channel_of,
    replaced_ones,
    restore,
    tell_events,
)
from tests.eventlog.files_of_logs import count, of_version_1
from tests.restoring import NEW, OLD, backup_of_another, data_of_a_killed_server, quiet, started


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return data_of_a_killed_server(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return backup_of_another(tmp_path)


# ---- backup


@pytest.mark.parametrize(
    "name", [DATABASE, f"{DATABASE}-wal", f"{DATABASE}.restore", "operator-token"]
)
def test_a_backup_never_takes_the_place_of_what_a_server_needs(data_dir: Path, name: str) -> None:
    """Not by force either."""
    with pytest.raises(StoreError, match="the server needs that name"):
        backup(data_dir, data_dir / name, quiet, force=True)
    assert count(data_dir / DATABASE) == OLD


def test_a_database_that_is_a_link_is_backed_up_and_restored_where_it_leads(
    tmp_path: Path, data_dir: Path
) -> None:
    """As SQLite sees it: the files that belong to it are there."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / DATABASE).symlink_to(data_dir / DATABASE)
    assert backup(linked, tmp_path / "copy.db", quiet).position == OLD
    restored = restore(linked, tmp_path / "copy.db", quiet)
    assert restored.replaced == data_dir / f"{DATABASE}.replaced-1"
    assert [*linked.iterdir()] == [linked / DATABASE]
    assert started(data_dir) == (OLD, 2)


# ---- restore


def test_a_restore_replaces_and_keeps_what_was_there(data_dir: Path, file: Path) -> None:
    """The next start begins an epoch on the backup; the one of before is whole, beside it."""
    restored = restore(data_dir, file, quiet)
    assert restored.replaced == data_dir / f"{DATABASE}.replaced-1"
    assert sorted(each.name for each in data_dir.iterdir()) == [
        DATABASE, f"{DATABASE}.replaced-1", f"{DATABASE}.replaced-1-wal",
    ]  # fmt: skip
    assert count(restored.replaced) == OLD
    assert started(data_dir) == (NEW, 2)
    assert count(file) == NEW


def test_what_was_replaced_can_be_restored(data_dir: Path, file: Path) -> None:
    """With its newest events, which lie beside it: a restore of the wrong file is undone."""
    first = restore(data_dir, file, quiet).replaced
    assert first is not None
    second = restore(data_dir, first, quiet).replaced
    assert second == data_dir / f"{DATABASE}.replaced-2"
    assert [one.name for one, _ in replaced_ones(data_dir)] == [first.name, second.name]
    assert all(size > 4096 for _, size in replaced_ones(data_dir))
    assert started(data_dir) == (OLD, 2)


def test_a_restore_needs_no_database_there(tmp_path: Path, file: Path) -> None:
    """On a new machine, nothing is replaced."""
    data_dir = tmp_path / "new"
    data_dir.mkdir()
    assert restore(data_dir, file, quiet).replaced is None
    assert started(data_dir) == (NEW, 2)


@pytest.mark.parametrize("spoilt", [DATABASE, f"{DATABASE}-wal"])
def test_a_damaged_database_does_not_keep_anybody_from_a_restore(
    data_dir: Path, file: Path, spoilt: str
) -> None:
    """It is put aside, as it is, without a look into it."""
    (data_dir / spoilt).write_bytes(b"spoilt" * 1000)
    replaced = restore(data_dir, file, quiet).replaced
    assert replaced is not None
    aside = beside(replaced, spoilt.removeprefix(DATABASE))
    assert aside.read_bytes() == b"spoilt" * 1000
    assert started(data_dir) == (NEW, 2)


def test_a_log_whose_database_is_gone_does_not_meet_the_new_one(data_dir: Path, file: Path) -> None:
    """Nor is it taken for that of another one that was put aside."""
    (data_dir / DATABASE).unlink()
    assert restore(data_dir, file, quiet).replaced is None
    assert started(data_dir) == (NEW, 2)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
def test_what_is_no_backup_touches_nothing(data_dir: Path, tmp_path: Path, content: bytes) -> None:
    """The present database stays, and is not even put aside."""
    (tmp_path / "backup.db").write_bytes(content)
    before = {each.name for each in data_dir.iterdir()}
    with pytest.raises(StoreError, match=r"backup\.db"):
        restore(data_dir, tmp_path / "backup.db", quiet)
    assert {each.name for each in data_dir.iterdir()} == before
    assert started(data_dir)[0] == OLD


def test_a_restore_after_one_that_was_cut_short_brings_that_to_its_end_first(
    data_dir: Path, file: Path
) -> None:
    """Nothing is lost by trying again: both databases of before are kept."""
    shutil.copy(file, beside(data_dir / DATABASE, STAGED))
    restore(data_dir, file, quiet)
    assert [count(one) for one, _ in replaced_ones(data_dir)] == [OLD, NEW]
    assert started(data_dir) == (NEW, 2)


def test_the_database_itself_is_no_backup(data_dir: Path) -> None:
    """It would be put aside for its own copy."""
    with pytest.raises(StoreError, match="the database itself"):
        restore(data_dir, data_dir / DATABASE, quiet)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_whom_the_database_did(data_dir: Path, file: Path) -> None:
    """Else the server could not write it."""
    os.chown(data_dir / DATABASE, 65534, 65534)
    restore(data_dir, file, quiet)
    assert (data_dir / DATABASE).stat().st_uid == 65534


# ---- the log, by hand


def written(data_dir: Path, channel: str, events: int) -> None:
    database = Database(data_dir / DATABASE, Durability.FULL, ())
    draft = Draft(channel, {"n": "é"}, at_ms=7, key="k")
    for _ in range(events):
        database.commit([Item([draft], [b"\x81\xa1n\xa2\xc3\xa9"], ())])
    database.close()


def told_of(data_dir: Path, channel: str) -> tuple[list[str], list[str]]:
    said, noted = list[str](), list[str]()
    assert tell_events(data_dir, channel, said.append, noted.append) == len(said)
    return said, noted


@pytest.mark.parametrize("events", [1, upkeep.PAGE, upkeep.PAGE + 1, 3 * upkeep.PAGE])
def test_each_event_is_a_line_with_its_place(data_dir: Path, events: int) -> None:
    """In order, whatever pages they fill, and those of other channels are not among them."""
    written(data_dir, "app:b", events)
    said, noted = told_of(data_dir, "app:b")
    assert noted == []
    assert [json.loads(line)["position"] for line in said] == [*range(OLD + 1, OLD + events + 1)]
    first = json.loads(said[0])
    assert first["cursor"].endswith(f"-{OLD + 1:x}")
    assert (first["at_ms"], first["key"], first["data"]) == (7, "k", {"n": "é"})
    assert "é" in said[0]
    assert len(told_of(data_dir, "app:a")[0]) == OLD


def test_what_is_not_in_the_log_is_said(data_dir: Path) -> None:
    """An unknown channel, and the trimmed part of a known one."""
    assert told_of(data_dir, "scan:x") == ([], [f"{data_dir / DATABASE} knows no scan:x"])
    database = Database(data_dir / DATABASE, Durability.FULL, ())
    database.connection.execute("DELETE FROM events WHERE position <= 4")
    database.connection.execute("INSERT INTO trimmed VALUES ('app:a', 4)")
    database.close()
    said, noted = told_of(data_dir, "app:a")
    assert len(said) == OLD - 4
    assert noted == ["what app:a had up to position 4 is trimmed"]


def test_a_scan_that_retention_removed_is_told_from_one_that_never_was(data_dir: Path) -> None:
    """As its address tells it for a while."""
    database = Database(data_dir / DATABASE, Durability.FULL, ())
    database.connection.execute("CREATE TABLE gone (task_id TEXT PRIMARY KEY, at_ms INTEGER)")
    database.connection.execute("INSERT INTO gone VALUES ('x', 1)")
    database.close()
    ((note,), (other,)) = (told_of(data_dir, f"scan:{name}")[1] for name in "xy")
    assert "any more" in note
    assert "knows no" in other


def test_data_of_an_older_version_says_how_to_read_it(tmp_path: Path) -> None:
    """It is not brought to this one by a look."""
    of_version_1(tmp_path / DATABASE, 3)
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="version 1: starting the server once"):
        tell_events(tmp_path, "app:b", print, print)
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "channel"), [("abc", "scan:abc"), ("app:x", "app:x"), ("scan:abc", "scan:abc")]
)
def test_a_task_is_named_by_its_id_and_a_channel_in_full(name: str, channel: str) -> None:
    """A task id has no colon."""
    assert channel_of(name) == channel


# ---- how far it is


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_copy_that_is_quick_says_nothing_but_on_a_terminal() -> None:
    """Elsewhere it begins after two seconds, a line now and then."""
    clock = [0.0]
    stream, terminal = io.StringIO(), Terminal()
    meters = [Meter("backup", each, lambda: clock[0]) for each in (stream, terminal)]
    for second in range(10):
        clock[0] = second
        for meter in meters:
            meter(second, 10)
    for meter in meters:
        meter.end()
    assert stream.getvalue() == "backup: 20 % of 10 pages\nbackup: 70 % of 10 pages\n"
    assert terminal.getvalue().count("\r") == 10
    assert terminal.getvalue().endswith("90 % of 10 pages\n")
