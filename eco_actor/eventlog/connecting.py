"""Opening the file of a database: to write it, to read it, and why it could not be opened."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from eco_actor.eventlog.faults import DAMAGED, READ_ONLY, fault_of
from eco_actor.eventlog.schema import check_ours
from eco_actor.eventlog.store import StoreError, Tables

STAGED: Final = ".restore"
"""Ends the name of a database that is whole, checked, and to take the place of the present one."""

CHECKED: Final = 64 << 20
"""Bytes up to which a database whose process did not end in order is read whole before it is used:
some tenths of a second, a few seconds on an SD card. Larger ones are for `doctor`."""

LOCK_S: Final = 2.0
"""Seconds that a write waits for the lock of another program."""


def inspect(path: Path, packages: Sequence[Tables]) -> sqlite3.Connection | None:
    """Look at the file without changing anything.

    Where there is a write-ahead log the connection is returned: as long as it is open, another one
    that closes leaves the log as it is. StoreError, sqlite3.Error: the file is damaged, foreign or
    newer, or about to be replaced.
    """
    if path.with_name(path.name + STAGED).exists():
        raise StoreError("a restore was cut short: start the server, or restore again")
    logged = _size(path.with_name(f"{path.name}-wal"))
    size = _size(path)
    if not size:
        if logged:
            raise StoreError(DAMAGED.reason)  # SQLite would drop what the log has
        return None
    if not os.access(path, os.W_OK):
        raise StoreError(READ_ONLY.reason)  # SQLite would leave an empty log beside it
    pages = _pages_in_header(path)
    how = "mode=ro" if logged else "immutable=1"  # which makes no further files
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=LOCK_S)
    try:
        version = check_ours(db, packages)
        # It may rightly be short of pages, where a checkpoint was cut off, but only of those that
        # the write-ahead log has.
        short = logged and size < pages * _page_size(db)
        cut_off = version and db.execute("SELECT 1 FROM opened").fetchone() is not None
        if short or (cut_off and size + logged <= CHECKED):
            ((found,), *_) = db.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise StoreError(DAMAGED.reason)
    except BaseException:
        db.close()
        raise
    if logged:
        return db
    db.close()
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _page_size(db: sqlite3.Connection) -> int:
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(size)


def _pages_in_header(path: Path) -> int:
    """How many pages the file says that it has.

    Not while a connection is open: closing the file takes the locks along that SQLite has on it.
    """
    with path.open("rb") as file:
        return int.from_bytes(file.read(32)[28:], "big")


def open_database(path: Path | None) -> sqlite3.Connection:
    """The connection that writes; None: in memory. The file is made when there is none.

    Nothing else in this process may ever open that file and close it again: all locks on it would
    go, SQLite would not know, and another program could take the log away. OSError, sqlite3.Error.
    """
    if path is None:
        return _connect(":memory:")
    # What people asked is nobody else's business; SQLite gives its other files the same mode.
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return _connect(str(path))


def _connect(path: str, *, uri: bool = False) -> sqlite3.Connection:
    # autocommit: transactions are begun by hand; the thread that uses it is not always its maker
    db = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=LOCK_S, uri=uri
    )
    db.execute("PRAGMA temp_store=MEMORY")  # no files but its own
    return db


def sync_folder(folder: Path) -> None:
    """A new file survives a loss of power once its folder does, too."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # not ours to read: whoever made it has seen to it
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def refused(path: Path | None, error: BaseException) -> BaseException:
    """What to raise when the database could not be opened."""
    where = path or "memory"
    if isinstance(error, StoreError):
        return StoreError(f"{where}: {error.reason}")
    if isinstance(error, OSError):
        return StoreError(f"{where}: {error.strerror or error}")
    if not isinstance(error, sqlite3.Error):
        return error
    fault = fault_of(error)
    return StoreError(f"{where}: {fault.reason if fault is not None else error}")


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for pages and queries."""
    db = _connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)  # it must not make one
    db.execute("PRAGMA query_only=ON")
    return db
