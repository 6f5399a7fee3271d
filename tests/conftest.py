"""Servers to talk to, photographs to send, and an eye on calls that block the loop."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

pytest.register_assert_rewrite("tests.web.checks", "tests.web.client", "tests.web.serving")

from tests.web.client import Client  # noqa: E402
from tests.web.serving import ROOT, Server  # noqa: E402

# A run that fails tells of the change that was made; `--hypothesis-profile random` looks for more.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("same")

MATERIALS = ("cardboard", "glass", "metal", "paper", "plastic")

LONG_FIRST = ("faults", "e2e", "stock", "", "runtime", "scan", "client", "web")
"""Folders whose files take long, and then the rest: so the processes are through together."""

MAY_BLOCK = (  # at the start, when there is nobody to hold up
    ("eco_actor/web/pages.py", "__init__"),
    ("eco_actor/web/pages.py", "static_dir"),
    ("eco_actor/web/observer.py", "__init__"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first; within a folder the order is as it was."""

    def place(item: pytest.Item) -> int:
        inside = item.path.is_relative_to(ROOT / "tests")
        folder = item.path.parent.relative_to(ROOT / "tests").name if inside else ""
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """A call of the package that blocks the running loop fails the test."""
    with blockbuster_ctx("eco_actor") as watching:
        for function in watching.functions.values():
            for file, name in MAY_BLOCK:
                function.can_block_in(file, name)
        yield watching


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, on a data directory of their own unless one is given."""
    started: list[Server] = []

    def start(data_dir: Path | None = None, **how: Any) -> Server:
        made = Server(data_dir or tmp_path / f"data{len(started)}", **how)
        started.append(made)
        return made.start()

    yield start
    for each in started:
        each.kill()


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without vision, shared by all tests that only talk to it."""
    shared = Server(tmp_path_factory.mktemp("plain")).start()
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def vision_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with vision, shared by all tests that only talk to it."""
    shared = Server(tmp_path_factory.mktemp("vision"), vision=True).start()
    yield shared
    shared.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
def plain(session: aiohttp.ClientSession, plain_server: Server) -> Client:
    """Talks to the shared server without vision."""
    return Client(session, plain_server.url)


@pytest.fixture
def vision(session: aiohttp.ClientSession, vision_server: Server) -> Client:
    """Talks to the shared server with vision."""
    return Client(session, vision_server.url)


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of TrashNet photographs, one folder a material."""
    places = [Path(p) for p in (os.environ.get("ECO_TRASHNET"),) if p]
    places.append(ROOT.parent / "shared" / "data" / "trashnet")
    for place in places:
        if all((place / material).is_dir() for material in MATERIALS):
            return place
    pytest.skip("no TrashNet photographs: ECO_TRASHNET does not name their folder")
