"""The writer thread of the SQLite store: group commit, steps of trims, reads of what is in memory.

It takes whatever has gathered, up to BATCH appends, into one transaction, so that many share an
fsync and none waits for a timer. After the commit the whole batch goes back to the loop in one
callback. When a batch fails its items are tried one by one: a failed item takes no position and
fails alone.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from eco_actor.eventlog.database import Database, Item
from eco_actor.eventlog.event import Event
from eco_actor.eventlog.history import Excess
from eco_actor.eventlog.store import Appended, Chain, Offer, StoreError, Told
from eco_actor.eventlog.trimming import trim_step

log = logging.getLogger(__name__)

BATCH: Final = 512
"""Appends a transaction takes at most."""

CLOSED: Final = "the store is closed"

Query = Callable[[sqlite3.Connection], Any]


# Not frozen, and neither are those below: one is made for each append, and that would cost more
# than packing its data.
@dataclass(slots=True, eq=False)
class Append:
    item: Item
    done: Appended | None
    chain: Chain | None


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
    CLOSE = "nothing comes any more"


@dataclass(slots=True, eq=False)
class _Settled:
    """What became of one append, on its way back to the loop."""

    done: Appended | None
    events: Sequence[Event]
    error: StoreError | None = None


Work = Append | Read | Trim


class Writer:
    """Owns *database* from `start` to the end of `join`. `put` and `depth` are for the loop.

    What it has done is told in the loop, in the order in which it was done.
    """

    def __init__(self, database: Database, offer: Offer) -> None:
        self._loop = asyncio.get_running_loop()
        self._database = database
        self._offer = offer
        self._queue: queue.SimpleQueue[Work | _Pause] = queue.SimpleQueue()
        self.put: Callable[[Work], None] = self._queue.put
        self.depth: Callable[[], int] = self._queue.qsize
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait until everything that was put is done, and the database closed. Blocks."""
        self._queue.put(_Pause.CLOSE)
        self._thread.join()

    def _committed(self, settled: Sequence[_Settled]) -> None:
        """The one callback of a batch: its events are shown, then its owners told."""
        events = [event for append in settled for event in append.events]
        self._offer(events, len(settled))
        for append in settled:
            if append.done is not None:
                try:
                    append.done(append.events, append.error)
                except Exception:
                    log.exception("what follows an append failed")

    # ---- in the thread

    def _run(self) -> None:
        trims: deque[Trim] = deque()
        then: Read | Trim | _Pause = _Pause.EMPTY
        while then is not _Pause.CLOSE:
            appends, then = self._gather(wait=not trims)
            # a read sees what was queued before it
            self._settle(self._commit(appends))
            if isinstance(then, Read):
                self._answer(then)
            elif isinstance(then, Trim):
                trims.append(then)
            # one step a round: neither can the appends starve it, nor does it hold them up
            if trims and self._trim_step(trims[0]):
                trims.popleft()
        for trim in trims:
            self._call_loop(trim.told, StoreError(CLOSED))
        self._database.close()

    def _gather(self, *, wait: bool) -> "tuple[list[Append], Read | Trim | _Pause]":
        """The appends that have gathered, up to BATCH, and what comes behind them."""
        appends: list[Append] = []
        while len(appends) < BATCH:
            try:
                waiting = self._queue.get(block=wait and not appends)
            except queue.Empty:
                break
            if not isinstance(waiting, Append):
                return appends, waiting
            appends.append(waiting)
        return appends, _Pause.EMPTY

    def _trim_step(self, trim: Trim) -> bool:
        """One step; whether it was the last."""
        try:
            step = trim_step(self._database.connection, trim.excess)
        except Exception as error:
            log.error("%s: a trim failed: %s", trim.excess.channel, error)
            self._call_loop(trim.told, StoreError(str(error)))
            return True
        trim.excess = trim.excess.less(step.events, step.size)
        self._call_loop(trim.told, step)
        return step.done

    def _commit(self, appends: Sequence[Append]) -> list[_Settled]:
        broken = [append for append in appends if append.chain and append.chain.broken]
        if broken:
            told = StoreError("an earlier event of the same story could not be written")
            whole = [append for append in appends if append not in broken]
            return [
                *self._commit(whole),
                *(_Settled(append.done, (), told) for append in broken),
            ]
        if not appends:
            return []
        try:
            placed = self._database.commit([append.item for append in appends])
        except Exception as error:
            if len(appends) > 1:
                return [each for append in appends for each in self._commit([append])]
            log.error("an append failed: %s", error)
            if appends[0].chain is not None:
                appends[0].chain.broken = True
            return [_Settled(appends[0].done, (), StoreError(str(error)))]
        return [
            _Settled(append.done, events) for append, events in zip(appends, placed, strict=True)
        ]

    def _settle(self, settled: Sequence[_Settled]) -> None:
        if settled:
            self._call_loop(self._committed, settled)

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
