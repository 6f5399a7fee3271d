"""Channels on all transports: what each rule leaves, what it tells of the rest, several at once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from eco_actor.client import Client, Event, Following, Gap, Problem
from eco_actor.client.client import Overflow
from tests.client.ways import LONG_S, QUICK, States, Way, each_way
from tests.web.serving import Server

FLOOD = 250
PAD = "x" * 30_000  # together more than all sockets hold


def _narrow(about: Any) -> socket.socket:
    """A socket into which not much fits."""
    made = socket.socket(about[0], about[1], about[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    made.setblocking(False)
    return made


@pytest.fixture
async def slow_client(plain_server: Server) -> AsyncIterator[Client]:
    """One that takes little at a time, with a session of the test's own."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=_narrow)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        Client(plain_server.url, session=session, bounds=QUICK) as client,
    ):
        yield client
        assert not session.closed
    await asyncio.sleep(0)


async def flood(client: Client, channel: str, key: str | None = None) -> None:
    """FLOOD events, of which the last has no key: nothing replaces it."""
    numbers = range(1, FLOOD)
    await asyncio.gather(*(client.publish(channel, {"n": n, "pad": PAD}, key=key) for n in numbers))
    await client.publish(channel, {"n": FLOOD, "pad": PAD})


async def all_of(events: Following, many: int) -> tuple[list[int], list[Gap]]:
    """Told and missing, until they are so many together."""
    told: list[int] = []
    gaps: list[Gap] = []
    cursors: list[str] = []
    while len(told) + sum(gap.dropped for gap in gaps) < many:
        each = await anext(events)
        if isinstance(each, Gap):
            gaps.append(each)
        else:
            assert each.cursor is not None
            told.append(each.data["n"])
            cursors.append(each.cursor)
    assert len({*cursors}) == len(cursors), "each once"
    assert len(told) + sum(gap.dropped for gap in gaps) == many
    return told, gaps


@pytest.mark.parametrize("way", [Way("sse"), Way("ws"), Way("poll")], ids=["sse", "ws", "poll"])
@pytest.mark.parametrize(
    ("overflow", "capacity"),
    [("buffer", None), ("latest", 3), ("drop", 3), ("coalesce", 3), ("close", 3)],
)
async def test_whoever_does_not_read_gets_what_the_rule_says(
    plain_client: Client, slow_client: Client, way: Way, overflow: Overflow, capacity: int | None
) -> None:
    """Nothing is read while a flood comes; then what was told and what lies in gaps is all."""
    channel = f"app:{uuid4().hex}"
    states = States()
    about: dict[str, Any] = {"overflow": overflow, "capacity": capacity, "on_state": states}
    start = await plain_client.publish(channel, {"n": 0})
    await plain_client.publish(channel, {"n": 0})
    async with (
        asyncio.timeout(60),
        way.follow(slow_client, channel, after=start, **about) as events,
    ):
        first = await anext(events)
        assert isinstance(first, Event)
        await flood(plain_client, channel, "k" if overflow == "coalesce" else None)
        if overflow == "close" and way.transport == "poll":
            with pytest.raises(Problem, match="409 slow_consumer"):
                await anext(events)
            return
        told, gaps = await all_of(events, FLOOD)
    assert len({*told}) == len(told)
    assert told[-1] == FLOOD or (overflow == "drop" and gaps)
    if overflow in ("buffer", "close"):
        assert len(told) == FLOOD
        assert not gaps
        assert (overflow == "close") == ("slow_consumer" in states.codes)
    else:
        assert gaps
        reason = "coalesced" if overflow == "coalesce" else "overflow"
        assert reason in {gap.reason for gap in gaps}
        assert {gap.channel for gap in gaps} == {channel}


@each_way
async def test_a_gap_names_what_can_be_read_again(plain_client: Client, way: Way) -> None:
    """From its begin to its end lies just what was not told."""
    channel = f"app:{uuid4().hex}"
    cursors = [await plain_client.publish(channel, {"n": n}) for n in range(50)]
    poll = Way("poll").follow(plain_client, channel, after="earliest", overflow="latest")
    async with poll as events:
        gap, last = await anext(events), await anext(events)
    assert isinstance(gap, Gap)
    assert isinstance(last, Event)
    assert (gap.dropped, gap.reason, last.data["n"]) == (49, "overflow", 49)
    async with way.follow(plain_client, channel, after=gap.begin) as events:
        found = [await anext(events) for _ in range(gap.dropped)]
    assert [each.cursor for each in found if isinstance(each, Event)] == cursors[:49]
    assert gap.end == cursors[48]


async def test_a_gap_stands_where_its_events_would_have(plain_client: Client) -> None:
    """Drop keeps the first and loses what comes behind them; the cursor is behind the gap then."""
    channel = f"app:{uuid4().hex}"
    cursors = [await plain_client.publish(channel, {"n": n}) for n in range(9)]
    way = Way("poll")
    async with way.follow(
        plain_client, channel, after="earliest", overflow="drop", capacity=2
    ) as events:
        told = [await anext(events) for _ in range(3)]
        assert [each.data["n"] for each in told[:2] if isinstance(each, Event)] == [0, 1]
        assert isinstance(told[2], Gap)
        assert (told[2].begin, told[2].end, told[2].dropped) == (cursors[1], cursors[8], 7)
        await plain_client.publish(channel, {"n": 9})
        last = await anext(events)
    assert isinstance(last, Event)
    assert last.data["n"] == 9


@each_way
async def test_a_cursor_of_another_log_is_told_as_a_gap(plain_client: Client, way: Way) -> None:
    """Reset: all there is comes, behind a gap that says so; a scan's events only once."""
    task = await plain_client.start(category="glass")
    async with way.follow(plain_client, task, after="ffffff-1") as events:
        gap = await anext(events)
        rest = [each async for each in events]
    assert isinstance(gap, Gap)
    assert gap.reason == "reset"
    assert [each.data["seq"] for each in rest if isinstance(each, Event)] == [1, 2, 3, 4, 5]


@each_way
async def test_several_channels_at_once_are_each_in_order(plain_client: Client, way: Way) -> None:
    """From now on; transient events have no cursor; each channel's cursor is its own."""
    channels = [f"app:{uuid4().hex}" for _ in range(3)]
    states = States()
    async with (
        asyncio.timeout(LONG_S),
        way.follow(plain_client, channels, on_state=states) as events,
    ):
        first = asyncio.create_task(anext(events))
        while len(states) < (1 if way.transport == "sse" else 3):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for number in range(20):
            await plain_client.publish(channels[number % 3], {"n": number})
        told = [await first, *[await anext(events) for _ in range(19)]]
        if way.transport != "poll":  # polls are told of those only while they wait
            await plain_client.publish(channels[1], {"n": 99}, transient=True)
            told.append(await anext(events))
        cursors = events.cursors
    for place, name in enumerate(channels):
        mine = [each for each in told if each.channel == name and isinstance(each, Event)]
        durable = [each for each in mine if not each.transient]
        assert [each.data["n"] for each in durable] == list(range(place, 20, 3))
        if way.transport == "ws":
            assert cursors[name] == durable[-1].cursor
    transient = [each.data["n"] for each in told if isinstance(each, Event) and each.transient]
    assert transient == ([] if way.transport == "poll" else [99])


@pytest.mark.parametrize("transport", ["ws", "poll"])
async def test_each_channel_is_resumed_with_its_own_cursor(
    plain_client: Client, transport: str
) -> None:
    """As `cursors` had them; over SSE, which has one for all, that is refused."""
    channels = [f"app:{uuid4().hex}" for _ in range(2)]
    after: dict[str, str] = {}
    for number in range(6):
        for name in channels:
            cursor = await plain_client.publish(name, {"n": number})
            if number == (1 if name == channels[0] else 3):
                assert cursor is not None
                after[name] = cursor
    way = Way("ws") if transport == "ws" else Way("poll")
    async with asyncio.timeout(LONG_S), way.follow(plain_client, channels, after=after) as events:
        told = [await anext(events) for _ in range(6)]
    found = {
        name: [each.data["n"] for each in told if isinstance(each, Event) and each.channel == name]
        for name in channels
    }
    assert found == {channels[0]: [2, 3, 4, 5], channels[1]: [4, 5]}
    with pytest.raises(ValueError, match="one cursor"):
        plain_client.follow(channels, after=after)
    with pytest.raises(ValueError, match="not followed"):
        plain_client.follow(channels, after={"app:other": "x"})


async def test_a_repeated_key_of_a_publish_is_one_event(plain_client: Client) -> None:
    """The caller's own key holds over calls; another event under it is refused."""
    channel = f"app:{uuid4().hex}"
    key = uuid4().hex
    first = await plain_client.publish(channel, {"n": 1}, idempotency_key=key)
    assert await plain_client.publish(channel, {"n": 1}, idempotency_key=key) == first
    with pytest.raises(Problem, match="422 idempotency_key_reused"):
        await plain_client.publish(channel, {"n": 2}, idempotency_key=key)
