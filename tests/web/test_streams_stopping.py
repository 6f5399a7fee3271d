"""A stop in order: every client is told, and finds everything when it comes back."""

import asyncio
import signal
from collections.abc import Callable

import aiohttp

from tests.web.contract_clients import Bye, Follower, Item, Told
from tests.web.contract_sockets import CHANNELS, STREAMS, Poll
from tests.web.contract_world import World, channel, numbers, until, world_of
from tests.web.credentials import SECRET
from tests.web.serving import Server


def told(items: list[Item]) -> list[Item]:
    return [each for each in items if isinstance(each, Told)]


async def started(server: Callable[..., Server]) -> Server:
    env = {"ECO_OPERATOR_TOKEN": SECRET}
    return await asyncio.to_thread(server, options=["--durability", "full"], env=env)


async def test_everybody_is_told_to_go_each_with_a_time_of_its_own(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """going_away, 1001 for a WebSocket, retry hints that are spread; then a resume without loss."""
    running = await started(server)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        followers = [await world.open(kind, name) for kind in STREAMS for _ in range(12)]
        await world.numbers(name, 1, 2)
        firsts = [await follower.events(2) for follower in followers]
        stopped = asyncio.create_task(asyncio.to_thread(running.stop, signal.SIGTERM))
        byes = []
        for follower in followers:
            (bye,) = await follower.rest()
            assert isinstance(bye, Bye)
            assert (bye.code, bye.reconnect) == ("going_away", True)
            assert bye.status in (None, 1001)
            byes.append(bye.retry_ms)
        assert len(set(byes)) > len(byes) // 2
        assert all(each is not None and each > 0 for each in byes)
        await stopped
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        last = (await world.numbers(name, 3))[0]
        for follower, first in zip(followers, firsts, strict=True):
            back = await world.open(type(follower), name, after=follower.cursor)
            assert back.verdict == "recovered"
            assert numbers([*first, *await until(back, last)]) == [1, 2, 3]
    assert "Traceback" not in running.log_text()


async def test_a_poll_that_waits_is_answered_at_once(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """With nothing, and its cursor is good for the next server."""
    running = await started(server)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        poll = await world.open(Poll, name)
        before = poll.cursor
        waiting = asyncio.create_task(poll.poll(60))
        text = b""
        while b"eco_polls_waiting 1.0" not in text:
            text = (await world.client.get("/metrics")).body
        stopped = asyncio.create_task(asyncio.to_thread(running.stop))
        answer = await waiting
        assert (answer["events"], answer["cursor"], answer["done"]) == ([], before, False)
        await stopped
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        back = await world.open(Poll, name, after=before)
        assert back.verdict == "recovered"
        await world.numbers(name, 1)
        assert numbers([await back.event()]) == [1]


async def test_clients_that_do_not_read_hold_up_nothing(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Stalled ones of each kind are left behind in time, and find the rest afterwards."""
    running = await started(server)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        stalled = [await world.open(kind, name, small=True) for kind in STREAMS]
        begin = stalled[0].cursor
        assert begin is not None
        last = await world.flood(name, 60)
        await asyncio.to_thread(running.stop)
        seen = {follower: told((await follower.rest())[:-1]) for follower in stalled}
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        for follower, first in seen.items():
            back = await world.open(type(follower), name, after=follower.cursor or begin)
            whole = [*first, *await until(back, last)]
            assert await world.check_accounted(type(back), name, begin, last, whole) == []


async def test_what_was_accepted_until_the_last_moment_is_there_afterwards(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """A publisher goes on until the server is gone: what it was told is stored, everybody gets."""
    running = await started(server)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        followers: list[Follower] = [await world.open(kind, name) for kind in CHANNELS]
        begin = followers[0].cursor
        assert begin is not None
        accepted: list[str] = []

        async def publish(world: World) -> None:
            n = 0
            while True:
                cursor = await world.publish(name, {"n": n})
                assert cursor is not None
                accepted.append(cursor)
                n += 1

        publishing = asyncio.create_task(publish(world))
        firsts = [[await follower.event()] for follower in followers]
        stopped = asyncio.create_task(asyncio.to_thread(running.stop))
        await asyncio.wait([publishing])
        assert isinstance(publishing.exception(), aiohttp.ClientError | AssertionError)
        whole: list[list[Item]] = []
        for follower, first in zip(followers, firsts, strict=True):
            rest: list[Item] = [] if isinstance(follower, Poll) else (await follower.rest())[:-1]
            ahead = list(follower.waiting)
            whole.append([*first, *ahead, *rest])
        await stopped
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        last = await world.publish(name, {"n": -1})
        assert last is not None
        history = [cursor for cursor, _ in await world.behind(Poll, name, begin, last)]
        assert set(accepted) <= set(history)
        for follower, before in zip(followers, whole, strict=True):
            back = await world.open(type(follower), name, after=follower.cursor)
            items = [*before, *await until(back, last)]
            assert [each.cursor for each in items if isinstance(each, Told)] == history


async def test_a_server_that_was_killed_is_resumed_from_as_well(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """With durability full no cursor is lost to kill -9: recovered, without a gap."""
    running = await started(server)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        followers = [await world.open(kind, name) for kind in CHANNELS]
        await world.numbers(name, 1, 2, 3)
        firsts = [await follower.events(3) for follower in followers]
        await asyncio.to_thread(running.kill)
        for follower in followers:
            if not isinstance(follower, Poll):
                assert await follower.rest() == [None]
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        last = (await world.numbers(name, 4))[0]
        for follower, first in zip(followers, firsts, strict=True):
            back = await world.open(type(follower), name, after=follower.cursor)
            assert back.verdict == "recovered"
            assert numbers([*first, *await until(back, last)]) == [1, 2, 3, 4]


async def test_a_cursor_of_another_epoch_is_reset_on_all_transports(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """With durability off, history ends with the process: reset, a gap, and what there is."""
    env = {"ECO_OPERATOR_TOKEN": SECRET}
    running = await asyncio.to_thread(server, options=["--durability", "off"], env=env)
    name = channel()
    async with world_of(session, running, SECRET) as world:
        old = (await world.numbers(name, 1, 2, 3))[-1]
        await asyncio.to_thread(running.stop)
        await asyncio.to_thread(running.start)
    async with aiohttp.ClientSession() as again, world_of(again, running, SECRET) as world:
        await world.numbers(name, 7, 8, 9, 10)
        for kind in CHANNELS:
            back = await world.open(kind, name, after=old)
            assert back.verdict == "reset"
            gap = await back.next()
            assert getattr(gap, "reason", None) == "reset"
            assert numbers(await back.events(4)) == [7, 8, 9, 10]
