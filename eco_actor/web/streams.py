"""`/scan/{task_id}/stream`: Server-Sent Events. A handler builds the connection, and waits."""

import asyncio
import itertools
from collections.abc import Callable

from aiohttp import web

from eco_actor.delivery.connection import RETRY_MS, Connection, Signal
from eco_actor.delivery.frames import Bye, sse_bye
from eco_actor.delivery.subscription import Subscription
from eco_actor.eventlog import EventLog
from eco_actor.runtime import ActorDead, DynamicSupervisor, Ref, Restart, TooManyChildren, child
from eco_actor.scan.scan import channel
from eco_actor.scan.views import Views
from eco_actor.web.problems import NO_STORE
from eco_actor.web.requests import mailbox_asked
from eco_actor.web.scans import TASK, unknown_task

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # for nginx
    "Incremental": "?1",  # for intermediaries that know RFC 10036
}


class StreamRoutes:
    def __init__(
        self,
        log: EventLog,
        views: Views,
        connections: Callable[[], DynamicSupervisor | None],
    ) -> None:
        self._log = log
        self._views = views
        self._connections = connections
        self._numbers = itertools.count(1)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"/scan/{TASK}/stream", self.scan, allow_head=False)

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
        return await self._stream(request, subscription)

    async def _stream(self, request: web.Request, subscription: Subscription) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        transport = ResponseTransport(request, response)
        connection = self._connect(transport, subscription)
        if connection is None:
            # 200 and a word, because an EventSource gives up for good on any other status
            await response.write(sse_bye(Bye.BUSY, RETRY_MS))
            return response
        try:
            await transport.closed
        finally:
            connection.tell(Signal.GONE)
        return response

    def _connect(
        self, transport: "ResponseTransport", subscription: Subscription
    ) -> Ref[Signal] | None:
        supervisor = self._connections()
        if supervisor is None:
            return None
        name = str(next(self._numbers))
        spec = child(name, Connection, transport, subscription, restart=Restart.TEMPORARY)
        try:
            return supervisor.start_child_nowait(spec)
        except (TooManyChildren, ActorDead):
            return None


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
