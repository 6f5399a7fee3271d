"""Stand-ins without threads, for tests in virtual time: a store, a client, an executor."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from eco_actor.eventlog import (
    Chain,
    Draft,
    Durability,
    Event,
    Page,
    Statement,
    StoreError,
    StoreFull,
    Write,
)
from eco_actor.eventlog.store import Appended

_Waiting = tuple[Sequence[Draft], Sequence[Write], Appended | None, Chain]


class FakeStore:
    """A `Store` in a list. An append is committed `delay` seconds later, on a later turn at least.

    What is committed can be read at once and is offered `lead` seconds after that, as it may be
    with a store whose readers are other threads. `fails` names what a commit fails with, `refuses`
    whether an append is turned away.
    """

    durability = Durability.OFF

    def __init__(self, delay: float = 0.0, lead: float = 0.0, read: float = 0.0) -> None:
        self.delay, self.lead, self.read = delay, lead, read
        self.epochs: Sequence[tuple[str, int]] = [("e", 1)]
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.forgotten: list[str] = []
        self.appended: list[Draft] = []
        self.fails: Callable[[Sequence[Draft]], str | None] = lambda drafts: None
        self.refuses: Callable[[Sequence[Draft]], bool] = lambda drafts: False
        self.reads_fail = False
        self.closed = False
        self.trouble: str | None = None
        self.needs_restart = False
        self.answers: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]] = lambda sql, given: []
        self._waiting: deque[_Waiting] = deque()
        self._offers: deque[tuple[list[Event], StoreError | None, Appended | None]] = deque()

    @property
    def depth(self) -> int:
        return len(self._waiting)

    async def open(
        self,
        offer: Callable[[Sequence[Event]], None],
        recovered: Callable[[], None] = lambda: None,
    ) -> int:
        self._offer = offer
        self.recovered = recovered
        return len(self.events)

    def check(self) -> None:
        """It never hangs."""

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def close(self) -> None:
        while self._waiting:
            self._commit()
        while self._offers:
            self._settle()

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        if self.closed:
            raise StoreError("the store is closed")
        if self.trouble is not None:
            raise StoreError(self.trouble)
        if self.refuses(drafts):
            raise StoreFull("as full as it was told to be")
        self.appended.extend(drafts)
        self._waiting.append((drafts, writes, done, chain or Chain()))
        _later(self.delay, self._commit)

    def forget(
        self, channels: Sequence[str], upto: int, writes: Sequence[Write], done: Appended
    ) -> None:
        self.append((), writes, done)
        self.forgotten.extend(channels)
        self.events = [
            event if event.channel not in channels else Event(Draft("", {}, 0), event.position, "e")
            for event in self.events
        ]

    def _commit(self) -> None:
        if not self._waiting:
            return  # closed meanwhile
        drafts, writes, done, chain = self._waiting.popleft()
        reason = "the chain is broken" if chain.broken else self.fails(drafts)
        chain.broken = chain.broken or reason is not None
        events: list[Event] = []
        if reason is None:
            start = len(self.events) + 1
            for draft in drafts:
                position = start - 1 if draft.transient else start
                events.append(Event(draft, position, None if draft.transient else "e"))
                start += not draft.transient
            self.events += [event for event in events if not event.transient]
            self.writes += writes
        self._offers.append((events, StoreError(reason) if reason else None, done))
        if self.lead:
            _later(self.lead, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        if not self._offers:
            return
        events, error, done = self._offers.popleft()
        self._offer(events)
        if done is not None:
            done(events, error)

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        if self.reads_fail:
            raise StoreError("as unreadable as it was told to be")
        await asyncio.sleep(self.read / 2)
        head = len(self.events)
        found = [e for e in self.events if e.channel in channels and e.position > after][:limit]
        await asyncio.sleep(self.read / 2)
        return Page(found, found[-1].position if len(found) == limit else max(head, after))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[list[tuple[Any, ...]]]:
        answer: asyncio.Future[list[tuple[Any, ...]]] = asyncio.get_running_loop().create_future()
        answer.set_result(self.answers(sql, parameters))
        return answer

    def rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        """What was written by *statement*."""
        return [write.row for write in self.writes if write.statement is statement]


def _later(delay: float, callback: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    if delay:
        loop.call_later(delay, callback)
    else:
        loop.call_soon(callback)


class FakeTransport:
    """A client: keeps what it was sent; while `stalled` reads nothing until `resumed`."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.writes: list[bytes] = []
        self.times: list[float] = []
        self.stalled = stalled
        self.resumed = asyncio.Event()
        self.error: Exception | None = None
        self.closed_at: float | None = None
        self.aborted = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert self.closed_at is None, "written to after close"
        if self.error is not None:
            raise self.error
        if self.stalled:
            await self.resumed.wait()
        self.writes.append(data)
        self.times.append(loop.time())

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()

    def abort(self) -> None:
        self.aborted = True
        self.close()


class InlineExecutor(Executor):
    """Runs what it is given at once, in the caller; while `held`, when it is let go."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: fn(*args, **kwargs)))
        if not self.held:
            self.let_go()
        return future

    def let_go(self) -> None:
        self.held = False
        for future, call in self._waiting:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except Exception as error:
                    future.set_exception(error)
        self._waiting = []
