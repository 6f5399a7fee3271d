"""A Chromium page in front of a running server: one browser a process, a fresh profile a test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.e2e.browsing import CAMERA, CHROMIUM, Browsers, ended, in_a_line
from tests.e2e.paging import PATIENCE_MS as PATIENCE_MS
from tests.e2e.paging import profile
from tests.web.serving import Server

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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def all_browsers(chromium: Path) -> AsyncIterator[Browsers]:
    """Those of all tests of this process."""
    asyncio.get_running_loop().set_exception_handler(in_a_line)
    async with async_playwright() as playwright:
        browsers = Browsers(playwright)
        yield browsers
        await browsers.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browsers(
    all_browsers: Browsers, request: pytest.FixtureRequest
) -> AsyncIterator[Browsers]:
    """The same; neither they nor a task outlives a test that failed, or ran out of time."""
    failed, before = request.session.testsfailed, asyncio.all_tasks()
    yield all_browsers
    if request.session.testsfailed > failed:
        await all_browsers.close()
        await ended(asyncio.all_tasks() - before - {asyncio.current_task()})


@pytest_asyncio.fixture(loop_scope="session")
async def browser(browsers: Browsers) -> Browser:
    """One browser for all tests."""
    return await browsers.get()


@pytest_asyncio.fixture(loop_scope="session")
async def filming(browsers: Browsers) -> Browser:
    """One browser for all tests that need a camera; it shows a test picture."""
    return await browsers.get(CAMERA)


@pytest_asyncio.fixture(loop_scope="session")
async def browser_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of a fresh Korean desktop profile, which does not animate."""
    async with profile(browser) as page:
        yield page
