"""The client: scans, channels, and following them."""

import asyncio
import json
import random as chance
import secrets
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import aiohttp

from eco_actor.client.address import is_base
from eco_actor.client.errors import Problem, ScanFailed
from eco_actor.client.following import Following
from eco_actor.client.http import Http, Request
from eco_actor.client.link import Asked, Bounds, Choice, Link
from eco_actor.client.pictures import media_type
from eco_actor.client.place import Place, Transport
from eco_actor.client.poll import Poll
from eco_actor.client.sse import Sse
from eco_actor.client.told import Event, State, Task, channel_of
from eco_actor.client.ws import Ws

GIVE_UP_S: Final = 300.0
"""Seconds for which nothing comes through before it is given up."""

Overflow = Literal["buffer", "latest", "drop", "close", "coalesce"]


class Client:
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
        self.url = url.rstrip("/")
        self._token = token
        self._given = session
        self._own: aiohttp.ClientSession | None = None
        self._give_up_s = give_up_s
        self._bounds = bounds or Bounds()
        self._random = random
        self._wall = wall
        self._opened: Http | None = None
        self._followings: weakref.WeakSet[Following] = weakref.WeakSet()

    async def __aenter__(self) -> Self:
        session = self._given
        if session is None:
            # each stream is a connection: how many there are is the user's doing
            connector = aiohttp.TCPConnector(limit=0)
            jar = aiohttp.DummyCookieJar()
            session = self._own = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
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

    @property
    def _http(self) -> Http:
        if self._opened is None:
            raise RuntimeError("the client is not open: async with Client(…) as client")
        return self._opened

    # ---- scans

    async def start(
        self,
        image: bytes | Path | None = None,
        category: str | None = None,
        *,
        lang: str | None = None,
        tags: Sequence[str] = (),
        after_scan: str | Task | None = None,
        revises: str | Task | None = None,
        user_input: str | None = None,
        key: str | None = None,
    ) -> Task:
        """Start a scan of a picture, or of a category that is known. ValueError for what is no
        picture.

        *revises*: the scan of the same thing that this one asks again; it is not counted twice.
        However often it is tried, it is one scan: it has a *key*, one of its own unless one is
        given. With one that is given, the same call a day long, in another process too, is told of
        the same scan.
        """
        options: dict[str, Any] = {"lang": lang, "category": category, "user_input": user_input}
        for name, task in (("after_scan", after_scan), ("revises", revises)):
            options[name] = _task_id(task) if task is not None else None
        options = {name: value for name, value in options.items() if value is not None}
        headers = {"Idempotency-Key": secrets.token_urlsafe(16) if key is None else key}
        query: list[tuple[str, str]] = []
        if image is None:
            if tags:
                options["tags"] = list(tags)
            body = json.dumps(options, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        else:
            body = await asyncio.to_thread(image.read_bytes) if isinstance(image, Path) else image
            headers["Content-Type"] = media_type(body)
            query += options.items()
            if tags:
                query.append(("tags", ",".join(tags)))
        _, told = await self._call("POST", "/scan/classify", query, headers, body)
        urls = (told["stream_url"], told["events_url"], told["result_url"])
        return Task(told["task_id"], *urls)

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

    async def snapshot(self, task: str | Task) -> dict[str, Any]:
        """What has become of a scan so far."""
        return await self._told("GET", f"/scan/{_quoted(task)}")

    async def result(self, task: str | Task) -> dict[str, Any] | None:
        """The result of a scan; None while there is none. ScanFailed when there will be none."""
        try:
            status, told = await self._call("GET", f"/scan/{_quoted(task)}/result")
        except Problem as problem:
            if problem.status == 409:
                raise ScanFailed(_task_id(task), problem.code, problem.detail) from problem
            raise
        return None if status == 202 else dict(told)

    async def cancel(self, task: str | Task) -> None:
        """End a scan that has no answer yet. Problem 409 `too_late` when it is over, but not when
        it was cancelled before."""
        try:
            await self._call("DELETE", f"/scan/{_quoted(task)}")
        except Problem as problem:
            # or it was this call that cancelled it, and the answer was lost
            if problem.status != 409 or (await self.snapshot(task))["status"] != "cancelled":
                raise

    async def categories(self, lang: str | None = None) -> dict[str, Any]:
        """What `category` and `tags` may be, in a language."""
        return await self._told("GET", "/scan/categories", [("lang", lang)] if lang else [])

    # ---- channels

    async def publish(
        self,
        channel: str,
        data: Mapping[str, Any],
        *,
        key: str | None = None,
        transient: bool = False,
        idempotency_key: str | None = None,
    ) -> str | None:
        """The cursor of an event, once it is as durable as promised; None when it is transient.

        *key*: what the rule `coalesce` may replace. A durable event is published once, however
        often it is tried; a transient one at most once, so it is not sent again when the answer was
        lost: Unreachable.
        """
        query = [("key", key)] if key is not None else []
        headers = {"Content-Type": "application/json"}
        if transient:
            query.append(("transient", "1"))
        if idempotency_key is not None or not transient:
            headers["Idempotency-Key"] = idempotency_key or secrets.token_urlsafe(16)
        body = json.dumps(data, ensure_ascii=False).encode()
        path = f"/channels/{quote(channel, safe=':')}/events"
        lasting = "Idempotency-Key" in headers
        _, told = await self._call("POST", path, query, headers, body, lasting=lasting)
        cursor: str | None = told["cursor"]
        return cursor

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

    # ---- calls

    async def _call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        lasting: bool = True,
    ) -> tuple[int, Any]:
        asked = Request(method, path, query, headers or {}, body, lasting)
        return await self._http.call(asked, self._give_up_s)

    async def _told(
        self, method: str, path: str, query: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        _, told = await self._call(method, path, query)
        return dict(told)


def _task_id(task: str | Task) -> str:
    return task.task_id if isinstance(task, Task) else task


def _quoted(task: str | Task) -> str:
    return quote(_task_id(task), safe="")


def _channels(target: str | Task | Sequence[str]) -> list[str]:
    """The channels that are meant: a name without a colon is a task's."""
    if isinstance(target, Task):
        return [channel_of(target.task_id)]
    names = [target] if isinstance(target, str) else list(target)
    return [name if ":" in name else channel_of(name) for name in names]


def _failed(task_id: str, data: Mapping[str, Any]) -> ScanFailed:
    error = data.get("error") or {"code": data["status"], "detail": ""}
    return ScanFailed(task_id, str(error["code"]), str(error.get("detail", "")))
