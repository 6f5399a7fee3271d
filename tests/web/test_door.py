"""Streams that are plainly asked for never reach aiohttp, and what every connection inherits."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.web import listening
from tests.web.contract_inside import Inside, faultless
from tests.web.contract_sockets import WsJson
from tests.web.contract_world import channel, numbers


@pytest.fixture
async def world(
    session: aiohttp.ClientSession, make: Callable[..., Eco], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Inside]:
    async with faultless(session, make, caplog) as world:
        yield world


async def test_a_plain_stream_needs_no_aiohttp(
    world: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the way through its handlers barred, SSE and WebSocket are opened all the same."""

    def barred(*_: object, **__: object) -> None:
        raise AssertionError("a plain stream went through aiohttp")

    monkeypatch.setattr("eco_actor.web.streams.hand_over", barred)
    address = world.eco.address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    name = channel()
    writer.write(f"GET /stream?channel={name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert b"event: eco.open\n" in await reader.readuntil(b"capacity")
    writer.close()
    follower = await world.open(WsJson, name)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]


async def test_every_connection_has_the_limits_of_the_listening_socket(world: Inside) -> None:
    """Dead peers are found by the kernel, and it takes no megabytes for a client that is slow."""
    await world.open(WsJson, channel())
    (connection,) = world.connections()
    sock = connection.transport.get_extra_info("socket")
    tcp = socket.IPPROTO_TCP
    assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == listening.USER_TIMEOUT_S * 1000
    assert sock.getsockopt(tcp, socket.TCP_NOTSENT_LOWAT) == listening.UNSENT
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    for option, seconds in listening.KEEPALIVE:
        assert sock.getsockopt(tcp, option) == seconds
