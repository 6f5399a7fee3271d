"""A proxy that cuts connections after so many bytes, in whatever they are the middle of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE = 65536


class Proxy:
    """Stands before the server at *upstream*. `lets()` says of each new connection how many bytes
    of the server's come through before both sides are reset; None: all."""

    def __init__(self, upstream: str, lets: Callable[[], int | None]) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname, address.port)
        self._lets = lets
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.cuts = 0
        self.said: list[bytearray] = []  # what the server said on each connection, cut or not

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        try:
            sending = asyncio.create_task(self._forward(reader, up_writer))
            try:
                await self._answer(up_reader, writer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            up_writer.transport.abort()
            writer.transport.abort()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._lets()
        said = bytearray()
        self.said.append(said)
        while data := await reader.read(PIECE):
            said += data
            if left is not None and len(data) > left:
                writer.write(data[:left])
                await writer.drain()
                writer.write_eof()  # what was let through arrives; a reset would take it along
                self.cuts += 1
                return
            if left is not None:
                left -= len(data)
            writer.write(data)
            await writer.drain()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()
