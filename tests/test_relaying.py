"""The way to a server that tests use leaves nothing behind, whenever it is closed."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from tests.relaying import Relay


class Forwarding(Relay):
    """Passes nothing on; holds both sides until it is closed."""

    async def _pass_on(self, client: object, server: object) -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    """A server that accepts and says nothing."""
    writers = []

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize("turns", range(12))
async def test_a_connection_that_comes_as_it_is_closed_is_reset(upstream: int, turns: int) -> None:
    """Before its first step, while it connects, when it passes: the other side is let go."""
    relay = Forwarding(upstream)
    async with relay.opened():
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(relay.url.rpartition(":")[2])
        )
        writer.write(b"GET / HTTP/1.1\r\n")
        for _ in range(turns):
            await asyncio.sleep(0)
    try:
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.transport.abort()
    await asyncio.sleep(0)
    gc.collect()  # what was forgotten warns, and a warning is an error
