"""A Chromium page in front of a running server: one browser a module, a fresh profile a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.e2e.paging import PATIENCE_MS as PATIENCE_MS
from tests.e2e.paging import profile
from tests.web.serving import Server

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=PATIENCE_MS)  # the machine has other tests to run at the same time


@pytest.fixture
def page_url(vision_server: Server) -> str:
    """Where the server under test shows its page, with the slash at the end."""
    return f"{vision_server.url}/"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The system's browser."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    return CHROMIUM


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """One browser for all tests of a module."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filming(chromium: Path) -> AsyncIterator[Browser]:
    """One browser for all tests of a module, with a camera that shows a test picture."""
    fake = "--use-fake-device-for-media-stream"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*ARGS, fake])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of a fresh Korean desktop profile, which does not animate."""
    async with profile(browser) as page:
        yield page
