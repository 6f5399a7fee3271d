"""Servers in this process, with a classifier that waits, raises or stalls as the test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from tests.web.client import Client
from tests.web.contract_world import World, world_of
from tests.web.edge import Edge, edge
from tests.web.held import Held, Running
from tests.web.serving import GATED, Server


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def make(tmp_path: Path, held: Held) -> Callable[..., Eco]:
    """Makes a server of these settings; outside the loop, for it reads its rules."""

    def make(**settings: Any) -> Eco:
        return Eco(Config(port=0, data_dir=tmp_path, **settings), classifier=held)

    return make


@pytest.fixture
def running(session: aiohttp.ClientSession, held: Held) -> Running:
    @asynccontextmanager
    async def run(eco: Eco) -> AsyncIterator[Client]:
        try:
            async with eco.running(http=True):
                yield Client(session, eco.address.url)
                held.gate.set()
        finally:
            held.gate.set()

    return run


@pytest.fixture
def one_scan(make: Callable[..., Eco]) -> Eco:
    return make(max_scans=1)


@pytest.fixture
def impatient(make: Callable[..., Eco]) -> Eco:
    return make(sync_wait_s=0.05)


@pytest.fixture
def eco(make: Callable[..., Eco]) -> Eco:
    return make()


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


@pytest.fixture(scope="module")
def gated_server(gates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its scans wait before each step until there is a file of that name."""
    data = tmp_path_factory.mktemp("gated")
    server = Server(data, program=GATED, env={"ECO_GATES": str(gates)}).start()
    yield server
    server.kill()


@pytest.fixture
async def gated(
    session: aiohttp.ClientSession, gated_server: Server, gates: Path
) -> AsyncIterator[World]:
    for gate in await asyncio.to_thread(lambda: list(gates.iterdir())):
        gate.unlink()
    async with world_of(session, gated_server) as world:
        yield world


@pytest.fixture(params=["disk", "memory"])
async def here(
    request: pytest.FixtureRequest, session: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Edge]:
    async with edge(session, tmp_path if request.param == "disk" else None) as running:
        yield running


@pytest.fixture
async def plain_edge(session: aiohttp.ClientSession) -> AsyncIterator[Edge]:
    async with edge(session) as running:
        yield running
