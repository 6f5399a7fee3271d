"""What stands in the way of a copy: it is named, and nothing is left behind."""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from eco_actor.eventlog import StoreError, copying
from eco_actor.eventlog.copying import consult, copy_database
from eco_actor.eventlog.schema import VERSION
from tests.eventlog.files_of_logs import COUNT, closed, count, left
from tests.web.serving import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


def empty(path: Path) -> None:
    path.touch()


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    closed(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")


def nonsense(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


def test_a_log_that_is_replaced_meanwhile_is_read_again(folder: Path) -> None:
    """With its newest events beside it, too: what was read of two files does not count."""
    path, other, counts = left(folder / "log.db", 1), left(folder / "other.db", 3), list[int]()

    def query(db: sqlite3.Connection) -> int:
        counts.append(db.execute(COUNT).fetchone()[0])
        if len(counts) == 1:
            for ending in ("", "-wal", "-shm"):
                copying.beside(other, ending).replace(copying.beside(path, ending))
        return counts[-1]

    assert consult(path, query) == 3
    assert counts == [1, 3]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "there is no such database"),
        (Path.mkdir, "it is no file"),
        (empty, "it is empty"),
        (nonsense, "it is no database"),
        (foreign, "another program"),
        (newer, f"version {VERSION + 1}.*newer"),
    ],
    ids=["missing", "folder", "empty", "nonsense", "foreign", "newer"],
)
def test_what_is_no_log_of_ours_is_named_and_not_copied(
    folder: Path, tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    """StoreError with the file's name and the reason, and nothing is made."""
    make(folder / "log.db")
    with pytest.raises(StoreError, match=rf"log\.db: .*{told}"):
        copy_database(folder / "log.db", tmp_path / "copy.db")
    assert os.listdir(tmp_path) == ["data"]


def check_nothing_made(folder: Path) -> None:
    assert [name for name in os.listdir(folder) if name != "data"] == []


@pytest.mark.parametrize("where", ["nowhere/copy.db", "taken/copy.db"])
def test_a_copy_to_a_folder_that_is_none_is_refused(
    folder: Path, tmp_path: Path, where: str
) -> None:
    """It is not made: it may be a typing error."""
    path = closed(folder / "log.db", 1)
    (tmp_path / "taken").touch()
    with pytest.raises(StoreError, match="there is no such directory"):
        copy_database(path, tmp_path / where)
    (tmp_path / "taken").unlink()
    check_nothing_made(tmp_path)


def test_a_file_that_exists_is_replaced_only_by_force(folder: Path, tmp_path: Path) -> None:
    """Else it stays as it is; a folder stays in any case."""
    path, copy = closed(folder / "log.db", 2), tmp_path / "copy.db"
    copy.write_text("precious")
    with pytest.raises(StoreError, match=r"copy\.db: it exists already: --force"):
        copy_database(path, copy)
    assert copy.read_text() == "precious"
    copy_database(path, copy, force=True)
    assert count(copy) == 2
    with pytest.raises(StoreError, match="data: it is no file"):
        copy_database(path, folder, force=True)


def test_a_file_that_comes_up_meanwhile_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    """Without force, whoever made it keeps it."""
    path, copy = closed(folder / "log.db", 2), tmp_path / "copy.db"
    with pytest.raises(StoreError, match="exists already"):
        copy_database(path, copy, lambda done, pages: copy.touch())
    assert copy.read_bytes() == b""
    assert not copying.beside(copy, ".part").exists()


def test_what_a_copy_that_was_killed_has_left_is_no_obstacle(folder: Path, tmp_path: Path) -> None:
    """It is overwritten, though it is longer."""
    path, copy = closed(folder / "log.db", 2), tmp_path / "copy.db"
    copying.beside(copy, ".part").write_bytes(b"left" * 100_000)
    copy_database(path, copy)
    assert count(copy) == 2
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "data"]


def test_two_copies_to_one_file_do_not_meet(folder: Path, tmp_path: Path) -> None:
    """The second is refused, and does not disturb the first."""
    path, copy = closed(folder / "log.db", 2), tmp_path / "copy.db"
    part = copying.beside(copy, ".part")
    with part.open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another copy to there is under way"):
            copy_database(path, copy)
    assert part.exists()


def test_a_damaged_database_is_not_copied(folder: Path, tmp_path: Path) -> None:
    """What is copied is looked through; of a bad copy nothing is left."""
    path = closed(folder / "log.db", 50)
    content = bytearray(path.read_bytes())
    content[20 * 4096 : 30 * 4096] = bytes(10 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"log\.db: it is damaged"):
        copy_database(path, tmp_path / "copy.db")
    check_nothing_made(tmp_path)


def test_an_index_that_lacks_a_row_is_found_when_it_is_looked_for(
    folder: Path, tmp_path: Path
) -> None:
    """Thorough is for what a server is to go on with."""
    path = closed(folder / "log.db", 5)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, '(channel)', '(channel DESC, key)')"
                   " WHERE name = 'events_by_channel'")  # fmt: skip
        db.commit()
    with pytest.raises(StoreError, match="damaged"):
        copy_database(path, tmp_path / "copy.db", thorough=True)
    check_nothing_made(tmp_path)
    copy_database(path, tmp_path / "copy.db")


def test_a_copy_that_would_fill_the_disk_is_not_begun(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may need the room; the reason says how much there is."""
    path = closed(folder / "log.db", 5)
    monkeypatch.setattr(copying, "SPARE", 1 << 60)
    with pytest.raises(StoreError, match=r"needs \d+ MiB there, \d+ MiB are free"):
        copy_database(path, tmp_path / "copy.db")
    check_nothing_made(tmp_path)


FULL = """
import resource, signal, sys
from pathlib import Path
from eco_actor.eventlog import StoreError
from eco_actor.eventlog.copying import copy_database
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    copy_database(Path(sys.argv[1]), Path(sys.argv[2]))
except StoreError as error:
    sys.exit(f"told: {error.reason}")
"""
"""A process whose files cannot grow beyond 64 KiB: its writes fail in the middle of a copy."""


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    """One reason, no half file; an older copy stays what it was."""
    path, copy = closed(folder / "log.db", 50), tmp_path / "copy.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(copy)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.stderr.startswith("told: "), done.stderr
    check_nothing_made(tmp_path)


def test_an_interrupted_copy_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C is no error of the copy, and goes on as it is."""

    def interrupt(done: int, pages: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(closed(folder / "log.db", 2), tmp_path / "copy.db", interrupt)
    check_nothing_made(tmp_path)
