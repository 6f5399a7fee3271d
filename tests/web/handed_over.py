"""A bare aiohttp server that hands its connections over, and clients that behave as told."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import pytest
import uvloop
from aiohttp import web
from aiohttp.log import server_logger

from eco_actor.web.handover import hand_over

T = TypeVar("T")

PATIENCE_S: Final = 20.0
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

RESET: Final = struct.pack("ii", 1, 0)
"""As SO_LINGER: closing resets the connection."""


async def until(so: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not so():  # noqa: ASYNC110 - the condition is of many kinds
            await asyncio.sleep(0)


class Stream(asyncio.Protocol):
    """What owns a transport after the handover, and keeps what happened to it."""

    def __init__(self, world: "World", transport: asyncio.Transport, paused: bool) -> None:
        self.world = world
        self.transport = transport
        self.received = b""
        self.told_paused = paused
        self.pauses: list[bool] = []
        world.made += 1
        world.streams.add(self)
        transport.write(HEAD + world.greeting)
        if world.ends_at_once:
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self.world.deaf:
            raise RuntimeError("deaf")
        self.received += data

    def pause_writing(self) -> None:
        self.pauses.append(True)

    def resume_writing(self) -> None:
        self.pauses.append(False)

    def eof_received(self) -> bool:
        self.world.half_closed += 1
        return self.world.stays_half_open

    def connection_lost(self, error: Exception | None) -> None:
        self.world.streams.remove(self)


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


class World:
    """`/sse` and `/ws` hand over, `/plain` answers, and `/held` hands over once `gate` opens."""

    runner: web.AppRunner

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.made = 0
        self.half_closed = 0
        self.stays_half_open = False
        self.greeting = b""
        self.deaf = False
        self.before: Callable[[web.Request], object] = lambda request: None
        self.held = 0
        self.gate = asyncio.Event()
        self.ends_at_once = False
        self.faults: list[dict[str, Any]] = []
        self.logged: list[str] = []
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, **settings: Any) -> AsyncIterator["World"]:
        """At its end nothing may be left: no connection, no task, no fault, no line of log."""
        world = cls()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: world.faults.append(context))
        kept = _Kept(world.logged)
        server_logger.addHandler(kept)
        app = web.Application()
        app.router.add_get("/sse", world.sse)
        app.router.add_get("/ws", world.ws)
        app.router.add_get("/plain", world.plain)
        app.router.add_get("/held", world.hold)
        how = {"handler_cancellation": True, **settings}
        world.runner = web.AppRunner(app, access_log=None, auto_decompress=False, **how)
        await world.runner.setup()
        site = web.TCPSite(world.runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        world.port = world.runner.addresses[0][1]
        try:
            yield world
            await until(world.at_rest)
            assert world.faults == []
            assert world.logged == []
        finally:
            server_logger.removeHandler(kept)
            await world.runner.cleanup()
            for stream in list(world.streams):
                stream.transport.abort()

    def at_rest(self) -> bool:
        """Nobody is connected, and neither aiohttp nor we hold anything."""
        assert self.runner.server is not None
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return not (self.runner.server.connections or self.streams or tasks)

    def left_to_aiohttp(self) -> int:
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    def own(self, transport: asyncio.Transport, paused: bool) -> Stream:
        return Stream(self, transport, paused)

    async def sse(self, request: web.Request) -> web.StreamResponse:
        self.before(request)
        return hand_over(request, self.own)

    async def ws(self, request: web.Request) -> web.StreamResponse:
        self.before(request)
        return hand_over(request, self.own, upgrade=True)

    async def plain(self, request: web.Request) -> web.Response:
        return web.Response(text="answered")

    async def hold(self, request: web.Request) -> web.StreamResponse:
        self.held += 1
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.held -= 1  # the client is gone; go on as a handler that had not noticed
        return hand_over(request, self.own)

    async def connect(self) -> "Peer":
        peer = socket.socket()
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", self.port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Peer(peer)

    async def asked(self, data: bytes) -> "Peer":
        """A client that has sent *data* already."""
        peer = await self.connect()
        await peer.send(data)
        return peer

    async def one_stream(self) -> Stream:
        """The only one there is, once it is there."""
        await until(lambda: len(self.streams) == 1)
        (stream,) = self.streams
        return stream


class Peer:
    """The client's end of a connection."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read(self, length: int) -> bytes:
        """This many bytes, or fewer at the end."""
        data = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while len(data) < length:
                part = await asyncio.get_running_loop().sock_recv(self.socket, length - len(data))
                if not part:
                    break
                data += part
        return bytes(data)

    async def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            byte = await self.read(1)
            assert byte, f"the end came before {end!r}: {data!r}"
            data += byte
        return data

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


Scenario = Callable[[World], Coroutine[Any, Any, None]]


def on_both_loops(scenario: Scenario) -> Callable[[str], None]:
    """A test of *scenario* in a world of its own, on asyncio's loop and on uvloop."""

    @pytest.mark.parametrize("loop", LOOPS)
    def test(loop: str) -> None:
        async def main() -> None:
            async with World.running() as world:
                await scenario(world)

        run_on(loop, main())

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


def run_on(loop: str, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)
