"""What can be wrong with the storage, told from what is wrong with the data. Pure."""

import sqlite3
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """The storage takes nothing at the moment. `reason` is for the operator: what, and what to do.

    A `lasting` one does not go by itself: not before a restart is anything written again.
    `restart`: nothing else is needed. `began`: part of what was to be written may be in the file.
    `by_size`: less might have been written.
    """

    reason: str
    lasting: bool = False
    restart: bool = False
    began: bool = False
    by_size: bool = False


DAMAGED: Final = Fault(
    "the database is damaged: stop the server and restore a backup", lasting=True
)

LOCKED: Final = Fault("another program has locked the database: end it")

READ_ONLY: Final = Fault("the database cannot be written: file or disk is read-only")

REPLACED: Final = Fault(
    "the file of the database was removed or replaced while it is in use: restart the server",
    lasting=True,
    restart=True,
)


class FileReplaced(Exception):
    """The file that is open is not the one that has its name any more."""


FAULTS: Final = {
    sqlite3.SQLITE_FULL: Fault("the disk is full: free some room", began=True, by_size=True),
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_IOERR: Fault("the disk fails: look at the system's log", began=True),
    sqlite3.SQLITE_CANTOPEN: Fault("a file of the database cannot be opened"),
    sqlite3.SQLITE_PERM: Fault("the database cannot be written: permission denied"),
    sqlite3.SQLITE_NOMEM: Fault("there is no memory left"),
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}
"""Primary result codes that are the storage's; any other one is the statement's or its data's."""


def fault_of(error: BaseException) -> Fault | None:
    """The fault of the storage that *error* tells of; None when it is about the data."""
    if isinstance(error, FileReplaced):
        return REPLACED
    if isinstance(error, MemoryError):  # what Python makes of SQLITE_NOMEM
        return FAULTS[sqlite3.SQLITE_NOMEM]
    if isinstance(error, OSError):
        return Fault(f"the file of the database cannot be reached: {error.strerror or error}")
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return None
    known = FAULTS.get(code & 0xFF)
    if known is None:
        return None
    name = str(getattr(error, "sqlite_errorname", code)).removeprefix("SQLITE_")
    return replace(known, reason=f"{known.reason} ({name})")
