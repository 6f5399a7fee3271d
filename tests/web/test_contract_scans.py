"""A scan, from its beginning to its end and what follows, on every transport."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.checks import GOOD
from tests.web.contract_clients import Bye, Declined, Follower, Item, Lost, ScanSse, Sse, Told
from tests.web.contract_sockets import SCANS, STREAMS, Poll, WebSocket, WsJson
from tests.web.contract_world import World, channel, go_on, world_of
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", SCANS)


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


def steps(items: list[Item]) -> list[tuple[str, str, int]]:
    told = [each.data for each in items if isinstance(each, Told)]
    return [(each["step"], each["status"], each["progress"]) for each in told]


async def finished(world: World) -> tuple[str, list[str]]:
    """The channel of a scan that is over, and the cursors of its events."""
    task_id = await world.client.accepted()
    follower = await world.open(ScanSse, f"scan:{task_id}")
    cursors = [each.cursor for each in await follower.rest() if isinstance(each, Told)]
    assert len(cursors) == 5
    return f"scan:{task_id}", [cursor for cursor in cursors if cursor is not None]


@KINDS
async def test_a_scan_is_told_from_its_beginning_to_its_end(
    gated: World, gates: Path, kind: type[Follower]
) -> None:
    """Begun in mid-scan, without a cursor: all five events, a last word, and no reconnecting."""
    name = f"scan:{await gated.client.accepted()}"
    follower = await gated.open(kind, name)
    assert follower.verdict == "fresh"
    first = await follower.events(2)
    await asyncio.to_thread(go_on, gates)
    items = [*first, *await follower.rest()]
    assert steps(items) == GOOD
    assert [each.data["seq"] for each in items[:-1] if isinstance(each, Told)] == [1, 2, 3, 4, 5]
    assert len(items) == 6
    bye = items[-1]
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("complete", False)
    assert bye.status in (None, 1000)


@KINDS
async def test_behind_the_end_there_is_nothing_and_that_is_final(
    world: World, kind: type[Follower]
) -> None:
    """204 for an event stream; a WebSocket is closed with 1000, a poll is done."""
    name, cursors = await finished(world)
    if issubclass(kind, Sse):
        with pytest.raises(Declined) as declined:
            await world.open(kind, name, after=cursors[-1])
        assert (declined.value.status, declined.value.body) == (204, b"")
        return
    follower = await world.open(kind, name, after=cursors[-1])
    items = await follower.rest()
    (bye,) = items
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("complete", False)
    assert bye.status in (None, 1000)


@KINDS
async def test_any_cursor_of_a_scan_leads_to_the_rest(world: World, kind: type[Follower]) -> None:
    """Behind each event: recovered, what is left, nothing else."""
    name, cursors = await finished(world)
    for place, cursor in enumerate(cursors[:-1], 1):
        follower = await world.open(kind, name, after=cursor)
        assert follower.verdict == "recovered"
        assert steps([*await follower.events(5 - place)]) == GOOD[place:]


@KINDS
@pytest.mark.parametrize("then", SCANS)
async def test_a_scan_is_followed_over_two_transports(
    gated: World, gates: Path, kind: type[Follower], then: type[Follower]
) -> None:
    """The cursor of the one, in mid-scan, is the other's beginning."""
    name = f"scan:{await gated.client.accepted()}"
    before = await gated.open(kind, name)
    first = await before.events(2)
    before.close()
    after = await gated.open(then, name, after=before.cursor)
    assert after.verdict == "recovered"
    await asyncio.to_thread(go_on, gates)
    assert steps([*first, *await after.events(3)]) == GOOD


@KINDS
async def test_one_transport_after_the_other_tells_each_event_once(
    world: World, kind: type[Follower]
) -> None:
    """Left behind every event, for another transport each time."""
    name, _ = await finished(world)
    turn = SCANS.index(kind)
    order = [*SCANS[turn:], *SCANS[:turn]]
    seen: list[Item] = []
    cursor: str | None = None
    for n in range(5):
        chosen = order[n % len(order)]
        one: dict[str, Any] = {"limit": 1} if chosen is Poll else {}
        follower = await world.open(chosen, name, after=cursor, **one)
        seen.append(await follower.event())
        cursor = follower.cursor
        if isinstance(follower, Sse | WebSocket):  # which may have read on by now
            told = seen[-1]
            assert isinstance(told, Told)
            cursor = told.cursor
    assert steps(seen) == GOOD


@KINDS
async def test_a_scan_with_an_unknown_cursor_starts_over(
    world: World, kind: type[Follower]
) -> None:
    """Reset, a gap, all of it."""
    name, _ = await finished(world)
    follower = await world.open(kind, name, after="abcdef-1")
    assert follower.verdict == "reset"
    gap = await follower.next()
    assert isinstance(gap, Lost)
    assert (gap.channel, gap.reason, gap.begin) == (name, "reset", gap.end)
    assert steps([*await follower.events(5)]) == GOOD


@KINDS
@pytest.mark.parametrize("rule", ["buffer", "latest", "drop", "close", "coalesce"])
async def test_the_last_words_of_a_scan_come_whatever_the_rule(
    world: World, kind: type[Follower], rule: str
) -> None:
    """With room for one: answer and reward are told; what else is missing is in a gap."""
    name, cursors = await finished(world)
    if kind is Poll and rule == "close":
        with pytest.raises(Declined) as declined:
            await world.open(kind, name, overflow=rule, capacity=1)
        assert (declined.value.status, declined.value.code) == (409, "slow_consumer")
        return
    follower = await world.open(kind, name, overflow=rule, capacity=1)
    items: list[Item] = []
    while not steps(items) or steps(items)[-1] != GOOD[-1]:
        items.append(await follower.next())
    told = [each for each in items if isinstance(each, Told)]
    gaps = [each for each in items if isinstance(each, Lost)]
    assert steps(items)[-2:] == GOOD[-2:]
    assert sum(gap.dropped for gap in gaps) == 5 - len(told)
    if rule in ("buffer", "close"):
        assert len(told) == 5
    assert cursors


@pytest.mark.parametrize("kind", STREAMS)
async def test_finished_scans_end_a_stream_only_when_all_channels_are_over(
    gated: World, gates: Path, kind: type[Follower]
) -> None:
    """Two scans and an open channel: no end; two scans alone: the end behind the last."""
    names = [f"scan:{await gated.client.accepted()}" for _ in range(2)]
    other = channel()
    both = await gated.open(kind, *names)
    more = await gated.open(kind, *names, other)
    await asyncio.to_thread(go_on, gates)
    items = await both.rest()
    assert isinstance(items[-1], Bye)
    assert items[-1].code == "complete"
    for name in names:
        assert steps([e for e in items if isinstance(e, Told) and e.channel == name]) == GOOD
    assert len(items) == 11
    assert len(await more.events(10)) == 10
    cursor = await gated.publish(other, {"n": 1})
    last = await more.event()
    assert (last.channel, last.cursor) == (other, cursor)


async def test_a_web_socket_may_go_on_with_another_scan_when_one_is_over(world: World) -> None:
    """It has a moment to ask for more after the last channel has ended."""
    first, _ = await finished(world)
    second, _ = await finished(world)
    follower = await world.open(WsJson)
    assert (await follower.ask("subscribe", channel=first))["op"] == "subscribed"
    assert steps([*await follower.events(5)]) == GOOD
    assert (await follower.ask("subscribe", channel=second))["op"] == "subscribed"
    assert steps([*await follower.events(5)]) == GOOD


@pytest.mark.parametrize("kind", SCANS)
async def test_an_unknown_task_is_refused(world: World, kind: type[Follower]) -> None:
    """404 unknown_task, with a cursor or without."""
    for after in (None, "earliest", "abcdef-1"):
        with pytest.raises(Declined) as declined:
            await world.open(kind, "scan:" + "A" * 22, after=after)
        assert declined.value.status in (404, 0)
        assert declined.value.code == "unknown_task"
