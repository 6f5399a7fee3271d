"""What is no answer of ours, or one that the real server gives seldom: each has its end."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from eco_actor.client import Bounds, Client, Event, Opened, Problem, Unreachable
from tests.client.odd_servers import Sayings, holding, saying, serving, streaming
from tests.client.ways import LONG_S, QUICK, STEPS, States, Way, each_way, open_gates, steps
from tests.web.serving import Server

HASTY = Bounds(first_s=0.02, most_s=0.05, connect_s=0.3, silent_s=0.3, ws_silent_s=0.3)
GONE = json.dumps({"code": "gone", "detail": "it was removed"})
OPEN = 'retry: 10\n\nevent: eco.open\nid: o\ndata: {"cursor":"o","resume":"fresh"}\n\n'


def told(number: int) -> str:
    data = {"channel": "app:a", "cursor": f"c{number}", "data": {"n": number}}
    return f"id: c{number}\ndata: {json.dumps(data)}\n\n"


async def numbers(client: Client, many: int, **options: Any) -> list[int]:
    async with asyncio.timeout(LONG_S), client.follow("app:a", **options) as events:
        found = [await anext(events) for _ in range(many)]
    return [each.data["n"] for each in found if isinstance(each, Event)]


@pytest.mark.parametrize("transport", ["sse", "poll"])
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(410, GONE, "gone"), (404, "<html>", "http_404"), (401, "[1]", "http_401"),
     (308, "", "http_308")],
)  # fmt: skip
async def test_a_refusal_is_a_problem_at_once(
    transport: str, status: int, body: str, code: str
) -> None:
    """With the code of the problem, or its status when there is none."""
    source = Sayings(saying(status, body, Location="/x"))
    async with serving(source) as url, Client(url, bounds=QUICK) as client:
        way = Way("sse") if transport == "sse" else Way("poll")
        with pytest.raises(Problem) as caught:
            await anext(way.follow(client, "task"))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert len(source.asked) == 1


async def test_a_scan_that_was_removed_is_gone_over_a_socket_too() -> None:
    """The error in answer to the subscription has the status that HTTP would have."""

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["eco.v1.json"])
        await socket.prepare(request)
        asked = await socket.receive_json()
        await socket.send_json({"op": "error", "id": asked["id"], **json.loads(GONE)})
        await socket.receive()
        return socket

    async with serving(answer) as url, Client(url, bounds=QUICK) as client:
        with pytest.raises(Problem, match="410 gone: it was removed"):
            await anext(client.follow("task", transport="ws"))


async def test_a_handshake_that_is_refused_is_a_problem() -> None:
    """And one that finds no room is tried again."""
    source = Sayings(saying(503, Retry_After="0"), saying(403))
    async with serving(source) as url, Client(url, bounds=QUICK) as client:
        with pytest.raises(Problem, match="403 http_403"):
            await anext(client.follow("task", transport="ws"))
    assert len(source.asked) == 2


async def test_no_content_is_the_end() -> None:
    """204: there is no more, and nothing is wrong."""
    source = Sayings(saying(204))
    async with serving(source) as url, Client(url, bounds=QUICK) as client:
        assert [each async for each in client.follow("app:a")] == []
    assert len(source.asked) == 1


async def test_a_stream_that_falls_silent_is_opened_again() -> None:
    """Behind the last event; comments would have been a sign of life."""
    source = Sayings(
        streaming(OPEN, told(1), told(2)[:-1]),  # the second never ends
        streaming(OPEN, told(2)),
    )
    states = States()
    async with serving(source) as url, Client(url, bounds=HASTY) as client:
        assert await numbers(client, 2, transport="sse", on_state=states) == [1, 2]
    assert states.codes == ["silent"]
    assert [each.headers.get("Last-Event-ID") for each in source.asked] == [None, "c1"]


async def test_a_cursor_that_no_header_can_hold_goes_into_the_query() -> None:
    """Cursors are opaque."""
    source = Sayings(streaming(OPEN, told(1)))
    async with serving(source) as url, Client(url, bounds=QUICK) as client:
        assert await numbers(client, 1, transport="sse", after="ein é") == [1]
    assert source.asked[0].query["after"] == "ein é"
    assert "Last-Event-ID" not in source.asked[0].headers


@pytest.mark.parametrize("head", [True, False])
async def test_auto_polls_behind_a_proxy_that_holds_answers_back(
    gated_server: Server, gates: Path, session: aiohttp.ClientSession, head: bool
) -> None:
    """Streams say nothing there until they are over; each step is still told as it happens."""
    states = States()
    proxy = holding(gated_server.url, session, head=head)
    async with (
        asyncio.timeout(LONG_S),
        serving(proxy) as url,
        Client(url, bounds=HASTY) as client,
        client.follow(await client.start(category="glass"), on_state=states) as events,
    ):
        found = [await anext(events)]
        for name in ("vision", "rule", "answer", "reward"):
            open_gates(gates, name)
            found.append(await anext(events))
        assert [each async for each in events] == []
        assert events.transport == "poll"
    assert steps(found) == STEPS
    assert states.codes == ["connect_timeout"]
    assert isinstance(states[-1], Opened)


@pytest.mark.parametrize("transport", ["sse", "poll"])
async def test_what_is_no_stream_is_a_problem(transport: str) -> None:
    """A page in the server's place: 200, and something else."""
    page = saying(200, "<html>", "text/html")
    async with serving(page) as url, Client(url, bounds=QUICK) as client:
        way = Way("sse") if transport == "sse" else Way("poll")
        with pytest.raises(Problem, match="200 not_a_stream: text/html"):
            await anext(way.follow(client, "task"))
        with pytest.raises(Problem, match="200 not_a_stream"):
            await client.start(category="glass")


async def test_a_call_is_asked_again_while_the_server_has_no_room() -> None:
    """429, 503, and a key that is being accepted: with the same key, and the same body."""
    accepted = {"task_id": "t", "stream_url": "s", "events_url": "e", "result_url": "r"}
    source = Sayings(
        saying(429, Retry_After="0"),
        saying(503, Retry_After="0"),
        saying(409, '{"code":"idempotency_key_in_use"}'),
        saying(500),
        saying(202, json.dumps(accepted), "application/json"),
    )
    async with serving(source) as url, Client(f"{url}/eco/", bounds=QUICK) as client:
        task = await client.start(
            b"\xff\xd8\xff", "glass", lang="en", tags=["a", "b"], after_scan="x", user_input="한 &"
        )
    assert task.task_id == "t"
    assert len({each.headers["Idempotency-Key"] for each in source.asked}) == 1
    assert {*source.bodies} == {b"\xff\xd8\xff"}
    assert source.asked[0].path == "/eco/scan/classify"
    assert source.asked[0].content_type == "image/jpeg"
    assert dict(source.asked[0].query) == {
        "lang": "en", "category": "glass", "user_input": "한 &", "after_scan": "x", "tags": "a,b",
    }  # fmt: skip


async def test_a_scan_may_be_asked_again() -> None:
    """Its task is named, as it was told or by its id."""
    urls = {"stream_url": "s", "events_url": "e", "result_url": "r"}
    accepted = json.dumps({"task_id": "t", **urls})
    source = Sayings(saying(202, accepted, "application/json"))
    async with serving(source) as url, Client(url, bounds=QUICK) as client:
        task = await client.start(category="glass")
        await client.start(category="glass", tags=["broken"], revises=task)
        await client.start(category="glass", lang="en", revises="u")
    assert [json.loads(each).get("revises") for each in source.bodies] == [None, "t", "u"]


async def test_a_call_is_given_up_with_what_the_server_last_said() -> None:
    """Unreachable, which names the status, when the wait would be too long."""
    busy = saying(503, '{"code":"busy","detail":"full"}', Retry_After="3600")
    async with serving(Sayings(busy)) as url, Client(url, bounds=QUICK, give_up_s=60) as client:
        with pytest.raises(Unreachable) as caught:
            await client.start(category="glass")
    assert (caught.value.status, caught.value.code, caught.value.detail) == (503, "busy", "full")


async def test_a_transient_event_is_not_sent_twice() -> None:
    """Its answer may be lost with it having been published: that is said, and nothing repeated."""
    source = Sayings(saying(503, Retry_After="0"), saying(502))
    async with serving(source) as url, Client(url, token="t", bounds=QUICK) as client:
        with pytest.raises(Unreachable, match="http_502"):
            await client.publish("app:a", {}, transient=True)
    assert len(source.asked) == 2
    assert source.asked[0].headers["Authorization"] == "Bearer t"


async def test_nobody_there_is_unreachable() -> None:
    """On all transports and for calls, once that is given up."""
    async with serving(Sayings(saying(204))) as url:
        pass
    async with Client(url, bounds=QUICK, give_up_s=0.2) as client:
        for transport in ("auto", "sse", "ws", "poll"):
            with pytest.raises(Unreachable, match="unreachable"):
                await anext(client.follow("app:a", transport=transport))
        with pytest.raises(Unreachable):
            await client.snapshot("task")


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(b"\xff\xd8\xff\xe0", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"),
     (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp")],
)  # fmt: skip
async def test_a_picture_is_sent_as_what_its_bytes_are(
    tmp_path: Path, picture: bytes, kind: str
) -> None:
    """From a file, whatever its name."""
    source = Sayings(saying(422, '{"code":"bad_picture"}'))
    file = tmp_path / "picture.txt"
    await asyncio.to_thread(file.write_bytes, picture)
    async with serving(source) as url, Client(url) as client:
        with pytest.raises(Problem, match="422 bad_picture"):
            await client.start(file)
        with pytest.raises(ValueError, match="no JPEG"):
            await client.start(b"GIF89a")
    assert [each.content_type for each in source.asked] == [kind]


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "ftp://x", "http://", "", "http:///x", "http://h:99999", "http://h:abc",
     "http://h:0", "http://h:80:80", "http://a b/", "http://h/a b", "http://h\n", " http://h",
     "http://[::1", "http://h/?x=1", "http://h/#x", "http://h\\x", "http://a%20b", "http://a<b",
     "http://a..b", "http://.", f"http://{'a' * 64}"],
)  # fmt: skip
def test_a_url_that_is_none_is_said_at_once(url: str) -> None:
    """ValueError with one line, not a long wait, nor some other error at the first call."""
    with pytest.raises(ValueError, match="url: ") as caught:
        Client(url)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    ["http://h", "https://h:8443/", "http://[::1]:8080/eco/", "http://my_host.", "http://예.kr/가",
     "HTTP://H:80", "http://u:p@h"],
)  # fmt: skip
def test_a_url_may_have_a_port_and_a_prefix(url: str) -> None:
    """Of any kind that can be asked."""
    assert Client(url).url == url.rstrip("/")


@each_way
async def test_nothing_is_open_once_it_is_left(plain_server: Server, way: Way) -> None:
    """Broken off, cancelled, closed with its client: no connection is left behind."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    connector = session.connector
    assert connector is not None

    def taken() -> int:
        return len(connector._acquired)

    async def waiting(events: Awaitable[object], many: int) -> "asyncio.Task[object]":
        async def wait() -> object:
            return await events

        task = asyncio.create_task(wait())
        while taken() < many:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.01)
        return task

    async with session, asyncio.timeout(LONG_S):
        async with Client(plain_server.url, session=session, bounds=QUICK) as client:
            task = await client.start(category="glass")
            events = way.follow(client, task)
            await anext(events)
            await events.aclose()
            assert taken() == 0
            cancelled = await waiting(anext(way.follow(client, "app:quiet")), 1)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            assert taken() == 0
            left = way.follow(client, ["app:quiet", "app:still"])
            over = await waiting(anext(left), 1)
        with pytest.raises(StopAsyncIteration):
            await over
        assert taken() == 0
        assert not session.closed
        with pytest.raises(RuntimeError, match="not open"):
            client.follow("app:a")
