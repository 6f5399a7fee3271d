"""Servers in this process, with a classifier that waits, raises or stalls as the test wants."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from tests.web.client import Client
from tests.web.held import Held, Running


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def make(tmp_path: Path, held: Held) -> Callable[..., Eco]:
    """Makes a server of these settings; outside the loop, for it reads its rules."""

    def make(**settings: Any) -> Eco:
        return Eco(Config(port=0, data_dir=tmp_path, **settings), held)

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
