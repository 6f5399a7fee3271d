"""Reading a log beside its server and copying it: nothing of it is changed, a copy is whole."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability, StoreError, copying
from eco_actor.eventlog.copying import Copied, consult, copy_database
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.schema import VERSION
from tests.eventlog.files_of_logs import COUNT, add, closed, count, left, of_version_1
from tests.web.serving import ROOT


def files(folder: Path) -> dict[str, bytes]:
    """What is in a folder; not the index of a log, which whoever looks at one may write."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.suffix != ".db-shm"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.mark.parametrize("make", [closed, left])
def test_reading_changes_nothing(folder: Path, make: Callable[[Path, int], Path]) -> None:
    """No file is made and none is written, be it a closed log or one that a kill has left."""
    path = make(folder / "log.db", 20)
    before = files(folder)
    names = {each.name for each in folder.iterdir()}
    assert count(path) == 20
    assert files(folder) == before
    assert {each.name for each in folder.iterdir()} == names


def test_what_is_read_cannot_be_written(folder: Path) -> None:
    """The connection refuses, whoever holds it."""
    path = closed(folder / "log.db", 1)
    with pytest.raises(StoreError, match="readonly"):
        consult(path, lambda db: db.execute("DELETE FROM events"))
    assert count(path) == 1


def test_a_log_in_use_is_read_up_to_its_last_commit(folder: Path) -> None:
    """Beside the connection that writes, again and again."""
    database = Database(folder / "log.db", Durability.FULL, ())
    for n in range(3):
        assert count(folder / "log.db") == n
        add(database, 1)
    database.close()


def test_a_server_that_starts_meanwhile_makes_it_read_again(folder: Path) -> None:
    """A closed file is not locked: what was read while it changed does not count."""
    path, counts = closed(folder / "log.db", 1), list[int]()

    def query(db: sqlite3.Connection) -> int:
        counts.append(db.execute(COUNT).fetchone()[0])
        if len(counts) == 1:
            closed(path, 1)
        return counts[-1]

    assert consult(path, query) == 2
    assert counts == [1, 2]


def test_a_failure_over_a_file_that_changes_is_tried_again(folder: Path) -> None:
    """It may be of the change."""
    path, tries = closed(folder / "log.db", 1), list[int]()

    def query(db: sqlite3.Connection) -> int:
        tries.append(1)
        if len(tries) == 1:
            closed(path, 1)
            raise sqlite3.DatabaseError("database disk image is malformed")
        return int(db.execute(COUNT).fetchone()[0])

    assert consult(path, query) == 2


def test_a_file_that_is_replaced_all_the_time_is_given_up(folder: Path) -> None:
    """Not tried for ever."""
    path, other = closed(folder / "log.db", 1), closed(folder / "other.db", 1)

    def query(db: sqlite3.Connection) -> None:
        shutil.copy(other, folder / "new.db")
        (folder / "new.db").replace(path)

    with pytest.raises(StoreError, match=r"log\.db: it is replaced again and again"):
        consult(path, query)


@pytest.mark.parametrize("make", [closed, left])
def test_a_copy_is_one_whole_file_for_its_owner(
    folder: Path, tmp_path: Path, make: Callable[[Path, int], Path]
) -> None:
    """All events, in a file that needs no other, readable by nobody else."""
    path, copy = make(folder / "log.db", 20), tmp_path / "copy.db"
    before = files(folder)
    assert copy_database(path, copy) == Copied(copy.stat().st_size, 20, VERSION)
    assert count(copy) == 20
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "data"]
    assert files(folder) == before


def test_who_goes_on_from_a_copy_begins_an_epoch(folder: Path, tmp_path: Path) -> None:
    """What the original gives out later and what the copy does are told apart by it."""
    copy_database(closed(folder / "log.db", 3), tmp_path / "copy.db")
    epochs = []
    for path in (folder / "log.db", tmp_path / "copy.db"):
        database = Database(path, Durability.FULL, ())
        epochs.append([*database.epochs])
        database.close()
    assert len(epochs[0]) == 1
    assert epochs[1][0] == epochs[0][0]
    assert [begins for _, begins in epochs[1]] == [1, 4]


def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, beside a connection that writes between any two of them."""
    monkeypatch.setattr(copying, "STEP", 1)
    database, told = Database(folder / "log.db", Durability.FULL, ()), list[tuple[int, int]]()
    add(database, 30)

    def progress(done: int, pages: int) -> None:
        told.append((done, pages))
        add(database, 1)

    copied = copy_database(folder / "log.db", tmp_path / "copy.db", progress, thorough=True)
    assert (copied.position, count(tmp_path / "copy.db")) == (30, 30)
    assert [done for done, _ in told] == [*range(1, len(told) + 1)]
    assert {pages for _, pages in told} == {len(told)}
    assert count(folder / "log.db") == 30 + len(told)
    database.close()


def test_data_of_an_older_version_is_copied_as_it_is(folder: Path, tmp_path: Path) -> None:
    """It is brought to this version by whoever starts on it, not by the copy."""
    of_version_1(folder / "log.db", 3)
    assert copy_database(folder / "log.db", tmp_path / "copy.db").version == 1
    database = Database(tmp_path / "copy.db", Durability.FULL, ())
    assert (database.position, len(database.epochs)) == (3, 2)
    database.close()


# ---- without the right to write


NOBODY = 65534

AS_NOBODY = """
import os, sys
from contextlib import closing
from pathlib import Path
from eco_actor.eventlog import StoreError
from eco_actor.eventlog.copying import consult
os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print(consult(Path(sys.argv[1]), lambda db: db.execute("SELECT count(*) FROM events").fetchone()[0]))
except StoreError as error:
    print(error.reason)
"""  # noqa: E501


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may read and nobody but its owner may write."""
    made = Path(tempfile.mkdtemp())  # where those of pytest are is nobody else's business
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def read_as_nobody(path: Path) -> str:
    for file in path.parent.iterdir():
        file.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("make", [closed, left])
def test_a_folder_that_cannot_be_written_can_be_read(
    public: Path, make: Callable[[Path, int], Path]
) -> None:
    """By somebody else than the server's user, too."""
    assert read_as_nobody(make(public / "log.db", 7)) == "7"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_log_without_its_index_says_what_to_do_where_none_can_be_made(public: Path) -> None:
    """Both files are to be copied to where one can."""
    path = left(public / "log.db", 7)
    copying.beside(path, "-shm").unlink()
    assert "copy both files elsewhere" in read_as_nobody(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_may_not_be_read_is_named(public: Path) -> None:
    """Permission denied, not a riddle of SQLite."""
    path = closed(public / "log.db", 7)
    hidden = AS_NOBODY.replace("import os, sys", "import os, sys; os.chmod(sys.argv[1], 0o600)")
    done = subprocess.run(
        [sys.executable, "-c", hidden, str(path)], capture_output=True, text=True, cwd=ROOT,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"{path}: permission denied"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_copy_can_be_made_for_somebody_else(folder: Path, tmp_path: Path) -> None:
    """The server's user has to be able to write what is restored for it."""
    copy_database(closed(folder / "log.db", 1), tmp_path / "copy.db", owner=(NOBODY, NOBODY))
    status = (tmp_path / "copy.db").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
