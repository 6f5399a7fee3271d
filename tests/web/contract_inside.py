"""A server in this process, for tests that have to look inside it or hurry its clocks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.delivery.connection import Connection
from tests.web.contract_sockets import WsJson
from tests.web.contract_wire import LONG_S
from tests.web.contract_world import World, channel, numbers
from tests.web.credentials import SECRET


class Inside(World):
    """A server whose parts are at hand."""

    def __init__(self, session: aiohttp.ClientSession, eco: Eco) -> None:
        super().__init__(session, eco.address.url, SECRET)
        self.eco = eco

    def connections(self) -> list[Connection]:
        """Those that are open."""
        supervisor = self.eco._dynamic("work", "connections")()
        assert supervisor is not None
        found = [cell.actor for cell in supervisor.children()]
        return [actor for actor in found if isinstance(actor, Connection)]

    def ended(self, transport: str = "sse") -> dict[str, int]:
        """How many streams ended with which code."""
        counted = dict(self.eco.delivery.traffic.streams())[transport].ended
        return {code: count for code, count in counted.items() if count}


@asynccontextmanager
async def inside(
    session: aiohttp.ClientSession, make: Callable[..., Eco], **settings: Any
) -> AsyncIterator[Inside]:
    eco = await asyncio.to_thread(make, operator_token=SECRET, vision=False, **settings)
    async with eco.running(http=True):
        world = Inside(session, eco)
        try:
            yield world
        finally:
            world.close()


async def until_so(so: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so."""
    async with asyncio.timeout(LONG_S):
        while not so():  # noqa: ASYNC110  # the condition is of many kinds
            await asyncio.sleep(0)


@asynccontextmanager
async def faultless(
    session: aiohttp.ClientSession, make: Callable[..., Eco], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Inside]:
    """Afterwards another client is served, and nothing is left or was complained of."""
    async with inside(session, make) as world:
        yield world
        follower = await world.open(WsJson, name := channel())
        await world.numbers(name, 1)
        assert numbers([await follower.event()]) == [1]
        world.close()
        await until_so(lambda: world.connections() == [])
        assert len(world.eco.delivery.fanout) == 0
    assert [each for each in caplog.records if each.levelname in ("ERROR", "CRITICAL")] == []
