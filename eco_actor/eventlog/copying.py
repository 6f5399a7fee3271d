"""Reading the file of a log beside its server, and copying it: with connections that cannot write.

SQLite before 3.51.3 can corrupt a database when two connections write or checkpoint, so nothing
here does either to the file that it reads. Not for the process of the server itself: closing a file
takes the locks along that the process has on it.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from eco_actor.eventlog.connecting import sync_folder
from eco_actor.eventlog.pages import LAST
from eco_actor.eventlog.schema import VERSION, check_ours
from eco_actor.eventlog.store import StoreError

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with the pages that are done, and all of them."""

Owner = tuple[int, int]
"""User and group, by number."""

STEP: Final = 256
"""Pages that are copied between two reports of progress."""

SPARE: Final = 16 << 20
"""Bytes that a copy leaves free: a server may be writing to the same disk."""

ATTEMPTS: Final = 5

COPY: Final = "copy"
"""Stands in `opened` of a copy, so that a log that goes on from it begins a new epoch."""

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds: `size` in bytes, the last position that was given, the data's version."""

    size: int
    position: int
    version: int


@dataclass(frozen=True, slots=True)
class _Sight:
    """A file as it stood: which one, and, while nothing lies beside it, when it was changed."""

    file: tuple[int, int]
    rest: tuple[int, int] | None


def consult(path: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    """What *query* makes of the database at *path*, of which it gets a connection to read from.

    A server may run on it, may have ended in order or have been killed; the directory need not be
    writable, and no file is made in it but the index of a log that lacks one. *query* is called
    again should the file be replaced or a server start meanwhile. Blocks. StoreError: there is
    none, it is not ours or empty, it cannot be read; what *query* raises of that kind goes on.
    """
    for _ in range(ATTEMPTS):
        before = _sight(path)
        try:
            with closing(_connect(path, at_rest=before.rest is not None)) as db:
                _check(path, db)
                found = query(db)
        except (sqlite3.Error, StoreError) as error:
            if _stands(path, before):
                raise _refusal(path, error) from error
        else:
            if _stands(path, before):
                return found
    raise StoreError(f"{path}: it is replaced again and again")


def _sight(path: Path) -> _Sight:
    try:
        status = path.stat()
        busy = _holds(beside(path, "-wal")) or _holds(beside(path, "-journal"))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise StoreError(
            f"{path}: {'there is no such database' if missing else error.strerror}"
        ) from error
    if not path.is_file():
        raise StoreError(f"{path}: it is no file")
    file = (status.st_dev, status.st_ino)
    return _Sight(file, None if busy else (status.st_size, status.st_mtime_ns))


def _holds(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _stands(path: Path, before: _Sight) -> bool:
    """Whether what was read since *before* is all of one state of the file."""
    try:
        now = _sight(path)
    except StoreError:
        return False
    # with a log beside it, the locks of SQLite have seen to the rest
    return now.file == before.file and (before.rest is None or now.rest == before.rest)


def beside(path: Path, ending: str) -> Path:
    """The file that belongs to *path* under its name with *ending*."""
    return path.with_name(path.name + ending)


def _connect(path: Path, *, at_rest: bool) -> sqlite3.Connection:
    # A file without a log is only looked at: locking it would make one, which stays, and may be
    # somebody's whose server cannot write it then.
    how = "mode=ro&immutable=1" if at_rest else "mode=ro"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)


def _check(path: Path, db: sqlite3.Connection) -> None:
    try:
        version = check_ours(db)
    except StoreError as error:
        raise StoreError(f"{path}: {error.reason}") from error
    if version == 0:
        raise StoreError(f"{path}: it is empty")


def _refusal(path: Path, error: sqlite3.Error | StoreError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path}: it is no database, or a damaged one")
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreError(f"{path}: it is damaged ({error})")
    if not os.access(path, os.R_OK):
        return StoreError(f"{path}: permission denied")
    if beside(path, "-wal").exists() and not beside(path, "-shm").exists():
        wanted = "it was left with a log that needs a directory which can be written: copy both"
        return StoreError(f"{path}: {wanted} files elsewhere ({error})")
    return StoreError(f"{path}: {error}")


# ---- copying


def copy_database(
    source: Path,
    target: Path,
    progress: Progress = lambda done, pages: None,
    *,
    force: bool = False,
    thorough: bool = False,
    owner: Owner | None = None,
) -> Copied:
    """Make *target* a copy of the database *source* as it is at one moment. Blocks. StoreError.

    Checked (every index too when *thorough*), on disk, a single file readable by its owner alone,
    and marked as a copy. It grows under the name of *target* with `.part`; *target* itself is whole
    or as before, and nothing is left of a copy that failed. With *force* it may replace a file. A
    server that runs on *source* goes on meanwhile, but its write-ahead log grows until the end.
    """
    try:
        _check_free(target, force=force)
        with _part_of(target, owner) as part:
            copied = consult(source, lambda db: _copy(db, source, part, progress, thorough))
            _check_free(target, force=force)
        return copied
    except OSError as error:
        raise StoreError(f"{error.filename or target}: {error.strerror}") from error


def _check_free(target: Path, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise StoreError(f"{target.parent}: there is no such directory")
    if target.exists() and not target.is_file():
        raise StoreError(f"{target}: it is no file")
    if target.exists() and not force:
        raise StoreError(f"{target}: it exists already: --force replaces it")


@contextmanager
def _part_of(target: Path, owner: Owner | None) -> Iterator[Path]:
    """A file for what becomes *target* at the end, all of it or nothing."""
    part = beside(target, ".part")
    held = _claim(part)
    try:
        _give(held, part, owner)
        yield part
        os.fsync(held)
        part.replace(target)
        sync_folder(target.parent)
    except BaseException:
        for file in (part, beside(part, "-journal")):
            with contextlib.suppress(OSError):
                file.unlink()
        raise
    finally:
        os.close(held)


def _claim(part: Path) -> int:
    """The file *part*, made or left by a copy that was cut short, for nobody but us."""
    for _ in range(ATTEMPTS):
        held = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), part.stat()):
                return held
        except FileNotFoundError:
            pass  # whoever had it is done with it
        except BlockingIOError as error:
            os.close(held)
            raise StoreError(f"{part}: another copy to there is under way") from error
        os.close(held)
    raise StoreError(f"{part}: another copy to there is under way")


def _give(held: int, part: Path, owner: Owner | None) -> None:
    status = os.fstat(held)
    if owner is None or owner == (status.st_uid, status.st_gid):
        return
    try:
        os.fchown(held, *owner)
    except PermissionError as error:
        raise StoreError(f"{part}: it has to belong to user {owner[0]}: run this as him") from error


def _copy(
    db: sqlite3.Connection, source: Path, part: Path, progress: Progress, thorough: bool
) -> Copied:
    os.truncate(part, 0)
    db.execute("BEGIN")  # all of it is of this moment, whatever a server writes meanwhile
    (size,) = db.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    _check_room(part, size)
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        try:
            copy.execute("PRAGMA synchronous=OFF")  # it is synced once, when it is whole
            db.backup(copy, pages=STEP, progress=lambda _, left, all: progress(all - left, all))
            (mode,) = copy.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                raise StoreError(f"{part}: it could not be made a single file")
            copy.execute("DELETE FROM opened")
            copy.execute("INSERT INTO opened (durability) VALUES (?)", (COPY,))
            (found,) = copy.execute(
                f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(1)"
            ).fetchone()
        except sqlite3.Error as error:
            raise _failure(source, part, error) from error
        if found != "ok":
            raise StoreError(f"{source}: it is damaged ({found})")
        version = check_ours(copy)
        position = copy.execute(LAST).fetchone()[0] if version == VERSION else 0
    return Copied(size, position, version)


def _check_room(part: Path, size: int) -> None:
    disk = os.statvfs(part.parent)
    room = disk.f_bavail * disk.f_frsize
    if size + SPARE > room:
        raise StoreError(
            f"{part.parent}: a copy needs {(size + SPARE) / MIB:.0f} MiB there,"
            f" {room / MIB:.0f} MiB are free"
        )


def _failure(source: Path, part: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{part.parent}: the disk is full")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(f"{source}: it is damaged ({error})")
    name = getattr(error, "sqlite_errorname", "")
    return StoreError(f"{source} could not be copied to {part}: {error} {name}".rstrip())
