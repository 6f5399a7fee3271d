"""`static/eco.js` follows a stream in a browser, which may be odd, end or break."""

import asyncio

import pytest
from aiohttp import web
from playwright.async_api import Page

from tests.e2e.scripted import (
    Scripted,
    advance,
    bye,
    event,
    follow,
    page,
    scripted,
    seen,
    until,
    waits,
)

__all__ = ["page", "scripted"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

FAR = 10_000_000

PARSE_ANYHOW = """([text, lastId]) => {
    const parsed = (pieces) => {
        const parser = new eco.EventStreamParser(lastId);
        const events = pieces.flatMap((piece) => [...parser.feed(piece)]);
        return JSON.stringify({ events, lastId: parser.lastId, retry: parser.retry });
    };
    const whole = parsed([text]);
    for (let at = 0; at <= text.length; at++) {
        const halves = parsed([text.slice(0, at), text.slice(at)]);
        if (halves !== whole) throw new Error(`cut at ${at}: ${halves}`);
    }
    const letters = parsed(text.split(""));
    if (letters !== whole) throw new Error(`letter by letter: ${letters}`);
    return JSON.parse(whole);
}"""


def told(data: str, id: str = "", event: str = "message") -> dict[str, str]:
    return {"event": event, "data": data, "id": id}


@pytest.mark.parametrize(
    ("text", "events", "last_id"),
    [
        ("data: a\n\ndata: b\r\rdata: c\r\n\r\n", [told("a"), told("b"), told("c")], ""),
        ("data: a\rdata:  b\r\ndata\n\n", [told("a\n b\n")], ""),
        ("data\n\ndata\ndata\n\ndata:", [told(""), told("\n")], ""),
        ("id: 7\ndata: a\n\ndata: b\n\n", [told("a", "7"), told("b", "7")], "7"),
        ("id: 7\ndata: a\n\nid\ndata: c\n\n", [told("a", "7"), told("c")], ""),
        ("id: 7\n\nid: 8\n", [], "7"),
        ("id: 7\0\ndata: a\n\n", [told("a", "old")], "old"),
        ("event: x\n\ndata: a\nevent: y\ndata: b\n\n", [told("a\nb", "", "y")], ""),
        (": no\n:\nother: x\nDATA: x\n data: x\ndata: a\n\n", [told("a")], ""),
        ("data: \ufeffa\u2028b\u0085\n\n", [told("\ufeffa\u2028b\u0085")], ""),
        ("data: a\n", [], ""),
    ],
)  # fmt: skip
async def test_streams_are_read_as_the_standard_says(
    page: Page, text: str, events: list[dict[str, str]], last_id: str
) -> None:
    """Any line ends, several data lines, ids and comments, wherever the bytes are cut."""
    read = await page.evaluate(PARSE_ANYHOW, [text, last_id])
    assert read == {"events": events, "lastId": last_id, "retry": None}


async def test_only_digits_are_a_retry(page: Page) -> None:
    """Signs, fractions and nothing are ignored."""
    text = "retry: 1x\nretry: -5\nretry:\nretry: 12\nretry: 1.5\n"
    assert (await page.evaluate(PARSE_ANYHOW, [text, ""]))["retry"] == 12


async def test_odd_bytes_do_not_harm_events(scripted: Scripted, page: Page) -> None:
    """A byte order mark goes before the first line and stays in data; half a letter waits."""
    await follow(page)
    visit = await scripted.visit()
    await visit.say(b'\xef\xbb\xbfid: a\r\ndata: "\xef\xbb\xbf\\r\\n\xec')
    await until(page, "a.stream.state === 'connecting'")
    await visit.say(b'\x9c\xa0"\r\n\r\ndata: "\xff"\r\r')
    await until(page, "a.events.length === 2")
    assert await seen(page, "it.events") == ["\ufeff\r\n유", "\ufffd"]
    assert visit.headers["Accept"] == "text/event-stream"


async def test_nothing_is_lost_or_repeated_over_a_cut(scripted: Scripted, page: Page) -> None:
    """Reset in mid-event, it waits, comes back behind the last whole event, and goes on."""
    await follow(page, "{ overflow: 'buffer', capacity: 7, intervalMs: 5, after: 'earliest' }")
    visit = await scripted.visit()
    query = {"overflow": "buffer", "capacity": "7", "interval_ms": "5", "after": "earliest"}
    assert dict(visit.query) == query
    assert "Last-Event-ID" not in visit.headers
    await visit.open(event("c1", 1), event("c2", 2), event("c3", 3)[:-1])
    await until(page, "a.events.length === 2")
    visit.cut()
    assert await waits(page) == [500]
    assert await seen(page, "[it.stream.cursor, it.states]") == [
        "c2", ["connecting", "open", "waiting"],
    ]  # fmt: skip
    await advance(page, 499)
    assert scripted.visits.empty()
    await advance(page, 1)
    again = await scripted.visit()
    assert again.headers["Last-Event-ID"] == "c2"
    await again.open(event("c3", 3), event("c4", 4))
    await until(page, "a.events.length === 4")
    assert await seen(page, "[it.events, it.cursors]") == [
        [1, 2, 3, 4], ["c1", "c2", "c3", "c4"],
    ]  # fmt: skip
    assert await seen(page, "it.ends") == ["cut"]


@pytest.mark.parametrize("id", ["열", "a b", "é"])
async def test_an_id_that_no_header_can_hold_goes_into_the_query(
    scripted: Scripted, page: Page, id: str
) -> None:
    """As `after`, unchanged."""
    await follow(page, "{ after: 'first' }")
    await (visit := await scripted.visit()).open(event(id, 1))
    await until(page, "a.events.length")
    visit.cut()
    await advance(page, (await waits(page))[0])
    assert (await scripted.visit()).query.getall("after") == [id]


@pytest.mark.parametrize("way", ["204", "bye"])
async def test_what_is_over_is_not_asked_for_again(
    scripted: Scripted, page: Page, way: str
) -> None:
    """204, or a bye with reconnect false: closed, clean, and nothing more ever."""
    await follow(page)
    visit = await scripted.visit()
    if way == "204":
        visit.end(web.Response(status=204))
    else:
        await visit.open(event("c1", 1), bye("complete", reconnect=False))
    await until(page, "a.end")
    assert await seen(page, "[it.end.code, it.end.wasClean, it.stream.state]") == [
        "complete", True, "closed",
    ]  # fmt: skip
    assert await page.evaluate("clock.timers.size") == 0
    await advance(page, FAR)
    assert scripted.visits.empty()


@pytest.mark.parametrize(
    ("code", "said", "waited"), [("busy", 7000, 7000), ("going_away", 0, 100), ("new", 1e12, 3.6e6)]
)
async def test_a_bye_says_how_long_to_wait(
    scripted: Scripted, page: Page, code: str, said: int, waited: int
) -> None:
    """Its retry_ms wins over the backoff, within bounds, and waking up does not shorten it."""
    await follow(page)
    await (await scripted.visit()).say(bye(code, reconnect=True, retry_ms=int(said)))
    assert await waits(page) == [waited]
    assert await seen(page, "it.states") == ["connecting", "waiting"]
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await advance(page, waited - 1)
    assert scripted.visits.empty()
    await advance(page, 1)
    await scripted.visit()
    assert await seen(page, "it.ends") == [code]


@pytest.mark.parametrize(
    ("status", "header", "waited"),
    [(503, "3", 3000), (429, "Tue, 14 Nov 2023 22:13:25 GMT", 5000), (500, None, 500),
     (502, "soon", 500), (503, "999999999999", 3_600_000)],
)  # fmt: skip
async def test_a_refusal_that_passes_is_waited_out(
    scripted: Scripted, page: Page, status: int, header: str | None, waited: int
) -> None:
    """Retry-After as seconds or a date; without a good one, the backoff."""
    await follow(page)
    visit = await scripted.visit()
    visit.answer(status, {"Retry-After": header} if header else None, code="busy")
    assert await waits(page) == [waited]
    assert await seen(page, "it.ends") == ["unavailable"]


@pytest.mark.parametrize("status", [400, 404, 422, 200])
async def test_a_refusal_for_good_is_the_end(scripted: Scripted, page: Page, status: int) -> None:
    """With the problem's words; whoever iterates is thrown them."""
    await follow(page)
    await page.evaluate("void a.stream[Symbol.asyncIterator]().next().catch((e) => (a.thrown = e))")
    (await scripted.visit()).answer(status, code="unknown_task", detail="no such task")
    await until(page, "a.thrown")
    kind, detail = ("not_a_stream", "text/plain") if status == 200 else (
        "refused", "unknown_task: no such task"
    )  # fmt: skip
    thrown = await seen(
        page, "[it.thrown instanceof eco.EcoError, it.thrown.code, it.thrown.status]"
    )
    assert thrown == [True, kind, status]
    assert await seen(page, "[it.end.code, it.end.detail]") == [kind, detail]


async def test_waits_double_up_to_a_bound_and_start_over(scripted: Scripted, page: Page) -> None:
    """Each failure doubles the bound; a connection that lived resets it; `retry:` sets it."""
    await follow(page)
    for count, wait in enumerate((500, 1000, 2000, 4000, 8000, 15000, 15000), 1):
        visit = await scripted.visit()
        await visit.say(":\n")  # a browser asks again by itself where it got no answer at all
        visit.cut()
        assert (await waits(page, count))[-1] == wait
        await advance(page, wait)
    visit = await scripted.visit()
    await visit.open("retry: 400\n\n", event("c", 1))
    await until(page, "a.events.length")
    await advance(page, 10_000)
    visit.cut()
    assert (await waits(page, 8))[-1] == 200


async def test_jitter_spreads_who_comes_back(page: Page) -> None:
    """Of 200 clients cut at one moment some come back in each tenth of the time there is."""
    told = await page.evaluate("scattered(200, { random: Math.random, firstMs: 1000 })")
    assert {wait // 100 for wait in told} == set(range(10))


async def test_a_stream_that_falls_silent_is_given_up(scripted: Scripted, page: Page) -> None:
    """Comments keep it; forty seconds without a byte end it; so do ten without an answer."""
    await follow(page)
    visit = await scripted.visit()
    await advance(page, 9_999)
    await visit.open()
    await until(page, "a.opens.length")
    for number in range(3):
        await advance(page, 39_000)
        await visit.say(f":\n\n{event(None, number)}")
        await until(page, f"a.events.length === {number + 1}")
    assert await seen(page, "it.waits") == []
    await advance(page, 40_000)
    assert await waits(page) == [500]
    async with asyncio.timeout(20):
        await visit.left.wait()
    await advance(page, 500)
    visit = await scripted.visit()
    await advance(page, 10_000)
    await waits(page, 2)
    assert await seen(page, "it.ends") == ["silent", "connect_timeout"]
