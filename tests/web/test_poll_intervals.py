"""Polls with an interval: one answer in each at most, with the newest, and a gap for the rest."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from eco_actor.runtime.testing import run_virtual
from eco_actor.web.polls import MAX_WAITING
from tests.web.contract_world import World, channel, world_of
from tests.web.polled import Polled
from tests.web.serving import Server


@asynccontextmanager
async def polled(most_waiting: int = MAX_WAITING) -> AsyncIterator[Polled]:
    made = Polled(most_waiting)
    await made.log.open()
    yield made
    assert (made.traffic.polls_waiting, len(made.log.hub)) == (0, 0)
    await made.log.close()


@pytest.mark.parametrize("rule", ["latest", "coalesce&capacity=1"])
def test_there_is_one_answer_in_each_interval(rule: str) -> None:
    """The first at once; each of those behind it has the newest of its interval."""

    async def main() -> None:
        async with polled() as client, asyncio.TaskGroup() as group:
            group.create_task(client.publish_every(0.1, range(40)))
            seen: list[int] = []
            dropped = 0
            while not seen or seen[-1] != 39:
                seen += await client.poll(f"overflow={rule}&interval_ms=1000")
                dropped += client.told["gap"]["dropped"] if client.told["gap"] else 0
            assert client.times == pytest.approx([0, 1, 2, 3, 4], abs=0.01)
            assert len(seen) + dropped == 40
            assert len(seen) == 5

    run_virtual(main())


def test_after_a_silence_the_answer_comes_at_once() -> None:
    """The interval is over by then."""

    async def main() -> None:
        async with polled() as client:
            await client.publish(1)
            client.cursor = "earliest"
            assert await client.poll() == [1]  # nothing was told before it
            async with asyncio.TaskGroup() as group:
                told = group.create_task(client.poll())
                await asyncio.sleep(3)
                await client.publish(2)
            assert (told.result(), client.times) == ([2], [0, 3])

    run_virtual(main())


def test_nothing_is_held_back_for_longer_than_the_poll_waits() -> None:
    """With wait=0 not at all; without events the answer is as empty as ever."""

    async def main() -> None:
        async with polled() as client:
            await client.poll(wait="0")
            await client.publish(1, 2)
            assert await client.poll(wait="0") == [2]
            await client.publish(3)
            assert await client.poll(wait="0.5") == [3]
            assert await client.poll(wait="0.5") == []
            assert client.times == [0, 0, 0.5, 1]

    run_virtual(main())


@pytest.mark.parametrize("last", [{"terminal": True}, {"final": True}])
def test_a_terminal_event_ends_the_holding_back(last: dict[str, Any]) -> None:
    """Whether it lies behind the cursor or comes while the poll waits."""

    async def main() -> None:
        async with polled() as client:
            await client.poll(wait="0")
            await client.publish(1)
            await client.publish(2, **last)
            assert (await client.poll())[-1] == 2
            async with asyncio.TaskGroup() as group:
                told = group.create_task(client.poll())
                await client.publish(3)
                await asyncio.sleep(0.25)
                await client.publish(4, **last)
            assert (told.result()[-1], client.times) == (4, [0, 0, 0.25])

    run_virtual(main())


def test_a_cursor_that_is_unknown_was_told_nothing() -> None:
    """So there is no interval to wait for."""

    async def main() -> None:
        async with polled() as client:
            await client.publish(1)
            client.cursor = "nonsense"
            assert await client.poll() == [1]
            assert (client.told["resume"], client.times) == ("reset", [0])

    run_virtual(main())


def test_with_no_room_to_wait_nothing_is_held_back() -> None:
    """What is there is told however many wait."""

    async def main() -> None:
        async with polled(most_waiting=0) as client:
            await client.poll(wait="0")
            await client.publish(1)
            assert (await client.poll(), client.times) == ([1], [0, 0])

    run_virtual(main())


def test_a_live_channel_is_polled_in_intervals_too() -> None:
    """The newest of what was shown, when it is due."""

    async def main() -> None:
        async with polled() as client:
            await client.poll(name="system:test", wait="0")
            async with asyncio.TaskGroup() as group:
                told = group.create_task(client.poll(name="system:test"))
                for n in (1, 2):
                    await asyncio.sleep(0.1)
                    await client.publish(n, name="system:test", transient=True)
            assert (told.result(), client.times) == ([2], [0, 1])

    run_virtual(main())


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


async def test_over_a_socket_each_answer_takes_an_interval(world: World) -> None:
    """However fast is published and polled; the newest is told, and a gap for what gave way."""
    name = channel()
    after = (await world.numbers(name, 0))[0]
    began = time.monotonic()
    for n in range(1, 5):
        last = (await world.numbers(name, -n, n))[-1]
        path = f"/channels/{name}/events?after={after}&overflow=latest&interval_ms=60"
        answer = (await world.client.get(path)).json()
        assert [each["data"]["n"] for each in answer["events"]] == [n]
        assert (answer["cursor"], answer["gap"]["dropped"]) == (last, 1)
        after = answer["cursor"]
    assert time.monotonic() - began > 4 * 0.059
