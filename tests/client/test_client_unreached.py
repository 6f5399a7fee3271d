"""A host that drops what is sent to it: nobody is there, which is known sooner than by silence."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from eco_actor.client import Bounds, Client, Unreachable
from eco_actor.following import follow
from eco_actor.runtime.testing import run_virtual
from tests.client.odd_servers import saying, serving
from tests.client.ways import States, Way, each_way

HASTY = Bounds(first_s=0.01, most_s=0.02, connect_s=0.25)

QUEUED = 8
"""Connections that are begun and taken by nobody; more than a queue of none has room for."""


class Nowhere(AbstractResolver):
    """Looks for ever."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await asyncio.Event().wait()
        return []

    async def close(self) -> None:
        pass


@pytest.fixture
def dropping() -> Iterator[str]:
    """The URL of a port at which nothing that asks for a connection is heard."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(QUEUED):
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@each_way
async def test_who_drops_what_is_sent_is_unreachable(dropping: str, way: Way) -> None:
    """And not somebody who holds an answer back: the error says so, with the place."""
    states = States()
    async with Client(dropping, bounds=HASTY, give_up_s=0) as client:
        with pytest.raises(Unreachable) as caught:
            await anext(way.follow(client, "app:a", on_state=states))
    place = dropping.removeprefix("http://")
    assert caught.value.code == "unreachable"
    assert caught.value.detail == f"no connection to {place} within 0.2 s"


async def test_who_is_not_there_for_a_while_does_not_turn_it_to_polling(dropping: str) -> None:
    """Polling is for a proxy that holds streams back, and for good."""
    states = States()
    async with Client(dropping, bounds=HASTY, give_up_s=0.6) as client:
        events = client.follow("app:a", on_state=states)
        with pytest.raises(Unreachable):
            await anext(events)
        assert events.transport == "sse"
    assert len(states) > 1
    assert set(states.codes) == {"unreachable"}


async def test_a_call_says_so_too(dropping: str) -> None:
    """Within the time of a connection, not of an answer."""
    async with Client(dropping, bounds=HASTY, give_up_s=0) as client:
        with pytest.raises(Unreachable, match="no connection to") as caught:
            await client.snapshot("x")
    assert caught.value.code == "unreachable"


async def test_who_answers_in_no_words_of_ours_may_be_another_server() -> None:
    """Which the command says, with the address that was asked."""
    notes: list[str] = []
    async with serving(saying(404, "Not here", "text/plain")) as url:
        assert await follow(Client(url), "x", print, notes.append) == 1
    assert notes == [f"404 http_404: is {url} another server? --url names one"]


@pytest.mark.parametrize("how", [{}, {"transport": "poll"}, {"seconds": 10.0}])
def test_the_command_gives_up_after_ten_seconds(how: dict[str, Any]) -> None:
    """As where a connection is refused, and not after the five minutes that a server is waited for
    which was there before."""
    notes: list[str] = []

    async def told() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(resolver=Nowhere())
        async with aiohttp.ClientSession(connector=connector) as session:
            client = Client("http://eco.example:81", session=session, random=lambda: 0.5)
            begun = loop.time()
            return await follow(client, "x", print, notes.append, **how), loop.time() - begun

    status, took = run_virtual(told())
    assert (status, took) == (1, 10.0)
    first, *_, last = notes
    assert first.startswith("unreachable: no connection to eco.example:81 within 8 s; trying again")
    assert last == "nothing answers at http://eco.example:81: --url names another server"
