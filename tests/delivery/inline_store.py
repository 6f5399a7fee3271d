"""The store on SQLite in memory, without its thread: for virtual time, and always in one order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from eco_actor.eventlog import Durability, SqliteStore, StoreError
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.readers import Query
from eco_actor.eventlog.store import Offer
from eco_actor.eventlog.writer import Read, Settle, Trim, Work, Writer, _resolve


class InlineStore(SqliteStore):
    """Commits in the loop, in its next turn; all else is the real one.

    What is done can be read at once and is told `lead` seconds later, as it may be with readers
    that are other threads; a read takes `read` seconds.
    """

    def __init__(self) -> None:
        super().__init__(None, Durability.OFF)
        self.lead = 0.0
        self.read = 0.0
        self.reads_fail = False

    async def open(self, offer: Offer, recovered: Callable[[], None] = lambda: None, /) -> int:
        self._offer, self._recovered = offer, recovered
        self._database = Database(None, Durability.OFF, ())
        self._writer = _InlineWriter(self._database, self._settle, self)
        return self._database.position

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _read(self, query: Query) -> Any:
        if self.reads_fail:
            raise StoreError("as unreadable as it was told to be")
        return super()._read(query)


class _InlineWriter(Writer):
    def __init__(self, database: Database, settle: Settle, store: InlineStore) -> None:
        super().__init__(database, settle)
        self._store = store
        self._told: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self.put = self._put_inline

    def _put_inline(self, work: Work) -> None:
        self._queue.put(work)
        self._loop.call_soon(self.pump)

    def pump(self) -> None:
        """Do what was put so far."""
        while self._queue.qsize():
            appends, then = self._gather(wait=False)
            self._commit(appends)
            if isinstance(then, Read):
                self._answer(then)
            elif isinstance(then, Trim):
                while not self._trim_step(then):
                    pass

    def close(self) -> None:
        self.pump()
        while self._told:
            self._tell_next()
        self._database.close()

    def _call_loop(self, callback: Callable[..., None], *args: Any) -> None:
        if callback is _resolve:
            asyncio.get_running_loop().call_later(self._store.read, callback, *args)
        elif self._store.lead:
            self._told.append((callback, args))
            self._loop.call_later(self._store.lead, self._tell_next)
        else:
            callback(*args)

    def _tell_next(self) -> None:
        if self._told:
            callback, args = self._told.popleft()
            callback(*args)
