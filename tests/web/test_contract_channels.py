"""Channels that anybody may follow: the same is told on every transport."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.web.contract_clients import Follower, Lost, Sse, Told
from tests.web.contract_sockets import CHANNELS, STREAMS, WsJson
from tests.web.contract_world import World, channel, numbers, until, world_of
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", CHANNELS)
OPEN = pytest.mark.parametrize("kind", STREAMS)
NONSENSE = ("garbage", "-", "0", "abcdef-1", "ffffff-", "x" * 3000, "\x00", "한-1", "latest", "-1")


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


@KINDS
async def test_what_is_published_is_received_with_the_cursor_its_publisher_got(
    world: World, kind: type[Follower]
) -> None:
    """Fresh, from now on: nothing of before, then each event once and in order."""
    name = channel()
    await world.numbers(name, 1, 2)
    follower = await world.open(kind, name)
    assert follower.verdict == "fresh"
    cursors = await world.numbers(name, 3, 4, 5)
    told = await follower.events(3)
    assert [(each.channel, each.cursor) for each in told] == [(name, each) for each in cursors]
    assert numbers(told) == [3, 4, 5]


@OPEN
async def test_transient_events_come_in_their_turn_without_a_cursor(
    world: World, kind: type[Follower]
) -> None:
    """They cannot be resumed from, and are not there for who comes later."""
    name = channel()
    follower = await world.open(kind, name)
    first = await world.publish(name, {"n": 1})
    assert await world.publish(name, {"n": 2}, transient=1) is None
    last = await world.publish(name, {"n": 3})
    told = await follower.events(3)
    assert [each.cursor for each in told] == [first, None, last]
    assert numbers(told) == [1, 2, 3]
    again = await world.open(kind, name, after="earliest")
    assert numbers(await again.events(2)) == [1, 3]


@KINDS
async def test_any_cursor_leads_to_what_lies_behind_it(world: World, kind: type[Follower]) -> None:
    """Recovered; behind the last one there is what comes next."""
    name = channel()
    opened = await world.open(kind, name)
    begin = opened.cursor
    opened.close()
    cursors = await world.numbers(name, 0, 1, 2, 3)
    for place, after in enumerate([begin, *cursors[:3]]):
        follower = await world.open(kind, name, after=after)
        assert follower.verdict == "recovered"
        assert numbers(await follower.events(4 - place)) == [0, 1, 2, 3][place:]
    follower = await world.open(kind, name, after=cursors[3])
    await world.numbers(name, 4)
    assert numbers(await follower.events(1)) == [4]


@KINDS
@pytest.mark.parametrize("then", CHANNELS)
async def test_a_client_may_change_transport_in_mid_stream(
    world: World, kind: type[Follower], then: type[Follower]
) -> None:
    """Behind the cursor of one, the other goes on: nothing is missing, nothing comes twice."""
    name = channel()
    before = await world.open(kind, name)
    await world.numbers(name, 1, 2)
    told = await before.events(2)
    before.close()
    await world.numbers(name, 3)
    after = await world.open(then, name, after=before.cursor)
    assert after.verdict == "recovered"
    await world.numbers(name, 4)
    assert numbers([*told, *await after.events(2)]) == [1, 2, 3, 4]


@KINDS
async def test_earliest_is_all_of_its_history(world: World, kind: type[Follower]) -> None:
    """Recovered, without a gap, then live; a channel that nobody wrote to has none."""
    name = channel("room")
    follower = await world.open(kind, name, after="earliest")
    cursors = await world.numbers(name, 1, 2, 3)
    assert numbers(await follower.events(3)) == [1, 2, 3]
    again = await world.open(kind, name, after="earliest")
    assert again.verdict == "recovered"
    assert [each.cursor for each in await again.events(3)] == cursors
    await world.numbers(name, 4)
    assert numbers([await again.event()]) == [4]


@KINDS
async def test_a_cursor_that_is_none_starts_over_and_says_so(
    world: World, kind: type[Follower]
) -> None:
    """Reset, a gap of that reason, and all that there is: garbage, other epochs, the future."""
    name = channel()
    cursors = await world.numbers(name, 1, 2)
    epoch, _, place = cursors[-1].rpartition("-")
    forged = [f"{epoch}-{'f' * 15}", f"{epoch}-{'f' * 16}", f"{epoch}x-{place}", cursors[-1] + "é"]
    for after in (*NONSENSE, *forged):
        follower = await world.open(kind, name, after=after)
        assert follower.verdict == "reset", after
        gap = await follower.next()
        assert isinstance(gap, Lost)
        assert (gap.channel, gap.reason, gap.begin) == (name, "reset", gap.end)
        assert [each.cursor for each in await follower.events(2)] == cursors


@OPEN
async def test_several_channels_come_in_the_order_of_their_positions(
    world: World, kind: type[Follower]
) -> None:
    """Live, and from a cursor: one order for all of them."""
    names = [channel("app"), channel("room"), channel("user")]
    follower = await world.open(kind, *names)
    begin = follower.cursor
    order = [names[n] for n in (0, 1, 1, 2, 0, 2, 2, 1, 0)]
    cursors = [(await world.numbers(name, n))[0] for n, name in enumerate(order)]
    live = await follower.events(len(order))
    assert [(each.channel, each.cursor) for each in live] == list(zip(order, cursors, strict=True))
    assert numbers(live) == list(range(len(order)))
    again = await world.open(kind, *names, after=begin)
    assert again.verdict == "recovered"
    told = await again.events(len(order))
    if kind.ordered:
        assert told == live
    assert sorted(told, key=lambda each: int(each.data["n"])) == live


async def test_of_several_channels_the_one_cursor_counts_for_all(world: World) -> None:
    """Left behind any event and resumed there, an event stream of three is complete."""
    names = [channel() for _ in range(3)]
    first = await world.open(Sse, *names)
    begin = first.cursor
    first.close()
    for n in range(9):
        await world.numbers(names[n % 3 if n < 5 else 0], n)
    for place in range(9):
        follower = await world.open(Sse, *names, after=begin)
        seen = await follower.events(place)
        after = seen[-1].cursor if seen else begin
        follower = await world.open(Sse, *names, after=after)
        assert follower.verdict == "recovered"
        assert numbers([*seen, *await follower.events(9 - place)]) == list(range(9))


async def test_a_web_socket_resumes_each_channel_with_its_own_cursor(world: World) -> None:
    """As told: nothing is missing, nothing comes twice."""
    names = [channel(), channel()]
    follower = await world.open(WsJson)
    for n in range(6):
        await world.numbers(names[n % 2], n)
    for name, after in zip(names, (1, 4), strict=True):
        history = await world.behind(Sse, name, "earliest", await _last(world, name))
        cursor = next(cursor for cursor, data in history if data["n"] >= after - 1)
        told = await follower.ask("subscribe", channel=name, after=cursor)
        assert (told["op"], told["resume"]) == ("subscribed", "recovered")
    got = numbers(await follower.events(3))
    assert sorted(got) == [2, 4, 5]


async def _last(world: World, name: str) -> str:
    follower = await world.open(Sse, name, after="earliest")
    cursor = (await follower.events(3))[-1].cursor
    assert cursor is not None
    return cursor


@KINDS
@pytest.mark.parametrize("rule", ["latest", "coalesce"])
async def test_with_an_interval_what_comes_in_between_gives_way(
    world: World, kind: type[Follower], rule: str
) -> None:
    """Whatever the timing, the newest is told in the end and the rest is in gaps."""
    name = channel()
    follower = await world.open(kind, name, overflow=rule, capacity=1, interval_ms=40)
    begin = follower.cursor
    assert begin is not None
    last = (await world.numbers(name, *range(12), key="k"))[-1]
    seen = await until(follower, last)
    assert isinstance(seen[-1], Told)
    await world.check_accounted(kind, name, begin, last, seen)


async def test_within_an_interval_nothing_more_is_told(world: World) -> None:
    """The first at once; the second is not there while an answer behind it is."""
    name = channel()
    follower = await world.open(WsJson, name, overflow="latest", interval_ms=3_600_000)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]
    await world.numbers(name, 2, 3)
    for _ in range(3):
        assert (await follower.ask("ping"))["op"] == "pong"
    assert not follower.waiting
