"""What is the storage's fault and what is the data's, by errors of a real SQLite."""

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eco_actor.eventlog.faults import DAMAGED, FAULTS, REPLACED, FileReplaced, fault_of

BIG = "INSERT INTO t VALUES (zeroblob(100000))"


def connect(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=0, uri=uri)


def database(folder: Path) -> sqlite3.Connection:
    db = connect(folder / "log.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE t (x UNIQUE)")
    return db


def full(folder: Path) -> None:
    db = database(folder)
    db.execute("PRAGMA max_page_count=4")
    db.execute(BIG)


def query_only(folder: Path) -> None:
    db = database(folder)
    db.execute("PRAGMA query_only=ON")
    db.execute(BIG)


def opened_read_only(folder: Path) -> None:
    database(folder).close()
    connect(f"file:{folder}/log.db?mode=ro", uri=True).execute(BIG)


def busy(folder: Path) -> None:
    other = database(folder)
    other.execute("BEGIN IMMEDIATE")
    connect(folder / "log.db").execute(BIG)


def locked(folder: Path) -> None:
    name = "file:locked?mode=memory&cache=shared"
    one, other = connect(name, uri=True), connect(name, uri=True)
    one.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    other.execute(BIG)
    one.execute("SELECT * FROM t")


def no_folder(folder: Path) -> None:
    connect(folder / "nowhere" / "log.db").execute("SELECT 1")


def damaged(folder: Path) -> None:
    database(folder).close()
    path = folder / "log.db"
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    connect(path).execute("SELECT * FROM t")


def truncated(folder: Path) -> None:
    db = database(folder)
    db.execute("INSERT INTO t VALUES (zeroblob(100000))")
    db.close()
    path = folder / "log.db"
    path.write_bytes(path.read_bytes()[:4096])
    connect(path).execute("SELECT * FROM t").fetchall()


def no_database(folder: Path) -> None:
    (folder / "log.db").write_bytes(b"something else entirely" * 100)
    connect(folder / "log.db").execute("SELECT * FROM t")


def input_output(folder: Path) -> None:
    db = database(folder)
    with largest_file(1 << 16):
        db.execute("INSERT INTO t VALUES (zeroblob(1000000))")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """This process cannot write behind *size* bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("provoke", "reason", "lasting"),
    [
        (full, "the disk is full", False),
        (query_only, "read-only", False),
        (opened_read_only, "read-only", False),
        (busy, "another program has locked", False),
        (locked, "another program has locked", False),
        (input_output, "the disk fails", False),
        (no_folder, "cannot be opened", False),
        (damaged, "damaged", True),
        (truncated, "damaged", True),
        (no_database, "damaged", True),
    ],
)
def test_what_is_wrong_with_the_storage_is_a_fault_with_a_reason(
    tmp_path: Path, provoke: Callable[[Path], None], reason: str, lasting: bool
) -> None:
    """In words, with SQLite's name behind them; only a damaged file does not get better."""
    with pytest.raises(sqlite3.Error) as caught:
        provoke(tmp_path)
    fault = fault_of(caught.value)
    assert fault is not None
    assert reason in fault.reason
    assert caught.value.sqlite_errorname.removeprefix("SQLITE_") in fault.reason
    assert fault.lasting is lasting


DATA = {
    "unique": "INSERT INTO t VALUES (1), (1)",
    "not null": "INSERT INTO n VALUES (NULL)",
    "check": "INSERT INTO n VALUES (-1)",
    "no such table": "INSERT INTO nowhere VALUES (1)",
    "no such column": "UPDATE t SET y = 1",
    "syntax": "INSERT IN t",
    "too big": "INSERT INTO t VALUES (zeroblob(2000))",
    "mismatch": "INSERT INTO n (rowid, x) VALUES ('a', 1)",
}


@pytest.mark.parametrize("sql", DATA.values(), ids=DATA)
def test_what_is_wrong_with_the_data_is_no_fault(tmp_path: Path, sql: str) -> None:
    """It is told to its owner alone."""
    db = database(tmp_path)
    db.execute("CREATE TABLE n (x INTEGER NOT NULL CHECK (x >= 0))")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(sqlite3.Error) as caught:
        db.execute(sql)
    assert fault_of(caught.value) is None


@pytest.mark.parametrize("given", [(), (object(),), (2**70,), (1, 2)])
def test_what_cannot_be_bound_is_no_fault(tmp_path: Path, given: tuple[object, ...]) -> None:
    """Nor is it an error of SQLite, always."""
    db = database(tmp_path)
    with pytest.raises((sqlite3.Error, OverflowError)) as caught:
        db.execute("INSERT INTO t VALUES (?)", given)
    assert fault_of(caught.value) is None


OUT_OF_MEMORY = """
import sqlite3
from eco_actor.eventlog.faults import fault_of

db = sqlite3.connect(":memory:", isolation_level=None)
db.execute("CREATE TABLE t (x)")
db.execute("PRAGMA hard_heap_limit=1000000")
try:
    db.execute("INSERT INTO t VALUES (zeroblob(900000000))")
except BaseException as error:
    print(fault_of(error))
"""


def test_a_lack_of_memory_is_a_fault() -> None:
    """Python tells it with an error of its own; in another process, whose limit is for good."""
    told = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, timeout=50
    )
    assert "no memory left" in told.stdout, told.stderr


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), OSError(116, "Stale handle")])
def test_a_file_that_cannot_be_looked_at_is_a_fault(error: OSError) -> None:
    """As when its disk was pulled out: that is nobody's data."""
    fault = fault_of(error)
    assert fault is not None
    assert not fault.lasting


def test_a_file_that_is_gone_is_a_fault_for_good() -> None:
    """What is written to it would be found by nobody."""
    assert fault_of(FileReplaced()) is REPLACED
    assert REPLACED.lasting


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), sqlite3.Error("without a code")])
def test_any_other_error_is_no_fault(error: Exception) -> None:
    """The item that it came from fails."""
    assert fault_of(error) is None


def test_every_extended_code_counts_as_its_primary_one() -> None:
    """Whatever SQLite says of the details, they are in the reason."""
    for name in dir(sqlite3):
        code = getattr(sqlite3, name)
        if not name.startswith("SQLITE_IOERR_") and not name.startswith("SQLITE_CORRUPT_"):
            continue
        error = sqlite3.OperationalError("it")
        error.sqlite_errorcode, error.sqlite_errorname = code, name
        fault = fault_of(error)
        assert fault is not None
        assert name.removeprefix("SQLITE_") in fault.reason
        assert fault.lasting == FAULTS[code & 0xFF].lasting == name.startswith("SQLITE_CORRUPT")
    assert DAMAGED.lasting
