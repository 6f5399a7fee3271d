"""The page at `/observer`: a server for it, its parts, and how they are found."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page

from tests.web.credentials import SECRET
from tests.web.serving import Server

WORKER = "/eco/work/pipeline/rule/1"
PIPELINE = "/eco/work/pipeline"
EVERYBODY = (
    "/eco", "/eco/store", "/eco/work", "/eco/work/connections", PIPELINE, WORKER,
    "/eco/work/scans", "/eco/work/observer", "/eco/http",
)  # fmt: skip

GROUP = '#rows [data-type="group"]'
MEMBERS = '#rows [data-key^="/eco/work/connections/"][data-type="worker"]'
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def own(server: Callable[..., Server]) -> Server:
    """A server of this test alone, whose token is SECRET."""
    return server(env={"ECO_OPERATOR_TOKEN": SECRET})


@pytest.fixture
def observer_url(plain_server: Server) -> str:
    return f"{plain_server.url}/observer"


def row(path: str) -> str:
    """Selects an actor's line."""
    return f'#rows [data-key="{path}"]'


@asynccontextmanager
async def thirty_connections(server: Server) -> AsyncIterator[None]:
    """So many clients watch the tree."""
    port = urlsplit(server.url).port
    held: list[asyncio.StreamWriter] = []
    try:
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            held.append(writer)
            query = f"GET /stream?channel=system:actors HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            writer.write(query.encode())
            await reader.readuntil(b"eco.open")
        yield
    finally:
        for writer in held:
            writer.close()


async def opened(page: Page, url: str) -> None:
    await page.goto(url)
    await page.locator(row("/eco/http")).wait_for()


async def focused(page: Page) -> str | None:
    return await page.evaluate("document.activeElement.getAttribute('data-key')")  # type: ignore[no-any-return]  # an attribute is text
