"""`static/eco.js` in a page of the real server."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.following import STEPS, Gated, gated, scan, until
from tests.web.credentials import SECRET

__all__ = ["gated"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

TRANSPORTS = ("sse", "websocket")

BEGIN = """async ([name, what, options]) => {
    const { follow, connect } = await import("/static/eco.js");
    const seen = { events: [], cursors: [], opens: [], gaps: [], states: [], end: null };
    window[name] = seen;
    const noting = {
        mostMs: 200,
        onEvent: (event, cursor) => void (seen.events.push(event), seen.cursors.push(cursor)),
        onOpen: (open) => seen.opens.push(open),
        onGap: (gap) => seen.gaps.push(gap),
        onState: (state) => seen.states.push(state),
        ...options,
    };
    seen.stream = typeof what === "string" ? follow(what, noting) : connect({ ...noting, ...what });
    seen.stream.ended.then((end) => (seen.end = end));
}"""


async def begin(page: Page, name: str, what: object, **options: object) -> None:
    """Follow a task, or connect with these options; what is seen is `window[name]`."""
    await page.evaluate(BEGIN, [name, what, options])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_scan_is_followed_through_a_crash(
    browser_page: Page, gated: Gated, transport: str
) -> None:
    """Killed in mid-scan and started again: five events, each once, in order, and a clean end."""
    await browser_page.goto(gated.url)
    await begin(browser_page, "a", await scan(browser_page, gated.url), transport=transport)
    await until(
        browser_page, "a.events.some(({ step, status }) => step + status === 'visioncompleted')"
    )
    await asyncio.to_thread(gated.server.kill)
    await until(browser_page, "a.states.includes('waiting')")
    gated.let(*STEPS)
    await asyncio.to_thread(gated.server.start)
    await until(browser_page, "a.end")
    assert await browser_page.evaluate("a.end.code") == "complete"
    assert await browser_page.evaluate("a.events.map(({ seq }) => seq)") == [1, 2, 3, 4, 5]
    assert await browser_page.evaluate("a.opens.at(-1).resume") == "recovered"
    assert await browser_page.evaluate("a.gaps") == []


@pytest.mark.parametrize("first", TRANSPORTS)
async def test_the_transport_may_change_in_mid_stream(
    browser_page: Page, gated: Gated, first: str
) -> None:
    """The cursor of one leads on over the other."""
    await browser_page.goto(gated.url)
    task = await scan(browser_page, gated.url)
    await begin(browser_page, "a", task, transport=first)
    await until(browser_page, "a.events.length === 2")
    await browser_page.evaluate("a.stream.close()")
    gated.let(*STEPS)
    (second,) = set(TRANSPORTS) - {first}
    cursor = await browser_page.evaluate("a.stream.cursor")
    await begin(browser_page, "b", task, transport=second, after=cursor)
    await until(browser_page, "b.end")
    assert await browser_page.evaluate("b.events.map(({ seq }) => seq)") == [3, 4, 5]


async def test_a_scan_that_is_not_there(browser_page: Page, gated: Gated) -> None:
    """Refused, with the same word on both transports; behind its end, there is nothing more."""
    await browser_page.goto(gated.url)
    for transport in TRANSPORTS:
        await begin(browser_page, "a", "A" * 22, transport=transport)
        await until(browser_page, "a.end")
        assert await browser_page.evaluate("a.end.code") == "refused"
        assert "unknown_task" in await browser_page.evaluate("a.end.detail")
    gated.let(*STEPS)
    task = await scan(browser_page, gated.url)
    await begin(browser_page, "a", task)
    await until(browser_page, "a.end")
    after = await browser_page.evaluate("a.cursors.at(-1)")
    await begin(browser_page, "b", task, after=after)
    await until(browser_page, "b.end")
    assert await browser_page.evaluate("[b.end.code, b.events]") == ["complete", []]


async def test_what_is_published_arrives_on_both_transports(
    browser_page: Page, gated: Gated
) -> None:
    """By the operator's page, through a restart; and nobody else may."""
    await browser_page.goto(gated.url)
    for name, transport in (("a", "sse"), ("b", "websocket")):
        await begin(browser_page, name, {"channels": ["app:x", "room:y"], "transport": transport})
        await until(browser_page, f"{name}.opens.length")
    refused = "b.stream.publish('app:x', {}).catch((error) => error.code)"
    assert await browser_page.evaluate(refused) == "operator_only"
    await browser_page.request.post(f"{gated.url}/login", data={"token": SECRET})
    await begin(browser_page, "c", {"channels": []})
    first = await browser_page.evaluate("c.stream.publish('app:x', { text: '\\ufeffa\\r\\nb' })")
    await until(browser_page, "a.events.length && b.events.length")
    await asyncio.to_thread(gated.server.kill)
    await until(
        browser_page, "['a', 'b', 'c'].every((each) => window[each].states.includes('waiting'))"
    )
    await asyncio.to_thread(gated.server.start)
    second = await browser_page.evaluate("c.stream.publish('room:y', { n: 2 }, { key: 'k' })")
    for name in ("a", "b"):
        await until(browser_page, f"{name}.events.length === 2")
        assert await browser_page.evaluate(f"{name}.events") == [
            {"channel": "app:x", "cursor": first, "data": {"text": "\ufeffa\r\nb"}},
            {"channel": "room:y", "cursor": second, "data": {"n": 2}},
        ]
        assert await browser_page.evaluate(f"{name}.gaps") == []
