"""Servers for the client: a plain one, one whose scans wait, and clients of both."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from eco_actor.client import Client
from tests.client.ways import LONG_S, QUICK, close_gates, open_gates, token_of
from tests.web.serving import GATED, Server


@pytest.fixture
async def plain_client(plain_server: Server) -> AsyncIterator[Client]:
    """The operator's client of the shared server."""
    async with Client(plain_server.url, token=token_of(plain_server), bounds=QUICK) as client:
        yield client


@pytest.fixture(scope="module")
def gated_and_gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    gates = tmp_path_factory.mktemp("gates")
    shared = Server(
        tmp_path_factory.mktemp("gated"), program=GATED, env={"ECO_GATES": str(gates)}
    ).start()
    yield shared, gates
    shared.kill()


@pytest.fixture
def gates(gated_and_gates: tuple[Server, Path]) -> Iterator[Path]:
    """Where a file named as a step lets it be done. What waits at the end is let through."""
    server, folder = gated_and_gates
    yield folder
    open_gates(folder)
    asked = Request(
        f"{server.url}/scan/classify?realtime=false",
        b'{"category": "glass"}',
        {"Content-Type": "application/json"},
    )
    with urlopen(asked, timeout=LONG_S) as answer:  # behind all that waited
        assert answer.status == 200
    close_gates(folder)


@pytest.fixture
def gated_server(gated_and_gates: tuple[Server, Path], gates: Path) -> Server:
    """Its scans wait before each step until there is a file of that name. The tests of a module
    share it; who ends it starts it again."""
    return gated_and_gates[0]


@pytest.fixture
def gated_here(server: Callable[..., Server], gates: Path) -> Callable[..., Server]:
    """Starts one with settings of its own."""

    def start(**env: Any) -> Server:
        return server(program=GATED, env={"ECO_GATES": str(gates), **env})

    return start
