"""The store on SQLite: appends gather in a queue, and a writer thread commits them in groups.

Reads go to connections that cannot write, one page a transaction. Without a path everything is in
the memory of the one connection, and the writer serves the reads in between.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from eco_actor.eventlog.clock import SteadyClock
from eco_actor.eventlog.committer import Append, Settled
from eco_actor.eventlog.database import FORGET, RAISE_FLOOR, Database, Item
from eco_actor.eventlog.event import Draft, Page
from eco_actor.eventlog.faults import Fault
from eco_actor.eventlog.health import Health, State
from eco_actor.eventlog.history import Count, Excess
from eco_actor.eventlog.pages import read_page
from eco_actor.eventlog.readers import Query, Readers
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
from eco_actor.eventlog.threads import in_thread, made_in_thread
from eco_actor.eventlog.trimming import count_channels
from eco_actor.eventlog.writer import CLOSED, Read, Trim, Writer

log = logging.getLogger(__name__)

HANG_S: Final = 5.0
"""Seconds after which a write hangs: nothing new is taken, and what waits behind it fails."""

GIVE_UP_S: Final = 20.0
"""Seconds after which those in a write that hangs are told that nobody knows."""

CLOSE_S: Final = 2.5
"""Seconds that a close waits for what is still to be written."""

CLOSE_HANGING_S: Final = 1.0
"""The same, when a write hangs already."""

FIXED: Final = (3, 51, 3)
"""The first SQLite in which two connections that write cannot damage a database."""


class SqliteStore:
    """See `Store`. `path` None, which goes with durability off, keeps everything in memory.

    `capacity` bounds the appends that wait to be written. *clock* is that of the log.
    """

    def __init__(
        self,
        path: Path | None,
        durability: Durability,
        tables: Sequence[Tables] = (),
        capacity: int = 10_000,
        clock: SteadyClock | None = None,
    ) -> None:
        if (path is None) != (durability is Durability.OFF):
            raise ValueError("a store has a path, or durability off")
        self._path = path
        self._durability = durability
        self._tables = tables
        self.capacity = capacity
        self._clock = clock if clock is not None else SteadyClock()
        self._pack = msgpack.Packer().pack  # one for all: making one costs as much as packing
        self._health = Health()
        self._database: Database | None = None
        self._writer: Writer | None = None
        self._readers: Readers | None = None

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

    @property
    def trouble(self) -> str | None:
        return self._health.reason

    @property
    def needs_restart(self) -> bool:
        return self._health.restart

    def now_ms(self) -> int:
        return self._clock.now_ms()

    # ---- in the loop

    async def open(self, offer: Offer, recovered: Callable[[], None] = lambda: None, /) -> int:
        self._offer, self._recovered = offer, recovered
        self._health = Health()
        loop = asyncio.get_running_loop()

        def damaged(fault: Fault) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._found, fault)

        # Cancelled, it leaves no thread behind that touches the file while others open it.
        database, self._readers = await made_in_thread(
            "store-open", lambda: self._open(damaged), _close_opened
        )
        self._database = database
        self._writer = Writer(database, self._settle)
        self._writer.start()
        return database.position

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        if writer is None:
            return
        hanging = self._health.state is State.HANGING
        try:
            async with asyncio.timeout(CLOSE_HANGING_S if hanging else CLOSE_S):
                # First: the last to close a database checkpoints it.
                if readers is not None:
                    await in_thread("store-close", readers.close)
                writer.close()
                await writer.ended
        except TimeoutError:
            log.error("the store is left behind: a write has not come back")
            self._tell(writer.leave(CLOSED))

    def _settle(self, settled: Sequence[Settled], met: Fault | None, fault: Fault | None) -> None:
        """A write has come back, with what became of a batch, or of a try."""
        if met is not None:
            self._found(met)
        over = fault is None and self._health.worked()
        self._tell(settled)  # whoever is told may append what comes next
        if over:
            log.warning("writing works again")
            self._recovered()

    def _found(self, fault: Fault) -> None:
        if self._health.failed(fault):
            log.error("nothing can be written: %s", fault.reason)

    def _tell(self, settled: Sequence[Settled]) -> None:
        """The events of a batch are shown, then its owners told."""
        if settled:
            self._offer([event for each in settled for event in each.events], len(settled))
            for each in settled:
                each.append.tell(each.events, each.error)

    def check(self) -> None:
        writer = self._writer
        if writer is None:
            return
        if self._clock.jumped() and self._health.reason is None:
            writer.probe()
        seconds = writer.busy_s()
        if seconds < HANG_S:
            return
        if self._health.hangs(seconds):
            log.error("nothing can be written: %s", self._health.reason)
        reason = self._health.reason or ""
        self._tell(writer.withdraw(reason))
        if seconds >= GIVE_UP_S:
            writer.give_up(f"{reason}: it may happen yet")

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
        if self._health.reason is not None:
            raise self._refusal(chain)
        if writer.depth() >= self.capacity:
            raise StoreFull(f"{self.capacity} appends are waiting to be written")
        try:
            packed = [None if draft.transient else self._pack(draft.data) for draft in drafts]
        except OverflowError as error:
            raise ValueError("a whole number in the data needs more than 64 bits") from error
        writer.put(Append(Item(drafts, packed, writes), done, chain))

    def _refusal(self, chain: Chain | None) -> StoreError:
        if chain is not None:
            chain.broken = True
        return StoreError(self._health.reason or CLOSED)

    def forget(
        self, channels: Sequence[str], upto: int, writes: Sequence[Write], done: Appended
    ) -> None:
        removed = [Write(FORGET, (channel,)) for channel in channels]
        self.append((), [*removed, Write(RAISE_FLOOR, (upto,)), *writes], done)

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
        if self._readers is not None:
            return self._readers.ask(query)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        writer.put(Read(query, answer))
        return answer

    # ---- in a thread

    def _open(self, damaged: Callable[[Fault], None]) -> tuple[Database, Readers | None]:
        database = Database(self._path, self._durability, self._tables, self._clock)
        if self._path is None:
            return database, None
        try:
            return database, Readers(self._path, damaged)
        except sqlite3.Error as error:
            database.close(in_order=False)
            raise StoreError(f"{self._path}: {error}") from error


def _close_opened(opened: tuple[Database, Readers | None]) -> None:
    """Of an opening that nobody wants any more. The last to close a database checkpoints it."""
    database, readers = opened
    if readers is not None:
        readers.close()
    database.close()
