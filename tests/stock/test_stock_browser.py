"""What every page has in Chromium follows a scan from its beginning, is cut off, misses nothing."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.e2e.following import STEPS, Gated, until
from tests.stock.cutting import cutting
from tests.stock.followers_js import ChromiumEventSource, ChromiumWebSocket, InPage
from tests.stock.story import (
    check,
    check_scan,
    is_cut_within_an_event,
    outlives_the_server,
    scan,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

CLIENTS: Final = (ChromiumEventSource, ChromiumWebSocket)

SNIPPET = """(ID) => {
    window.seen = [];
    const source = new EventSource(`/scan/${ID}/stream`);
    source.onmessage = (event) => {
        const { step, progress, status, result } = JSON.parse(event.data);
        seen.push([step, progress, status, result?.rule.bin ?? null]);
    };
    window.source = source;
}"""


CUTS: Final = ((ChromiumEventSource, True), (ChromiumWebSocket, False))


@pytest_asyncio.fixture(loop_scope="session", params=CLIENTS, ids=lambda kind: kind.__name__)
async def client(
    request: pytest.FixtureRequest, browser_page: Page, gated: Gated
) -> AsyncIterator[InPage]:
    """In a page of the server, it follows a scan that was just accepted."""
    made: InPage = request.param(gated.url, f"/scan/{await scan(gated.url)}/stream", browser_page)
    yield made
    await made.close()


async def test_a_scan_in_a_page_from_its_beginning_to_its_end(client: InPage, gated: Gated) -> None:
    """Five events, each as it happens, and then the word that this was all."""
    await client.page.goto(client.url)
    await client.begin()
    for number, step in enumerate(STEPS, start=2):
        await client.has(number)
        gated.let(step)
    check(client, await client.rest())


@pytest.mark.parametrize(("client", "reset"), CUTS, indirect=["client"])
async def test_a_connection_of_a_page_that_is_cut_within_an_event(
    client: InPage, gated: Gated, reset: bool
) -> None:
    """It goes on behind the last whole event: the one that was cut comes once, whole."""
    async with cutting(gated.server.port) as cutter:
        client.url, cutter.reset = cutter.url, reset
        await client.page.goto(client.url)
        await is_cut_within_an_event(client, gated, cutter)


async def test_a_server_that_is_killed_while_a_page_looks(client: InPage, gated: Gated) -> None:
    """Started again it finishes the scan, and the page gets the rest."""
    await client.page.goto(client.url)
    await outlives_the_server(client, gated)


async def test_the_seeds_own_snippet_works_unchanged(browser_page: Page, gated: Gated) -> None:
    """EventSource and onmessage, with step, progress, status, and result in the answer's event."""
    await browser_page.goto(gated.url)
    gated.let(*STEPS)
    await browser_page.evaluate(SNIPPET, await scan(gated.url))
    await until(browser_page, "source.readyState === EventSource.CLOSED")
    seen = await browser_page.evaluate("seen")
    assert [(step, progress, status) for step, progress, status, _ in seen] == [
        ("vision", 10, "processing"),
        ("vision", 33, "completed"),
        ("rule", 50, "completed"),
        ("answer", 100, "completed"),
        ("reward", 100, "completed"),
    ]
    assert [found for *_, found in seen] == [None, None, None, seen[3][3], None]
    assert seen[3][3]


async def test_two_channels_over_one_event_source(browser_page: Page, gated: Gated) -> None:
    """Cut once: both scans come whole, and the stream ends for good when both are over."""
    tasks = [await scan(gated.url), await scan(gated.url)]
    path = "/stream?" + "&".join(f"channel=scan:{task}" for task in tasks)
    async with cutting(gated.server.port) as cutter:
        client = ChromiumEventSource(cutter.url, path, browser_page)
        await browser_page.goto(cutter.url)
        await client.begin()
        await client.has(4)
        cutter.marker = b'"seq":3'
        gated.let("rule")
        await client.cut()
        gated.let(*STEPS)
        assert (await client.rest()).how == client.end
        await client.close()
    for task in tasks:
        channel = f"scan:{task}"
        told = [each.data for each in client.told if each.data["channel"] == channel]
        check_scan([each["data"] for each in told])
    assert all(each.data["cursor"] == each.cursor for each in client.told)
