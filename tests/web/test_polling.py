"""Long polling: at once when there is something, else when it happens; nothing twice."""

import asyncio
import json

import aiohttp
import pytest

from eco_actor.delivery.traffic import BUSY, COMPLETE, GOING_AWAY, GONE
from eco_actor.eventlog import Draft, Event
from tests.web.checks import check_problem
from tests.web.client import Answer
from tests.web.edge import EVENTS, LIVE, Edge, edge, numbers, poll, publish, started, waiting

SCAN = "scan:abc"


async def test_what_lies_behind_the_cursor_is_told_at_once(here: Edge) -> None:
    """The first so many; the cursor of the answer goes on, and each event has its own."""
    events = await publish(here, 5)
    told = await poll(here, "after=earliest&limit=3")
    assert told["events"] == [
        {"cursor": str(event.cursor), "data": {"n": n}} for n, event in enumerate(events[:3])
    ]
    assert (told["resume"], told["gap"], told["done"]) == ("recovered", None, False)
    told = await poll(here, f"after={told['cursor']}&limit=3")
    assert numbers(told) == [3, 4]
    assert numbers(await poll(here, f"after={events[3].cursor}")) == [4]


async def test_the_header_wins_over_the_query(plain_edge: Edge) -> None:
    """Last-Event-ID, as with a stream."""
    events = await publish(plain_edge, 3)
    cursor = str(events[1].cursor)
    assert numbers(await poll(plain_edge, "after=earliest", Last_Event_ID=cursor)) == [2]


async def test_a_poll_waits_for_the_next_event(here: Edge) -> None:
    """Without a cursor from now on; once it has happened, the poll is answered."""
    await publish(here, 2)
    waits = started(here)
    await waiting(here)
    (event,) = await publish(here, 1)
    told = await waits
    assert told["events"] == [{"cursor": str(event.cursor), "data": {"n": 0}}]
    assert told["resume"] == "fresh"
    assert (here.traffic.polls_waiting, len(here.log.hub)) == (0, 0)
    assert here.traffic.poll.ended[COMPLETE] == 1


async def test_what_happens_at_one_moment_is_one_answer(here: Edge) -> None:
    """Up to the limit; the rest is behind its cursor."""
    waits = started(here, "limit=3")
    await waiting(here)
    await publish(here, 5)
    told = await waits
    assert numbers(told) == [0, 1, 2]
    assert numbers(await poll(here, f"after={told['cursor']}")) == [3, 4]


@pytest.mark.parametrize("wait", ["0", "0.01", "00.5"])
async def test_an_empty_answer_comes_when_the_time_is_over(plain_edge: Edge, wait: str) -> None:
    """Its cursor keeps up with the log, so that it does not grow old."""
    before = (await poll(plain_edge, "wait=0"))["cursor"]
    await publish(plain_edge, 1, "app:b")
    told = await poll(plain_edge, f"after={before}&wait={wait}")
    assert told["events"] == []
    assert (told["gap"], told["done"]) == (None, False)
    assert told["cursor"] == str(plain_edge.log.cursor(plain_edge.log.head)) != before


async def test_transient_events_are_told_to_those_who_wait(here: Edge) -> None:
    """With a null cursor; who comes later does not see them."""
    cursor = (await poll(here, "wait=0"))["cursor"]
    waits = started(here, f"after={cursor}")
    await waiting(here)
    await here.publish({"n": 7}, "?transient=1")
    told = await waits
    assert told["events"] == [{"cursor": None, "data": {"n": 7}}]
    assert (await poll(here, f"after={cursor}&wait=0"))["events"] == []


async def test_a_scan_is_told_bare_and_ends(here: Edge) -> None:
    """`done` with its last event, and ever after, then without any wait."""
    drafts = [Draft(SCAN, {"seq": n}, 1, opens=n == 1, final=n == 3) for n in (1, 2, 3)]
    await here.log.commit(drafts[:2])
    path = "/scan/abc/events"
    told = await poll(here, path=path)
    assert (told["events"], told["resume"], told["done"]) == (
        [{"seq": 1}, {"seq": 2}], "fresh", False,
    )  # fmt: skip
    waits = started(here, f"after={told['cursor']}", path)
    await waiting(here)
    await here.log.commit(drafts[2:])
    told = await waits
    assert (told["events"], told["resume"], told["done"]) == ([{"seq": 3}], "recovered", True)
    told = await poll(here, f"after={told['cursor']}&wait=60", path)
    assert (told["events"], told["done"]) == ([], True)
    told = await poll(here, "limit=2", path)
    assert (len(told["events"]), told["done"]) == (2, False)
    told = await poll(here, path="/channels/scan:abc/events")
    assert [each["data"]["seq"] for each in told["events"]] == [1, 2, 3]
    assert told["done"] is True


async def test_a_long_history_is_read_page_by_page(here: Edge) -> None:
    """Polls of any size give all of it, once, in order, on a busy log."""
    await publish(here, 1200)
    cursor, seen = "earliest", []
    while told := await poll(here, f"after={cursor}&limit=500&wait=0"):
        if not told["events"]:
            break
        seen += numbers(told)
        cursor = told["cursor"]
    assert seen == list(range(1200))
    assert numbers(await poll(here, "after=earliest&overflow=latest&capacity=3")) == [
        1197, 1198, 1199,
    ]  # fmt: skip


async def test_nothing_is_missed_between_two_polls(here: Edge) -> None:
    """Whatever is published while a client polls, it sees once, in order."""
    cursor = (await poll(here, "wait=0"))["cursor"]
    seen: list[int] = []

    async def follow() -> None:
        nonlocal cursor
        while len(seen) < 200:
            told = await poll(here, f"after={cursor}&limit=7")
            seen.extend(numbers(told))
            cursor = told["cursor"]

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for n in range(200):
            await here.publish({"n": n})
    assert seen == list(range(200))


async def test_polls_that_wait_are_bounded(session: aiohttp.ClientSession) -> None:
    """One more is refused, unless there is something to tell it."""
    async with edge(session, most_waiting=1) as here:
        await publish(here, 1)
        waits = started(here)
        await waiting(here)
        check_problem(await here.client.get(EVENTS), 503, "busy")
        assert here.traffic.poll.ended[BUSY] == 1
        assert numbers(await poll(here, "after=earliest")) == [0]
        assert (await poll(here, "wait=0"))["events"] == []
        await publish(here, 1)
        await waits
        again = started(here)
        await waiting(here)
        await publish(here, 1)
        await again


async def test_a_client_that_leaves_is_forgotten(plain_edge: Edge) -> None:
    """Its subscription and its place are free at once."""
    waits = started(plain_edge)
    await waiting(plain_edge)
    assert len(plain_edge.log.hub) == 1
    waits.cancel()
    await waiting(plain_edge, 0)
    assert len(plain_edge.log.hub) == 0
    assert plain_edge.traffic.poll.ended[GONE] == 1


async def test_a_poll_costs_no_task_beyond_that_of_its_request(plain_edge: Edge) -> None:
    """Two a connection, which are aiohttp's, however long it waits."""
    before = len(asyncio.all_tasks())
    waits = [started(plain_edge) for _ in range(20)]
    await waiting(plain_edge, 20)
    ours = len(asyncio.all_tasks()) - before - len(waits)
    assert ours <= 2 * len(waits)
    await publish(plain_edge, 1)
    assert [numbers(await each) for each in waits] == [[0]] * 20


async def test_waiting_polls_end_with_the_server(plain_edge: Edge) -> None:
    """At once, with an empty answer: the client comes back with its cursor."""
    waits = started(plain_edge, "wait=60")
    await waiting(plain_edge)
    await publish(plain_edge, 1, "app:b")
    async with asyncio.timeout(10):
        await plain_edge.runner.cleanup()
        told = await waits
    assert told["events"] == []
    assert told["cursor"] == str(plain_edge.log.cursor(2)), "it kept up with other channels"
    assert plain_edge.traffic.poll.ended[GOING_AWAY] == 1


async def test_a_live_channel_is_polled_for_what_comes(plain_edge: Edge) -> None:
    """The last snapshot at once, if there is one; then only what is new."""
    path = f"/channels/{LIVE}/events"
    waits = started(plain_edge, path=path)
    await waiting(plain_edge)
    plain_edge.live.offer(Event(Draft(LIVE, {"n": 1}, 1, transient=True), 0, None))
    assert (await waits)["events"] == [{"cursor": None, "data": {"n": 1}}]
    assert numbers(await poll(plain_edge, path=path)) == [1]
    assert (len(plain_edge.live), len(plain_edge.log.hub)) == (0, 0)
    assert (await poll(plain_edge, "wait=0", path))["events"] == []


async def test_head_is_not_a_poll(plain_edge: Edge) -> None:
    """It would wait for nothing."""
    answer: Answer = await plain_edge.client.ask("HEAD", EVENTS)
    assert answer.status == 405
    assert json.loads(answer.body or b"{}") == {}
