"""`/scan/{task_id}/stream`, `/stream`, `/ws`: a handler checks, and hands the connection over."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from eco_actor.delivery.connection import Wanted
from eco_actor.delivery.directory import SCAN
from eco_actor.delivery.frames import (
    SSE_CHANNEL,
    SSE_SCAN,
    WS_JSON,
    WS_MSGPACK,
    Bye,
    Format,
    MessageFormat,
    sse_bye,
)
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.rule import Refused
from eco_actor.delivery.sse import SseConnection
from eco_actor.delivery.websocket import WebSocketConnection
from eco_actor.delivery.ws_frames import BadHandshake, handshake
from eco_actor.web.handover import hand_over
from eco_actor.web.opening import Ask, Opening, asked_of
from eco_actor.web.operator import Operator
from eco_actor.web.problems import NO_STORE, problem_response
from eco_actor.web.scans import TASK, unknown_task
from eco_actor.web.trust import Trust

HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # for nginx
    "Incremental": "?1",  # for intermediaries that know RFC 10036
}

DEFAULT: Final = "eco.v1.json"
SUBPROTOCOLS: Final[dict[str, MessageFormat]] = {DEFAULT: WS_JSON, "eco.v1.msgpack": WS_MSGPACK}


class StreamRoutes:
    def __init__(
        self, opening: Opening, publisher: Publisher, operator: Operator, trust: Trust
    ) -> None:
        self._opening = opening
        self._publisher = publisher
        self._operator = operator
        self._trust = trust

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"/scan/{TASK}/stream", self.scan, allow_head=False)
        app.router.add_get("/stream", self.channels, allow_head=False)
        app.router.add_get("/ws", self.websocket, allow_head=False)

    async def scan(self, request: web.Request) -> web.StreamResponse:
        task_id = request.match_info["task_id"]
        asked = _asked(request)
        ask = Ask((f"{SCAN}:{task_id}",), asked.after, asked.rule)
        try:
            wanted = await self._wanted(ask)
        except Refused as refused:  # what is no name of a channel is no scan, either
            if refused.code == "gone":
                raise
            raise unknown_task(task_id) from refused
        return self._sse(request, ask, wanted, SSE_SCAN)

    async def channels(self, request: web.Request) -> web.StreamResponse:
        ask = _asked(request)
        if not ask.channels:
            raise Refused("bad_option", "channel: at least one, as ?channel=app:news")
        return self._sse(request, ask, await self._wanted(ask), SSE_CHANNEL)

    def _sse(
        self, request: web.Request, ask: Ask, wanted: Wanted, format: Format
    ) -> web.StreamResponse:
        if all(found.is_over for found, _ in wanted):
            return web.Response(status=204, headers=NO_STORE)  # which stops an EventSource for good
        shared = self._trust.shared(request)
        head = _lines(HEAD[:-2], shared) if shared else HEAD
        opening = self._opening
        supervisor = opening.admit(opening.delivery.traffic.sse, resuming=ask.resuming)
        if supervisor is not None:

            def start(transport: asyncio.Transport, paused: bool) -> asyncio.Protocol:
                about = (format, wanted, head)
                return opening.start(supervisor, SseConnection, transport, paused, *about)

            return hand_over(request, start)
        # 200 and a word, because an EventSource gives up for good on any other status
        retry_ms = opening.retry_ms(request.transport, resuming=ask.resuming)
        busy = web.Response(body=sse_bye(Bye.BUSY, retry_ms), headers=HEADERS)
        busy.force_close()
        return busy

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        try:
            agreed = handshake(request.method, request.headers, SUBPROTOCOLS)
        except BadHandshake as error:
            return problem_response(error.status, error.code, error.detail, error.headers)
        ask = _asked(request)
        wanted = await self._wanted(ask)
        opening = self._opening
        supervisor = opening.admit(opening.delivery.traffic.websocket, resuming=ask.resuming)
        if supervisor is not None:
            format = SUBPROTOCOLS[agreed.subprotocol or DEFAULT]
            head = agreed.with_headers(self._trust.shared(request))
            publisher = self._publisher if self._operator.is_operator(request) else None

            def start(transport: asyncio.Transport, paused: bool) -> asyncio.Protocol:
                about = (format, wanted, head, publisher)
                return opening.start(supervisor, WebSocketConnection, transport, paused, *about)

            return hand_over(request, start, upgrade=True)
        retry_ms = opening.retry_ms(request.transport, resuming=ask.resuming)
        headers = {"Retry-After": str(-(-retry_ms // 1000))}
        return problem_response(503, Bye.BUSY.code, Bye.BUSY.reason, headers)

    async def _wanted(self, ask: Ask) -> Wanted:
        """Where each channel begins, and its rule. Refused, StoreError."""
        place = self._opening.delivery.directory.place
        return [(await place(channel, ask.after), ask.rule) for channel in ask.channels]


def _asked(request: web.Request) -> Ask:
    return asked_of(request.query.items(), request.headers)


def _lines(head: bytes, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head + lines.encode("latin-1") + b"\r\n"


HEAD: Final = _lines(b"HTTP/1.1 200 OK\r\n", {**HEADERS, "Connection": "close"})
"""What an SSE stream begins with, where nobody is to be let in from elsewhere."""
