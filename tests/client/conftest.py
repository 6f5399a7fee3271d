"""Servers for the client: a plain one, one whose scans wait, and clients of both."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from eco_actor.client import Client
from tests.client.ways import QUICK, token_of
from tests.web.serving import GATED, Server


@pytest.fixture
async def plain_client(plain_server: Server) -> AsyncIterator[Client]:
    """The operator's client of the shared server."""
    async with Client(plain_server.url, token=token_of(plain_server), bounds=QUICK) as client:
        yield client


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    """Where a file named as a step lets it be done."""
    folder = tmp_path / "gates"
    folder.mkdir()
    return folder


@pytest.fixture
def gated_server(server: Callable[..., Server], gates: Path) -> Server:
    """Its scans wait before each step until there is a file of that name."""
    return server(program=GATED, env={"ECO_GATES": str(gates)})


@pytest.fixture
def gated_here(server: Callable[..., Server], gates: Path) -> Callable[..., Server]:
    """Starts one with settings of its own."""

    def start(**env: Any) -> Server:
        return server(program=GATED, env={"ECO_GATES": str(gates), **env})

    return start
