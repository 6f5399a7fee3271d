"""A scan whose classifier waits: looked at, cancelled, failed and left in the middle."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from eco_actor.app import Eco
from eco_actor.delivery.liveness import HEARTBEAT
from tests.web.checks import check_events, check_problem
from tests.web.client import JPEG, Client, control, data_of
from tests.web.held import PICTURE, Held, Running, post
from tests.web.test_sse import CONNECTIONS


async def test_a_client_that_waits_too_long_is_told_where_to_look(
    impatient: Eco, running: Running, held: Held
) -> None:
    """realtime=false past the server's limit is 202 as if it had not been said."""
    async with running(impatient) as client:
        task_id = await post(client, "?realtime=false")
        answer = await client.get(f"/scan/{task_id}/result")
        assert answer.status == 202
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["status"] == "processing"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_snapshot_before_the_answer_has_none(eco: Eco, running: Running) -> None:
    """Processing, at the vision step, without result, reward or error."""
    async with running(eco) as client:
        task_id = await post(client)
        snapshot = (await client.get(f"/scan/{task_id}")).json()
        cursor = snapshot.pop("cursor")
        assert snapshot == {
            "task_id": task_id,
            "status": "processing",
            "step": "vision",
            "progress": 10,
            "result": None,
            "reward": None,
            "error": None,
        }
        async with client.stream(task_id, f"?after={cursor}") as stream:
            assert stream.status == 200


async def test_a_snapshots_cursor_leads_to_what_comes_after_it(
    eco: Eco, running: Running, held: Held
) -> None:
    """Snapshot first, stream behind its cursor: no event is missed or told twice."""
    async with running(eco) as client:
        task_id = await post(client)
        cursor = (await client.get(f"/scan/{task_id}")).json()["cursor"]
        held.gate.set()
        check_events(await client.events(task_id, f"?after={cursor}"), task_id, first=2)


async def test_a_cancelled_scan_is_over_for_everybody(eco: Eco, running: Running) -> None:
    """DELETE is 202; watchers see cancelled and bye; result 409; a second DELETE 409."""
    async with running(eco) as client:
        task_id = await post(client)
        async with client.stream(task_id) as stream:
            await stream.until(1)
            answer = await client.ask("DELETE", f"/scan/{task_id}")
            assert answer.status == 202
            messages = await stream.rest()
        (last,) = data_of(messages)
        assert (last["seq"], last["status"]) == (2, "cancelled")
        assert control(messages, "bye")[0].json()["code"] == "complete"
        check_problem(await client.get(f"/scan/{task_id}/result"), 409)
        check_problem(await client.ask("DELETE", f"/scan/{task_id}"), 409)
        assert (await client.get(f"/scan/{task_id}")).json()["status"] == "cancelled"
        assert await eco.log.query("SELECT task_id FROM pictures") == []


async def test_a_failing_stage_fails_the_scan_with_a_reason(
    eco: Eco, running: Running, held: Held
) -> None:
    """A failed event with code and detail, bye complete; 409 for whoever waits or asks."""
    held.error = ValueError("the lens is dirty")
    held.gate.set()
    async with running(eco) as client:
        answer = await client.post("/scan/classify?realtime=false", data=PICTURE, headers=JPEG)
        problem = check_problem(answer, 409)
        task_id = problem["task_id"]
        events = data_of(await client.events(task_id))
        assert [event["status"] for event in events] == ["processing", "failed"]
        assert events[1]["error"].keys() == {"code", "detail"}
        assert events[1]["error"]["code"] == problem["code"]
        snapshot = (await client.get(f"/scan/{task_id}")).json()
        assert (snapshot["status"], snapshot["error"]) == ("failed", events[1]["error"])
        check_problem(await client.get(f"/scan/{task_id}/result"), 409, problem["code"])
        held.error = None
        assert data_of(await client.events(await post(client)))[-1]["step"] == "reward"


async def test_nothing_is_left_of_watchers_that_leave_a_running_scan(
    eco: Eco, running: Running
) -> None:
    """Ten streams of a scan under way, left by their clients: no actor, no subscription stays."""
    async with running(eco) as client:
        task_id = await post(client)
        for _ in range(10):
            async with client.stream(task_id) as stream:
                await stream.until(1)
                stream.response.close()
        async with asyncio.timeout(10):
            while any(each["path"].startswith(CONNECTIONS) for each in await client.actors()):
                pass
        assert len(eco.log.hub) == 0


async def test_silence_is_broken_by_a_comment(eco: Eco, running: Running) -> None:
    """While nothing happens a comment shows that the connection lives, again and again."""
    async with running(eco) as client, client.stream(await post(client)) as stream:
        await stream.until(1)
        wheel, begun = eco.delivery.wheel, asyncio.get_running_loop().time()
        wheel.turn(begun)
        for beat in range(1, 4):
            now = begun + beat * (HEARTBEAT + 1)
            wheel.turn(now)
            wheel.look(now)
            message = await stream.next()
            assert message is not None
            assert (message.comments, message.data, message.event) == ([""], None, None)


async def test_a_stop_says_goodbye_to_every_stream(
    eco: Eco, session: aiohttp.ClientSession, held: Held
) -> None:
    """Each open stream gets eco.bye going_away with a time to come back, and ends."""
    async with AsyncExitStack() as stack:  # noqa: SIM117  # the streams outlive the server
        async with eco.running(http=True):
            client = Client(session, eco.address.url)
            task_id = await post(client)
            streams = [await stack.enter_async_context(client.stream(task_id)) for _ in range(10)]
            for stream in streams:
                await stream.until(1)
            rests = asyncio.gather(*(stream.rest() for stream in streams))
            rests.add_done_callback(lambda _: held.gate.set())
    for rest in await rests:
        (bye,) = rest
        assert (bye.event, bye.json()["code"]) == ("eco.bye", "going_away")
        assert bye.json()["reconnect"] is True
        assert bye.retry == bye.json()["retry_ms"] > 0
