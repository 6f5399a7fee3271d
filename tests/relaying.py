"""A way to a server through which a test does what networks do."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PIECE: Final = 65536


class Relay(ABC):
    """Passes connections on to the server at *port* of this machine, as its kind does.

    Nothing is left of a connection once its task is done, or was cancelled before it began.
    """

    def __init__(self, port: int) -> None:
        self.url = ""
        self._port = port
        self._serving: set[asyncio.Task[None]] = set()
        self._closed = False

    @abstractmethod
    async def _pass_on(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Look after one connection until it is through; then both sides are reset."""

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What `asyncio.start_server` calls; it may do so once more after it was closed."""
        if self._closed:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)

        def done(_: asyncio.Task[None]) -> None:
            writer.transport.abort()
            self._serving.discard(task)

        task.add_done_callback(done)

    async def close(self) -> None:
        """Reset whatever still passes, and whatever still comes."""
        self._closed = True
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    @asynccontextmanager
    async def opened(self, port: int = 0) -> AsyncIterator[None]:
        """Listen at *port*, or at a free one; `url` is its address."""
        server = await asyncio.start_server(self.accept, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            await self.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return
        try:
            await self._pass_on((reader, writer), (there, back))
        except (ConnectionError, EOFError):
            pass
        finally:
            back.transport.abort()
