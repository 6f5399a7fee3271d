"""The event log: one writer, one order; an event is shown to others once it is durable."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from eco_actor.eventlog.event import EARLIEST, Cursor, Draft, Event, Page
from eco_actor.eventlog.history import SCANS, Bounds, Excess, Histories, Trimmed
from eco_actor.eventlog.hub import Hub, Subscriber
from eco_actor.eventlog.place import Place, Resume
from eco_actor.eventlog.recent import Recent
from eco_actor.eventlog.store import (
    Appended,
    Chain,
    Store,
    StoreError,
    StoreUncertain,
    Trims,
    Write,
)

log = logging.getLogger(__name__)

BOUNDS: Final = Bounds()

LAST_WORDS_S: Final = 1.5
"""Seconds that a close waits for what was queued, before nothing more is taken."""

PAGE: Final = 256
"""Events a page holds at most."""

FORGET: Final = 64
"""Channels that are removed in one transaction at most."""

FORGOTTEN: Final = 4096
"""Channels that were removed lately of which is known that they were."""


class EventLog:
    """Appends, pages and subscriptions over one store."""

    def __init__(self, store: Store, bounds: Bounds = BOUNDS) -> None:
        self.store = store
        self._bounds = bounds
        self.hub = Hub()
        self._recent = Recent()
        self._head = 0  # the last position that was offered
        self._seen = 0  # the last that somebody was shown: a page may be ahead of the offers
        self._under_way = 0  # appends and shows that are not offered to everybody yet
        self._trimmed: dict[str, int] = {}
        self._trims: dict[str, asyncio.Future[Trimmed | StoreError]] = {}
        self._histories = Histories(bounds)
        self._counted_from = 0  # what is behind this position is counted as it is offered
        self._forgotten: dict[str, None] = {}  # oldest first
        self._when_recovered: dict[Callable[[], None], None] = {}

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment; None when all is well."""
        return self.store.trouble

    @property
    def needs_restart(self) -> bool:
        """Whether this trouble lasts until the process is restarted, and ends with that."""
        return self.store.needs_restart

    def on_recovered(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have *callback* called each time a trouble has ended; returns what undoes this."""
        self._when_recovered[callback] = None
        return lambda: self._when_recovered.pop(callback, None)

    def _recovered(self) -> None:
        for callback in tuple(self._when_recovered):
            try:
                callback()
            except Exception:
                log.exception("what follows the end of a trouble failed")

    def now_ms(self) -> int:
        """The clock by which things here grow old, in milliseconds; see `SteadyClock`."""
        return self.store.now_ms()

    def check(self) -> None:
        """Notice a write that hangs; to be called every second or so."""
        self.store.check()

    @property
    def head(self) -> int:
        """The position of the last event that was offered."""
        return self._head

    async def open(self) -> None:
        """Open the store. StoreError with the reason when it cannot be."""
        self._recent = Recent()
        self._under_way = 0
        self._trims = {}
        self._histories = Histories(self._bounds)
        self._head = self._seen = self._counted_from = await self.store.open(
            self._offer, self._recovered
        )
        self._trimmed = dict(self.store.trimmed) if isinstance(self.store, Trims) else {}

    async def close(self) -> None:
        """Write what waits, then close the store."""
        if self.trouble is None:
            # What is told of its end now may have a last word to write.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self.commit(())
        await self.store.close()

    def _offer(self, events: Sequence[Event], appends: int = 1, /) -> None:
        for event in events:
            if event.cursor is not None:
                self._recent.add(event)
                self._histories.add(event)
        if events:
            self._head = events[-1].position  # of a transient one: that of the last before it
        self.hub.offer(events)
        self._under_way -= appends

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        """Queue events and rows for one transaction; *done* is called once they are durable.

        Transient drafts are not written: they are offered in their place among the others. Never
        waits. StoreFull when too much waits already: nothing was queued.
        """
        self.store.append(drafts, writes, done, chain)
        self._under_way += 1

    def show(self, draft: Draft) -> None:
        """Offer a transient draft: at once, or behind what still waits to be written.

        Never waits. StoreFull when too much waits already, StoreError when it has to wait and the
        store is closed or in trouble, as behind a write that hangs: it was not shown then.
        """
        if not draft.transient:
            raise ValueError(f"{draft.channel}: an event that is to be kept is appended")
        if self._under_way:
            self.append((draft,))
            return
        self._under_way = 1  # what a subscriber shows in its turn comes behind this one
        self.hub.offer((Event(draft, self._head, None),))
        self._under_way -= 1

    async def commit(self, drafts: Sequence[Draft], writes: Sequence[Write] = ()) -> list[Event]:
        """Append and wait until it is durable and was offered. StoreError, StoreFull.

        StoreUncertain when the storage hangs: it may be written yet.
        """
        settled = _Settled()
        self.append(drafts, writes, settled)
        return await settled.events

    async def forget(self, channels: Sequence[str], writes: Sequence[Write] = ()) -> None:
        """Remove all events of *channels*, with the rows, in one transaction; at most FORGET.

        For channels whose last event was shown. No position is given again. StoreError: nothing
        was removed; StoreUncertain: it may be yet.
        """
        if len(channels) > FORGET:
            raise ValueError(f"{len(channels)} channels: at most {FORGET} at a time")
        self._forgotten.update(dict.fromkeys(channels))
        while len(self._forgotten) > FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]
        settled = _Settled()

        def done(events: Sequence[Event], error: StoreError | None) -> None:
            # here, because whoever asked may have been cancelled
            if error is None:
                self._recent.forget(channels)
            elif isinstance(error, StoreUncertain):
                self._recent = Recent()  # what is there has to be read
            settled(events, error)

        self.store.forget(channels, self._head, writes, done)
        self._under_way += 1
        await settled.events

    def forgotten(self, channel: str) -> bool:
        """Whether *channel* was removed lately, or may be at any moment.

        Who finds nothing more of it should not wait for anything.
        """
        return channel in self._forgotten

    async def page(self, channels: Sequence[str], after: int, limit: int = PAGE) -> Page:
        """The first *limit* events of *channels* behind position *after*. StoreError.

        What happened lately comes from memory, without a turn of the loop in between. What was
        trimmed, be it while this page was read, is not in it: whoever pages compares *after* with
        `trimmed` of each channel once the page is there, in the same turn of the loop. Where that
        is larger, everything of the channel in between is gone, and what the page has of it lies
        behind. Who reads several channels may come to the same loss again with the next page.
        """
        recent = self.page_now(channels, after, limit)
        if recent is not None:
            return recent
        page = await self.store.page(channels, after, limit)
        for channel, gone in page.trimmed:  # the store may be ahead of what it has told
            self._trimmed[channel] = max(gone, self.trimmed(channel))
        upto = max(page.upto, min(map(self.trimmed, channels)))
        self._seen = max(self._seen, upto)
        return Page(self._left(page.events, channels, after), upto, page.trimmed)

    def page_now(self, channels: Sequence[str], after: int, limit: int = PAGE) -> Page | None:
        """The same at once, where memory has it; None where the store has to be read."""
        recent = self._recent.after(channels, after)
        if recent is None:
            return None
        recent = self._left(recent, channels, after)
        if len(recent) < limit:
            return Page(recent, max(after, self._head))
        return Page(recent[:limit], recent[limit - 1].position)

    def _left(self, events: list[Event], channels: Sequence[str], after: int) -> list[Event]:
        """Those of *events* that were not trimmed."""
        trimmed = self._trimmed
        if not trimmed or all(trimmed.get(channel, 0) <= after for channel in channels):
            return events
        return [each for each in events if each.position > trimmed.get(each.channel, 0)]

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

    def trimmed(self, channel: str) -> int:
        """Everything of *channel* up to this position is gone; 0: nothing is."""
        return self._trimmed.get(channel, 0)

    async def excesses(self, now_ms: int) -> Sequence[Excess]:
        """What is over the bounds at this time of the log, channel by channel. StoreError.

        Counts what the log holds when it was not counted since it was opened, which takes a pass
        over it.
        """
        await self._count()
        return self._histories.excesses(now_ms)

    async def _count(self) -> None:
        histories = self._histories
        if histories.loaded or not isinstance(self.store, Trims):
            return
        counts = await self.store.count(SCANS, self._counted_from)
        if not histories.loaded:
            histories.load(counts)

    async def trim(self, excess: Excess) -> bool:
        """Let go of what is in excess; whether anything went. StoreError: part of it may be gone.

        One trim a channel: another one waits for the end of that under way, and is that one. It
        goes on when its caller is cancelled.
        """
        store, channel = self.store, excess.channel
        if not isinstance(store, Trims):
            raise StoreError("this store does not trim")
        await self._count()  # or what goes now would be taken off what was never added
        under_way = self._trims.get(channel)
        if under_way is None:
            under_way = asyncio.get_running_loop().create_future()
            store.trim(excess, partial(self._note, channel, under_way))
            self._trims[channel] = under_way
        before = self.trimmed(channel)
        last = await asyncio.shield(under_way)
        if isinstance(last, StoreError):
            raise last
        return self.trimmed(channel) > before

    def _note(
        self,
        channel: str,
        under_way: "asyncio.Future[Trimmed | StoreError]",
        step: Trimmed | StoreError,
    ) -> None:
        """One step of a trim is durable, or the trim has failed."""
        if isinstance(step, Trimmed):
            if step.upto:
                self._trimmed[channel] = max(step.upto, self.trimmed(channel))
            self._histories.trimmed(step)
            if not step.done:
                return
        if self._trims.get(channel) is under_way:
            del self._trims[channel]
        if not under_way.done():
            under_way.set_result(step)

    def resume(self, channel: str, after: str | None, fresh: int) -> Place:
        """Where a client reads on that comes with the cursor *after*; without one, at *fresh*.

        What is no cursor, or none of this log, is reset. PARTIAL when some of what lies behind it
        was trimmed.
        """
        if after is None:
            return Place(Resume.FRESH, fresh)
        trimmed = self._trimmed.get(channel, 0)
        position = self._position(after)
        if position is None:
            begin = self.cursor(trimmed)
            return Place(Resume.RESET, trimmed, (begin, begin))
        if position < trimmed:
            missing = (self.cursor(position), self.cursor(trimmed))
            return Place(Resume.PARTIAL, trimmed, missing)
        return Place(Resume.RECOVERED, position)

    def _position(self, text: str) -> int | None:
        """The position that *text* names in this log; None when it names none."""
        if text == EARLIEST:
            return 0
        cursor = Cursor.parse(text)
        if cursor is None or cursor.position > self._last_of(cursor.epoch):
            return None
        return cursor.position

    def _last_of(self, epoch: str) -> int:
        """The last position that a cursor of *epoch* may name; below 0 when there never was one."""
        epochs = self.store.epochs
        last = max(self._head, self._seen)
        for token, begins in reversed(epochs):
            if token == epoch:
                return last
            last = begins - 1
        return -1


class _Settled:
    """What became of an append, as a future."""

    def __init__(self) -> None:
        self.events: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()

    def __call__(self, events: Sequence[Event], error: StoreError | None) -> None:
        if self.events.done():
            return
        if error is None:
            self.events.set_result(list(events))
        else:
            self.events.set_exception(error)
