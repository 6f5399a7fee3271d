"""Bad input on each way into the server: a clear answer, nothing half done, and it goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.web.asking import FORM, form_of, kept, part
from tests.web.checks import check_problem
from tests.web.client import say
from tests.web.contract_clients import Declined, Follower, Lost
from tests.web.contract_sockets import CHANNELS, WsJson, WsMsgpack, ended_with
from tests.web.contract_world import World, channel, numbers, world_of
from tests.web.credentials import bearer
from tests.web.serving import Server
from tests.ws_bytes import CONT, TEXT, masked, opening

SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
TASK = "A" * 22
STREAMS = [
    f"/scan/{TASK}/stream",
    "/stream?channel=app:x",
    f"/scan/{TASK}/events",
    "/channels/app:x/events",
    "/ws?channel=app:x",
]
"""Where a client may begin to follow."""


@pytest.fixture(scope="module", autouse=True)
def no_fault_of_the_server(plain_server: Server) -> Iterator[None]:
    """None of it is worth a line of the log."""
    before = len(plain_server.log_text())
    yield
    said = plain_server.log_text()[before:]
    assert "Traceback" not in said
    assert "ERROR" not in said


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


async def goes_on(world: World) -> None:
    """A new client is served."""
    name = channel()
    follower = await world.open(WsJson, name)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]


def request(path: str, *lines: str) -> bytes:
    """A GET with these headers; a handshake where the path is a WebSocket's."""
    if path.startswith("/ws"):
        return opening(path, *lines)
    head = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]
    return "\r\n".join(head).encode()


# ---- cursors


@pytest.mark.parametrize("kind", CHANNELS)
async def test_a_cursor_that_was_made_up_is_unknown(world: World, kind: type[Follower]) -> None:
    """Reset, a gap, all that there is: signs, spaces, large letters, huge and negative numbers."""
    name = channel()
    cursors = await world.numbers(name, 1, 2)
    epoch, _, place = cursors[0].rpartition("-")
    forged = [
        *(f"{epoch}-{number}" for number in ("-1", "+1", "1_0", "0x1", "٣", "", "1.0", "1e+3")),
        *(f"{epoch}-{'f' * length}" for length in (15, 16, 17, 64, 4000)),
        *(f"{other}-{place}" for other in ("", "000000", epoch[:-1], epoch.upper() + "Z", "-")),
        *(f"{cursors[0]}{tail}" for tail in (" ", "\n", "\t", "\x00", "-1", ",", "é", "\u202e")),
        f" {cursors[0]}",
        cursors[0][::-1],
        "EARLIEST",
        "earliest ",
        "null",
        "\U0001f37e" * 100,
        "../../etc/passwd",
        "' OR 1=1 --",
        "%00",
    ]
    for after in forged:
        follower = await world.open(kind, name, after=after)
        assert follower.verdict == "reset", after
        gap = await follower.next()
        assert isinstance(gap, Lost), after
        assert (gap.reason, gap.dropped) == ("reset", 0)
        assert [each.cursor for each in await follower.events(2)] == cursors, after
        follower.close()


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("where", ["query", "header"])
async def test_a_cursor_without_end_is_refused(world: World, path: str, where: str) -> None:
    """64 KiB: 414 in the address, 431 in the header."""
    cursor = "a" * 65_536
    if where == "query":
        asked = request(f"{path}{'&' if '?' in path else '?'}after={cursor}")
    else:
        asked = request(path, f"Last-Event-ID: {cursor}")
    answer = await say(world.client, asked)
    assert answer.split(b" ")[1] == (b"414" if where == "query" else b"431")
    assert b"application/problem+json" in answer


@SOCKETS
async def test_a_long_cursor_in_a_command_is_unknown(
    world: World, kind: type[WsJson | WsMsgpack]
) -> None:
    """64 KiB: reset, as any other that nobody knows."""
    name = channel()
    cursors = await world.numbers(name, 1)
    follower = await world.open(kind)
    told = await follower.ask("subscribe", channel=name, after="a" * 65_536)
    assert (told["op"], told["resume"]) == ("subscribed", "reset")
    assert isinstance(await follower.next(), Lost)
    assert (await follower.event()).cursor == cursors[0]


# ---- heads


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("name", ["X-{}", "X", "Cookie"])
async def test_ten_thousand_headers_are_refused(world: World, path: str, name: str) -> None:
    """431 on each handshake, and nothing is opened."""
    before = {each["path"] for each in await world.client.actors()}
    answer = await say(
        world.client, request(path, *(f"{name.format(n)}: y" for n in range(10_000)))
    )
    assert answer.split(b" ")[1] == b"431"
    assert b"application/problem+json" in answer
    after = {each["path"] for each in await world.client.actors()}
    assert not [each for each in after - before if "/connections/" in each]
    await goes_on(world)


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil.example", "127.0.0.1/x", "é"])
async def test_another_host_is_refused_on_each_transport(
    world: World, kind: type[Follower], host: str
) -> None:
    """421 for the name of another, 400 for what is no name."""
    with pytest.raises(Declined) as declined:
        await world.open(kind, channel(), headers={"Host": host})
    status = 421 if host == "evil.example" else 400
    code = "wrong_host" if status == 421 else "bad_host"
    assert (declined.value.status, declined.value.code) == (status, code)


# ---- pages of others

ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]

SIMPLE: list[tuple[dict[str, str], bytes]] = [
    ({"Content-Type": "text/plain"}, b'{"category":"glass","user_input":"="}'),
    ({"Content-Type": "text/plain;charset=UTF-8"}, b'{"token":"x"}'),
    ({"Content-Type": "application/x-www-form-urlencoded"}, b"category=glass"),
    (FORM, form_of([part("category", b"glass")])),
    ({"Content-Type": "application/json"}, b'{"category":"glass"}'),
]
"""What a page may send without asking before, and what it may not."""


def unsafe(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of all that changes something, of the server's own document."""
    filled = {"task_id": TASK, "channel": "app:x"}
    return [
        (method.upper(), path.format(**filled))
        for path, methods in document["paths"].items()
        for method in methods
        if method not in ("get", "head", "options", "parameters")
    ]


async def test_no_page_of_others_changes_anything(world: World, plain_server: Server) -> None:
    """Each unsafe route, for each kind of page and body, with the operator's own cookie: 403."""
    client = world.client
    routes = unsafe((await client.get("/openapi.json")).json())
    assert {("POST", "/scan/classify"), ("POST", "/login"), ("POST", "/actors/kill")} <= {*routes}
    assert ("POST", "/channels/app:x/events") in routes
    token = world.operator["Authorization"].split()[1]
    login = await client.post("/login", json={"token": token})
    cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    assert (await client.get("/operator", headers=cookie)).json() == {"operator": True}
    before = await asyncio.to_thread(kept, plain_server)
    watcher = await world.open(WsJson, "app:x")
    for method, path in routes:
        for elsewhere in ELSEWHERE:
            for kind, body in SIMPLE:
                headers = {**cookie, **kind, **elsewhere}
                answer = await client.ask(method, path, data=body, headers=headers)
                check_problem(answer, 403, "cross_origin")
                assert "Set-Cookie" not in answer.headers
    assert await asyncio.to_thread(kept, plain_server) == before
    await world.numbers("app:x", 1)
    assert numbers([await watcher.event()]) == [1]


async def test_what_a_form_cannot_send_is_no_scan_without_an_origin_either(world: World) -> None:
    """Text and urlencoded bodies are 415, whoever sends them: an old browser gives no Origin."""
    for kind, body in SIMPLE[:3]:
        check_problem(await world.client.post(data=body, headers=kind), 415)
    answer = await world.client.post("/login", data=b'{"token":"x"}', headers=SIMPLE[0][0])
    assert answer.status in (401, 415, 422)


# ---- tokens and frames


@pytest.mark.parametrize("token", ["", "x" * 8000, "\xff", "null"])
async def test_a_token_that_is_none_opens_nothing(world: World, token: str) -> None:
    """401 on each call of the operator."""
    shown = bearer(token)
    for path in ("/channels/app:x/events", "/actors/kill"):
        check_problem(await world.client.post(path, json={}, headers=shown), 401, "operator_only")


@pytest.mark.parametrize("size", [0, 1])
async def test_a_message_in_pieces_without_end_is_no_burden(world: World, size: int) -> None:
    """Fragments of nothing may go on for ever and take nothing; of a byte they end at 128 KiB."""
    follower = await world.open(WsJson)
    piece = masked(CONT, b" " * size, fin=False)
    await follower.connected.send(masked(TEXT, b"", fin=False))
    if size:
        sending = asyncio.create_task(follower.connected.send(piece * (128 * 1024 + 1)))
        assert await ended_with(follower) == 1009
        await sending
        return
    for _ in range(10):
        await follower.connected.send(piece * 10_000)
        await goes_on(world)
    await follower.connected.send(masked(CONT, b'{"op":"ping","id":"end"}'))
    while not follower.replies:
        await follower.more()
    assert follower.replies == [{"op": "pong", "id": "end"}]


@SOCKETS
async def test_half_a_frame_is_waited_for_and_others_are_served(
    world: World, kind: type[WsJson | WsMsgpack]
) -> None:
    """A head that promises more than comes: nothing is done of it, and its end is no fault."""
    name = channel()
    follower = await world.open(kind, name, headers=world.operator)
    told = {"op": "publish", "id": 1, "channel": name, "data": {"n": 1}}
    opcode = TEXT if kind is WsJson else 2
    await follower.connected.send(masked(opcode, follower.packed(told))[:-1])
    watcher = await world.open(kind, name)
    await world.numbers(name, 2)
    assert numbers([await watcher.event()]) == [2]
    follower.close()
    await world.numbers(name, 3)
    assert numbers([await watcher.event()]) == [3]


async def test_what_comes_with_the_handshake_is_read_as_well(world: World) -> None:
    """A command in the packet of the handshake is answered, a fault there closes with its code."""
    address = world.url.rpartition(":")[2]
    for behind, ends in (
        (masked(TEXT, b'{"op":"ping","id":"here"}'), b"here"),
        (b"\x81\x00", b"\x03\xea"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address))
        writer.write(opening("/ws") + behind)
        async with asyncio.timeout(20):
            data = await reader.readuntil(ends)
        assert data.startswith(b"HTTP/1.1 101 ")
        writer.close()


async def test_an_address_of_many_escapes_is_an_answer(world: World) -> None:
    """Names that are nothing when unescaped, and broken escapes: a problem, or all is ignored."""
    odd = ["%", "%zz", "%ff%fe", "%00", quote("한" * 500), "%25" * 500, ";=&&=;", "+", "a=" * 900]
    for path in STREAMS[:4]:
        for text in odd:
            answer = await say(
                world.client,
                request(f"/channels/{text}/events?wait=0")
                if "events" in path
                else request(f"{path}{'&' if '?' in path else '?'}overflow={text}"),
            )
            assert answer.split(b" ")[1] in (b"400", b"404", b"422"), (path, text, answer[:80])
    assert json.loads((await world.client.get("/healthz")).body) == {"status": "ok"}
