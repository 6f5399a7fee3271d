"""Following scans on all transports: from the beginning, from any event, to whatever end."""

import asyncio
from pathlib import Path

import pytest

from eco_actor.app import Eco
from eco_actor.client import Client, Event, Problem, ScanFailed
from eco_actor.config import Config
from tests.client.ways import LONG_S, QUICK, STEPS, States, Way, each_way, open_gates, steps
from tests.web.held import PICTURE, Held
from tests.web.serving import Server


@each_way
async def test_each_step_is_told_as_it_happens(gated_server: Server, gates: Path, way: Way) -> None:
    """A step that was told is all there is until the next is let be done."""
    async with Client(gated_server.url, bounds=QUICK) as client, asyncio.timeout(LONG_S):
        task = await client.start(category="glass")
        told = []
        async with way.follow(client, task) as events:
            told.append(await anext(events))
            for name in ("vision", "rule", "answer", "reward"):
                open_gates(gates, name)
                told.append(await anext(events))
            assert [each async for each in events] == []
    assert steps(told) == STEPS


@each_way
async def test_a_scan_is_resumed_behind_any_event(plain_client: Client, way: Way) -> None:
    """With the cursor of each, all that comes behind it and nothing else is told."""
    task = await plain_client.start(category="metal")
    whole = [each async for each in way.follow(plain_client, task)]
    assert steps(whole) == STEPS
    for number, event in enumerate(whole, 1):
        assert isinstance(event, Event)
        if way.packed and number == len(whole):
            return  # that a socket has no more to tell takes 2 s; without packing it was waited
        rest = [each async for each in way.follow(plain_client, task, after=event.cursor)]
        assert rest == whole[number:]


@each_way
async def test_the_cursor_of_a_following_is_that_of_its_last_event(
    plain_client: Client, way: Way
) -> None:
    """Left in the middle, it can be gone on with over any other transport."""
    task = await plain_client.start(category="paper")
    whole = [each async for each in way.follow(plain_client, task)]
    for number in range(1, len(whole)):
        async with way.follow(plain_client, task) as events:
            begun = [await anext(events) for _ in range(number)]
            cursor = events.cursor
        assert begun == whole[:number]
        for transport in ("sse", "ws", "poll"):
            rest = Way(transport).follow(plain_client, task, after=cursor)
            assert [each async for each in rest] == whole[number:]


@each_way
async def test_a_scan_that_nobody_knows_is_a_problem(plain_client: Client, way: Way) -> None:
    """404, with the server's own code, on all transports."""
    states = States()
    with pytest.raises(Problem) as caught:
        await anext(way.follow(plain_client, "nobody", on_state=states))
    assert (caught.value.status, caught.value.code) == (404, "unknown_task")
    assert states == []


@each_way
async def test_an_option_that_cannot_be_is_a_problem(plain_client: Client, way: Way) -> None:
    """422, likewise."""
    task = await plain_client.start(category="glass")
    with pytest.raises(Problem) as caught:
        await anext(way.follow(plain_client, task, capacity=5000))
    assert (caught.value.status, caught.value.code) == (422, "bad_option")


@each_way
async def test_a_cancelled_scan_ends_with_that(gated_server: Server, way: Way) -> None:
    """Cancelled while it is followed: the last event says so, and the following is over."""
    async with Client(gated_server.url, bounds=QUICK) as client, asyncio.timeout(LONG_S):
        task = await client.start(category="glass")
        async with way.follow(client, task) as events:
            await anext(events)
            await client.cancel(task)
            rest = [each async for each in events]
        assert isinstance(rest[-1], Event)
        assert rest[-1].data["status"] == "cancelled"
        await client.cancel(task)  # harmless when repeated
        with pytest.raises(ScanFailed, match="cancelled"):
            await client.result(task)


@each_way
async def test_a_failed_scan_ends_with_its_error(tmp_path: Path, way: Way) -> None:
    """The event tells what failed, and so does `scan`."""
    held = Held()
    held.error = ValueError("no")
    held.gate.set()
    eco = await asyncio.to_thread(Eco, Config(port=0, data_dir=tmp_path), classifier=held)
    async with eco.running(http=True), Client(eco.address.url, bounds=QUICK) as client:
        task = await client.start(PICTURE)
        last = [each async for each in way.follow(client, task)][-1]
        assert isinstance(last, Event)
        assert (last.data["step"], last.data["status"]) == ("vision", "failed")
        with pytest.raises(ScanFailed) as caught:
            await client.scan(PICTURE, transport=way.transport)
        assert caught.value.code == last.data["error"]["code"]
        assert caught.value.task_id != task.task_id


@each_way
async def test_several_scans_are_over_when_all_are(plain_client: Client, way: Way) -> None:
    """Each is told whole, in its order."""
    tasks = [(await plain_client.start(category="glass")).task_id for _ in range(3)]
    async with asyncio.timeout(LONG_S):
        told = [each async for each in way.follow(plain_client, tasks)]
    for task in tasks:
        assert steps([each for each in told if each.channel == f"scan:{task}"]) == STEPS
    assert len(told) == 3 * len(STEPS)


async def test_a_whole_scan_is_one_call(plain_client: Client) -> None:
    """The result, in the language that was asked for; the same as that of its task."""
    result = await plain_client.scan(category="glass", lang="en", user_input="a jar & 한 병")
    assert result["classification"]["category"] == "glass"
    assert result["answer"]["lang"] == "en"
    assert await plain_client.result(result["task_id"]) == result
    snapshot = await plain_client.snapshot(result["task_id"])
    assert (snapshot["status"], snapshot["result"]) == ("completed", result)


async def test_categories_and_publishing_are_calls(plain_client: Client) -> None:
    """What may be chosen, in a language; and what only the operator may do."""
    told = await plain_client.categories("en")
    assert "glass" in {each["id"] for each in told["categories"]}
    assert await plain_client.publish("app:calls", {"n": 1}, transient=True) is None
    async with Client(plain_client.url) as stranger:
        with pytest.raises(Problem) as caught:
            await stranger.publish("app:calls", {"n": 1})
    assert (caught.value.status, caught.value.code) == (401, "operator_only")
