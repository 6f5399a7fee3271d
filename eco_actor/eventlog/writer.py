"""The writer thread of the SQLite store: group commit, steps of trims, reads of what is in memory.

It takes whatever has gathered, up to BATCH appends, into one transaction, so that many share an
fsync and none waits for a timer. After the commit the whole batch goes back to the loop in one
callback. While the storage is at fault it tries a small write every PROBE_S.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from eco_actor.eventlog.committer import Append, Committer, Settled
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.faults import Fault
from eco_actor.eventlog.history import Excess
from eco_actor.eventlog.readers import Query
from eco_actor.eventlog.store import StoreError, StoreUncertain, Told

log = logging.getLogger(__name__)

BATCH: Final = 512
"""Appends a transaction takes at most."""

PROBE_S: Final = 1.0
"""Seconds between two tries of a write while the storage is at fault."""

CLOSED: Final = "the store is closed"


@dataclass(slots=True, eq=False)
class Read:
    query: Query
    answer: "asyncio.Future[Any]"


@dataclass(slots=True, eq=False)
class Trim:
    excess: Excess
    told: Told


class _Pause(Enum):
    EMPTY = "nothing waits"
    PROBE = "a small write is wanted"
    CLOSE = "nothing comes any more"


Work = Append | Read | Trim

Settle = Callable[[Sequence[Settled], Fault | None, Fault | None], None]
"""Called in the loop each time a write has come back: what became of its batch, the fault of the
storage that it met, and the one that there still is; None while it works."""


class Writer:
    """Owns *database* from `start` to `ended`. All but what the thread does is for the loop.

    What it has done is told in the loop, in the order in which it was done.
    """

    def __init__(self, database: Database, settle: Settle) -> None:
        self._loop = asyncio.get_running_loop()
        self._database = database
        self._committer = Committer(database)
        self._settle = settle
        self._queue: queue.SimpleQueue[Work | _Pause] = queue.SimpleQueue()
        self.put: Callable[[Work], None] = self._queue.put
        self.depth: Callable[[], int] = self._queue.qsize
        self._busy_since: float | None = None  # by time.monotonic
        self._in_hand: Sequence[Append] = ()
        self._left = False
        self._probe_at: float | None = None  # by time.monotonic
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Let the thread write what was put, close the database and set `ended`."""
        self._queue.put(_Pause.CLOSE)

    def probe(self) -> None:
        """Let the clock be saved, which tells whether the storage works, too."""
        self._queue.put(_Pause.PROBE)

    def leave(self, reason: str) -> list[Settled]:
        """Wait for it no more: what waits is taken back, what it still does is told to nobody."""
        self._left = self._database.left = True
        self.close()
        withdrawn = self.withdraw(reason)
        self.give_up(f"{reason}, and a write has not come back: it may happen yet")
        return withdrawn

    def busy_s(self) -> float:
        """For how many seconds it has been at the same write; 0 when it is at none."""
        since = self._busy_since
        return time.monotonic() - since if since is not None else 0.0

    def withdraw(self, reason: str) -> list[Settled]:
        """Take back everything that waits behind the write that hangs. It was not written."""
        error = StoreError(reason)
        withdrawn: list[Settled] = []
        others: list[Work | _Pause] = []
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(waiting, Append):
                withdrawn.append(waiting.fail(error))
            elif isinstance(waiting, Trim):
                waiting.told(error)
            else:
                others.append(waiting)
        for each in others:
            self._queue.put(each)
        return withdrawn

    def give_up(self, reason: str) -> None:
        """Tell those in the write that hangs that nobody knows; it may happen nevertheless."""
        for append in self._in_hand:
            append.tell((), StoreUncertain(reason))

    def _committed(
        self, settled: Sequence[Settled], met: Fault | None, fault: Fault | None
    ) -> None:
        """The one callback of a write."""
        if not self._left:
            self._settle(settled, met, fault)

    # ---- in the thread

    def _run(self) -> None:
        trims: deque[Trim] = deque()
        then: Read | Trim | _Pause = _Pause.EMPTY
        while then is not _Pause.CLOSE:
            appends, then = self._gather(wait=not trims)
            # a read sees what was queued before it
            self._commit(appends)
            if isinstance(then, Read):
                self._answer(then)
            elif isinstance(then, Trim):
                trims.append(then)
            elif then is _Pause.PROBE:
                self._probe()
            # one step a round: neither can the appends starve it, nor does it hold them up
            if trims and self._trim_step(trims[0]):
                trims.popleft()
        for trim in trims:
            self._call_loop(trim.told, StoreError(CLOSED))
        try:
            self._database.close(in_order=not self._left)
        except Exception as error:
            log.error(
                "the database was not closed in order, which costs the next start a look: %s", error
            )
        self._call_loop(_resolve, self.ended, None, None)

    def _gather(self, *, wait: bool) -> "tuple[list[Append], Read | Trim | _Pause]":
        """The appends that have gathered, up to BATCH, and what comes behind them."""
        appends: list[Append] = []
        while len(appends) < BATCH:
            try:
                waiting = self._next(wait and not appends)
            except queue.Empty:
                break
            if not isinstance(waiting, Append):
                return appends, waiting
            appends.append(waiting)
        return appends, _Pause.EMPTY

    def _next(self, wait: bool) -> Work | _Pause:
        while self._committer.fault is not None and wait:
            if self._probe_at is None:
                self._probe_at = time.monotonic() + PROBE_S
            left = self._probe_at - time.monotonic()
            if left <= 0:  # whatever waits: reads must not put it off for ever
                self._probe()
                continue
            try:
                return self._queue.get(timeout=left)
            except queue.Empty:
                continue
        return self._queue.get(block=wait)

    def _probe(self) -> None:
        self._probe_at = None
        self._busy_since = time.monotonic()
        self._committer.probe()
        self._busy_since = None
        fault = self._committer.fault
        self._call_loop(self._committed, (), fault, fault)

    def _commit(self, appends: Sequence[Append]) -> None:
        if not appends:
            return
        self._in_hand = appends
        self._busy_since = time.monotonic()
        settled = self._committer.commit(appends)
        self._busy_since = None
        self._in_hand = ()
        self._call_loop(self._committed, settled, self._committer.met, self._committer.fault)

    def _trim_step(self, trim: Trim) -> bool:
        """One step; whether it was the last."""
        self._busy_since = time.monotonic()
        step = self._committer.trim(trim.excess)
        self._busy_since = None
        fault = self._committer.fault
        self._call_loop(self._committed, (), fault, fault)
        self._call_loop(trim.told, step)
        if isinstance(step, StoreError):
            return True
        trim.excess = trim.excess.less(step.events, step.size)
        return step.done

    def _answer(self, read: Read) -> None:
        try:
            self._call_loop(_resolve, read.answer, read.query(self._database.connection), None)
        except Exception as error:
            self._call_loop(_resolve, read.answer, None, StoreError(str(error)))

    def _call_loop(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            log.error("the loop ended before the store: a commit could not be told")


def _resolve(answer: "asyncio.Future[Any]", value: Any, error: StoreError | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)
