"""Behind nginx, with TLS and HTTP/2: streams share a connection and come through at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.contract_wire import LONG_S
from tests.web.contract_world import World, channel, world_of
from tests.web.proxied import (
    NEEDED,
    NEEDS_HTTP2,
    Proxy,
    Through,
    curl,
    logged,
    nginx_before,
    through_of,
)
from tests.web.serving import Server

STREAMS = 20

BURST = 20
"""Scans that deploy/nginx.conf lets one address start at once."""

pytestmark = [*NEEDED]


@pytest.fixture(scope="module")
def proxy(plain_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx_before(plain_server.port, tmp_path_factory.mktemp("nginx")) as made:
        yield made


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Through]:
    async with through_of(proxy) as client:
        yield client


async def events(told: asyncio.StreamReader, number: int) -> list[Any]:
    """The data of so many events, whatever their streams."""
    found: list[Any] = []
    async with asyncio.timeout(LONG_S):
        while len(found) < number:
            line = await told.readline()
            assert line, f"the end came after {len(found)}"
            if line.startswith(b'data: {"channel"'):
                found.append(json.loads(line.removeprefix(b"data: ")))
    return found


async def opened(told: asyncio.StreamReader, number: int) -> None:
    """Until so many streams are open."""
    async with asyncio.timeout(LONG_S):
        while number:
            number -= (await told.readline()) == b"event: eco.open\n"


@NEEDS_HTTP2
async def test_twenty_streams_share_one_connection_and_nothing_is_held_back(
    world: World, proxy: Proxy
) -> None:
    """Each event is there before the next is published, on all of them."""
    names = [channel() for _ in range(STREAMS)]
    async with curl(proxy, [f"/stream?channel={name}" for name in names]) as told:
        await opened(told, STREAMS)
        for n in range(3):
            for name in names:
                cursor = await world.publish(name, {"n": n})
                (event,) = await events(told, 1)
                assert event == {"channel": name, "cursor": cursor, "data": {"n": n}}
        await asyncio.gather(*(world.publish(name, {"n": 3}) for name in names))
        assert {each["channel"] for each in await events(told, STREAMS)} == {*names}
    lines = await logged(proxy, names)
    assert len({line.split()[0] for line in lines}) == 1
    assert {line.split()[1] for line in lines} == {"HTTP/2.0"}


async def test_streams_that_are_left_leave_nothing_behind(world: World, through: Through) -> None:
    """nginx closes its connection when the client leaves; the server lets go of it."""

    async def open_streams() -> int:
        actors = await world.client.actors()
        return sum(each["path"].startswith("/eco/work/connections/") for each in actors)

    before = await open_streams()
    name = channel()
    for _ in range(5):
        async with through.get(f"/stream?channel={name}") as response:
            assert response.status == 200
            await response.content.readline()
            assert await open_streams() > before
            response.close()
    async with asyncio.timeout(LONG_S):
        while await open_streams() > before:
            await world.publish(name, {})  # a write finds out at the latest


async def test_a_scan_comes_through_to_its_end(through: Through) -> None:
    """Posted and followed through nginx: all five events, the last word, 204 behind them."""
    async with through.post("/scan/classify", json={"category": "glass"}) as answer:
        assert answer.status == 202
        task_id = (await answer.json())["task_id"]
    async with through.get(f"/scan/{task_id}/stream") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        text = (await response.read()).decode()
    assert text.count("\nid: ") == 6
    assert "event: eco.bye" in text
    last = text.rpartition("\nid: ")[2].partition("\n")[0]
    async with through.get(f"/scan/{task_id}/stream", headers={"Last-Event-ID": last}) as response:
        assert response.status == 204


async def test_one_address_may_start_so_many_scans_and_is_told_when_it_is_too_many(
    plain_server: Server, tmp_path: Path
) -> None:
    """429 as the server's own, with Retry-After; what is no start of a scan is not counted."""
    with nginx_before(plain_server.port, tmp_path) as proxy:
        async with through_of(proxy) as through, asyncio.timeout(LONG_S):
            statuses = []
            for _ in range(BURST + 20):  # far faster than the rate
                async with through.post("/scan/classify", json={"category": "glass"}) as answer:
                    statuses.append(answer.status)
                    refused = await answer.read()
                    if answer.status == 429:
                        break
            assert len(statuses) > BURST
            assert {*statuses[:-1]} == {202}
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Cache-Control"] == "no-store"
            assert int(answer.headers["Retry-After"]) >= 1
            told = json.loads(refused)
            assert (told["status"], told["code"]) == (429, "too_many_scans")
            assert told["type"] == "urn:eco:problem:too_many_scans"
            for _ in range(3):
                async with through.get("/scan/categories") as answer:
                    assert answer.status == 200
                async with through.get("/scan/classify") as answer:
                    assert answer.status == 405


@pytest.mark.parametrize("subprotocol", ["eco.v1.json", "eco.v1.msgpack"])
async def test_a_web_socket_upgrades_through_it(
    world: World, proxy: Proxy, through: Through, subprotocol: str
) -> None:
    """Commands are answered, events come, and a page from behind it is of its own origin."""
    name = channel()
    opened = await through.ws_connect(
        f"/ws?channel={name}", protocols=[subprotocol], headers={"Origin": proxy.url}
    )
    async with opened as ws:
        assert ws.protocol == subprotocol
        assert "subscribed" in str((await ws.receive(LONG_S)).data)
        await world.publish(name, {"n": "here"})
        assert "here" in str((await ws.receive(LONG_S)).data)
        if subprotocol == "eco.v1.json":
            await ws.send_json({"op": "ping", "id": 1})
            assert (await ws.receive_json(timeout=LONG_S)) == {"op": "pong", "id": 1}


async def test_a_page_of_another_site_does_not_get_through(
    through: Through,
) -> None:
    """403 at the handshake, as without a proxy."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await through.ws_connect("/ws", headers={"Origin": "https://elsewhere.example"})
    assert refused.value.status == 403


async def test_polls_and_publishing_come_through(world: World, through: Through) -> None:
    """A poll that waits is answered as soon as something is published."""
    name = channel()
    async with through.get(f"/channels/{name}/events?wait=0") as answer:
        cursor = (await answer.json())["cursor"]
    waiting = asyncio.create_task(_poll(through, f"/channels/{name}/events?after={cursor}&wait=20"))
    async with through.post(
        f"/channels/{name}/events", json={"n": 1}, headers=world.operator
    ) as answer:
        assert answer.status == 202
    assert [each["data"] for each in (await waiting)["events"]] == [{"n": 1}]


async def _poll(through: Through, path: str) -> Any:
    async with through.get(path) as answer:
        return await answer.json()
