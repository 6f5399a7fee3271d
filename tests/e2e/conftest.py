"""A Chromium page in front of a running server."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

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


@pytest.fixture
def page_url() -> str:
    """Where the server under test shows its page, with the slash at the end."""
    url = os.environ.get("ECO_PAGE_URL")
    if not url:
        pytest.skip("ECO_PAGE_URL names no running server")
    return url.rstrip("/") + "/"


@pytest.fixture
def chromium() -> Path:
    """The system's browser."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    return CHROMIUM


@pytest.fixture
async def browser_page(chromium: Path) -> AsyncIterator[Page]:
    """An empty page of a fresh Korean desktop browser, which does not animate."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGS)
        context = await browser.new_context(
            locale="ko-KR", viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        context.set_default_timeout(20_000)
        yield await context.new_page()
        await browser.close()
