"""A server whose scans wait, a way to it that can be cut, and a page of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import all_browsers, browser, browser_page, browsers, chromium
from tests.e2e.following import Gated
from tests.stock.cutting import Cutter, cutting
from tests.web.credentials import SECRET
from tests.web.serving import Server

__all__ = ["all_browsers", "browser", "browser_page", "browsers", "chromium"]  # fixtures

STOCKED = (str(Path(__file__).with_name("stocked.py")),)


@pytest.fixture(scope="module")
def gated_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    data, gates = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("gates")
    env = {"ECO_GATES": str(gates), "ECO_OPERATOR_TOKEN": SECRET}
    server = Server(data, program=STOCKED, env=env).start()
    yield Gated(server, gates)
    server.kill()


@pytest.fixture
def gated(gated_server: Gated) -> Gated:
    """The server of all tests of a module: no step after the vision goes on by itself."""
    for gate in gated_server.gates.iterdir():
        gate.unlink()
    return gated_server


@pytest.fixture
async def cutter(gated: Gated) -> AsyncIterator[Cutter]:
    async with cutting(gated.server.port) as made:
        yield made
