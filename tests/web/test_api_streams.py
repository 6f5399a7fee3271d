"""Sentences of the contract about streams that hold on every transport, one test each."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgpack
import pytest

from tests.web.contract_clients import Bye, Declined, Follower, Lost, RoutedSse, ScanSse, Sse, Told
from tests.web.contract_sockets import CHANNELS, STREAMS, Poll, WebSocket, WsJson, WsMsgpack
from tests.web.contract_wire import Wire
from tests.web.contract_world import World, channel, numbers, world_of
from tests.web.serving import Server
from tests.ws_bytes import BINARY, TEXT, masked, opening, read_frames

KINDS = pytest.mark.parametrize("kind", CHANNELS)
SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
RULES = pytest.mark.parametrize("rule", ["buffer", "latest", "drop", "close", "coalesce"])
LIMIT = 128 * 1024


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


async def finished(world: World, **options: Any) -> tuple[str, list[str]]:
    """The channel of a scan that is over, and the cursors of its events."""
    name = f"scan:{await world.client.accepted(**options)}"
    follower = await world.open(ScanSse, name)
    cursors = [each.cursor for each in await follower.rest() if isinstance(each, Told)]
    return name, [cursor for cursor in cursors if cursor is not None]


@KINDS
@RULES
@pytest.mark.parametrize("capacity", [1, 4096])
async def test_a_mailbox_may_be_as_small_and_as_large_as_that(
    world: World, kind: type[Follower], rule: str, capacity: int
) -> None:
    """1 and 4096, under each rule, and the next event comes."""
    name = channel()
    follower = await world.open(kind, name, overflow=rule, capacity=capacity)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]


@RULES
async def test_what_is_not_said_is_told(world: World, rule: str) -> None:
    """256 events, with `latest` one; the rule is buffer where none is named."""
    follower = await world.open(Sse, channel(), overflow=rule)
    default = 1 if rule == "latest" else 256
    assert (follower.opening["overflow"], follower.opening["capacity"]) == (rule, default)
    follower = await world.open(RoutedSse, channel())
    assert (follower.opening["overflow"], follower.opening["capacity"]) == ("buffer", 256)


@pytest.mark.parametrize("kind", [Sse, RoutedSse, WsJson, Poll])
async def test_the_cursor_in_the_header_wins(world: World, kind: type[Follower]) -> None:
    """Where query and Last-Event-ID differ, it goes on behind the latter."""
    name = channel()
    cursors = await world.numbers(name, 0, 1, 2)
    headers = {"Last-Event-ID": cursors[1]}
    follower = await world.open(kind, name, after=cursors[0], headers=headers)
    assert follower.verdict == "recovered"
    assert numbers([await follower.event()]) == [2]


@RULES
@pytest.mark.parametrize("kind", [Sse, RoutedSse, ScanSse])
async def test_behind_the_last_word_of_any_rule_there_is_204(
    world: World, kind: type[Follower], rule: str
) -> None:
    """Whatever was lost on the way: with the last id that it got, a client is told to stop."""
    name, _ = await finished(world)
    follower = await world.open(kind, name, overflow=rule, capacity=1)
    bye = (await follower.rest())[-1]
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("complete", False)
    with pytest.raises(Declined) as declined:
        await world.open(kind, name, headers={"Last-Event-ID": follower.cursor or ""})
    assert (declined.value.status, declined.value.body) == (204, b"")


@pytest.mark.parametrize("kind", [Sse, RoutedSse])
async def test_several_finished_scans_are_204_behind_the_last(
    world: World, kind: type[Follower]
) -> None:
    """Behind the last event of the earlier one the rest of the later one is told."""
    first, behind = await finished(world)
    second, last = await finished(world)
    follower = await world.open(kind, first, second, after=behind[-1])
    items = await follower.rest()
    assert [each.channel for each in items if isinstance(each, Told)] == [second] * 5
    with pytest.raises(Declined) as declined:
        await world.open(kind, first, second, after=last[-1])
    assert declined.value.status == 204


@SOCKETS
async def test_all_channels_may_be_resumed_with_the_smallest_cursor(
    world: World, kind: type[WebSocket]
) -> None:
    """Left after any number of events: nothing is missing, though some come twice."""
    names = [channel() for _ in range(3)]
    begin = await world.open(kind, *names)
    for n in range(9):
        await world.numbers(names[n % 3 if n < 6 else 0], n)
    seen = await begin.events(9)
    order = [each.cursor for each in sorted(seen, key=lambda each: int(each.data["n"]))]
    for left in (3, 5, 8):
        last = {each.channel: each.cursor for each in seen[:left]}
        smallest = min(last.values(), key=order.index)
        again = await world.open(kind, *names, after=smallest)
        behind = await again.events(8 - order.index(smallest))
        assert {*numbers([*seen[:left], *behind])} == set(range(9))


async def raw_socket(world: World, *lines: str, query: str = "") -> tuple[Wire, str, bytes]:
    """An opened WebSocket, the head of its answer, and what came behind it."""
    wire = await Wire.to(world.url)
    await wire.send(opening(f"/ws?{query}", *lines))
    data = b""
    while b"\r\n\r\n" not in data:
        data += await wire.receive()
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return wire, head.decode().lower(), rest


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        (None, None),
        ("mqtt", None),
        ("eco.v1.json", "eco.v1.json"),
        ("eco.v1.msgpack", "eco.v1.msgpack"),
        ("mqtt, eco.v1.msgpack, eco.v1.json", "eco.v1.msgpack"),
    ],
)
async def test_text_is_spoken_where_no_subprotocol_is_asked_for(
    world: World, asked: str | None, agreed: str | None
) -> None:
    """Text with JSON unless msgpack was agreed on; the maps are the same."""
    name = channel()
    lines = () if asked is None else (f"Sec-WebSocket-Protocol: {asked}",)
    wire, head, data = await raw_socket(world, *lines, query=f"channel={name}")
    assert ("sec-websocket-protocol" in head) == (agreed is not None)
    assert agreed is None or f"sec-websocket-protocol: {agreed}" in head
    while not data:
        data = await wire.receive()
    ((opcode, payload),) = read_frames(data)
    packed = agreed == "eco.v1.msgpack"
    assert opcode == (BINARY if packed else TEXT)
    told = msgpack.unpackb(payload) if packed else json.loads(payload)
    assert told.keys() == {"op", "id", "channel", "cursor", "resume"}
    assert (told["op"], told["channel"], told["resume"]) == ("subscribed", name, "fresh")
    wire.close()


@SOCKETS
async def test_commands_are_answered_as_they_are_written(
    world: World, kind: type[WebSocket]
) -> None:
    """Each with all the fields of the contract, and the answer has just those."""
    name = channel()
    follower = await world.open(kind, headers=world.operator)
    told = await follower.ask("subscribe", channel=name, after=None, overflow="latest", capacity=64)
    assert told.keys() == {"op", "id", "channel", "cursor", "resume"}
    assert (told["op"], told["channel"], told["resume"]) == ("subscribed", name, "fresh")
    published = await follower.ask(
        "publish", channel=name, data={"n": 1}, key=None, transient=False
    )
    assert published.keys() == {"op", "id", "cursor"}
    assert published["op"] == "published"
    event = await follower.event()
    assert (event.channel, event.cursor, event.data) == (name, published["cursor"], {"n": 1})
    told = await follower.ask("unsubscribe", channel=name)
    assert told == {"op": "unsubscribed", "id": told["id"], "channel": name}
    await world.numbers(name, 2)
    told = await follower.ask("ping")
    assert told == {"op": "pong", "id": told["id"]}
    assert not follower.waiting  # what came behind the unsubscribing is not told
    told = await follower.ask("dance")
    assert told.keys() == {"op", "id", "code", "detail"}
    assert (told["op"], told["code"]) == ("error", "unknown_op")


@SOCKETS
async def test_a_message_may_have_128_kib(world: World, kind: type[WebSocket]) -> None:
    """As many bytes are answered, in one piece or in many; one more is 1009."""
    follower = await world.open(kind)
    empty = follower.packed({"op": "ping", "id": "x" * 70_000})
    whole = follower.packed({"op": "ping", "id": "x" * (70_000 + LIMIT - len(empty))})
    assert len(whole) == LIMIT
    opcode = TEXT if kind is WsJson else BINARY
    pieces = [whole[start : start + 5000] for start in range(0, LIMIT, 5000)]
    frames = [masked(opcode if n == 0 else 0, part, fin=False) for n, part in enumerate(pieces)]
    for sent in (masked(opcode, whole), b"".join(frames) + masked(0, b"")):
        await follower.connected.send(sent)
        while not follower.replies:
            await follower.more()
        assert len(follower.replies.pop()["id"]) > 100_000
    await follower.connected.send(masked(opcode, whole + b" "))
    end = await follower.next()
    assert isinstance(end, Bye)
    assert end.status == 1009


@pytest.mark.parametrize("query", ["wait=0", "wait=60", "limit=1", "limit=1000", "wait=2.5"])
async def test_a_poll_may_wait_and_take_so_much(world: World, query: str) -> None:
    """At once where something is there, however long it might wait."""
    name = channel()
    await world.numbers(name, 1, 2)
    told = (await world.client.get(f"/channels/{name}/events?after=earliest&{query}")).json()
    assert told.keys() == {"events", "cursor", "resume", "gap", "done"}
    assert [each["data"]["n"] for each in told["events"]] == (
        [1] if "limit=1&" in f"{query}&" else [1, 2]
    )
    assert (told["gap"], told["done"]) == (None, False)


@KINDS
async def test_a_gap_has_the_five_fields_and_can_be_read_again(
    world: World, kind: type[Follower]
) -> None:
    """`after=from` up to `to` is what was lost, on a transport of any kind."""
    name = channel()
    cursors = await world.numbers(name, *range(6))
    follower = await world.open(kind, name, after="earliest", overflow="latest", capacity=2)
    gap = await follower.next()
    assert isinstance(gap, Lost)
    assert (gap.channel, gap.end, gap.dropped, gap.reason) == (name, cursors[3], 4, "overflow")
    assert numbers(await follower.events(2)) == [4, 5]
    lost = await world.behind(Poll, name, gap.begin, gap.end)
    assert [cursor for cursor, _ in lost] == cursors[:4]


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_stream_of_an_open_channel_does_not_end_by_itself(
    world: World, kind: type[Follower]
) -> None:
    """Beside a scan that is over from the beginning, too."""
    name, cursors = await finished(world)
    other = channel()
    follower = await world.open(kind, name, other, after=cursors[-1])
    await world.numbers(other, 1)
    assert numbers([await follower.event()]) == [1]
