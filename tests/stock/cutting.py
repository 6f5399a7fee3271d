"""A way to the server that a test can cut in the middle of an event."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PIECE: Final = 65536


class Cutter:
    """Passes connections on to *port*, byte by byte.

    Once `marker` is set, the first connection through which these bytes come from the server ends
    right behind them: by a reset, or, when not `reset`, as if all had been said. Whatever comes
    later passes again.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = ""
        self.marker: bytes | None = None
        self.reset = True
        self._serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._serve(reader, writer)))

    async def close(self) -> None:
        """Reset whatever still passes."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Look after one connection until one of its sides is through."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, back))
                both.create_task(self._pass_until_cut(there, writer))
        except* (ConnectionError, EOFError):
            pass
        finally:
            writer.transport.abort()
            back.transport.abort()

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
    server = await asyncio.start_server(cutter.accept, "127.0.0.1", 0)
    cutter.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cutter
    finally:
        server.close()
        await cutter.close()
