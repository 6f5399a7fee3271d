"""`static/eco.js` when time jumps, networks change, readers are slow, or somebody ends it."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.scripted import (
    Scripted,
    advance,
    bye,
    connect,
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

MEGABYTES = 160  # more than the buffers on the way hold; Chromium's have some 60

WAKES = {
    "online": "window.dispatchEvent(new Event('online'))",
    "restored": "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
    "visible": "document.dispatchEvent(new Event('visibilitychange'))",
    "slept": "clock.sleep(4_000), clock.advance(5_000)",  # less than there is to wait
}


@pytest.mark.parametrize("why", WAKES)
async def test_waking_up_ends_the_backoff(scripted: Scripted, page: Page, why: str) -> None:
    """Whatever tells that things may have changed lets it try at once."""
    await follow(page, "{ firstMs: 30_000 }")
    await (visit := await scripted.visit()).open()
    await until(page, "a.opens.length")
    visit.cut()
    assert await waits(page) == [15_000]
    await page.evaluate(WAKES[why])
    await scripted.visit()
    assert await seen(page, "it.states.at(-1)") == "connecting"


async def test_waking_up_does_not_shorten_what_the_server_asked_for(
    scripted: Scripted, page: Page
) -> None:
    """But time slept counts, and a clock put back does no harm."""
    await follow(page)
    await (await scripted.visit()).say(bye("busy", reconnect=True, retry_ms=100_000))
    await waits(page)
    for wake in WAKES.values():
        await page.evaluate(wake)
    await page.evaluate("clock.sleep(-3_600_000)")
    await advance(page, 5_000)
    await page.evaluate("clock.sleep(86_000)")
    assert scripted.visits.empty()
    assert await seen(page, "it.stream.state") == "waiting"
    await advance(page, 5_000)
    await scripted.visit()


async def test_an_open_stream_is_opened_anew_after_a_long_sleep(
    scripted: Scripted, page: Page
) -> None:
    """With its cursor and at once; a short sleep, or a page shown again, is no reason."""
    await follow(page)
    await (visit := await scripted.visit()).open(event("c1", 1))
    await until(page, "a.events.length")
    for harmless in ("clock.sleep(10_000)", "clock.advance(5_000)", WAKES["visible"]):
        await page.evaluate(harmless)
    assert await seen(page, "it.states") == ["connecting", "open"]
    await page.evaluate("clock.sleep(12_000)")
    await advance(page, 5_000)
    async with asyncio.timeout(20):
        await visit.left.wait()
    assert await waits(page) == [0]
    await advance(page, 0)
    assert (await scripted.visit()).headers["Last-Event-ID"] == "c1"
    assert await seen(page, "it.ends") == ["woken"]


@pytest.mark.parametrize("why", ["online", "restored"])
async def test_another_network_means_another_connection(
    scripted: Scripted, page: Page, why: str
) -> None:
    """The old one may hang without a word: a new one costs little, and loses nothing."""
    await follow(page)
    await (await scripted.visit()).open(event("c1", 1))
    await until(page, "a.events.length")
    await page.evaluate(WAKES[why])
    assert await waits(page) == [0]
    await advance(page, 0)
    assert (await scripted.visit()).headers["Last-Event-ID"] == "c1"


async def test_a_real_change_of_network_is_noticed(scripted: Scripted, page: Page) -> None:
    """The browser goes offline and comes back: the stream goes on behind its last event."""
    await page.evaluate("void (a = begin('follow', 'task', { clock: undefined, mostMs: 1 }))")
    await (visit := await scripted.visit()).open(event("c1", 1))
    await until(page, "a.events.length")
    await page.context.set_offline(True)
    await page.context.set_offline(False)
    async with asyncio.timeout(20):
        await visit.left.wait()
    visit = await scripted.visit()
    assert visit.headers["Last-Event-ID"] == "c1"
    await visit.open(event("c2", 2))
    await until(page, "a.events.length === 2")


async def test_iterating_takes_one_event_at_a_time(scripted: Scripted, page: Page) -> None:
    """The cursor is that of the event that was taken last, and leaving the loop ends the stream."""
    await page.evaluate("""async () => {
        window.a = begin("follow", "task");
        window.taken = [];
        window.next = () => {};
        window.loop = (async () => {
            for await (const event of a.stream) {
                taken.push([event, a.stream.cursor]);
                if (event === 3) break;
                await new Promise((resolve) => (next = resolve));
            }
        })();
    }""")
    visit = await scripted.visit()
    await visit.open(*(event(f"c{n}", n) for n in (1, 2, 3, 4)))
    for count in (1, 2, 3):
        await until(page, f"taken.length === {count}")
        await page.evaluate("next()")
    await page.evaluate("loop")
    assert await page.evaluate("taken") == [[1, "c1"], [2, "c2"], [3, "c3"]]
    assert await seen(page, "[it.stream.state, it.stream.cursor]") == ["closed", "c3"]
    async with asyncio.timeout(20):
        await visit.left.wait()


async def test_a_slow_reader_holds_up_the_server_and_not_its_memory(
    scripted: Scripted, page: Page
) -> None:
    """Nothing is read while the callback's promise is pending, and the silence is no fault."""
    await follow(page, "{ slow: true }")
    visit = await scripted.visit()
    await visit.open()
    fill = b":" + b"x" * 1_000_000 + b"\n\n"

    async def flood() -> None:
        for n in range(MEGABYTES):
            await visit.say(event(f"c{n}", n).encode() + fill)

    task = asyncio.create_task(flood())
    await until(page, "a.events.length === 1")
    await advance(page, 3_600_000)
    assert not task.done()
    assert await seen(page, "[it.events, it.states]") == [[0], ["connecting", "open"]]
    await page.evaluate("window.pump = setInterval(() => a.next())")
    await task
    await until(page, f"a.events.length === {MEGABYTES}")
    assert await seen(page, "it.events") == list(range(MEGABYTES))
    await page.evaluate("clearInterval(pump)")


async def test_what_was_not_taken_comes_again(scripted: Scripted, page: Page) -> None:
    """A connection given up in mid-read is resumed behind the event that was taken last."""
    await follow(page, "{ slow: true }")
    await (await scripted.visit()).open(event("c1", 1), event("c2", 2), event("c3", 3))
    await until(page, "a.events.length")
    await page.evaluate(WAKES["online"])
    await page.evaluate("a.next()")
    assert await waits(page) == [0]
    await advance(page, 0)
    assert (await scripted.visit()).headers["Last-Event-ID"] == "c1"
    assert await seen(page, "it.events") == [1]


@pytest.mark.parametrize("how", ["close", "abort", "aborted before"])
@pytest.mark.parametrize("state", ["connecting", "open", "waiting"])
async def test_it_ends_when_it_is_told_to(
    scripted: Scripted, page: Page, how: str, state: str
) -> None:
    """In any state: no timer, no request and no word is left, and an iterator ends too."""
    await page.evaluate("""(how) => {
        window.stop = new AbortController();
        if (how === "aborted before") stop.abort("enough");
        window.a = begin("follow", "task", { signal: stop.signal });
        window.last = a.stream[Symbol.asyncIterator]().next().catch((reason) => reason);
    }""", how)  # fmt: skip
    if how != "aborted before":
        visit = await scripted.visit()
        if state != "connecting":
            await visit.open()
            await until(page, "a.stream.state === 'open'")
        if state == "waiting":
            visit.cut()
            await waits(page)
        await page.evaluate("how => how === 'close' ? a.stream.close() : stop.abort('enough')", how)
        async with asyncio.timeout(20):
            await visit.left.wait()
    await until(page, "a.end")
    closed = how == "close"
    assert await seen(page, "it.end.code") == ("closed" if closed else "aborted")
    assert await page.evaluate("last") == ({"done": True, "value": None} if closed else "enough")
    await page.evaluate("a.stream.close(), stop.abort()")
    assert await seen(page, "it.states.filter((each) => each === 'closed').length") == 1
    assert await page.evaluate("[clock.timers.size, listeners.size]") == [0, 0]
    assert scripted.visits.empty()


async def test_callbacks_that_throw_end_nothing(scripted: Scripted, page: Page) -> None:
    """Their errors are reported as an event listener's would be, and the next event comes."""
    await page.evaluate("""() => {
        const onEvent = (event) => {
            a.events.push(event);
            if (event === 1) throw new Error("mine");
            if (event === 2) return Promise.reject(new Error("mine too"));
        };
        window.a = begin("follow", "task", { onEvent, onOpen() { throw new Error("opening"); } });
    }""")
    visit = await scripted.visit()
    await visit.open(event("c1", 1), event("c2", 2), "data: {no json\n\n", event("c3", 3))
    await until(page, "a.events.length === 3")
    said = await page.evaluate("complaints.splice(0)")
    for number, words in enumerate(("opening", "mine", "mine too", "JSON")):
        assert words in said[number]


async def test_options_that_cannot_be_are_refused_at_once(page: Page) -> None:
    """A TypeError that says what is wrong, and no request."""
    for call in (
        "eco.follow('x', { transport: 'poll' })",
        "eco.follow(new URL(location), { transport: 'websocket' })",
        "eco.connect({ transport: 'sse' })",
        "eco.connect({ transport: 'sse', channels: [{ channel: 'a:b', after: 'c' }] })",
        "eco.connect({ WebSocket: null })",
    ):
        threw = f"(() => {{ try {{ {call} }} catch (e) {{ return e instanceof TypeError }} }})()"
        assert await page.evaluate(threw), call


async def test_a_seventh_tab_waits_for_a_stream_but_not_for_a_socket(
    scripted: Scripted, page: Page
) -> None:
    """Browsers have six HTTP/1.1 connections to a host: six streams leave none for more."""
    tabs = [page, *[await page.context.new_page() for _ in range(6)]]
    for tab in tabs[1:]:
        await tab.goto(scripted.url)
        await until(tab, "window.ready")
    visits = []
    for tab in tabs[:6]:
        await follow(tab)
        visits.append(await scripted.visit())
        await visits[-1].open()
        await until(tab, "a.opens.length")
    seventh = tabs[6]
    await follow(seventh)
    await connect_beside(scripted, seventh)
    assert scripted.visits.empty()
    await advance(seventh, 10_000)
    await waits(seventh)
    assert await seen(seventh, "it.ends") == ["connect_timeout"]
    await advance(seventh, 500)
    await tabs[0].evaluate("a.stream.close()")
    await (await scripted.visit()).open(event("c1", 1))
    await until(seventh, "a.events.length === 1")


async def connect_beside(scripted: Scripted, tab: Page) -> None:
    """A WebSocket of the same tab comes through."""
    await tab.evaluate("void (window.b = begin('connect', ['app:x']))")
    socket = await scripted.accepted()
    await socket.subscribed()
    await socket.tell("app:x", "c1", 1)
    await until(tab, "b.events.length === 1")


async def test_channels_over_a_stream(scripted: Scripted, page: Page) -> None:
    """Several, with one cursor for all; what needs a WebSocket says so."""
    await connect(page, ["app:x", "room:y"], "{ transport: 'sse', overflow: 'latest' }")
    visit = await scripted.visit()
    assert visit.query.getall("channel") == ["app:x", "room:y"]
    assert visit.query["overflow"] == "latest"
    told = {"channel": "app:x", "cursor": "c1", "data": {"n": 1}}
    gap = {"channel": "app:x", "from": "c1", "to": "c9", "dropped": 8, "reason": "overflow"}
    await visit.open(event("c1", told), event("c5", gap, "eco.gap"))
    await until(page, "a.gaps.length")
    assert await seen(page, "[it.events, it.gaps, it.stream.cursor]") == [[told], [gap], "c5"]
    code = await page.evaluate("a.stream.publish('app:x', {}).catch((error) => error.code)")
    assert code == "not_supported"
