"""The browser's own EventSource against the server: nothing but what every page has."""

import asyncio
import json

import pytest
from playwright.async_api import Page, Request

from tests.e2e.following import STEPS, Gated, gated, scan, until
from tests.web.credentials import SECRET, bearer

__all__ = ["gated"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

LISTEN = """(path) => {
    const source = new EventSource(path);
    window.seen = { source, messages: [], ids: [], named: [], errors: 0 };
    source.onmessage = ({ data, lastEventId }) => {
        seen.messages.push(JSON.parse(data));
        seen.ids.push(lastEventId);
    };
    source.onerror = () => (seen.errors += 1);
    for (const name of ["eco.open", "eco.gap", "eco.bye"]) {
        source.addEventListener(name, ({ data }) => seen.named.push([name, JSON.parse(data)]));
    }
}"""

CLOSED = "seen.source.readyState === EventSource.CLOSED"


async def listen(page: Page, path: str) -> list[Request]:
    """Follow *path*; the requests for it, as they come, and `window.seen`."""
    asked: list[Request] = []
    page.on("request", lambda sent: asked.append(sent) if path in sent.url else None)
    await page.evaluate(LISTEN, path)
    return asked


async def test_all_of_a_scan_is_seen_and_then_it_stops(browser_page: Page, gated: Gated) -> None:
    """onmessage sees the events, the named ones come around them, and 204 is the end for good."""
    await browser_page.goto(gated.url)
    gated.let(*STEPS)
    path = f"/scan/{await scan(browser_page, gated.url)}/stream"
    asked = await listen(browser_page, path)
    await until(browser_page, CLOSED)
    messages = await browser_page.evaluate("seen.messages")
    assert [each["seq"] for each in messages] == [1, 2, 3, 4, 5]
    assert [each["step"] for each in messages] == ["vision", "vision", "rule", "answer", "reward"]
    (opened, opening), (left, bye) = await browser_page.evaluate("seen.named")
    assert (opened, opening["resume"]) == ("eco.open", "fresh")
    assert (left, bye["code"], bye["reconnect"]) == ("eco.bye", "complete", False)
    first, last = asked
    assert "last-event-id" not in await first.all_headers()
    response = await last.response()
    assert response is not None
    assert response.status == 204
    ids = await browser_page.evaluate("seen.ids")
    assert len(set(ids)) == 5
    assert (await last.all_headers())["last-event-id"] == ids[-1]


async def test_a_crash_costs_it_nothing(browser_page: Page, gated: Gated) -> None:
    """Killed in mid-scan and started again: by itself it asks for what is behind its last id."""
    await browser_page.goto(gated.url)
    path = f"/scan/{await scan(browser_page, gated.url)}/stream"
    asked = await listen(browser_page, path)
    await until(browser_page, "seen.messages.length === 2")
    await asyncio.to_thread(gated.server.kill)
    await until(browser_page, "seen.errors")
    gated.let(*STEPS)
    await asyncio.to_thread(gated.server.start)
    await until(browser_page, CLOSED)
    assert await browser_page.evaluate("seen.messages.map(({ seq }) => seq)") == [1, 2, 3, 4, 5]
    opens = [told for name, told in await browser_page.evaluate("seen.named") if name == "eco.open"]
    assert [told["resume"] for told in opens] == ["fresh", "recovered"]
    ids = await browser_page.evaluate("seen.ids")
    assert {(await each.all_headers()).get("last-event-id") for each in asked} == {
        None, ids[1], ids[4],
    }  # fmt: skip


async def test_a_server_that_stops_in_order_says_when_to_come_back(
    browser_page: Page, gated: Gated
) -> None:
    """eco.bye going_away with a retry; the rest comes after the start."""
    await browser_page.goto(gated.url)
    await listen(browser_page, f"/scan/{await scan(browser_page, gated.url)}/stream")
    await until(browser_page, "seen.messages.length === 2")
    gated.let(*STEPS)
    await asyncio.to_thread(gated.server.stop)
    await until(browser_page, "seen.errors")
    await asyncio.to_thread(gated.server.start)
    await until(browser_page, CLOSED)
    assert await browser_page.evaluate("seen.messages.map(({ seq }) => seq)") == [1, 2, 3, 4, 5]
    byes = [told for name, told in await browser_page.evaluate("seen.named") if name == "eco.bye"]
    assert {told["code"] for told in byes} <= {"going_away", "complete"}
    assert byes[-1]["code"] == "complete"


async def test_odd_characters_survive(browser_page: Page, gated: Gated) -> None:
    """Line ends, marks and whatever else means something in a stream arrive as they were sent."""
    await browser_page.goto(gated.url)
    texts = [
        "a\r\nb\rc\n\nd", "\ufeff", "\ufeffdata: x", "id: 1\n\n", "\u2028\u2029\u0085", "", " ",
        ": comment", "\x00\x1f\x7f", "\U0001f600 열 é", '"\\</script>',
    ]  # fmt: skip
    await listen(browser_page, "/stream?channel=app:odd")
    await until(browser_page, "seen.named.length")
    for text in texts:
        answer = await browser_page.request.post(
            f"{gated.url}/channels/app:odd/events",
            headers={**bearer(SECRET), "Content-Type": "application/json"},
            data=json.dumps({text: text}, ensure_ascii=False).encode(),
        )
        assert answer.status == 202, await answer.text()
    await until(browser_page, f"seen.messages.length === {len(texts)}")
    got = await browser_page.evaluate("seen.messages.map(({ data }) => data)")
    assert got == [{text: text} for text in texts]
