"""History that is long, trimmed or on the disk, and servers that are full, on every transport."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.eventlog import StoreError
from eco_actor.eventlog.history import Excess
from tests.web.contract_clients import (
    Bye,
    Declined,
    Follower,
    Lost,
    RoutedSse,
    Sse,
    Told,
)
from tests.web.contract_inside import Inside, inside
from tests.web.contract_sockets import CHANNELS, STREAMS, Poll, WebSocket, WsJson
from tests.web.contract_world import channel, numbers, until

KINDS = pytest.mark.parametrize("kind", CHANNELS)
OPEN = pytest.mark.parametrize("kind", STREAMS)
LONG = 320
"""Events of 30 KB: more than the log keeps in memory."""


@pytest.fixture
async def world(session: aiohttp.ClientSession, make: Callable[..., Eco]) -> AsyncIterator[Inside]:
    async with inside(session, make) as world:
        yield world


async def trim(world: Inside, name: str, number: int) -> None:
    """Let go of the first *number* events of a channel."""
    assert await world.eco.log.trim(Excess(name, events=number))


@KINDS
@pytest.mark.parametrize("after", ["earliest", "cursor"])
async def test_a_place_that_was_trimmed_is_partial(
    world: Inside, kind: type[Follower], after: str
) -> None:
    """A gap from the cursor to the last that went, then what is left; whole again behind it."""
    name = channel()
    cursors = await world.numbers(name, *range(10))
    await trim(world, name, 6)
    begin = "earliest" if after == "earliest" else cursors[2]
    follower = await world.open(kind, name, after=begin)
    assert follower.verdict == "partial"
    gap = await follower.next()
    assert isinstance(gap, Lost)
    assert (gap.channel, gap.reason, gap.end) == (name, "trimmed", cursors[5])
    assert after == "earliest" or gap.begin == cursors[2]
    assert numbers(await follower.events(4)) == [6, 7, 8, 9]
    again = await world.open(kind, name, after=cursors[5])
    assert again.verdict == "recovered"
    assert numbers(await again.events(4)) == [6, 7, 8, 9]


@KINDS
async def test_an_unknown_cursor_of_a_trimmed_channel_is_reset(
    world: Inside, kind: type[Follower]
) -> None:
    """A gap that says so, and what is left."""
    name = channel()
    await world.numbers(name, *range(4))
    await trim(world, name, 3)
    follower = await world.open(kind, name, after="abcdef-2")
    assert follower.verdict == "reset"
    gap = await follower.next()
    assert isinstance(gap, Lost)
    assert gap.reason == "reset"
    assert numbers([await follower.event()]) == [3]


@OPEN
async def test_of_several_channels_each_gap_is_told(world: Inside, kind: type[Follower]) -> None:
    """One trimmed, one whole: a gap for the one, everything else in order."""
    whole, short = channel(), channel()
    begin = (await world.numbers(whole, 0))[0]
    await world.numbers(short, 1, 2)
    await world.numbers(whole, 3)
    await world.numbers(short, 4)
    await trim(world, short, 2)
    follower = await world.open(kind, whole, short, after=begin)
    items = [await follower.next() for _ in range(3)]
    gaps = [each for each in items if isinstance(each, Lost)]
    assert [(gap.channel, gap.reason) for gap in gaps] == [(short, "trimmed")]
    assert sorted(numbers(items)) == [3, 4]


@KINDS
async def test_a_long_history_is_read_from_the_disk(world: Inside, kind: type[Follower]) -> None:
    """More than memory holds: all of it, in order, then live."""
    name = channel()
    last = await world.flood(name, LONG)
    follower = await world.open(kind, name, after="earliest")
    assert follower.verdict == "recovered"
    seen = await until(follower, last)
    assert sorted(numbers(seen)) == list(range(LONG))
    cursors = [each.cursor for each in seen if isinstance(each, Told)]
    assert len(set(cursors)) == LONG
    await world.numbers(name, -1)
    assert numbers([await follower.event()]) == [-1]


@OPEN
async def test_a_client_far_behind_catches_up_from_the_disk(
    world: Inside, kind: type[Follower]
) -> None:
    """Stalled while more is published than memory holds, under buffer: nothing is lost."""
    name = channel()
    follower = await world.open(kind, name, small=True)
    begin = follower.cursor
    assert begin is not None
    last = await world.flood(name, LONG)
    seen = await until(follower, last)
    assert await world.check_accounted(kind, name, begin, last, seen) == []
    assert len(seen) == LONG


@OPEN
async def test_what_is_trimmed_while_a_client_is_behind_is_a_gap(
    world: Inside, kind: type[Follower]
) -> None:
    """It reads on where the log does; the gap and what it got are all there was."""
    name = channel()
    follower = await world.open(kind, name, small=True, capacity=4)
    before = await world.flood(name, 40)
    await trim(world, name, 40)
    (last,) = await world.numbers(name, 40)
    seen = await until(follower, last)
    gaps = [each for each in seen if isinstance(each, Lost)]
    assert [(gap.reason, gap.end) for gap in gaps] == [("trimmed", before)]
    assert len(seen) < 40
    assert numbers(seen)[-1] == 40


@KINDS
async def test_the_observers_channel_is_there_on_all_transports(
    world: Inside, kind: type[Follower]
) -> None:
    """Its events have no cursor; a cursor leads to now."""
    follower = await world.open(kind, "system:actors")
    assert follower.verdict == "fresh"
    told = await follower.event()
    assert (told.channel, told.cursor) == ("system:actors", None)
    assert told.data["rows"]
    again = await world.open(kind, "system:actors", after=follower.cursor)
    assert again.verdict == "recovered"
    again = await world.open(kind, "system:actors", after="abcdef-1")
    assert again.verdict == "reset"


@pytest.mark.parametrize("kind", [*STREAMS, RoutedSse])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no", "Cookie": "a=b"}])
async def test_a_full_server_says_when_to_come_back(
    session: aiohttp.ClientSession,
    make: Callable[..., Eco],
    kind: type[Follower],
    headers: dict[str, str],
) -> None:
    """200 and a bye for an event stream; 503, a problem, Retry-After for a WebSocket."""
    async with inside(session, make, max_connections=1) as world:
        name = channel()
        await world.open(Sse, name)
        if issubclass(kind, WebSocket):
            with pytest.raises(Declined) as declined:
                await world.open(kind, name, headers=headers)
            refused = declined.value
            assert (refused.status, refused.code) == (503, "busy")
            assert refused.headers["content-type"].startswith("application/problem+json")
            assert refused.headers["cache-control"] == "no-store"
            assert int(refused.headers["retry-after"]) >= 1
        else:
            follower = await world.open(kind, name, headers=headers)
            (bye, end) = [await follower.next(), await follower.next()]
            assert end is None
            assert isinstance(bye, Bye)
            assert (bye.code, bye.reconnect) == ("busy", True)
            assert bye.retry_ms is not None
            assert bye.retry_ms >= 1000
        poll = await world.open(Poll, name)  # which takes no place
        assert poll.verdict == "fresh"


@OPEN
async def test_a_place_is_free_again_when_a_client_has_left(
    session: aiohttp.ClientSession, make: Callable[..., Eco], kind: type[Follower]
) -> None:
    """Whoever comes then is let in."""
    async with inside(session, make, max_connections=1) as world:
        name = channel()
        first = await world.open(kind, name)
        first.close()
        async with asyncio.timeout(10):
            while world.connections():  # noqa: ASYNC110  # a condition of the server's
                await asyncio.sleep(0)
        follower = await world.open(WsJson, name)
        await world.numbers(name, 1)
        assert numbers([await follower.event()]) == [1]


@OPEN
async def test_a_store_that_cannot_be_read_ends_the_stream_and_the_cursor_brings_it_back(
    world: Inside, kind: type[Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """going_away, and to come back; nothing is skipped."""
    name = channel()
    cursors = await world.numbers(name, *range(5))
    store = world.eco.log.store

    async def fail(*args: object) -> None:
        raise StoreError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "page", fail)
        patched.setattr(type(world.eco.log), "page_now", lambda *args: None)
        follower = await world.open(kind, name, after=cursors[0])
        items = await follower.rest()
    bye = items[-1]
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("going_away", True)
    assert items[:-1] == []
    back = await world.open(kind, name, after=follower.cursor)
    assert numbers(await back.events(4)) == [1, 2, 3, 4]
