"""A server whose scans wait, a way to it that can be cut, and a page of it."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.conftest import browser, browser_page, chromium
from tests.e2e.following import Gated, gated
from tests.stock.cutting import Cutter, cutting

__all__ = ["browser", "browser_page", "chromium", "gated"]  # fixtures


@pytest.fixture
async def cutter(gated: Gated) -> AsyncIterator[Cutter]:
    async with cutting(gated.server.port) as made:
        yield made
