"""The store on SQLite: appends gather in a queue, and a writer thread commits them in groups.

Reads go to connections that cannot write, one page a transaction. Without a path everything is in
the memory of the one connection, and the writer serves the reads in between.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgpack

from eco_actor.eventlog.database import Database, Item, open_reader, read_page
from eco_actor.eventlog.event import Draft, Page
from eco_actor.eventlog.history import Count, Excess
from eco_actor.eventlog.store import (
    Appended,
    Chain,
    Durability,
    Offer,
    StoreError,
    StoreFull,
    Tables,
    Told,
    Write,
)
from eco_actor.eventlog.trimming import count_channels
from eco_actor.eventlog.writer import CLOSED, Append, Query, Read, Trim, Writer

READERS: Final = 2


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
        self._pack = msgpack.Packer().pack  # one for all: making one costs as much as packing
        self._database: Database | None = None
        self._writer: Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()

    @property
    def epochs(self) -> Sequence[tuple[str, int]]:
        assert self._database is not None, "the store is not open"
        return self._database.epochs

    @property
    def trimmed(self) -> Mapping[str, int]:
        assert self._database is not None, "the store is not open"
        return self._database.trimmed

    @property
    def durability(self) -> Durability:
        return self._durability

    @property
    def depth(self) -> int:
        return self._writer.depth() if self._writer is not None else 0

    # ---- in the loop

    async def open(self, offer: Offer) -> int:
        self._database = await asyncio.to_thread(
            Database, self._path, self._durability, self._tables
        )
        if self._path is not None:
            self._readers = ThreadPoolExecutor(READERS, "store-read")
        self._writer = Writer(self._database, offer)
        self._writer.start()
        return self._database.position

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._readers is not None:  # first: the last to close a database checkpoints it
            await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(writer.join)

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        writer = self._writer
        if writer is None:
            raise StoreError(CLOSED)
        if writer.depth() >= self.capacity:
            raise StoreFull(f"{self.capacity} appends are waiting to be written")
        try:
            packed = [None if draft.transient else self._pack(draft.data) for draft in drafts]
        except OverflowError as error:
            raise ValueError("a whole number in the data needs more than 64 bits") from error
        writer.put(Append(Item(drafts, packed, writes), done, chain))

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        epoch = self.epochs[-1][0]
        page: Page = await self._read(lambda db: read_page(db, channels, after, limit, epoch))
        return page

    async def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = await self._read(
            lambda db: db.execute(sql, parameters).fetchall()
        )
        return rows

    async def count(self, besides: str, upto: int) -> Sequence[Count]:
        counts: list[Count] = await self._read(lambda db: count_channels(db, besides, upto))
        return counts

    def trim(self, excess: Excess, told: Told) -> None:
        writer = self._writer
        if writer is None:
            raise StoreError(CLOSED)
        writer.put(Trim(excess, told))

    def _read(self, query: Query) -> Awaitable[Any]:
        writer = self._writer
        if writer is None:
            raise StoreError(CLOSED)
        loop = asyncio.get_running_loop()
        if self._readers is not None:
            return loop.run_in_executor(self._readers, self._read_on_disk, query)
        answer: asyncio.Future[Any] = loop.create_future()
        writer.put(Read(query, answer))
        return answer

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
