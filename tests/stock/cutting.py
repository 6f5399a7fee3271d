"""A way to the server that a test can cut in the middle of an event."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.relaying import PIECE, Relay


class Cutter(Relay):
    """Passes connections on, byte by byte.

    Once `marker` is set, the first connection through which these bytes come from the server ends
    right behind them: by a reset, or, when not `reset`, as if all had been said. Whatever comes
    later passes again.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.marker: bytes | None = None
        self.reset = True

    async def _pass_on(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(client[0], server[1]))
                both.create_task(self._pass_until_cut(server[0], client[1]))
        except* (ConnectionError, EOFError):
            pass

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        raise EOFError

    async def _pass_until_cut(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        tail = b""
        while data := await reader.read(PIECE):
            seen = tail + data
            if self.marker is not None and self.marker in seen:
                end = seen.index(self.marker) + len(self.marker)
                writer.write(seen[len(tail) : end])
                self.marker = None
                await writer.drain()
                if self.reset:
                    _reset_at_close(writer)
                raise EOFError
            tail = seen[-64:]
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        await writer.drain()
        raise EOFError


def _reset_at_close(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def cutting(port: int) -> AsyncIterator[Cutter]:
    """A cutter before the server at *port* of this machine."""
    cutter = Cutter(port)
    async with cutter.opened():
        yield cutter
