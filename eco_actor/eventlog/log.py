"""The event log: one writer, one order; an event is shown to others once it is durable."""

import asyncio
from collections.abc import Awaitable, Sequence
from enum import Enum
from typing import Any, Final

from eco_actor.eventlog.event import EARLIEST, Cursor, Draft, Event, Page
from eco_actor.eventlog.hub import Hub, Subscriber
from eco_actor.eventlog.recent import Recent
from eco_actor.eventlog.store import Appended, Chain, Store, StoreError, Write

PAGE: Final = 256
"""Events a page holds at most."""


class Resume(Enum):
    """What a client is told about the place from which it reads on."""

    FRESH = "fresh"  # it named none
    RECOVERED = "recovered"  # everything behind it is there
    RESET = "reset"  # unknown, or of an epoch that ended before it: read from the beginning


class EventLog:
    """Appends, pages and subscriptions over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hub = Hub()
        self._recent = Recent()
        self._head = 0  # the last position that was offered
        self._seen = 0  # the last that somebody was shown: a page may be ahead of the offers

    @property
    def head(self) -> int:
        """The position of the last event that was offered."""
        return self._head

    async def open(self) -> None:
        """Open the store. StoreError with the reason when it cannot be."""
        self._recent = Recent()
        self._head = self._seen = await self.store.open(self._offer)

    async def close(self) -> None:
        """Write what waits, then close the store."""
        await self.store.close()

    def _offer(self, events: Sequence[Event]) -> None:
        for event in events:
            self._recent.add(event)
        if events:
            self._head = events[-1].position
        self.hub.offer(events)

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        """Queue events and rows for one transaction; *done* is called once they are durable.

        Never waits. StoreFull when too much waits already: nothing was queued.
        """
        self.store.append(drafts, writes, done, chain)

    async def commit(self, drafts: Sequence[Draft], writes: Sequence[Write] = ()) -> list[Event]:
        """Append and wait until it is durable and was offered. StoreError, StoreFull."""
        settled: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()

        def done(events: Sequence[Event], error: StoreError | None) -> None:
            if settled.done():
                return
            if error is None:
                settled.set_result(list(events))
            else:
                settled.set_exception(error)

        self.append(drafts, writes, done)
        return await settled

    async def page(self, channels: Sequence[str], after: int, limit: int = PAGE) -> Page:
        """The first *limit* events of *channels* behind position *after*. StoreError.

        What happened lately comes from memory, without a turn of the loop in between.
        """
        head = self._head
        if len(channels) == 1:
            recent = self._recent.after(channels[0], after)
            if recent is not None:
                if len(recent) <= limit:
                    return Page(recent, head)
                return Page(recent[:limit], recent[limit - 1].position)
        page = await self.store.page(channels, after, limit)
        self._seen = max(self._seen, page.upto)
        return page

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[list[tuple[Any, ...]]]:
        """Rows of a side table that a package registered. StoreError."""
        return self.store.query(sql, parameters)

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        self.hub.subscribe(channel, subscriber)

    def unsubscribe(self, channel: str, subscriber: Subscriber) -> None:
        self.hub.unsubscribe(channel, subscriber)

    def cursor(self, position: int) -> Cursor:
        """The cursor that names *position* today."""
        return Cursor(self.store.epochs[-1][0], position)

    def resume(self, text: str | None) -> tuple[Resume, int]:
        """The position behind which a client with this cursor reads on, and what to tell it."""
        if text is None:
            return Resume.FRESH, 0
        if text == EARLIEST:
            return Resume.RECOVERED, 0
        cursor = Cursor.parse(text)
        if cursor is None or cursor.position > self._last_of(cursor.epoch):
            return Resume.RESET, 0
        return Resume.RECOVERED, cursor.position

    def _last_of(self, epoch: str) -> int:
        """The last position that a cursor of *epoch* may name; below 0 when there never was one."""
        epochs = self.store.epochs
        last = max(self._head, self._seen)
        for token, begins in reversed(epochs):
            if token == epoch:
                return last
            last = begins - 1
        return -1
