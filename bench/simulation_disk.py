"""The disk of the simulated server: one SQLite database that outlives every process on it.

What SQLite promises is kept: a transaction is there whole or not at all, whenever the process dies
or a write fails. What has come back is there in the next process; with durability normal a loss of
power may take the last ones, which `serialize` brings about.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

CODES: Final = {
    "FULL": sqlite3.SQLITE_FULL,
    "IOERR_WRITE": sqlite3.SQLITE_IOERR_WRITE,
    "IOERR_FSYNC": sqlite3.SQLITE_IOERR_FSYNC,
    "BUSY": sqlite3.SQLITE_BUSY,
    "READONLY": sqlite3.SQLITE_READONLY,
    "CANTOPEN": sqlite3.SQLITE_CANTOPEN,
    "TOOBIG": sqlite3.SQLITE_TOOBIG,
}
"""The last is no fault of the disk: something in the data of a write cannot be written."""

ROLLS_BACK: Final = ("FULL", "IOERR_WRITE", "IOERR_FSYNC")
"""After these SQLite may have rolled back by itself."""

KEPT: Final = 6
"""States that a loss of power may bring back."""

LEFT_BEHIND: Final = 0.2
"""How often such a state is kept: as often as the disk is brought up to date, say."""

READS: Final = frozenset({"SELECT", "PRAGMA"})


class Crashed(BaseException):
    """The process has ended in the middle of what it did."""


class Disk(sqlite3.Connection):
    """To be made by `new_disk`. `faulty` writes fail with `code`; `dies_in` so many the process."""

    rng: Random
    committed: Callable[[], None]
    dies: Callable[[], None]
    forgetful: bool

    def prepare(self, rng: Random, *, forgetful: bool) -> None:
        """*forgetful*: a loss of power may take what has come back."""
        self.rng = rng
        self.forgetful = forgetful
        self.committed = self.dies = lambda: None
        self.faulty = 0
        self.code = "FULL"
        self.dies_in = 0
        self.writes = 0
        self._writing = False
        self._states: deque[bytes] = deque(maxlen=KEPT)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        verb = sql.split(None, 1)[0]
        if sql == "BEGIN IMMEDIATE":
            self._writing = True
        elif verb in READS or (verb in ("BEGIN", "COMMIT") and not self._writing):
            return super().execute(sql, parameters)
        elif verb == "ROLLBACK":
            self._writing = False
            return super().execute(sql, parameters)
        return self._write(verb, sql, parameters)

    def _write(self, verb: str, sql: str, parameters: Any) -> sqlite3.Cursor:
        self.writes += 1
        dies = self.dies_in == 1
        self.dies_in = max(0, self.dies_in - 1)
        after = dies and self.rng.random() < 0.5
        if dies and not after:
            self.die()
        if self.faulty and (verb == "COMMIT" or self.rng.random() < 0.5):
            self.faulty -= 1
            self._fail()
        cursor = super().execute(sql, parameters)
        if not self.in_transaction:
            self._writing = False
            if self.forgetful and self.rng.random() < LEFT_BEHIND:
                self._states.append(self.serialize())
            self.committed()
        if after:
            self.die()
        return cursor

    def _fail(self) -> None:
        if self.in_transaction and self.code in ROLLS_BACK and self.rng.random() < 0.5:
            super().execute("ROLLBACK")
        if not self.in_transaction:
            self._writing = False
        error = sqlite3.OperationalError(f"simulated: {self.code}")
        error.sqlite_errorcode = CODES[self.code]
        error.sqlite_errorname = f"SQLITE_{self.code}"
        raise error

    def die(self) -> None:
        """The process ends here."""
        self.abandon()
        self.dies()
        raise Crashed

    def abandon(self) -> None:
        """Whoever had it has ended: what was not committed is not there."""
        self.dies_in = 0
        self._writing = False
        if self.in_transaction:
            super().execute("ROLLBACK")

    def synced(self) -> None:
        """All that is there by now is there to stay."""
        self._states.clear()

    def lose_power(self) -> None:
        """Where that may happen, go back to a state of before."""
        self.abandon()
        if self._states and self.rng.random() < 0.7:
            states = list(self._states)
            self.deserialize(states[self.rng.randrange(len(states))])
            self._states.clear()

    def close(self) -> None:
        """The process closes it; it stays."""
        self.abandon()

    def scrap(self) -> None:
        """Nobody needs it any more."""
        super().close()

    def ask(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows for the judge, whatever is wrong with the disk."""
        return super().execute(sql, parameters).fetchall()


def new_disk(rng: Random, *, forgetful: bool) -> Disk:
    disk = sqlite3.connect(":memory:", isolation_level=None, factory=Disk, check_same_thread=False)
    disk.prepare(rng, forgetful=forgetful)
    return disk
