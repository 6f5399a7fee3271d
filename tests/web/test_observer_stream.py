"""`/stream?channel=system:actors` on the wire, and the page at `/observer`."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from eco_actor.app import Eco
from tests.web.checks import check_problem
from tests.web.client import Client, Stream, control, is_data
from tests.web.credentials import SECRET, bearer
from tests.web.held import Running
from tests.web.serving import Server
from tests.web.test_sse import CONNECTIONS

WATCH = "/stream?channel=system:actors"
TOTALS = {
    "at", "uptime_s", "actors", "jobs", "dead_letters", "restarts", "rate", "lag_ms", "watchers",
    "recent", "rows",
}  # fmt: skip


@asynccontextmanager
async def watching(
    client: Client, query: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[Stream]:
    async with client.session.get(f"{client.base}{WATCH}{query}", headers=headers) as response:
        yield Stream(response)


async def opening(stream: Stream) -> dict[str, Any]:
    """What `eco.open` says, after `retry`."""
    first, opened = await stream.next(), await stream.next()
    assert first is not None
    assert first.retry is not None
    assert opened is not None
    assert opened.event == "eco.open"
    told = opened.json()
    assert opened.id == told["cursor"]
    assert isinstance(told, dict)
    return told


async def snapshot(stream: Stream) -> dict[str, Any]:
    """The data of the next data event."""
    while (message := await stream.next()) is not None:
        if is_data(message):
            told = message.json()
            assert message.id is None
            assert (told["channel"], told["cursor"]) == ("system:actors", None)
            assert told.keys() == {"channel", "cursor", "data"}
            data = told["data"]
            assert isinstance(data, dict)
            return data
    raise AssertionError("the stream ended")


def row(told: dict[str, Any], path: str) -> dict[str, Any]:
    (found,) = [each for each in told["rows"] if each["path"] == path]
    assert isinstance(found, dict)
    return found


async def test_the_bytes_are_those_of_the_contract(plain: Client) -> None:
    """retry, eco.open with an id, then data events with neither id nor event field."""
    address = urlsplit(plain.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET {WATCH} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            text = b""
            while text.count(b'data: {"channel"') < 2 or not text.endswith(b"\n\n"):
                text += await reader.readuntil(b"\n\n")
    finally:
        writer.close()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Transfer-Encoding" not in head
    for line in (b"Content-Type: text/event-stream", b"Cache-Control: no-cache, no-transform"):
        assert line in head
    retry, opened, *events = text.decode().removesuffix("\n\n").split("\n\n")
    assert re.fullmatch("retry: [0-9]+", retry)
    assert re.fullmatch('event: eco\\.open\nid: [^\n]+\ndata: {"cursor":[^\n]+}', opened)
    for event in events:
        assert event.startswith('data: {"channel":"system:actors","cursor":null,"data":{')
        assert "\n" not in event
        assert json.loads(event.removeprefix("data: "))["data"].keys() == TOTALS


async def test_snapshots_agree_with_actors(plain: Client) -> None:
    """A row for each actor of `/actors`, with the same fields, a rate and a level."""
    async with watching(plain) as stream:
        told = await snapshot(stream)
        actors = {each["path"]: each for each in await plain.actors()}
        comes_and_goes = "/eco/work/connections/"
        rows = [each for each in told["rows"] if not each["path"].startswith(comes_and_goes)]
        assert [each["path"] for each in rows] == [
            path for path in actors if not path.startswith(comes_and_goes)
        ]
        for each in rows:
            assert each.keys() == {*actors[each["path"]], "rate", "level"}
            assert each["level"] == each["path"].count("/")
        assert told["actors"] == len(told["rows"])


async def test_snapshots_go_on_and_count_what_happens(plain: Client) -> None:
    """A scan in between shows as messages of the workers."""
    async with watching(plain) as stream:
        before = row(await snapshot(stream), "/eco/work/pipeline/rule/1")
        await plain.scanned()
        after = row(await snapshot(stream), "/eco/work/pipeline/rule/1")
        assert after["mailbox"]["handled"] == before["mailbox"]["handled"] + 1
        assert after["rate"] > 0


async def test_the_observer_does_nothing_while_nobody_watches(plain: Client) -> None:
    """Its mailbox is told of each watcher, and then of nobody; it has no task."""

    async def offered() -> int:
        (found,) = [a for a in await plain.actors() if a["path"] == "/eco/work/observer"]
        count = found["mailbox"]["offered"]
        assert isinstance(count, int)
        return count

    before = await offered()
    async with watching(plain) as stream:
        await snapshot(stream)
    for _ in range(200):
        if not [a for a in await plain.actors() if a["path"].startswith(CONNECTIONS)]:
            break
        await asyncio.sleep(0.02)
    assert await offered() == before + 1


@pytest.mark.parametrize(
    ("query", "overflow", "capacity"),
    [
        ("", "buffer", 256),
        ("&overflow=latest", "latest", 1),
        ("&overflow=drop&capacity=4096", "drop", 4096),
        ("&overflow=close&capacity=1", "close", 1),
        ("&overflow=coalesce", "coalesce", 256),
    ],
)
async def test_all_five_rules_can_be_had(
    plain: Client, query: str, overflow: str, capacity: int
) -> None:
    """eco.open tells the rule and the capacity; snapshots come under each."""
    async with watching(plain, query) as stream:
        told = await opening(stream)
        assert (told["overflow"], told["capacity"]) == (overflow, capacity)
        assert told["resume"] == "fresh"
        assert (await snapshot(stream))["rows"]


async def test_who_comes_back_with_its_cursor_goes_on_from_now(plain: Client) -> None:
    """Recovered, as a browser that reconnects is; an unknown cursor is a reset and a gap."""
    async with watching(plain) as stream:
        cursor = (await opening(stream))["cursor"]
    async with watching(plain, headers={"Last-Event-ID": cursor}) as stream:
        assert (await opening(stream))["resume"] == "recovered"
    async with watching(plain, "&after=nothing-1") as stream:
        assert (await opening(stream))["resume"] == "reset"
        gap = await stream.next()
        assert gap is not None
        assert gap.event == "eco.gap"
        assert gap.json()["reason"] == "reset"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/stream", 422, "bad_option"),
        ("/stream?channel=", 422, "bad_channel"),
        ("/stream?channel=actors", 422, "bad_channel"),
        ("/stream?channel=System:actors", 422, "bad_channel"),
        ("/stream?channel=system:actors%0a", 422, "bad_channel"),
        ("/stream?channel=system:nothing", 404, "unknown_channel"),
        (f"{WATCH}&channel=system:nothing", 404, "unknown_channel"),
        ("/stream?channel=scan:x", 404, "unknown_task"),
        (f"{WATCH}&overflow=nonsense", 422, "bad_option"),
        (f"{WATCH}&overflow=", 422, "bad_option"),
        (f"{WATCH}&capacity=0", 422, "bad_option"),
        (f"{WATCH}&capacity=4097", 422, "bad_option"),
        (f"{WATCH}&capacity=x", 422, "bad_option"),
        (f"{WATCH}&interval_ms=100", 422, "bad_option"),
    ],
)
async def test_what_cannot_be_streamed_is_a_problem(
    plain: Client, path: str, status: int, code: str
) -> None:
    """404 for a channel of the server's that does not exist, 422 for what is not so or not yet."""
    check_problem(await plain.get(path), status, code)


async def test_a_full_server_says_busy(make: Callable[..., Eco], running: Running) -> None:
    """200, retry and a bye that asks to come back: an EventSource gives up on anything else."""
    eco = await asyncio.to_thread(make, max_connections=1)
    async with running(eco) as client, watching(client) as stream:
        await opening(stream)
        async with watching(client) as second:
            assert second.status == 200
            (message,) = await second.rest()
            assert message.retry is not None
            assert (message.json()["code"], message.json()["reconnect"]) == ("busy", True)


async def test_a_stop_says_goodbye_to_watchers(make: Callable[..., Eco], running: Running) -> None:
    """going_away, with the time to wait, and the end."""
    eco = await asyncio.to_thread(make)
    async with running(eco) as client, watching(client) as stream:
        await snapshot(stream)
        connections = eco._dynamic("work", "connections")()
        assert connections is not None
        connections.stop_children()
        (bye,) = control(await stream.rest(), "bye")
        assert (bye.json()["code"], bye.json()["reconnect"]) == ("going_away", True)


async def test_a_killed_worker_comes_back_in_the_next_snapshot(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Its incarnation rises, its last error says why, and the restart is in the list."""
    client = Client(session, server(env={"ECO_OPERATOR_TOKEN": SECRET}).url)
    path = "/eco/work/pipeline/rule/1"
    async with watching(client) as stream:
        assert row(await snapshot(stream), path)["incarnation"] == 1
        answer = await client.post("/actors/kill", json={"path": path}, headers=bearer(SECRET))
        assert answer.status == 202
        told = await snapshot(stream)
        while not told["recent"]:
            told = await snapshot(stream)
        (restart,) = told["recent"]
        assert (restart["path"], restart["incarnation"]) == (path, 2)
        assert restart["reason"] == "killed"
        back = row(told, path)
        assert (back["incarnation"], back["restarts"], back["last_error"]) == (2, 1, "killed")


async def test_the_page_and_all_that_it_names_is_served(plain: Client) -> None:
    """HTML under the policy of all pages; each file that it or its scripts refer to is there."""
    page = await plain.get("/observer")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert not re.search(rb"""(?:href|src)=["']?(?:https?:)?//""", page.body)
    waiting = set(re.findall(rb'(?:href|src)="(static/[^"]+)"', page.body))
    seen: set[bytes] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        file = await plain.get("/" + name.decode())
        assert file.status == 200, name
        imports = re.findall(rb'from "\./([^"]+)"', file.body)
        waiting |= {b"static/" + each for each in imports} - seen
    assert {b"static/observer.js", b"static/dom.js", b"static/observer.css"} <= seen


async def test_the_address_with_the_token_logs_in(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """It redirects to the page without the token, with a cookie that opens."""
    client = Client(session, server(env={"ECO_OPERATOR_TOKEN": SECRET}).url)
    answer = await client.get(f"/observer?token={SECRET}")
    assert (answer.status, answer.headers["Location"]) == (303, "/observer")
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    told = await client.get("/operator", headers={"Cookie": cookie})
    assert told.json() == {"operator": True}
