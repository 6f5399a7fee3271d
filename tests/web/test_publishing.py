"""`POST /channels/{channel}/events`: what is taken, what is refused, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from eco_actor.delivery.publisher import MAX_DEPTH, MAX_EVENT
from eco_actor.eventlog import Event, StoreFull
from tests.web.checks import check_problem
from tests.web.client import say
from tests.web.credentials import SECRET, bearer
from tests.web.edge import EVENTS, LIVE, Edge, edge


class Shown:
    """A subscriber that keeps what it is shown."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def offer(self, event: Event) -> None:
        self.events.append(event)


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def raw(path: str, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    """A POST of the operator as it goes over the wire."""
    head = [f"POST {path} HTTP/{version}", "Host: here", f"Authorization: Bearer {SECRET}", *lines]
    head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def test_a_published_event_is_in_the_log_behind_its_cursor(here: Edge) -> None:
    """With its key, and the time at which it was taken."""
    answer = await here.publish({"n": 1}, "?key=k")
    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    (event,) = (await here.log.page(["app:a"], 0)).events
    assert answer.json() == {"cursor": str(event.cursor)}
    assert (event.data, event.key, event.at_ms) == ({"n": 1}, "k", here.now_ms)
    assert here.traffic.published_durable == 1


async def test_a_transient_event_is_shown_and_not_logged(here: Edge) -> None:
    """Its cursor is null."""
    shown = Shown()
    here.log.subscribe("app:a", shown)
    answer = await here.publish({"n": 1}, "?transient=1&key=k")
    assert (answer.status, answer.json()) == (202, {"cursor": None})
    answer = await here.publish({"n": 2}, "?transient=1")
    assert (answer.status, answer.json()) == (202, {"cursor": None})
    assert [(event.data["n"], event.key, event.transient) for event in shown.events] == [
        (1, "k", True), (2, None, True),
    ]  # fmt: skip
    assert await here.logged() == []
    assert here.traffic.published_transient == 2


async def test_only_the_operator_publishes(plain_edge: Edge) -> None:
    """Without the token nothing happens."""
    answer = await plain_edge.client.post(EVENTS, json={})
    check_problem(answer, 401, "operator_only")
    answer = await plain_edge.client.post(EVENTS, json={}, headers=bearer("x" * 20))
    check_problem(answer, 401, "operator_only")
    assert await plain_edge.logged() == []


@pytest.mark.parametrize(
    ("channel", "status", "code"),
    [
        ("scan:abc", 403, "not_publishable"),
        (LIVE, 403, "not_publishable"),
        ("news:a", 403, "not_publishable"),
        ("app", 422, "bad_channel"),
        ("app:a%2Fb", 422, "bad_channel"),
        ("app:%00", 422, "bad_channel"),
    ],
)
async def test_other_channels_are_refused(
    plain_edge: Edge, channel: str, status: int, code: str
) -> None:
    """What the server alone writes to, and what is no name."""
    answer = await plain_edge.client.post(
        f"/channels/{channel}/events", json={}, headers=bearer(SECRET)
    )
    check_problem(answer, status, code)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?ttl=3&zeal=1", "ttl, zeal"), ("?transient=1&transient=1", "transient"),
        ("?key=a&key=b", "key"), ("?transient=yes", "transient"), ("?transient=", "transient"),
        ("?key=", "key"), ("?key=" + "k" * 129, "key"),
    ],
)  # fmt: skip
async def test_wrong_options_are_named(plain_edge: Edge, query: str, named: str) -> None:
    """Unknown ones, those given twice, and those without sense."""
    problem = check_problem(await plain_edge.publish({}, query), 422, "bad_option")
    assert problem["detail"].startswith(named)
    assert await plain_edge.logged() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"), (b"{", 400, "bad_json"), (b'{"a":NaN}', 400, "bad_json"),
        (b'{"a":Infinity}', 400, "bad_json"), (b"{'a':1}", 400, "bad_json"),
        (b'{"a":"\xff"}', 400, "bad_json"), (b'{"a":"\\ud800"}', 400, "bad_json"),
        (b"{} {}", 400, "bad_json"), (b"[]", 422, "bad_body"), (b"null", 422, "bad_body"),
        (b'"text"', 422, "bad_body"), (b'{"a":18446744073709551616}', 422, "bad_body"),
        (b'{"a":-9223372036854775809}', 422, "bad_body"), (b'{"a":1e999}', 422, "bad_body"),
        (nested(MAX_DEPTH + 1), 422, "bad_body"), (b'{"a":' * 9000, 422, "bad_body"),
        (b'{"a":"' + b"x" * MAX_EVENT + b'"}', 413, "too_large"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("query", ["", "?transient=1"])
async def test_what_is_no_event_is_refused(
    plain_edge: Edge, body: bytes, status: int, code: str, query: str
) -> None:
    """No JSON, no object, too large, or not to be written again."""
    answer = await plain_edge.client.post(EVENTS + query, data=body, headers=bearer(SECRET))
    check_problem(answer, status, code)
    assert await plain_edge.logged() == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"' + b"x" * (MAX_EVENT - 8) + b'"}', nested(MAX_DEPTH), b" \n{}\r\n",
        b'{"a":18446744073709551615,"b":-9223372036854775808,"c":"\\u0000\\ud83d\\ude00"}',
        b'{"a":[' + b"[],{}," * 400 + b"1]}",
    ],
)  # fmt: skip
async def test_what_is_an_event_is_taken(plain_edge: Edge, body: bytes) -> None:
    """Up to the very bounds, and as it is."""
    answer = await plain_edge.client.post(EVENTS, data=body, headers=bearer(SECRET))
    assert answer.status == 202, answer.body
    assert await plain_edge.logged() == [json.loads(body)]


async def test_a_packed_body_is_refused(plain_edge: Edge) -> None:
    """As everywhere."""
    check_problem(await plain_edge.publish({}, Content_Encoding="gzip"), 415)


@pytest.mark.parametrize("query", ["", "?transient=1"])
async def test_a_full_store_is_503(
    plain_edge: Edge, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Retry-After: nothing was accepted."""

    def full(*args: object) -> None:
        raise StoreFull("as many appends as there may be are waiting")

    monkeypatch.setattr(plain_edge.log, "append", full)
    monkeypatch.setattr(plain_edge.log, "show", full)
    check_problem(await plain_edge.publish({}, query), 503)


async def test_a_body_may_come_in_pieces(plain_edge: Edge) -> None:
    """Chunked, of any size; one that is too large is refused before its end, if it has one."""

    async def pieces(size: int, *, endless: bool = False) -> AsyncIterator[bytes]:
        yield b'{"a":"'
        for _ in range(size // 1000):
            await asyncio.sleep(0)
            yield b"x" * 1000
        if endless:
            await asyncio.Event().wait()
        yield b'"}'

    answer = await plain_edge.client.post(EVENTS, data=pieces(9000), headers=bearer(SECRET))
    assert answer.status == 202
    assert await plain_edge.logged() == [{"a": "x" * 9000}]
    endless = pieces(99_000, endless=True)
    answer = await plain_edge.client.post(EVENTS, data=endless, headers=bearer(SECRET))
    check_problem(answer, 413, "too_large")


async def test_a_body_may_come_after_its_head(plain_edge: Edge) -> None:
    """The answer waits for it."""
    whole = raw(EVENTS, b'{"n":1}', "Connection: close")
    base = plain_edge.client.base
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    writer.write(whole[:-4])
    await writer.drain()
    while not plain_edge.runner.server or not plain_edge.runner.server.requests_count:  # noqa: ASYNC110  # it has no event
        await asyncio.sleep(0)
    writer.write(whole[-4:])
    assert (await reader.read()).startswith(b"HTTP/1.1 202 ")
    writer.close()
    assert await plain_edge.logged() == [{"n": 1}]


def headers_of(said: bytes) -> dict[str, str]:
    lines = said.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("query", ["", "?transient=1"])
async def test_the_ready_answer_is_as_any_other(plain_edge: Edge, query: str) -> None:
    """The same status and headers as aiohttp gives to a connection that is to end."""
    ready = await say(plain_edge.client, raw(EVENTS + query, b"{}"))
    closing = await say(plain_edge.client, raw(EVENTS + query, b"{}", "Connection: close"))
    old = await say(plain_edge.client, raw(EVENTS + query, b"{}", version="1.0"))
    assert ready.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert closing.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert old.startswith(b"HTTP/1.0 202 Accepted\r\n")
    assert headers_of(closing).pop("Connection") == "close"
    told = [headers_of(said) for said in (ready, closing, old)]
    for each in told:
        each.pop("Connection", None)
        assert each.pop("Date").endswith(" GMT")
    assert told[0] == told[1] == told[2]
    assert told[0].keys() == {"Content-Type", "Cache-Control", "Content-Length", "Server"}


async def test_an_old_client_is_told_that_the_connection_stays(plain_edge: Edge) -> None:
    """HTTP/1.0 closes unless both say otherwise."""
    lines = (EVENTS, b"{}", "Connection: keep-alive")
    said = await say(plain_edge.client, raw(*lines, version="1.0"))
    assert said.startswith(b"HTTP/1.0 202 Accepted\r\n")
    assert headers_of(said)["Connection"] == "keep-alive"


async def test_many_on_one_connection_are_answered_in_order(plain_edge: Edge) -> None:
    """Also when they come in one packet, and one of them is refused."""
    requests = [raw(EVENTS, b'{"n":%d}' % n) for n in range(20)]
    requests[7] = raw(EVENTS, b"[]")
    whole = b"".join([*requests, raw(EVENTS, b"{}", "Connection: close")])
    port = int(plain_edge.client.base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(whole)
    said = await reader.read()
    writer.close()
    statuses = [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"202"] * 7 + [b"422"] + [b"202"] * 13
    cursors = [json.loads(part.split(b"\r\n\r\n")[1])["cursor"] for part in _bodies(said)]
    assert len(set(cursors)) == 20
    assert [each.get("n") for each in await plain_edge.logged()] == [
        *range(7), *range(8, 20), None,
    ]  # fmt: skip


def _bodies(said: bytes) -> list[bytes]:
    return [part for part in said.split(b"HTTP/1.1 ")[1:] if part.startswith(b"202")]


async def test_hooks_of_an_application_see_the_answer(session: aiohttp.ClientSession) -> None:
    """Once, and what they add goes out."""

    async def stamp(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add("X-Stamp", "1")

    hooks: list[Any] = [stamp]
    async with edge(session, hooks=hooks) as running:
        answer = await running.publish({}, "?transient=1")
        assert (answer.status, answer.json()) == (202, {"cursor": None})
        assert answer.headers.getall("X-Stamp") == ["1"]
