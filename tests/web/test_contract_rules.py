"""The five rules, each with a client that stalls: what it gets, and what it is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.checks import GOOD
from tests.web.contract_clients import Bye, Declined, Follower, Item, Lost, Sse, Told
from tests.web.contract_sockets import STREAMS, Poll, WsJson, WsMsgpack
from tests.web.contract_world import World, channel, go_on, numbers, until, world_of
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", STREAMS)
RULES = pytest.mark.parametrize("rule", ["buffer", "latest", "drop", "close", "coalesce"])

MANY = 60
"""Events of 30 KB: together more than the sockets, a write and a mailbox take."""


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


async def stalled(
    world: World, kind: type[Follower], rule: str, capacity: int | None = None, **options: Any
) -> tuple[Follower, str, str, str]:
    """A client that has read nothing of a flood: itself, channel, first and last cursor."""
    name = channel()
    follower = await world.open(kind, name, overflow=rule, capacity=capacity, small=True)
    begin = follower.cursor
    assert begin is not None
    last = await world.flood(name, MANY, **options)
    return follower, name, begin, last


@KINDS
async def test_buffer_loses_nothing_and_says_nothing(world: World, kind: type[Follower]) -> None:
    """However small its mailbox: all of it, in order, then live."""
    follower, name, begin, last = await stalled(world, kind, "buffer", 2)
    seen = await until(follower, last)
    assert len(seen) == MANY
    assert await world.check_accounted(kind, name, begin, last, seen) == []
    await world.numbers(name, 77)
    assert numbers([await follower.event()]) == [77]


@KINDS
async def test_latest_keeps_the_newest_and_tells_the_gap(
    world: World, kind: type[Follower]
) -> None:
    """Behind what the sockets took: one gap, and the newest three."""
    follower, name, begin, last = await stalled(world, kind, "latest", 3)
    seen = await until(follower, last)
    (gap,) = await world.check_accounted(kind, name, begin, last, seen)
    assert gap.reason == "overflow"
    assert gap.dropped == MANY + 1 - len(seen)
    assert seen.index(gap) == len(seen) - 4
    assert isinstance(seen[-1], Told)


@KINDS
async def test_drop_keeps_the_first_and_tells_the_gap(world: World, kind: type[Follower]) -> None:
    """Behind what the sockets took: the first three, and one gap up to the present; then live."""
    follower, name, begin, last = await stalled(world, kind, "drop", 3)
    seen = await until(follower, last)
    (gap,) = await world.check_accounted(kind, name, begin, last, seen)
    assert gap.reason == "overflow"
    assert (gap.end, seen[-1]) == (last, gap)
    history = [cursor for cursor, _ in await world.behind(kind, name, begin, last)]
    told = [each.cursor for each in seen if isinstance(each, Told)]
    assert told == history[: len(told)]
    await world.numbers(name, 77)
    assert numbers([await follower.event()]) == [77]


@KINDS
async def test_close_ends_it_and_the_cursor_brings_it_back(
    world: World, kind: type[Follower]
) -> None:
    """What was told is whole; slow_consumer, if it can still be read; then the rest."""
    follower, name, begin, last = await stalled(world, kind, "close", 3)
    seen = await follower.rest()
    end = seen.pop()
    told = [each for each in seen if isinstance(each, Told)]
    assert len(told) == len(seen) < MANY
    if end is not None:
        assert isinstance(end, Bye)
        assert (end.code, end.reconnect) == ("slow_consumer", True)
        assert end.status in (None, 4008)
    after = told[-1].cursor if told else begin
    again = await world.open(kind, name, after=after)
    assert again.verdict == "recovered"
    rest = await until(again, last)
    assert await world.check_accounted(kind, name, begin, last, [*told, *rest]) == []


@KINDS
async def test_coalesce_keeps_the_newest_of_each_key(world: World, kind: type[Follower]) -> None:
    """Of a key that came sixty times the last; gaps of that reason cover the others."""
    follower, name, begin, last = await stalled(world, kind, "coalesce", 3, key="k")
    seen = await until(follower, last)
    gaps = await world.check_accounted(kind, name, begin, last, seen)
    assert {gap.reason for gap in gaps} == {"coalesced"}
    assert isinstance(seen[-1], Told)
    assert seen[-1].data["n"] == MANY - 1


@KINDS
async def test_coalesce_without_keys_is_as_latest(world: World, kind: type[Follower]) -> None:
    """The newest three, and a gap of reason overflow."""
    follower, name, begin, last = await stalled(world, kind, "coalesce", 3)
    seen = await until(follower, last)
    (gap,) = await world.check_accounted(kind, name, begin, last, seen)
    assert gap.reason == "overflow"
    assert seen.index(gap) == len(seen) - 4


@KINDS
async def test_pieces_of_a_text_are_joined(world: World, kind: type[Follower]) -> None:
    """A stalled client gets the pieces behind the flood as one, and no gap for them."""
    name = channel()
    follower = await world.open(kind, name, overflow="coalesce", capacity=64, small=True)
    await world.flood(name, 24)
    for pos in range(0, 40, 2):
        piece = {"pos": pos, "delta": f"{pos:02}"}
        await world.publish(name, piece, transient=1, key="text")
    last = await world.publish(name, {"end": True})
    assert last is not None
    seen = await until(follower, last)
    assert [each for each in seen if isinstance(each, Lost) and each.reason == "coalesced"] == []
    pieces = [e.data for e in seen if isinstance(e, Told) and "delta" in e.data]
    text = "".join(f"{pos:02}" for pos in range(0, 40, 2))
    assert pieces == [{"pos": 0, "delta": text}]


@KINDS
@RULES
async def test_terminal_events_find_room_under_each_rule(
    gated: World, gates: Path, kind: type[Follower], rule: str
) -> None:
    """A scan ends while its client stalls, with room for one: answer and reward are told."""
    task_id = await gated.client.accepted()
    name, other = f"scan:{task_id}", channel()
    follower = await gated.open(kind, name, other, overflow=rule, capacity=1, small=True)
    first: list[Item] = []
    while _accounted(first) < 2:  # under some rules the second may not have found room
        first.append(await follower.next())
    last = await gated.flood(other, MANY)
    await asyncio.to_thread(go_on, gates)
    assert (await gated.client.events(task_id))[-1].event == "eco.bye"
    if rule == "close":
        seen = [each for each in (await follower.rest())[:-1] if isinstance(each, Told)]
        scans = [e for e in [*first, *seen] if isinstance(e, Told) and e.channel == name]
        again = await gated.open(kind, name, after=scans[-1].cursor)
        items: list[Item] = [*scans, *await again.events(5 - len(scans))]
    else:
        items = list(first)
        while not _ended(items, name) or not _reached(items, last):
            items.append(await follower.next())
    told = [each for each in items if isinstance(each, Told) and each.channel == name]
    steps = [(each.data["step"], each.data["status"], each.data["progress"]) for each in told]
    assert steps[-2:] == GOOD[-2:]
    gaps = [each for each in items if isinstance(each, Lost) and each.channel == name]
    assert sum(gap.dropped for gap in gaps) == 5 - len(told)
    if rule in ("buffer", "close"):
        assert steps == GOOD


def _accounted(items: list[Item]) -> int:
    return sum(e.dropped if isinstance(e, Lost) else 1 for e in items)


def _ended(items: list[Item], name: str) -> bool:
    return any(isinstance(e, Told) and e.channel == name and e.data["seq"] == 5 for e in items)


def _reached(items: list[Item], last: str) -> bool:
    return any(last in (getattr(e, "cursor", ""), getattr(e, "end", "")) for e in items)


@RULES
async def test_a_poll_is_told_by_the_same_rules(world: World, rule: str) -> None:
    """What lies behind its cursor is as what a stalled stream has waiting."""
    name = channel()
    opened = await world.open(Poll, name)
    begin = opened.cursor
    assert begin is not None
    cursors = await world.numbers(name, *range(10), key="k")
    if rule == "close":
        with pytest.raises(Declined) as declined:
            await world.open(Poll, name, after=begin, overflow=rule, capacity=9)
        assert (declined.value.status, declined.value.code) == (409, "slow_consumer")
        poll = await world.open(Poll, name, after=begin, overflow=rule, capacity=10)
    else:
        poll = await world.open(Poll, name, after=begin, overflow=rule, capacity=3, limit=4)
    seen = await until(poll, cursors[-1])
    gaps = await world.check_accounted(Poll, name, begin, cursors[-1], seen)
    told = numbers(seen)
    expected = {
        "buffer": (list(range(10)), []),
        "close": (list(range(10)), []),
        "latest": ([7, 8, 9], ["overflow"]),
        "drop": ([0, 1, 2], ["overflow"]),
        "coalesce": ([9], ["coalesced"]),
    }
    assert (told, [gap.reason for gap in gaps]) == expected[rule]


@pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
async def test_each_subscription_of_a_web_socket_has_a_rule_of_its_own(
    world: World, kind: type[WsJson]
) -> None:
    """One that keeps all beside one that keeps the newest, on one stalled connection."""
    whole, newest = channel(), channel()
    follower = await world.open(kind, small=True)
    begin = {}
    for name, rule in ((whole, "buffer"), (newest, "latest")):
        told = await follower.ask("subscribe", channel=name, overflow=rule)
        begin[name] = told["cursor"]
    last = {name: await world.flood(name, 40) for name in (whole, newest)}
    items: list[Item] = []
    while not all(_reached(items, each) for each in last.values()):
        items.append(await follower.next())
    for name in (whole, newest):
        seen = [e for e in items if isinstance(e, Told | Lost) and e.channel == name]
        gaps = await world.check_accounted(kind, name, begin[name], last[name], seen)
        assert bool(gaps) == (name == newest)


async def test_a_client_that_leaves_behind_a_gap_resumes_without_loss(world: World) -> None:
    """The id of a gap is where nothing is left to be told; behind it comes the rest."""
    follower, name, begin, last = await stalled(world, Sse, "latest", 3)
    seen: list[Item] = []
    while not (seen and isinstance(seen[-1], Lost)):
        seen.append(await follower.next())
    gap = seen[-1]
    assert isinstance(gap, Lost)
    told = [each for each in seen if isinstance(each, Told)]
    again = await world.open(Sse, name, after=gap.end)
    assert again.verdict == "recovered"
    rest = await until(again, last)
    gaps = await world.check_accounted(Sse, name, begin, last, [*told, gap, *rest])
    assert gaps == [gap]
