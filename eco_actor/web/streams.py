"""`/scan/{task_id}/stream` and `/stream`: Server-Sent Events.

A handler builds the connection, and waits.
"""

import asyncio
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiohttp import web

from eco_actor.delivery.connection import RETRY_MS, Connection, Signal, Source
from eco_actor.delivery.frames import Bye, sse_bye, sse_channel_event, sse_event
from eco_actor.delivery.live import LiveChannel, LiveSubscription
from eco_actor.delivery.subscription import Subscription
from eco_actor.eventlog import Event, EventLog
from eco_actor.runtime import (
    ActorDead,
    Cell,
    DynamicSupervisor,
    MailboxSpec,
    Overflow,
    Ref,
    Restart,
    TooManyChildren,
    child,
)
from eco_actor.scan.scan import channel
from eco_actor.scan.views import Views
from eco_actor.web.problems import NO_STORE, Problem
from eco_actor.web.requests import CAPACITY, MAX_CAPACITY, mailbox_asked
from eco_actor.web.scans import TASK, unknown_task

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # for nginx
    "Incremental": "?1",  # for intermediaries that know RFC 10036
}

CHANNEL: Final = re.compile("[a-z]+:[A-Za-z0-9_.-]{1,128}")

MAX_WAITING: Final = 512 * 1024
"""Bytes that may wait for a client."""


class StreamRoutes:
    def __init__(
        self,
        log: EventLog,
        views: Views,
        connections: Callable[[], DynamicSupervisor | None],
        live: Iterable[LiveChannel] = (),
    ) -> None:
        self._log = log
        self._views = views
        self._connections = connections
        self._live = {channel.name: channel for channel in live}
        self._numbers = itertools.count(1)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"/scan/{TASK}/stream", self.scan, allow_head=False)
        app.router.add_get("/stream", self.channels, allow_head=False)

    async def scan(self, request: web.Request) -> web.StreamResponse:
        task_id = request.match_info["task_id"]
        spec = mailbox_asked(request.query)
        after = request.headers.get("Last-Event-ID") or request.query.get("after") or None
        events = await self._views.events(task_id)
        if not events:
            raise unknown_task(task_id)
        subscription = Subscription(self._log, channel(task_id), after, spec)
        if events[-1].final and subscription.begins.position >= events[-1].position:
            return web.Response(status=204, headers=NO_STORE)  # which stops an EventSource for good
        return await self._stream(request, subscription, sse_event)

    async def channels(self, request: web.Request) -> web.StreamResponse:
        """One live channel, so far; several, and those of the log, come with publishing."""
        asked = request.query.getall("channel", [])
        if len(asked) != 1:
            raise Problem(422, "bad_option", f"channel: one, for the time being, not {len(asked)}")
        channel = self._channel(asked[0])
        after = request.headers.get("Last-Event-ID") or request.query.get("after") or None
        source = LiveSubscription(self._log, channel, after, live_mailbox(request.query))
        return await self._stream(request, source, sse_channel_event)

    def _channel(self, name: str) -> LiveChannel:
        channel = self._live.get(name)
        if channel is not None:
            return channel
        if not CHANNEL.fullmatch(name):
            raise Problem(422, "bad_option", "channel: written kind:name, as system:actors")
        if name.startswith("system:"):
            raise Problem(404, "unknown_channel", f"{name}: there is no such channel")
        there = ", ".join(self._live) or "none"
        raise Problem(
            422, "channel_not_served", f"{name}: not served here yet; those that are: {there}"
        )

    async def _stream(
        self, request: web.Request, source: Source, encode: Callable[[Event], bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        transport = ResponseTransport(request, response)
        connection = self._connect(transport, source, encode)
        if connection is None:
            # 200 and a word, because an EventSource gives up for good on any other status
            await response.write(sse_bye(Bye.BUSY, RETRY_MS))
            return response
        try:
            await transport.closed
        finally:
            connection.tell(Signal.GONE)
            if isinstance(connection, Cell) and connection.suspended:
                connection.kill()  # it takes no message, and would stay for ever
        return response

    def _connect(
        self, transport: "ResponseTransport", source: Source, encode: Callable[[Event], bytes]
    ) -> Ref[Signal] | None:
        supervisor = self._connections()
        if supervisor is None:
            return None
        name = str(next(self._numbers))
        spec = child(name, Connection, transport, source, encode, restart=Restart.TEMPORARY)
        try:
            return supervisor.start_child_nowait(spec)
        except (TooManyChildren, ActorDead):
            return None


def live_mailbox(query: Mapping[str, str]) -> MailboxSpec[Event]:
    """The mailbox that a client wants on a channel without a log: any of the five rules.

    Problem for one that it cannot have.
    """
    try:
        overflow = Overflow(query.get("overflow", Overflow.BUFFER.value))
    except ValueError as error:
        rules = ", ".join(rule.value for rule in Overflow)
        raise Problem(422, "bad_option", f"overflow: one of {rules}") from error
    if "interval_ms" in query:
        raise Problem(422, "bad_option", "interval_ms: not on this channel")
    text = query.get("capacity", str(1 if overflow is Overflow.LATEST else CAPACITY))
    if not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= MAX_CAPACITY):
        raise Problem(422, "bad_option", f"capacity: a number from 1 to {MAX_CAPACITY}")
    # Without keys of their own, all events of a channel replace each other.
    key = (lambda event: event.channel) if overflow is Overflow.COALESCE else None
    return MailboxSpec(
        int(text),
        overflow,
        key,
        max_bytes=MAX_WAITING,
        size=lambda event: len(sse_channel_event(event)),
    )


class ResponseTransport:
    """A connection's way out through a response of aiohttp; `closed` ends the handler."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def write(self, data: bytes) -> None:
        await self._response.write(data)

    def close(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()
        self.close()
