"""`static/eco.js` over a WebSocket in a browser: channels, publishing, and both in faults."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.scripted import (
    Scripted,
    Socket,
    advance,
    connect,
    follow,
    page,
    scripted,
    seen,
    until,
    waits,
)

__all__ = ["page", "scripted"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

ASK = """(call) => {
    window.answers ??= [];
    call.then((told) => answers.push(told ?? null), (error) => answers.push(error.code));
}"""


async def ask(page: Page, call: str) -> None:
    """Make a call of the connection, whose outcome goes into `answers`."""
    await page.evaluate(f"void ({ASK})(a.stream.{call})")


async def outcomes(page: Page, count: int) -> list[object]:
    await until(page, f"window.answers?.length >= {count}")
    told: list[object] = await page.evaluate("answers")
    assert len(told) == count
    return told


async def opened(scripted: Scripted, page: Page, options: str = "{}") -> Socket:
    """A connection with the channel app:x, subscribed at the cursor s."""
    await connect(page, ["app:x"], options)
    socket = await scripted.accepted()
    await socket.subscribed()
    await until(page, "a.opens.length")
    return socket


async def test_each_channel_resumes_with_its_own_cursor(scripted: Scripted, page: Page) -> None:
    """Behind its last event, else where it was subscribed; under the options it was asked for."""
    await connect(page, ["app:x", "app:y", "room:z"], "{ overflow: 'latest', capacity: 3 }")
    socket = await scripted.accepted()
    for channel in ("app:x", "app:y", "room:z"):
        asked = await socket.subscribed(f"s-{channel}")
        id = asked.pop("id")
        assert isinstance(id, int)
        wanted = {"op": "subscribe", "channel": channel, "overflow": "latest", "capacity": 3}
        assert asked == {**wanted, "after": None}
    await socket.tell("app:x", "x1", 1)
    await socket.tell("app:y", "y1", 2)
    await socket.tell("app:y", None, 3)
    await socket.tell("app:not", "n1", 4)
    lost = {"channel": "app:y", "from": "y1", "to": "y9", "dropped": 8, "reason": "overflow"}
    await socket.say(op="gap", **lost)
    await until(page, "a.gaps.length")
    assert await seen(page, "it.events.map(Object.values)") == [
        ["app:x", "x1", 1], ["app:y", "y1", 2], ["app:y", None, 3],
    ]  # fmt: skip
    assert await seen(page, "it.gaps[0].to") == "y9"
    socket.cut()
    assert await waits(page) == [500]
    cursors = {"app:x": "x1", "app:y": "y1", "room:z": "s-room:z"}
    assert await seen(page, "it.stream.cursors") == cursors
    await advance(page, 500)
    socket = await scripted.accepted()
    again = [await socket.hear() for _ in range(3)]
    assert {each["channel"]: each["after"] for each in again} == cursors


async def test_a_scan_is_followed_to_its_last_event(scripted: Scripted, page: Page) -> None:
    """The same bare events as over SSE, over a cut; the reward is the end."""
    await follow(page, "{ transport: 'websocket', after: 'earliest' }")
    socket = await scripted.accepted()
    assert (await socket.subscribed())["after"] == "earliest"
    await socket.tell("scan:task", "c1", {"step": "vision", "status": "completed"})
    await until(page, "a.events.length")
    socket.cut()
    await advance(page, (await waits(page))[0])
    socket = await scripted.accepted()
    assert (await socket.subscribed("c1"))["after"] == "c1"
    await socket.tell("scan:task", "c2", {"step": "reward", "status": "completed"})
    await until(page, "a.end")
    assert await seen(page, "it.events.map(({ step }) => step)") == ["vision", "reward"]
    assert await seen(page, "[it.cursors, it.end.code]") == [["c1", "c2"], "complete"]
    async with asyncio.timeout(20):
        await socket.left.wait()
    assert socket.socket.close_code == 1000


async def test_a_channel_that_is_refused(scripted: Scripted, page: Page) -> None:
    """The end of a scan's following; of several channels the others go on; a full disk passes."""
    await connect(page, ["app:x", "nope:y"])
    socket = await scripted.accepted()
    await socket.subscribed()
    asked = await socket.hear()
    await socket.say(op="error", id=asked["id"], code="unknown_channel", detail="no")
    await until(page, "a.refused.length")
    refused = {"channel": "nope:y", "code": "unknown_channel", "detail": "no"}
    assert await seen(page, "[it.refused, it.stream.state]") == [[refused], "open"]
    await follow(page, "{ transport: 'websocket' }", name="b")
    socket = await scripted.accepted()
    asked = await socket.hear()
    await socket.say(op="error", id=asked["id"], code="storage", detail="disk full")
    await advance(page, (await waits(page, name="b"))[0])
    socket = await scripted.accepted()
    asked = await socket.hear()
    await socket.say(op="error", id=asked["id"], code="unknown_task", detail="no")
    await until(page, "b.end")
    told = await seen(page, "[it.end.code, it.end.detail, it.ends]", name="b")
    assert told == ["refused", "unknown_task: no", ["unavailable", "refused"]]


async def test_a_refused_handshake_is_tried_again_later(scripted: Scripted, page: Page) -> None:
    """503 and 403 look alike to a page: backoff, with a bound that doubles."""
    await connect(page, ["app:x"])
    for count, (status, wait) in enumerate(((503, 500), (403, 1000), (503, 2000)), 1):
        (await scripted.socket()).refuse(status, {"Retry-After": "7"})
        assert (await waits(page, count))[-1] == wait
        await advance(page, wait)
    assert await seen(page, "it.ends") == ["unreachable"] * 3
    assert await seen(page, "it.states.includes('open')") is False


@pytest.mark.parametrize(
    ("close", "code", "clean", "over"),
    [(1000, "complete", True, True), (1008, "not_allowed", True, True),
     (1001, "going_away", True, False), (4008, "slow_consumer", True, False),
     (4013, "too_many", True, False), (1013, "busy", True, False), (1011, "cut", False, False)],
)  # fmt: skip
async def test_a_close_code_says_how_it_goes_on(
    scripted: Scripted, page: Page, close: int, code: str, clean: bool, over: bool
) -> None:
    """Without a bye, which is best effort, the code decides."""
    await page.evaluate("window.details = []")
    note = "onState: (state, { end }) => void (end && details.push([end.code, end.wasClean]))"
    socket = await opened(scripted, page, f"{{ {note} }}")
    await socket.socket.close(code=close)
    await until(page, "details.length")
    assert await page.evaluate("details") == [[code, clean]]
    assert await seen(page, "it.stream.state") == ("closed" if over else "waiting")


async def test_a_bye_wins_over_the_close_code(scripted: Scripted, page: Page) -> None:
    """Its retry_ms is waited, and reconnect false is the end."""
    socket = await opened(scripted, page)
    await socket.say(op="bye", code="going_away", reason="", reconnect=True, retry_ms=4321)
    assert await waits(page) == [4321]
    await advance(page, 4321)
    socket = await scripted.accepted()
    await socket.subscribed()
    await socket.say(op="bye", code="going_away", reason="", reconnect=False, retry_ms=1)
    await socket.socket.close(code=1001)
    await until(page, "a.end")
    assert await seen(page, "[it.ends, it.byes.length]") == [["going_away", "going_away"], 2]


async def test_calls_are_answered_refused_or_interrupted(scripted: Scripted, page: Page) -> None:
    """What is called early waits; what was sent and not answered is neither repeated nor hidden."""
    await connect(page, ["app:x"])
    await ask(page, "publish('app:x', { n: 1 }, { key: 'k' })")
    socket = await scripted.accepted()
    await socket.subscribed()
    first = await socket.hear()
    id = first.pop("id")
    assert first == {
        "op": "publish", "channel": "app:x", "data": {"n": 1}, "key": "k", "transient": False,
    }  # fmt: skip
    await socket.say(op="published", id=id, cursor="p1")
    assert await outcomes(page, 1) == ["p1"]
    await ask(page, "publish('scan:x', {})")
    await socket.say(op="error", id=(await socket.hear())["id"], code="not_publishable", detail="")
    assert await outcomes(page, 2) == ["p1", "not_publishable"]
    await ask(page, "publish('app:x', { big: '유'.repeat(45_000) })")
    assert (await outcomes(page, 3))[-1] == "too_large"
    await page.evaluate("for (let n = 0; n < 256; n++) void a.stream.publish('app:x', { n })")
    await ask(page, "publish('app:x', { n: 256 })")
    assert (await outcomes(page, 4))[-1] == "too_many_waiting"
    socket.cut()
    await waits(page)
    await ask(page, "publish('app:x', { n: 2 })")
    await advance(page, 500)
    socket = await scripted.accepted()
    await socket.subscribed()
    assert (await socket.hear())["data"] == {"n": 2}
    socket.cut()
    assert (await outcomes(page, 5))[-1] == "interrupted"
    await ask(page, "publish('app:x', { n: 3 })")
    await page.evaluate("a.stream.close()")
    await ask(page, "publish('app:x', { n: 4 })")
    assert (await outcomes(page, 7))[-2:] == ["closed", "closed"]


async def test_channels_come_and_go(scripted: Scripted, page: Page) -> None:
    """Subscribed later, over a cut too; unsubscribed for good; subscribed with other options."""
    socket = await opened(scripted, page)
    await ask(page, "subscribe('app:y', { after: 'y0' })")
    assert (await socket.hear())["after"] == "y0"
    socket.cut()
    await advance(page, (await waits(page))[0])
    socket = await scripted.accepted()
    again = [await socket.subscribed("s2") for _ in range(2)]
    assert [(each["channel"], each["after"]) for each in again] == [
        ("app:x", "s"), ("app:y", "y0"),
    ]  # fmt: skip
    (told,) = await outcomes(page, 1)
    assert isinstance(told, dict)
    assert (told["cursor"], told["resume"]) == ("s2", "fresh")
    await ask(page, "unsubscribe('app:x')")
    asked = await socket.hear()
    assert (asked["op"], asked["channel"]) == ("unsubscribe", "app:x")
    await socket.say(op="error", id=asked["id"], code="not_subscribed", detail="")
    assert (await outcomes(page, 2))[-1] is None
    await ask(page, "subscribe('app:y', { overflow: 'latest' })")
    assert (await socket.hear())["op"] == "unsubscribe"
    assert (await socket.subscribed())["overflow"] == "latest"
    await outcomes(page, 3)
    assert await seen(page, "it.stream.cursors") == {"app:y": "s"}


async def test_silence_is_broken_with_a_ping(scripted: Scripted, page: Page) -> None:
    """An answer keeps the connection; without one in ten seconds it is given up, closed or not."""
    socket = await opened(scripted, page)
    await advance(page, 30_000)
    asked = await socket.hear()
    assert asked["op"] == "ping"
    await socket.say(op="pong", id=asked["id"])
    await socket.tell("app:x", "c1", 1)
    await until(page, "a.events.length")
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    assert (await socket.hear())["op"] == "ping"
    await advance(page, 9_999)
    assert await seen(page, "it.stream.state") == "open"
    await advance(page, 1)
    assert await waits(page) == [500]
    assert await seen(page, "it.ends") == ["silent"]


async def test_a_handshake_that_hangs_is_given_up(scripted: Scripted, page: Page) -> None:
    """After ten seconds, as a fault like others."""
    await connect(page, ["app:x"])
    await scripted.socket()
    await advance(page, 10_000)
    assert await waits(page) == [500]
    assert await seen(page, "it.ends") == ["connect_timeout"]


async def test_a_slow_reader_comes_back_for_the_rest(scripted: Scripted, page: Page) -> None:
    """A WebSocket cannot be held up: with 257 messages waiting it leaves, and resumes later."""
    await connect(page, ["app:x"], "{ slow: true }")
    socket = await scripted.accepted()
    await socket.subscribed()
    for n in range(1, 301):
        await socket.tell("app:x", f"c{n}", n)
    async with asyncio.timeout(20):
        await socket.left.wait()
    assert await seen(page, "it.events.length") == 1
    assert scripted.sockets.empty()
    await page.evaluate("window.pump = setInterval(() => a.next())")
    assert await waits(page) == [0]
    got = await seen(page, "it.events.map(({ data }) => data)")
    assert got == list(range(1, len(got) + 1))
    assert len(got) >= 257
    await advance(page, 0)
    socket = await scripted.accepted()
    assert (await socket.hear())["after"] == f"c{len(got)}"
    await page.evaluate("clearInterval(pump)")
    assert await seen(page, "it.ends") == ["slow_reader"]


async def test_what_is_no_json_is_reported_and_passed_over(scripted: Scripted, page: Page) -> None:
    """As are messages that mean nothing to this client, or come in binary."""
    socket = await opened(scripted, page)
    await socket.socket.send_str("{no json")
    await socket.socket.send_bytes(b"\x80")
    odd: list[object] = [None, 7, [], {"op": "news"}, {"op": "event", "channel": 7}]
    for told in (*odd, {"op": "published"}):
        await socket.socket.send_json(told)
    await socket.say(op="error", id=None, code="bad_command", detail="what?")
    await socket.tell("app:x", "c1", 1)
    await until(page, "a.events.length")
    said = await page.evaluate("complaints.splice(0)")
    assert ["JSON" in said[0], "bad_command" in said[1], len(said)] == [True, True, 2]
