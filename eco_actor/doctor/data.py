"""What is in a data directory: the database, the time it tells, the operator's token."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eco_actor.doctor.finding import Finding, fail, ok, warn
from eco_actor.eventlog import StoreError
from eco_actor.eventlog.clock import JUMP_MS, SET_MS
from eco_actor.eventlog.copying import MIB, consult
from eco_actor.eventlog.pages import LAST
from eco_actor.eventlog.schema import VERSION, check_ours
from eco_actor.eventlog.sqlite import FIXED
from eco_actor.scan.tables import TABLES
from eco_actor.upkeep import database_in, is_staged, replaced_ones
from eco_actor.web.idempotency import TABLES as ANSWERS
from eco_actor.web.operator_token import LONGEST, OTHERS, is_token

LOOK_SIZE: Final = 64 * MIB
"""Bytes of a database that is looked through: a larger one keeps the disk from a server."""

MUCH_REPLACED: Final = 64 * MIB


@dataclass(frozen=True, slots=True)
class State:
    """A database as it was read: its version, last position, saved (steady, wall) time."""

    version: int
    position: int
    size: int
    looked_through: bool
    clock: tuple[int, int] | None


def look_at_database(data_dir: Path) -> tuple[Finding, State | None]:
    """Whether a server can go on from it, and what it says."""
    what, database = "database", database_in(data_dir)
    if is_staged(data_dir):
        return (
            warn(what, "a restore was cut short", "start the server, which finishes it"),
            None,
        )
    if not database.exists() or database.stat().st_size == 0:
        return ok(what, "none yet: the first start makes it"), None
    try:
        state = consult(database, lambda db: _read(db, database))
    except StoreError as error:
        return fail(what, error.reason, _remedy(error.reason)), None
    detail = f"{state.size / MIB:.1f} MiB, version {state.version}, position {state.position}"
    if state.version < VERSION:
        detail = f"of version {state.version}: the next start brings it to {VERSION}"
    elif state.looked_through:
        detail += ", looked through"
    return ok(what, detail), state


def _remedy(reason: str) -> str:
    if "version" in reason:
        return "the release that wrote it, or a later one, can read it"
    if "another program" in reason:
        return "--data-dir picks another directory"
    if "damaged" in reason:
        return "stop the server and restore a backup"
    return "see to it: a server cannot start on it"


def _read(db: sqlite3.Connection, database: Path) -> State:
    version = check_ours(db)
    (size,) = db.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    looked_through = size <= LOOK_SIZE
    if looked_through:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{database}: it is damaged ({found})")
    if version < VERSION:
        return State(version, 0, size, looked_through, None)
    known = {tables.name: len(tables.migrations) for tables in (TABLES, ANSWERS)}
    for name, number in db.execute("SELECT name, version FROM schemas"):
        if number > known.get(name, number):
            raise StoreError(f"the data of {name!r} is of version {number}, newer than known here")
    clock = db.execute("SELECT steady_ms, wall_ms FROM clock").fetchone()
    return State(version, db.execute(LAST).fetchone()[0], size, looked_through, clock)


def look_at_replaced(data_dir: Path) -> Iterator[Finding]:
    """What restores have put aside: nobody else ever removes it."""
    ones = replaced_ones(data_dir)
    if ones:
        size = sum(size for _, size in ones)
        detail = f"{len(ones)} put aside by restores, {size / MIB:.1f} MiB"
        advice = f"delete {ones[0][0].name} and so on once they are not needed"
        yield (warn if size > MUCH_REPLACED else ok)("old databases", detail, advice)


def look_at_sqlite(version: tuple[int, ...]) -> Finding:
    """Old ones are safe with one connection that writes, which a server is."""
    text = ".".join(map(str, version))
    if version < FIXED:
        advice = "while a server runs, write to its database with no other program"
        return ok("SQLite", f"{text}: safe with one program that writes, as a server is", advice)
    return ok("SQLite", text)


def look_at_clock(wall_ms: int, saved: tuple[int, int] | None) -> Finding:
    """Whether the wall clock can be right; the times of events for clients are its."""
    what = "clock"
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(wall_ms / 1000))
    advice = "set it: clients are shown wrong times; nothing is lost or expires early by it"
    if wall_ms < SET_MS:
        return warn(what, f"{told}: it was never set", advice)
    if saved is not None and wall_ms < saved[1] - JUMP_MS:
        behind = (saved[1] - wall_ms) / 1000
        return warn(what, f"{told}, {behind:,.0f} s before what the log was written at", advice)
    return ok(what, told)


def look_at_token(file: Path, given: str | None) -> Finding:
    """The operator's token, which is not shown: the *given* one, or that in *file*."""
    what = "operator token"
    if given is not None:
        if not is_token(given):
            advice = f"1 to {LONGEST} visible ASCII characters, without spaces"
            return fail(what, "ECO_OPERATOR_TOKEN cannot be one", advice)
        return ok(what, "from ECO_OPERATOR_TOKEN")
    if not file.exists():
        return ok(what, "none yet: the first start makes it")
    try:
        with file.open("rb") as opened:
            content, mode = opened.read(LONGEST + 2), file.stat().st_mode
    except OSError as error:
        return fail(what, f"{file}: {error.strerror}", "chown it to the server's user")
    if not is_token(content.decode("utf-8", "replace").strip()):
        return fail(what, f"{file} holds no token", "delete it: the next start makes a new one")
    if mode & OTHERS:
        return warn(what, f"others may read or change {file}", f"chmod 600 {file}")
    return ok(what, f"{file}, for its owner alone")
