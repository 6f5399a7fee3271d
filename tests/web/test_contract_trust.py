"""Who may follow and who may publish: the rules of trust hold on every way into a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp
import msgpack
import pytest

from tests.web.checks import check_problem
from tests.web.contract_clients import Declined, Follower, Sse
from tests.web.contract_sockets import CHANNELS, STREAMS, Poll, WsJson, WsMsgpack
from tests.web.contract_world import World, channel, numbers, world_of
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", CHANNELS)
SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
FOREIGN = "https://elsewhere.example"


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


@KINDS
@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "10.1.2.3"])
async def test_who_calls_another_server_is_sent_away(
    world: World, kind: type[Follower], host: str
) -> None:
    """421, before anything else is looked at: a page that rebinds its name reads nothing."""
    with pytest.raises(Declined) as declined:
        await world.open(kind, channel(), headers={"Host": host})
    assert (declined.value.status, declined.value.code) == (421, "wrong_host")


@KINDS
@pytest.mark.parametrize("host", ["", "a b", "127.0.0.1:99999", "[::1"])
async def test_a_host_that_is_none_is_a_bad_request(
    world: World, kind: type[Follower], host: str
) -> None:
    """400 for what is no name."""
    with pytest.raises(Declined) as declined:
        await world.open(kind, channel(), headers={"Host": host})
    assert declined.value.status == 400


@SOCKETS
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": FOREIGN},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_no_page_of_another_origin_opens_a_web_socket(
    world: World, kind: type[Follower], headers: dict[str, str]
) -> None:
    """403, with the operator's token too."""
    for shown in ({}, world.operator):
        with pytest.raises(Declined) as declined:
            await world.open(kind, channel(), headers={**headers, **shown})
        assert (declined.value.status, declined.value.code) == (403, "cross_origin")


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_page_of_its_own_follows(world: World, kind: type[Follower]) -> None:
    """Its Origin is the address that it called."""
    name = channel()
    headers = {"Origin": world.url, "Sec-Fetch-Site": "same-origin"}
    follower = await world.open(kind, name, headers=headers)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]


async def test_pages_of_a_listed_origin_may_follow_on_all_transports(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """With CORS headers where it is listed, and without where it is not."""
    running = await asyncio.to_thread(server, options=["--origin", FOREIGN])
    async with world_of(session, running) as world:
        name = channel()
        for kind in CHANNELS:
            await world.open(kind, name, headers={"Origin": FOREIGN})
        stream = await world.open(Sse, name, headers={"Origin": FOREIGN})
        assert stream.headers["access-control-allow-origin"] == FOREIGN
        assert stream.headers["vary"] == "Origin"
        stream = await world.open(Sse, name)
        assert "access-control-allow-origin" not in stream.headers
        assert stream.headers["vary"] == "Origin"
        stream = await world.open(Sse, name, headers={"Origin": "https://third.example"})
        assert "access-control-allow-origin" not in stream.headers


@SOCKETS
async def test_who_shows_no_token_cannot_publish(world: World, kind: type[WsJson]) -> None:
    """An error for the command, 401 for the request; nothing reaches the channel."""
    name = channel()
    watcher = await world.open(Sse, name)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "eco_operator=x"}):
        follower = await world.open(kind, name, headers=headers)
        told = await follower.ask("publish", channel=name, data={"n": 1})
        assert (told["op"], told["code"]) == ("error", "operator_only")
        told = await follower.ask("publish", channel=name, data={"n": 1}, transient=True)
        assert (told["op"], told["code"]) == ("error", "operator_only")
        answer = await world.client.post(f"/channels/{name}/events", json={}, headers=headers)
        check_problem(answer, 401, "operator_only")
    await world.numbers(name, 2)
    assert numbers([await watcher.event()]) == [2]


@SOCKETS
async def test_the_operator_publishes_over_a_web_socket(world: World, kind: type[WsJson]) -> None:
    """The answer has the cursor that the followers get; a transient event has none."""
    name = channel()
    watchers = [await world.open(each, name) for each in STREAMS]
    follower = await world.open(kind, name, headers=world.operator)
    first = await follower.ask("publish", channel=name, data={"n": 1}, key="k")
    assert first["op"] == "published"
    second = await follower.ask("publish", channel=name, data={"n": 2}, transient=True)
    assert (second["op"], second["cursor"]) == ("published", None)
    for each in [follower, *watchers]:
        told = await each.events(2)
        assert [e.cursor for e in told] == [first["cursor"], None]
        assert numbers(told) == [1, 2]


@SOCKETS
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("scan:" + "A" * 22, "not_publishable"),
        ("system:actors", "not_publishable"),
        ("other:x", "not_publishable"),
        ("nonsense", "bad_channel"),
    ],
)
async def test_nobody_publishes_where_only_the_server_writes(
    world: World, kind: type[WsJson], name: str, code: str
) -> None:
    """The operator neither."""
    follower = await world.open(kind, headers=world.operator)
    told = await follower.ask("publish", channel=name, data={})
    assert (told["op"], told["code"]) == ("error", code)
    answer = await world.client.post(f"/channels/{name}/events", json={}, headers=world.operator)
    check_problem(answer, 422 if code == "bad_channel" else 403, code)


@SOCKETS
async def test_an_event_that_cannot_be_is_refused_and_the_next_is_taken(
    world: World, kind: type[WsJson]
) -> None:
    """No map, a key that is none, too many bytes, too deep, a number of more than 64 bits."""
    name = channel()
    follower = await world.open(kind, name, headers=world.operator)
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    bad: list[dict[str, object]] = [
        {"data": [1]},
        {"data": "text"},
        {"data": None},
        {"data": {}, "key": ""},
        {"data": {}, "key": "x" * 129},
        {"data": {}, "transient": "yes"},
        {"data": {}, "more": 1},
        {"data": {"text": "x" * 70_000}},
        {"data": {"deep": deep}},
    ]
    if kind is WsJson:
        bad.append({"data": {"n": 2**70}})
    else:
        odd = [{None: 1}, {1: 1}, b"x", float("nan"), msgpack.Timestamp(1), msgpack.ExtType(9, b"")]
        bad += [{"data": {"odd": e}, "transient": t} for e in odd for t in (True, False)]
    for each in bad:
        told = await follower.ask("publish", channel=name, **each)
        assert told["op"] == "error", (str(each)[:80], told)
    told = await follower.ask("publish", channel=name, data={"n": 1})
    assert told["op"] == "published"
    assert numbers([await follower.event()]) == [1]
    history = await world.open(Sse, name, after="earliest")
    assert numbers([await history.event()]) == [1]


async def test_the_cookie_of_a_login_publishes_from_its_own_page_only(world: World) -> None:
    """A page that logged in opens a WebSocket that may publish; another site's may not open it."""
    token = world.operator["Authorization"].split()[1]
    answer = await world.client.post("/login", json={"token": token})
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    follower = await world.open(WsJson, headers={"Cookie": cookie, "Origin": world.url})
    assert (await follower.ask("publish", channel=channel(), data={}))["op"] == "published"
    with pytest.raises(Declined):
        await world.open(WsJson, headers={"Cookie": cookie, "Origin": FOREIGN})


async def test_a_handshake_that_is_none_is_a_problem(world: World) -> None:
    """Each with its status and the header that says what would do."""
    good = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    wrong = [
        ({}, 426),
        ({**good, "Upgrade": "h2c"}, 426),
        ({**good, "Sec-WebSocket-Version": "8"}, 426),
        ({**good, "Sec-WebSocket-Key": "short"}, 400),
        ({name: value for name, value in good.items() if name != "Sec-WebSocket-Key"}, 400),
    ]
    for headers, status in wrong:
        answer = await world.client.get("/ws", headers=headers)
        check_problem(answer, status)
        assert status != 426 or answer.headers["Upgrade"] == "websocket"
    check_problem(await world.client.post("/ws"), 405)


async def test_a_poll_and_its_publisher_share_an_address(world: World) -> None:
    """GET is open, POST is the operator's; other methods are told both."""
    name = channel()
    await world.open(Poll, name)
    check_problem(await world.client.post(f"/channels/{name}/events", json={}), 401)
    answer = await world.client.ask("DELETE", f"/channels/{name}/events")
    check_problem(answer, 405)
    assert {"GET", "POST"} <= {each.strip() for each in answer.headers["Allow"].split(",")}


async def test_a_stream_says_what_caches_and_proxies_need(world: World) -> None:
    """The headers of an event stream, on the bytes themselves; nothing is cut into chunks."""
    name = channel()
    for extra in ({}, {"Cookie": "a=b"}, {"X-Unknown": "1"}):  # whatever way they take inside
        stream = await world.open(Sse, name, headers=extra)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["incremental"] == "?1"
        assert "transfer-encoding" not in stream.headers
        assert stream.headers["connection"] == "close"
        assert stream.opening.keys() == {"cursor", "resume", "overflow", "capacity"}
    assert urlsplit(world.url).hostname == "127.0.0.1"
    assert json.dumps(stream.opening)
