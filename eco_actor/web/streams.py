"""`/scan/{task_id}/stream`, `/stream`, `/ws`: a handler checks, and hands the connection over."""

import asyncio
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.connection import Connection, Delivery, Wanted
from eco_actor.delivery.directory import SCAN
from eco_actor.delivery.frames import (
    SSE_CHANNEL,
    SSE_SCAN,
    WS_JSON,
    WS_MSGPACK,
    Bye,
    Format,
    sse_bye,
)
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.rule import Refused, Rule, rule_asked
from eco_actor.delivery.sse import SseConnection
from eco_actor.delivery.traffic import StreamTraffic
from eco_actor.delivery.websocket import CHANNELS, WebSocketConnection
from eco_actor.delivery.ws_frames import BadHandshake, handshake
from eco_actor.runtime import Cell, DynamicSupervisor, Restart, child
from eco_actor.web.handover import hand_over
from eco_actor.web.head import Head
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
SUBPROTOCOLS: Final = {DEFAULT: WS_JSON, "eco.v1.msgpack": WS_MSGPACK}

LAST_EVENT_ID: Final = "last-event-id"


class StreamRoutes:
    def __init__(
        self,
        delivery: Delivery,
        publisher: Publisher,
        gate: Gate,
        connections: Callable[[], DynamicSupervisor | None],
        operator: Operator,
        trust: Trust,
    ) -> None:
        self._delivery = delivery
        self._publisher = publisher
        self._gate = gate
        self._connections = connections
        self._operator = operator
        self._trust = trust
        self._numbers = itertools.count(1)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"/scan/{TASK}/stream", self.scan, allow_head=False)
        app.router.add_get("/stream", self.channels, allow_head=False)
        app.router.add_get("/ws", self.websocket, allow_head=False)

    async def scan(self, request: web.Request) -> web.StreamResponse:
        task_id = request.match_info["task_id"]
        try:
            return await self._sse(request, [f"{SCAN}:{task_id}"], SSE_SCAN)
        except Refused as refused:
            if refused.code == "bad_channel":  # what is no name of a channel is no scan, either
                raise unknown_task(task_id) from refused
            raise

    async def channels(self, request: web.Request) -> web.StreamResponse:
        asked = _channels(request.query.getall("channel", []))
        if not asked:
            raise Refused("bad_option", "channel: at least one, as ?channel=app:news")
        return await self._sse(request, asked, SSE_CHANNEL)

    async def _sse(
        self, request: web.Request, channels: Sequence[str], format: Format
    ) -> web.StreamResponse:
        after = _after(request.headers, request.query)
        wanted = await self._wanted(channels, after, _rule(request.query))
        if all(found.is_over for found, _ in wanted):
            return web.Response(status=204, headers=NO_STORE)  # which stops an EventSource for good
        shared = self._trust.shared(request)
        head = _lines(HEAD[:-2], shared) if shared else HEAD
        resuming = after is not None
        supervisor = self._admit(self._delivery.traffic.sse, resuming)
        if supervisor is not None:
            about = (format, wanted, head)
            return hand_over(request, self._starter(supervisor, SseConnection, about))
        # 200 and a word, because an EventSource gives up for good on any other status
        retry_ms = self._gate.retry_ms(_client(request.transport), resuming)
        busy = web.Response(body=sse_bye(Bye.BUSY, retry_ms), headers=HEADERS)
        busy.force_close()
        return busy

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        try:
            agreed = handshake(request.method, request.headers, list(SUBPROTOCOLS))
        except BadHandshake as error:
            return problem_response(error.status, error.code, error.detail, error.headers)
        after = _after(request.headers, request.query)
        channels = _channels(request.query.getall("channel", []))
        wanted = await self._wanted(channels, after, _rule(request.query))
        resuming = after is not None
        supervisor = self._admit(self._delivery.traffic.websocket, resuming)
        if supervisor is not None:
            format = SUBPROTOCOLS[agreed.subprotocol or DEFAULT]
            publisher = self._publisher if self._operator.is_operator(request) else None
            about = (format, wanted, agreed.with_headers(self._trust.shared(request)), publisher)
            start = self._starter(supervisor, WebSocketConnection, about)
            return hand_over(request, start, upgrade=True)
        retry_ms = self._gate.retry_ms(_client(request.transport), resuming)
        headers = {"Retry-After": str(-(-retry_ms // 1000))}
        return problem_response(503, Bye.BUSY.code, Bye.BUSY.reason, headers)

    async def _wanted(self, channels: Sequence[str], after: str | None, rule: Rule) -> Wanted:
        """Where each of *channels* begins, and under which rule. Refused, StoreError."""
        place = self._delivery.directory.place
        return [(await place(channel, after), rule) for channel in channels]

    def _admit(self, traffic: StreamTraffic, resuming: bool) -> DynamicSupervisor | None:
        """The supervisor of a stream that may be opened now; None when it is to come back."""
        now = asyncio.get_running_loop().time()
        supervisor = self._connections()
        if supervisor is None or len(supervisor) >= supervisor.max_children:
            self._gate.refuse(now, resuming)
        elif self._gate.admit(now, resuming):
            return supervisor
        traffic.refuse(resuming=resuming)
        return None

    def _starter(
        self,
        supervisor: DynamicSupervisor,
        kind: Callable[..., Connection],
        about: tuple[object, ...],
    ) -> Callable[[asyncio.Transport, bool], Connection]:
        """Makes a connection of *kind* of a transport."""

        def start(transport: asyncio.Transport, paused: bool) -> Connection:
            name = str(next(self._numbers))
            made = (transport, paused, self._delivery, *about)
            cell = supervisor.start_child_nowait(
                child(name, kind, *made, restart=Restart.TEMPORARY)
            )
            assert isinstance(cell, Cell)
            assert isinstance(cell.actor, Connection)
            return cell.actor

        return start

    # ---- without aiohttp: see `door`

    def open_now(self, head: Head, behind: bytes, transport: asyncio.Transport) -> bool:
        """Open the stream that *head* plainly asks for; False when it is for the routes to judge,
        and nothing has happened."""
        path, headers = head.path, head.headers
        if path == "/ws":
            return self._websocket_now(head, behind, transport)
        if behind or "upgrade" in headers:
            return False
        if not self._trust.plainly_allows(headers, upgrade=False):
            return False
        options = head.options()
        if path == "/stream":
            asked = [value for name, value in options if name == "channel"]
            format: Format = SSE_CHANNEL
        elif found := _SCAN_STREAM.fullmatch(path):
            asked, format = [f"{SCAN}:{found[1]}"], SSE_SCAN
        else:
            return False
        wanted, after = self._wanted_now(asked, headers, options)
        if not wanted or any(found.is_over for found, _ in wanted):
            return False
        resuming = after is not None
        supervisor = self._admit(self._delivery.traffic.sse, resuming)
        if supervisor is None:
            retry_ms = self._gate.retry_ms(_client(transport), resuming)
            transport.write(HEAD + sse_bye(Bye.BUSY, retry_ms))
            transport.close()
        else:
            self._starter(supervisor, SseConnection, (format, wanted, HEAD))(transport, False)
        return True

    def _websocket_now(self, head: Head, behind: bytes, transport: asyncio.Transport) -> bool:
        headers = head.headers
        if "authorization" in headers or "cookie" in headers:  # of the operator, it may be
            return False
        if not self._trust.plainly_allows(headers, upgrade=True):
            return False
        options = head.options()
        asked = [value for name, value in options if name == "channel"]
        wanted, after = self._wanted_now(asked, headers, options)
        if wanted is None:
            return False
        try:
            agreed = handshake("GET", headers, list(SUBPROTOCOLS))
        except BadHandshake:
            return False
        resuming = after is not None
        supervisor = self._admit(self._delivery.traffic.websocket, resuming)
        if supervisor is None:
            transport.write(_BUSY % -(-self._gate.retry_ms(_client(transport), resuming) // 1000))
            transport.close()
            return True
        about = (SUBPROTOCOLS[agreed.subprotocol or DEFAULT], wanted, agreed.head, None)
        opened = self._starter(supervisor, WebSocketConnection, about)(transport, False)
        if behind:
            opened.data_received(behind)
        return True

    def _wanted_now(
        self, channels: list[str], headers: Mapping[str, str], options: list[tuple[str, str]]
    ) -> tuple[Wanted | None, str | None]:
        """As `_wanted`, where that needs no waiting and nothing is wrong; else None."""
        query = dict(reversed(options))  # of several the first counts
        after = _after(headers, query)
        try:
            rule = _rule(query)
            found = [
                self._delivery.directory.place_now(each, after) for each in _channels(channels)
            ]
        except Refused:
            return None, after
        wanted = [(each, rule) for each in found if each is not None]
        return (wanted if len(wanted) == len(found) else None), after


_SCAN_STREAM: Final = re.compile(r"/scan/([A-Za-z0-9_-]{1,64})/stream")

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n"
    b"Retry-After: %d\r\n\r\n"
)


def _channels(asked: Sequence[str]) -> list[str]:
    """The channels that are asked for, each once. Refused when they are too many."""
    each_once = list(dict.fromkeys(asked))
    if len(each_once) > CHANNELS:
        raise Refused("too_many_channels", f"channel: at most {CHANNELS} a connection")
    return each_once


def _after(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The cursor that the client comes with: the header wins."""
    return headers.get(LAST_EVENT_ID) or query.get("after") or None


def _rule(query: Mapping[str, str]) -> Rule:
    return rule_asked(query.get("overflow"), query.get("capacity"), query.get("interval_ms"))


def _client(transport: asyncio.BaseTransport | None) -> str:
    """Who is to come back: the address, and the port, for many may share an address."""
    return "" if transport is None else str(transport.get_extra_info("peername"))


def _lines(head: bytes, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head + lines.encode("latin-1") + b"\r\n"


HEAD: Final = _lines(b"HTTP/1.1 200 OK\r\n", {**HEADERS, "Connection": "close"})
