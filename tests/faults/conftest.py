"""The parent of the servers that are killed here, and a place for what they keep."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bench.crash_server import Zygote, zygote


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zygote]:
    """One process for all tests of a module: it imports the server, which takes a while."""
    async with zygote(tmp_path_factory.mktemp("parent")) as made:
        yield made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
