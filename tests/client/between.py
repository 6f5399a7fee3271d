"""A proxy that cuts connections after so many bytes, in whatever they are the middle of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.relaying import PIECE, Relay


class Proxy(Relay):
    """Stands before the server at *upstream*. `lets()` says of each new connection how many bytes
    of the server's come through before both sides are reset; None: all."""

    def __init__(self, upstream: str, lets: Callable[[], int | None]) -> None:
        super().__init__(urlsplit(upstream).port or 80)
        self._lets = lets
        self.cuts = 0
        self.said: list[bytearray] = []  # what the server said on each connection, cut or not

    async def _pass_on(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        sending = asyncio.create_task(self._forward(client[0], server[1]))
        try:
            await self._answer(server[0], client[1])
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

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
        async with self.opened():
            yield self
