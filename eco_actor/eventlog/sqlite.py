"""The store on SQLite: appends gather in a queue, a writer thread commits them in groups.

The writer takes whatever has gathered, up to BATCH, into one transaction, so that many share an
fsync and none waits for a timer. After the commit the whole batch goes back to the loop in one
callback. When a batch fails its items are tried one by one: a failed item takes no position and
fails alone.

Reads go to connections that cannot write, one page a transaction. Without a path everything is in
the memory of the one connection, and the writer serves the reads in between.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from eco_actor.eventlog.database import Database, Item, open_reader, read_page
from eco_actor.eventlog.event import Draft, Event, Page
from eco_actor.eventlog.store import (
    Appended,
    Chain,
    Durability,
    StoreError,
    StoreFull,
    Tables,
    Write,
)

log = logging.getLogger(__name__)

BATCH: Final = 512
"""Appends a transaction takes at most."""

READERS: Final = 2

Query = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class _Append:
    item: Item
    done: Appended | None
    chain: Chain | None


@dataclass(frozen=True, slots=True)
class _Read:
    query: Query
    answer: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of one append, on its way back to the loop."""

    done: Appended | None
    events: Sequence[Event]
    error: StoreError | None = None


class SqliteStore:
    """See `Store`. `path` None, which goes with durability off, keeps everything in memory.

    `capacity` bounds the appends that wait to be written.
    """

    def __init__(
        self,
        path: Path | None,
        durability: Durability,
        tables: Sequence[Tables] = (),
        capacity: int = 10_000,
    ) -> None:
        if (path is None) != (durability is Durability.OFF):
            raise ValueError("a store has a path, or durability off")
        self._path = path
        self._durability = durability
        self._tables = tables
        self.capacity = capacity
        self._queue: queue.SimpleQueue[_Append | _Read | None] = queue.SimpleQueue()
        self._database: Database | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._open = False

    @property
    def epochs(self) -> Sequence[tuple[str, int]]:
        assert self._database is not None, "the store is not open"
        return self._database.epochs

    @property
    def durability(self) -> Durability:
        return self._durability

    @property
    def depth(self) -> int:
        return self._queue.qsize()

    # ---- in the loop

    async def open(self, offer: Callable[[Sequence[Event]], None]) -> int:
        self._loop = asyncio.get_running_loop()
        self._offer = offer
        self._database = await asyncio.to_thread(
            Database, self._path, self._durability, self._tables
        )
        if self._path is not None:
            self._readers = ThreadPoolExecutor(READERS, "store-read")
        self._open = True
        self._writer = threading.Thread(
            target=self._run, args=(self._database,), name="store-write", daemon=True
        )
        self._writer.start()
        return self._database.position

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._readers is not None:  # first: the last to close a database checkpoints it
            await asyncio.to_thread(self._readers.shutdown)
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        if not self._open:
            raise StoreError("the store is closed")
        if self._queue.qsize() >= self.capacity:
            raise StoreFull(f"{self.capacity} appends are waiting to be written")
        try:
            packed = [msgpack.packb(draft.data) for draft in drafts]
        except OverflowError as error:
            raise ValueError("a whole number in the data needs more than 64 bits") from error
        self._queue.put(_Append(Item(drafts, packed, writes), done, chain))

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        epoch = self.epochs[-1][0]
        page: Page = await self._read(lambda db: read_page(db, channels, after, limit, epoch))
        return page

    async def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = await self._read(
            lambda db: db.execute(sql, parameters).fetchall()
        )
        return rows

    def _read(self, query: Query) -> Awaitable[Any]:
        if not self._open:
            raise StoreError("the store is closed")
        if self._readers is not None:
            return self._loop.run_in_executor(self._readers, self._read_on_disk, query)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(_Read(query, answer))
        return answer

    def _committed(self, settled: Sequence[_Settled]) -> None:
        """The one callback of a batch: its events are shown, then its owners told."""
        events = [event for append in settled for event in append.events]
        self._offer(events)
        for append in settled:
            if append.done is not None:
                try:
                    append.done(append.events, append.error)
                except Exception:
                    log.exception("what follows an append failed")

    # ---- in the writer thread

    def _run(self, database: Database) -> None:
        closing = False
        while not closing:
            appends: list[_Append] = []
            waiting: _Append | _Read | None = self._queue.get()
            while True:
                if waiting is None:
                    closing = True
                elif isinstance(waiting, _Append):
                    appends.append(waiting)
                else:
                    # a read sees what was queued before it
                    self._settle(self._commit(database, appends))
                    appends = []
                    self._answer(database, waiting)
                if closing or len(appends) >= BATCH:
                    break
                try:
                    waiting = self._queue.get_nowait()
                except queue.Empty:
                    break
            self._settle(self._commit(database, appends))
        database.close()

    def _commit(self, database: Database, appends: Sequence[_Append]) -> list[_Settled]:
        broken = [append for append in appends if append.chain and append.chain.broken]
        if broken:
            told = StoreError("an earlier event of the same story could not be written")
            whole = [append for append in appends if append not in broken]
            return [
                *self._commit(database, whole),
                *(_Settled(append.done, (), told) for append in broken),
            ]
        if not appends:
            return []
        try:
            placed = database.commit([append.item for append in appends])
        except Exception as error:
            if len(appends) > 1:
                return [each for append in appends for each in self._commit(database, [append])]
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

    def _answer(self, database: Database, read: _Read) -> None:
        try:
            self._call_loop(_resolve, read.answer, read.query(database.connection), None)
        except Exception as error:
            self._call_loop(_resolve, read.answer, None, StoreError(str(error)))

    def _call_loop(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            log.error("the loop ended before the store: a commit could not be told")

    # ---- in a reader thread

    def _read_on_disk(self, query: Query) -> Any:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        try:
            if db is None:
                assert self._path is not None
                db = self._local.db = open_reader(self._path)
            return query(db)
        except Exception as error:  # whatever it is, it is the reader's, not the caller's
            raise StoreError(str(error)) from error


def _resolve(answer: "asyncio.Future[Any]", value: Any, error: StoreError | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)
