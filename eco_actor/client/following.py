"""What is followed, until it is over: over one connection after the other."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Self

from eco_actor.client.ends import Ended
from eco_actor.client.link import Choice, Link
from eco_actor.client.place import Place, Retry, Transport
from eco_actor.client.told import Event, Gap, Opened, State, Waiting


class Following:
    """Iterate it, for each event and gap: what is told once is not told again, and nothing is left
    out but what lies in a gap. Nothing is read ahead but what the sockets hold.

    It ends after the last event of a scan, and by itself for nothing else. Raises Problem when the
    server refuses it, Unreachable when that is given up; iterate again to go on trying. Cancelled
    while it waits it has let its connection go, and goes on behind the last event when it is
    iterated again. To stop in between: `aclose`, or leave its `async with`.
    """

    def __init__(
        self,
        place: Place,
        choice: Choice,
        transports: Mapping[str, Transport],
        link: Callable[[], Link],
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        self._place = place
        self._choice = choice
        self._transports = transports
        self._link = link
        self._on_state = on_state
        self._events: AsyncGenerator[Event | Gap, None] | None = None
        self._turn = asyncio.Lock()
        self._scope: asyncio.Timeout | None = None  # of who waits for the next
        self._closed = False

    @property
    def cursor(self) -> str | None:
        """Of the last event that was handed over, if one cursor says it: see `cursors`."""
        return self._place.joint

    @property
    def cursors(self) -> dict[str, str | None]:
        """Each channel's cursor: `after` of another time, on any transport that can hold them."""
        return dict(self._place.cursors)

    @property
    def transport(self) -> str:
        """The one that is used now."""
        return self._choice.current

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Gap:
        async with self._turn:
            if self._closed:
                raise StopAsyncIteration
            if self._events is None:
                self._events = self._told()
            try:
                async with asyncio.timeout(None) as self._scope:
                    return await anext(self._events)
            except StopAsyncIteration:
                self._closed = True
                raise
            except BaseException:
                self._events = None  # it is over, and another goes on behind it
                if self._closed and self._scope is not None and self._scope.expired():
                    raise StopAsyncIteration from None
                raise
            finally:
                self._scope = None

    async def aclose(self) -> None:
        """End it, also for who waits for its next event, and let its connection go. Harmless when
        repeated."""
        self._closed = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())
        async with self._turn:
            events, self._events = self._events, None
            if events is not None:
                await events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _told(self) -> AsyncGenerator[Event | Gap, None]:
        """Events and gaps of one connection after the other. Problem, Unreachable."""
        now = asyncio.get_running_loop().time
        link, place = self._link(), self._place
        while not place.is_over:
            listening = self._transports[self._choice.current].listen(place)
            moved = False
            try:
                async for heard in listening:
                    match heard:
                        case Retry():
                            link.retry(heard.milliseconds)
                        case Opened():
                            link.opened(now())
                            self._tell(heard)
                        case Gap() if heard.channel in place.cursors:
                            link.moved()
                            moved = True
                            yield heard
                        case Event() if place.take(heard):
                            link.moved()
                            moved = True
                            yield heard
                            if place.is_over:
                                return
            except Ended as reason:
                end = reason.end
            finally:
                await listening.aclose()
            if self._choice.turn(end, opened=link.is_open, moved=moved):
                link.turned()
                self._tell(Waiting(end.code, end.detail, 0.0, link.failures, self.transport))
                continue
            wait_s = link.ended(end, now())
            if wait_s is None:
                return
            self._tell(Waiting(end.code, end.detail, wait_s, link.failures, self.transport))
            await asyncio.sleep(wait_s)

    def _tell(self, state: State) -> None:
        if self._on_state is not None:
            self._on_state(state)
