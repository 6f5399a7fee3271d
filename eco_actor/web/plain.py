"""Streams that are plainly asked for, opened without aiohttp: see `door`."""

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from eco_actor.delivery.connection import Wanted
from eco_actor.delivery.directory import SCAN
from eco_actor.delivery.frames import SSE_CHANNEL, SSE_SCAN, Bye, Format, sse_bye
from eco_actor.delivery.rule import Refused
from eco_actor.delivery.sse import SseConnection
from eco_actor.delivery.websocket import WebSocketConnection
from eco_actor.delivery.ws_frames import BadHandshake, handshake
from eco_actor.web.head import Head, parse_head
from eco_actor.web.opening import Ask, Opening, asked_of
from eco_actor.web.problems import problem_response
from eco_actor.web.streams import DEFAULT, HEAD, SUBPROTOCOLS
from eco_actor.web.trust import Trust

_SCAN_STREAM: Final = re.compile(r"/scan/([A-Za-z0-9_-]{1,64})/stream")

_PROBLEM: Final = str(problem_response(503, Bye.BUSY.code, Bye.BUSY.reason).text).encode()
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n"
    b"Retry-After: %d\r\n\r\n%b"
)

REMEMBERED: Final = 2048
"""Bytes of a request that is worth remembering."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A request of which nothing is in doubt but whether it may be granted; `format` None: a
    WebSocket."""

    ask: Ask
    format: Format | None
    head: Head
    behind: bytes


def read_plain(data: bytes) -> Plain | None:
    """What *data*, the beginning of a connection, plainly asks for; None: whatever else it is."""
    if data.startswith(b"GET /ws") or len(data) > REMEMBERED:  # those have a key of their own
        return _read(data)
    return _remembered(data)


@lru_cache(maxsize=256)  # clients of one kind send the same, and all of them after a restart
def _remembered(data: bytes) -> Plain | None:
    return _read(data)


def _read(data: bytes) -> Plain | None:
    read = parse_head(data)
    if read is None:
        return None
    head, behind = read
    headers = head.headers
    try:
        ask = asked_of(head.options(), headers)
    except Refused:
        return None
    if head.path == "/ws":
        # who shows a token may be the operator
        shows = "authorization" in headers or "cookie" in headers
        return None if shows else Plain(ask, None, head, behind)
    if behind or "upgrade" in headers:
        return None
    if head.path == "/stream":
        return Plain(ask, SSE_CHANNEL, head, behind) if ask.channels else None
    found = _SCAN_STREAM.fullmatch(head.path)
    if found is None:
        return None
    return Plain(Ask((f"{SCAN}:{found[1]}",), ask.after, ask.rule), SSE_SCAN, head, behind)


class PlainStreams:
    """Opens them."""

    def __init__(self, opening: Opening, trust: Trust) -> None:
        self._opening = opening
        self._trust = trust

    def __call__(self, data: bytes, transport: asyncio.Transport) -> bool:
        """Open the stream that *data* plainly asks for; False when it is for the routes to judge,
        and nothing has happened."""
        plain = read_plain(data)
        if plain is None:
            return False
        upgrade = plain.format is None
        if not self._trust.plainly_allows(plain.head.headers, upgrade=upgrade):
            return False
        wanted = self._wanted(plain.ask)
        if wanted is None:
            return False
        if plain.format is None:
            return self._open_websocket(plain, wanted, transport)
        if all(found.is_over for found, _ in wanted):
            return False
        resuming = plain.ask.resuming
        opening = self._opening
        supervisor = opening.admit(opening.delivery.traffic.sse, resuming=resuming)
        if supervisor is None:
            retry_ms = opening.retry_ms(transport, resuming=resuming)
            transport.write(HEAD + sse_bye(Bye.BUSY, retry_ms))
            transport.close()
        else:
            opening.start(supervisor, SseConnection, transport, False, plain.format, wanted, HEAD)
        return True

    def _open_websocket(self, plain: Plain, wanted: Wanted, transport: asyncio.Transport) -> bool:
        try:
            agreed = handshake("GET", plain.head.headers, SUBPROTOCOLS)
        except BadHandshake:
            return False
        resuming = plain.ask.resuming
        opening = self._opening
        supervisor = opening.admit(opening.delivery.traffic.websocket, resuming=resuming)
        if supervisor is None:
            seconds = -(-opening.retry_ms(transport, resuming=resuming) // 1000)
            transport.write(_BUSY % (len(_PROBLEM), seconds, _PROBLEM))
            transport.close()
            return True
        format = SUBPROTOCOLS[agreed.subprotocol or DEFAULT]
        about = (format, wanted, agreed.head, None)
        opened = opening.start(supervisor, WebSocketConnection, transport, False, *about)
        if plain.behind:
            opened.data_received(plain.behind)
        return True

    def _wanted(self, ask: Ask) -> Wanted | None:
        """Where each channel begins, where that needs no waiting and nothing is wrong."""
        place, rule = self._opening.delivery.directory.place_now, ask.rule
        wanted = []
        try:
            for channel in ask.channels:
                found = place(channel, ask.after)
                if found is None:
                    return None
                wanted.append((found, rule))
        except Refused:
            return None
        return wanted
