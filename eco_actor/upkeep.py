"""What is done to the data of a server from the command line: a backup, its restore, a look."""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from eco_actor.eventlog import Event, Page, StoreError
from eco_actor.eventlog.connecting import STAGED, sync_folder
from eco_actor.eventlog.copying import (
    MIB,
    Copied,
    Owner,
    Progress,
    beside,
    consult,
    copy_database,
)
from eco_actor.eventlog.database import EPOCHS
from eco_actor.eventlog.pages import read_page
from eco_actor.eventlog.schema import VERSION, check_ours

DATABASE: Final = "eco.db"

KEPT: Final = frozenset(
    ["lock", "operator-token"]
    + [DATABASE + ending for ending in ("", "-wal", "-shm", "-journal", STAGED, f"{STAGED}.part")]
)
"""The names in a data directory that mean something to a server."""

PAGE: Final = 64
"""Events that are read at a time: the largest take 64 KiB each."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored; `replaced` is where the database of before is now, if there was one."""

    copied: Copied
    replaced: Path | None


def database_in(data_dir: Path) -> Path:
    """The database of *data_dir*, wherever a link of that name leads."""
    return (data_dir / DATABASE).resolve()


def backup(data_dir: Path, file: Path, progress: Progress, *, force: bool = False) -> Copied:
    """Copy the database of *data_dir* to *file*, with a server running or not. Blocks. StoreError.

    See `copy_database`. The operator's token is not in the database, so not in the copy.
    """
    database, file = database_in(data_dir), file.resolve()
    check_there(data_dir)
    if file.parent in (data_dir.resolve(), database.parent) and file.name in KEPT:
        raise StoreError(f"{file}: the server needs that name: give the backup another")
    return copy_database(database, file, progress, force=force)


def check_there(data_dir: Path) -> None:
    """StoreError when there is nothing to read, or about to be something else."""
    try:
        if data_dir.is_file():
            raise StoreError(f"data directory {data_dir}: it is a file, not a directory")
        check_settled(data_dir)
        there = (database := database_in(data_dir)).exists()
    except OSError as error:
        raise StoreError(f"data directory {data_dir}: {error.strerror}") from error
    if not there:
        raise StoreError(
            f"{database}: there is no such database: the first start of a server makes it;"
            " --data-dir names its directory"
        )


# ---- restoring


def check_backup(file: Path) -> None:
    """StoreError when *file* is plainly none. What `restore` checks is more."""
    consult(file.resolve(), lambda db: None)


def restore(data_dir: Path, file: Path, progress: Progress) -> Restored:
    """Put a copy of *file* in the place of the database of *data_dir*. Blocks. StoreError.

    For whoever holds the lock of the directory. *file* may be any whole database of ours, even one
    with a log beside it. Until the copy is complete and checked nothing is touched; from then on
    it is decided: `finish_restore` brings it to its end, in this process or after a kill.
    """
    database, file = database_in(data_dir), file.resolve()
    finish_restore(data_dir)
    if file == database:
        raise StoreError(f"{file}: that is the database itself: name the backup")
    staged = beside(database, STAGED)
    copied = copy_database(file, staged, progress, thorough=True, owner=_owner(database))
    return Restored(copied, finish_restore(data_dir))


def _owner(database: Path) -> Owner:
    """To whom the new one has to belong for the server to write it."""
    place = database if database.exists() else database.parent
    status = place.stat()
    return status.st_uid, status.st_gid


def is_staged(data_dir: Path) -> bool:
    """Whether a restore was decided and not brought to its end."""
    return beside(database_in(data_dir), STAGED).exists()


def check_settled(data_dir: Path) -> None:
    """StoreError while the database is about to be replaced by a restore."""
    if is_staged(data_dir):
        raise StoreError(
            f"{data_dir}: a restore was cut short there: start the server, or restore again"
        )


def finish_restore(data_dir: Path) -> Path | None:
    """Put the staged database in its place, if there is one; where the one of before is now.

    For whoever holds the lock of the directory, before the database is opened. May be cut short
    after each step, and is done by calling it again: while something is staged nobody opens the
    present one, so it does not matter that its log is gone from its side. Blocks. StoreError.
    """
    database = database_in(data_dir)
    staged = beside(database, STAGED)
    if not staged.exists():
        return None
    try:
        replaced = _put_aside(database)
        staged.replace(database)
        sync_folder(database.parent)
    except OSError as error:
        raise StoreError(f"{error.filename or database}: {error.strerror}") from error
    return replaced


def _put_aside(database: Path) -> Path | None:
    """Move what is there, with what belongs to it, out of the way: it is not looked at.

    Its log goes first, and each step is on disk before the next: so the two stay a pair, and never
    does an old log lie beside the new file.
    """
    aside = next_aside(database)
    present = database.exists()
    for ending in ("-wal", "-journal"):
        log = beside(database, ending)
        if log.exists():
            if present:
                log.replace(beside(aside, ending))
            else:
                log.unlink()  # of a file that is no more
            sync_folder(database.parent)
    beside(database, "-shm").unlink(missing_ok=True)
    if not present:
        return None
    database.replace(aside)
    sync_folder(database.parent)
    return aside


def next_aside(database: Path) -> Path:
    """The first name that no database was put aside under."""
    number = 1
    while (aside := beside(database, f".replaced-{number}")).exists():
        number += 1
    return aside


def replaced_ones(data_dir: Path) -> list[tuple[Path, int]]:
    """The databases that restores have put aside, oldest first, with their sizes in bytes."""
    found = []
    database = database_in(data_dir)
    for number in range(1, int(next_aside(database).name.rpartition("-")[2])):
        file = beside(database, f".replaced-{number}")
        parts = [file, beside(file, "-wal")]
        found.append((file, sum(part.stat().st_size for part in parts if part.exists())))
    return found


# ---- the log, by hand


def channel_of(name: str) -> str:
    """The channel that *name* means: one in full, or that of a scan by its task id."""
    return name if ":" in name else f"scan:{name}"


def tell_events(
    data_dir: Path, channel: str, say: Callable[[str], Any], note: Callable[[str], Any]
) -> int:
    """Say each event of *channel* as a line of JSON, oldest first; how many there were.

    With a server running or not, a page at a time. `note` is told what is missing: what was
    trimmed, and when the channel is unknown, why it may be. Blocks. StoreError.
    """
    check_there(data_dir)
    database, after, told = database_in(data_dir), 0, 0
    while True:
        epoch, page = _page(database, channel, after)
        for _, upto in page.trimmed:
            note(f"what {channel} had up to position {upto} is trimmed")
        for event in page.events:
            say(_line(event, epoch))
        told += len(page.events)
        after = page.upto
        if len(page.events) < PAGE:
            break
    if not told and not page.trimmed:
        note(f"{database} {_why_unknown(database, channel)}")
    return told


def _page(database: Path, channel: str, after: int) -> tuple[str, Page]:
    def read(db: sqlite3.Connection) -> tuple[str, Page]:
        version = check_ours(db)
        if version != VERSION:
            raise StoreError(
                f"{database}: the data is of version {version}: starting the server once brings it"
                f" to {VERSION}, which can be read"
            )
        epoch = db.execute(EPOCHS).fetchall()[-1][0]
        return epoch, read_page(db, [channel], after, PAGE, epoch)

    return consult(database, read)


def _line(event: Event, epoch: str) -> str:
    told: dict[str, Any] = {
        "cursor": str(event.cursor),
        "position": event.position,
        "at_ms": event.at_ms,
    }
    if event.key is not None:
        told["key"] = event.key
    return json.dumps(told | {"data": event.data}, ensure_ascii=False)


def _why_unknown(database: Path, channel: str) -> str:
    def is_gone(db: sqlite3.Connection) -> bool:
        known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gone'").fetchone()
        task_id = (channel.removeprefix("scan:"),)
        return known is not None and bool(
            db.execute("SELECT 1 FROM gone WHERE task_id = ?", task_id).fetchone()
        )

    if channel.startswith("scan:") and consult(database, is_gone):
        return f"has no events of {channel} any more: they were kept as long as scans are"
    return f"knows no {channel}"


# ---- how far it is


class Meter:
    """Tells on *stream* how far a copy is: at once on a terminal, else from the third second on."""

    QUIET_S: Final = 2.0
    EACH_S: Final = 5.0

    def __init__(
        self, what: str, stream: TextIO, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._stream = stream
        self._now = now
        self._live = stream.isatty()
        self._due = now() + (0.0 if self._live else self.QUIET_S)
        self._told = False

    def __call__(self, done: int, pages: int) -> None:
        now = self._now()
        if now < self._due:
            return
        self._due = now + (0.2 if self._live else self.EACH_S)
        text = f"{self._what}: {100 * done // max(pages, 1)} % of {pages} pages"
        self._stream.write(f"\r{text}" if self._live else f"{text}\n")
        self._stream.flush()
        self._told = True

    def end(self) -> None:
        """What comes next begins on a line of its own."""
        if self._live and self._told:
            self._stream.write("\n")
            self._stream.flush()


def summary(copied: Copied) -> str:
    """What is in a copy, for people."""
    size = f"{copied.size / MIB:.1f} MiB" if copied.size >= MIB else f"{copied.size >> 10} KiB"
    return f"{size}, up to position {copied.position}"
