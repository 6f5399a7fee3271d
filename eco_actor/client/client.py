"""The client: what it holds while it is open, and following scans and channels."""

import asyncio
import random as chance
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import aiohttp

from eco_actor.client.address import is_base
from eco_actor.client.calls import Calls
from eco_actor.client.errors import ScanFailed
from eco_actor.client.following import Following
from eco_actor.client.http import Http, connecting
from eco_actor.client.link import Asked, Bounds, Choice, Link
from eco_actor.client.place import Place, Transport
from eco_actor.client.poll import Poll
from eco_actor.client.sse import Sse
from eco_actor.client.told import Event, State, Task, channel_of
from eco_actor.client.ws import Ws

GIVE_UP_S: Final = 300.0
"""Seconds for which nothing comes through before it is given up."""

Overflow = Literal["buffer", "latest", "drop", "close", "coalesce"]


class Client(Calls):
    """Talks to the server at *url*, its prefix included: `async with Client(url) as client`.

    *token*: the operator's, for publishing. *session*: one of aiohttp to use, which is left open;
    else an own one. *give_up_s*: for how long nothing may come through, None: any time. *random*
    gives numbers from 0 to 1 and *wall* the seconds since 1970, for waits and for dates that the
    server names; all other time is the loop's.

    Every call tries again while the server is not there or has no room, and raises Problem when it
    refuses, Unreachable when that is given up. ValueError for a *url* that is none.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        session: aiohttp.ClientSession | None = None,
        give_up_s: float | None = GIVE_UP_S,
        bounds: Bounds | None = None,
        random: Callable[[], float] = chance.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not is_base(url):
            raise ValueError(f"url: http://HOST[:PORT][/PREFIX], or https, not {url!r}")
        super().__init__(give_up_s)
        self.url = url.rstrip("/")
        self._token = token
        self._given = session
        self._own: aiohttp.ClientSession | None = None
        self._bounds = bounds or Bounds()
        self._random = random
        self._wall = wall
        self._followings: weakref.WeakSet[Following] = weakref.WeakSet()

    async def __aenter__(self) -> Self:
        session = self._given
        if session is None:
            # each stream is a connection: how many there are is the user's doing
            connector = aiohttp.TCPConnector(limit=0)
            jar = aiohttp.DummyCookieJar()
            session = self._own = aiohttp.ClientSession(
                connector=connector, cookie_jar=jar, timeout=connecting(self._bounds)
            )
        about = (self._token, self._bounds, self._random, self._wall)
        self._opened = Http(session, self.url, *about)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened = None
        for following in list(self._followings):
            await following.aclose()
        if self._own is not None:
            own, self._own = self._own, None
            await own.close()

    # ---- following

    async def scan(
        self,
        image: bytes | Path | None = None,
        category: str | None = None,
        *,
        transport: Asked = "auto",
        **options: Any,
    ) -> dict[str, Any]:
        """The result of a scan that is started here, with the options of `start`. ScanFailed."""
        task = await self.start(image, category, **options)
        async with self.follow(task, transport=transport) as events:
            async for event in events:
                if not isinstance(event, Event):
                    continue
                if (result := event.data.get("result")) is not None:
                    return dict(result)
                if event.data["status"] in ("failed", "cancelled"):
                    raise _failed(task.task_id, event.data)
        result = await self.result(task)  # the events of its end are no more
        assert result is not None
        return result

    def follow(
        self,
        target: str | Task | Sequence[str],
        *,
        transport: Asked = "auto",
        after: str | Mapping[str, str] | None = None,
        overflow: Overflow | None = None,
        capacity: int | None = None,
        interval_ms: int | None = None,
        packed: bool = False,
        on_state: Callable[[State], None] | None = None,
    ) -> Following:
        """Follow a scan by its task, or one channel or several (`app:news`) by name.

        *after*: the cursor to go on behind; `earliest`: all there is. Without one a scan comes from
        its beginning, a channel from now on. *overflow* and its two numbers: what happens when this
        side is slow, see the API. *transport*: `auto` takes streams (sse) and turns to polling
        where these do not come through. *packed*: on a WebSocket, msgpack instead of JSON.
        *on_state* is told when a connection opens, and when the next try is waited for. ValueError
        for what cannot be.
        """
        rule: dict[str, Any] = {"overflow": overflow, "capacity": capacity}
        place = Place(_channels(target), after, interval_ms=interval_ms, **rule)
        choice = Choice(transport)
        if choice.current == "sse" and not place.is_joint:
            raise ValueError("after: over sse one cursor for all channels; take ws or poll")
        http = self._http
        ways: dict[str, Transport] = {"sse": Sse(http), "poll": Poll(http)}
        if transport == "ws":
            ways["ws"] = Ws(http, packed=packed)
        made = Following(place, choice, ways, self._link, on_state)
        self._followings.add(made)
        return made

    def _link(self) -> Link:
        now = asyncio.get_running_loop().time()
        return Link(now, self._bounds, self._random, self._give_up_s)


def _channels(target: str | Task | Sequence[str]) -> list[str]:
    """The channels that are meant: a name without a colon is a task's."""
    if isinstance(target, Task):
        return [channel_of(target.task_id)]
    names = [target] if isinstance(target, str) else list(target)
    return [name if ":" in name else channel_of(name) for name in names]


def _failed(task_id: str, data: Mapping[str, Any]) -> ScanFailed:
    error = data.get("error") or {"code": data["status"], "detail": ""}
    return ScanFailed(task_id, str(error["code"]), str(error.get("detail", "")))
