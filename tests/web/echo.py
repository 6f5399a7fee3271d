"""A WebSocket server that says everything twice: handshake, handover and frames of the package."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from eco_actor.delivery.ws_frames import (
    BINARY,
    TEXT,
    BadHandshake,
    Closing,
    Inbound,
    frame,
    handshake,
)
from eco_actor.web.handover import hand_over

MAX_MESSAGE: Final = 16 * 1024 * 1024
"""As long as the longest message of the suite."""


class Echo(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport, head: bytes) -> None:
        self.transport = transport
        self.inbound = Inbound(MAX_MESSAGE)
        transport.write(head)

    def data_received(self, data: bytes) -> None:
        messages = self.inbound.receive(data)
        said = b"".join(
            frame(TEXT, each.encode()) if isinstance(each, str) else frame(BINARY, each)
            for each in messages
            if isinstance(each, str | bytes)
        )
        ends = bool(messages) and isinstance(messages[-1], Closing)
        due = self.inbound.to_send()
        # A pong may overtake a message, a close may not.
        self.transport.write(said + due if ends else due + said)
        if ends:
            self.transport.close()

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.inbound.eof()


async def echo(request: web.Request) -> web.StreamResponse:
    try:
        answer = handshake(request.method, request.headers, ())
    except BadHandshake as error:
        return web.Response(status=error.status, text=error.detail, headers=error.headers)

    def take(transport: asyncio.Transport, paused: bool) -> Echo:
        return Echo(transport, answer.head)

    return hand_over(request, take, upgrade=True)


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of a server whose every path echoes."""
    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        assert isinstance(port, int)
        yield port
    finally:
        await runner.cleanup()
