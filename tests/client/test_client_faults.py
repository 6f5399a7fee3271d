"""Cut in mid-byte, killed, stopped, busy: all is told once, in order, on all transports."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from eco_actor.client import Client, Event, Following, Gap, Task, Waiting
from tests.client.between import Proxy
from tests.client.ways import (
    LONG_S,
    QUICK,
    STEPS,
    WAYS,
    States,
    Way,
    close_gates,
    each_way,
    open_gates,
    steps,
    token_of,
)
from tests.web.serving import Server

NUMBERS = 60


@each_way
@pytest.mark.parametrize("seed", range(4))
async def test_connections_that_are_cut_anywhere_lose_nothing(
    plain_client: Client, way: Way, seed: int
) -> None:
    """Each connection is cut after a random number of bytes; a channel's events come once each."""
    chance = random.Random(seed)
    channel = f"app:{uuid4().hex}"
    states = States()
    proxy = Proxy(plain_client.url, lambda: chance.randrange(1, 3000))
    async with (
        asyncio.timeout(LONG_S),
        proxy.running(),
        Client(proxy.url, bounds=QUICK) as client,
        way.follow(client, channel, after="earliest", on_state=states) as events,
    ):
        told = []

        async def publish() -> None:
            for number in range(NUMBERS):
                await plain_client.publish(channel, {"n": number, "pad": "x" * 100})

        publishing = asyncio.create_task(publish())
        async for event in events:
            assert isinstance(event, Event), event
            told.append(event.data["n"])
            if event.data["n"] == NUMBERS - 1:
                break
        await publishing
    assert told == list(range(NUMBERS))
    assert proxy.cuts > 1
    assert states.codes


@each_way
@pytest.mark.parametrize("seed", range(4))
async def test_a_scan_through_cut_connections_is_whole(
    plain_client: Client, way: Way, seed: int
) -> None:
    """Started and followed through them, it is one scan with five events."""
    chance = random.Random(seed)
    proxy = Proxy(plain_client.url, lambda: chance.randrange(1, 2500))
    async with (
        asyncio.timeout(LONG_S),
        proxy.running(),
        Client(proxy.url, bounds=QUICK, give_up_s=None) as client,
    ):
        task = await client.start(category="glass")
        assert steps([each async for each in way.follow(client, task)]) == STEPS


async def test_a_server_that_is_killed_in_mid_scan_is_waited_for(
    gated_server: Server, gates: Path
) -> None:
    """After kill -9 and a restart the same followings, of all kinds, go on where they were."""
    async with (
        asyncio.timeout(60),
        Client(gated_server.url, bounds=QUICK) as client,
        followed(client, await client.start(category="glass")) as all_of_them,
    ):
        for each in all_of_them:
            each.told.append(await anext(each.events))
        open_gates(gates, "vision")
        for each in all_of_them:
            each.told.append(await anext(each.events))
        await asyncio.to_thread(gated_server.kill)
        resting = [asyncio.create_task(_rest(each.events)) for each in all_of_them]
        while not all("unreachable" in each.states.codes for each in all_of_them):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(gated_server.start)
        open_gates(gates)
        for each, rest in zip(all_of_them, resting, strict=True):
            assert steps(each.told + await rest) == STEPS


@dataclass
class Followed:
    way: Way
    events: Following
    states: States
    told: list[Event | Gap] = field(default_factory=list)


@asynccontextmanager
async def followed(client: Client, task: Task) -> AsyncIterator[list[Followed]]:
    """One scan, over all transports at once."""
    async with AsyncExitStack() as stack:
        found = []
        for way in WAYS.values():
            states = States()
            events = await stack.enter_async_context(way.follow(client, task, on_state=states))
            found.append(Followed(way, events, states))
        yield found


async def _rest(events: Following) -> list[Event | Gap]:
    return [each async for each in events]


async def test_a_server_that_stops_says_when_to_come_back(
    gated_server: Server, gates: Path
) -> None:
    """SIGTERM: what it asks for is waited, and all followings go on after the restart."""
    async with (
        asyncio.timeout(60),
        Client(gated_server.url, bounds=QUICK) as client,
        followed(client, await client.start(category="glass")) as all_of_them,
    ):
        for each in all_of_them:
            each.told.append(await anext(each.events))
        resting = [asyncio.create_task(_rest(each.events)) for each in all_of_them]
        while not all(each.states for each in all_of_them):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(gated_server.stop)
        open_gates(gates)
        await asyncio.to_thread(gated_server.start)
        for each, rest in zip(all_of_them, resting, strict=True):
            assert steps(each.told + await rest) == STEPS
            if each.way.transport != "poll":
                waited = next(state for state in each.states if isinstance(state, Waiting))
                assert waited.code == "going_away"
                assert waited.seconds >= 0.1


async def test_who_finds_no_place_gets_one_when_there_is_one(
    gated_here: Callable[..., Server], gates: Path
) -> None:
    """Busy: it is tried again until the other has left."""
    server = await asyncio.to_thread(gated_here, ECO_MAX_CONNECTIONS="1")
    for way in (Way("sse"), Way("ws"), Way("auto")):
        states = States()
        async with Client(server.url, bounds=QUICK) as client, asyncio.timeout(LONG_S):
            task = await client.start(category="glass")
            async with client.follow(task, transport="sse") as first:
                await anext(first)
                second = asyncio.create_task(_rest(way.follow(client, task, on_state=states)))
                while not states:  # noqa: ASYNC110  # there is no event
                    await asyncio.sleep(0.01)
            open_gates(gates)
            assert steps(await second) == STEPS
        assert {*states.codes} <= {"busy", "unavailable"}
        await asyncio.to_thread(close_gates, gates)


async def test_a_scan_for_which_there_is_no_room_is_started_when_there_is(
    gated_here: Callable[..., Server], gates: Path
) -> None:
    """503: nothing was accepted, and it is asked again."""
    server = await asyncio.to_thread(gated_here, ECO_MAX_SCANS="1")
    proxy = Proxy(server.url, lambda: None)
    async with asyncio.timeout(LONG_S), proxy.running(), Client(proxy.url, bounds=QUICK) as client:
        first = await client.start(category="glass")
        second = asyncio.create_task(client.scan(category="metal"))
        while not any(b"HTTP/1.1 503" in said for said in proxy.said):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        open_gates(gates)
        assert (await second)["classification"]["category"] == "metal"
        assert (await client.snapshot(first))["status"] == "completed"


async def test_answers_that_are_lost_start_no_further_scans(plain_server: Server) -> None:
    """The server accepts, its answers do not arrive: asked again, it tells of the same scan."""
    lets = iter([0, 10, 100])
    proxy = Proxy(plain_server.url, lambda: next(lets, None))
    async with proxy.running(), Client(proxy.url, bounds=QUICK) as client:
        task = await client.start(category="glass")
    answers = [bytes(each) for each in proxy.said if each.startswith(b"HTTP/1.1 202")]
    assert len(answers) >= 3
    assert all(task.task_id.encode() in each for each in answers)


async def test_a_publish_whose_answer_is_lost_is_one_event(plain_server: Server) -> None:
    """The same for events; transient ones are not sent again."""
    lets = iter([0, 10])
    token = await asyncio.to_thread(token_of, plain_server)
    proxy = Proxy(plain_server.url, lambda: next(lets, None))
    channel = f"app:{uuid4().hex}"
    async with proxy.running(), Client(proxy.url, token=token, bounds=QUICK) as client:
        cursor = await client.publish(channel, {"n": 1})
        await client.publish(channel, {"n": 2})
        async with client.follow(channel, after="earliest") as events:
            told = [await anext(events), await anext(events)]
    assert [each.data["n"] for each in told if isinstance(each, Event)] == [1, 2]
    assert isinstance(told[0], Event)
    assert told[0].cursor == cursor
