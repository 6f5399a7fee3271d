"""Taking a connection over from aiohttp, once it has routed and checked the request.

A connection that stays open for hours costs a seventh of what it costs inside a handler, and what
it is sent goes to the transport directly. Only public names of aiohttp are used, but not documented
ones: its version is pinned, and the tests go through all that was found to leak.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class HandedOver(web.StreamResponse):
    """What a handler returns when there is nothing for aiohttp to answer: the answer is not its."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Behind:
    """In place of aiohttp's own reader of WebSocket frames: keeps what was read behind the head."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        return None


def hand_over(
    request: web.Request,
    protocol: Callable[[asyncio.Transport, bool], asyncio.Protocol],
    *,
    upgrade: bool = False,
) -> web.StreamResponse:
    """Give the request's connection to what *protocol* makes; return the result as the answer.

    *protocol* gets the transport, and whether writing is paused. It is called only while the client
    is there, and at most once; what it returns owns the transport from then on, hears nothing of
    the past (no `connection_made`), and may write in the call already. What it raises goes on, and
    the connection stays aiohttp's. After an *upgrade*, what was read behind the head goes to its
    `data_received`. Otherwise requests behind this one are dropped: answer `Connection: close`.

    The handler's task may be cancelled at its next await: nothing may wait behind this call, in a
    middleware neither.
    """
    http = request.protocol
    transport = request.transport
    if transport is None or transport.is_closing():
        return HandedOver()  # nobody is there to be told; raising would log a fault of ours
    paused = http.writing_paused
    ours = protocol(transport, paused)
    behind = _Behind()
    if upgrade:
        http.set_parser(behind)  # type: ignore[arg-type]
    transport.set_protocol(ours)
    if http.writing_paused and not paused:
        ours.pause_writing()  # what it wrote just now was much, and aiohttp was told
    http.transport = None  # before it is told of the end, or it would close the transport
    http.connection_lost(None)
    if not transport.is_reading():
        transport.resume_reading()  # paused behind many requests in one packet
    if behind.data:
        _feed(transport, ours, bytes(behind.data))
    return HandedOver()


def _feed(transport: asyncio.Transport, protocol: asyncio.Protocol, data: bytes) -> None:
    """As the loop would: a fault ends the connection, and is nobody else's."""
    try:
        protocol.data_received(data)
    except Exception as error:
        context: dict[str, Any] = {
            "message": "Fatal error: protocol.data_received() call failed.",
            "exception": error,
            "transport": transport,
            "protocol": protocol,
        }
        asyncio.get_running_loop().call_exception_handler(context)
        transport.abort()
