"""SIGTERM and SIGINT: told, left in order, in time."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.runtime import NORMAL
from tests.web.client import JPEG, Client, control, data_of
from tests.web.pictures import drawn, encoded
from tests.web.serving import GATED, Server


def open_all(gates: Path) -> None:
    """Let the work under way go on."""
    for step in ("vision", "rule", "answer", "reward"):
        (gates / step).touch()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_when_told(server: Callable[..., Server], number: int) -> None:
    """Exit status 0, and its log ends without a complaint."""
    running = server()
    running.stop(signal.Signals(number))
    assert "Traceback" not in running.log_text()
    assert "stopping" in running.log_text()


async def test_a_stop_that_comes_before_the_start_is_over_is_not_forgotten(eco: Eco) -> None:
    """Told while it starts, it ends as soon as it has started."""
    eco.stop()
    async with asyncio.timeout(10), eco.running(http=True) as system:
        assert await system.wait_ended() is NORMAL


def test_a_server_starts_again_on_its_port_at_once(server: Callable[..., Server]) -> None:
    """The port it had is free again, and the same."""
    running = server()
    url = running.url
    running.stop()
    running.start()
    assert running.url == url
    running.kill()
    running.start()
    assert running.url == url


async def test_open_streams_are_told_and_ended(
    session: aiohttp.ClientSession, server: Callable[..., Server], tmp_path: Path
) -> None:
    """Fifty watchers of unfinished scans: each gets eco.bye going_away and its own time."""
    running = server(vision=True, program=GATED, env={"ECO_GATES": str(tmp_path)})
    client = Client(session, running.url)
    answer = await client.post(data=encoded(drawn()), headers=JPEG)
    task_id = answer.json()["task_id"]
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(client.stream(task_id)) for _ in range(50)]
        for stream in streams:
            await stream.until(1)
        stopped = asyncio.create_task(asyncio.to_thread(running.stop))
        rests = await asyncio.gather(*(stream.rest() for stream in streams))
        open_all(tmp_path)
        await stopped
    byes = [rest[-1].json() for rest in rests]
    assert all(len(rest) == 1 for rest in rests)
    assert {(bye["code"], bye["reconnect"]) for bye in byes} == {("going_away", True)}
    assert len({bye["retry_ms"] for bye in byes}) > 10


async def test_streams_of_finished_scans_keep_nobody(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Idle keep-alive connections of clients that are done do not hold up the stop."""
    running = server()
    client = Client(session, running.url)
    for _ in range(5):
        _, messages = await client.scanned()
        assert control(messages, "bye")[0].json()["code"] == "complete"
    await asyncio.to_thread(running.stop)


async def test_a_client_that_waits_for_its_answer_gets_an_answer(
    session: aiohttp.ClientSession, server: Callable[..., Server], tmp_path: Path
) -> None:
    """realtime=false in the middle of a stop: an answer or a broken connection."""
    running = server(vision=True, program=GATED, env={"ECO_GATES": str(tmp_path)})
    client = Client(session, running.url)
    waiting = asyncio.create_task(
        client.post("/scan/classify?realtime=false", data=encoded(drawn()), headers=JPEG)
    )
    async with asyncio.timeout(10):
        while not any(each["kind"] == "Scan" for each in await client.actors()):
            pass
    stopped = asyncio.create_task(asyncio.to_thread(running.stop))
    with suppress(aiohttp.ClientError):
        assert (await waiting).status in (202, 503)
    open_all(tmp_path)
    await stopped


async def test_a_stalled_upload_does_not_hold_up_a_stop(server: Callable[..., Server]) -> None:
    """A client in the middle of sending its picture is left behind in time."""
    running = server()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(
        b"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 5000\r\n\r\n\xff\xd8\xff"
    )
    await writer.drain()
    await asyncio.to_thread(running.stop)
    writer.close()
    del reader


async def test_scans_of_before_are_there_after_a_stop(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Events, cursors, result and snapshot are the same in the next process."""
    running = server()
    client = Client(session, running.url)
    task_id, before = await client.scanned("paper", lang="en")
    snapshot = (await client.get(f"/scan/{task_id}")).json()
    await asyncio.to_thread(running.stop)
    running.start()
    after = await client.events(task_id)
    assert [(m.id, m.data) for m in after if m.id] == [(m.id, m.data) for m in before if m.id]
    assert (await client.get(f"/scan/{task_id}")).json() == snapshot
    assert data_of(before)[3]["result"] == (await client.get(f"/scan/{task_id}/result")).json()


@pytest.mark.parametrize("durability", ["normal", "off"])
async def test_less_durability_is_an_epoch_of_its_own_after_a_kill(
    session: aiohttp.ClientSession, server: Callable[..., Server], durability: str
) -> None:
    """Cursors handed out before an unclean end start over where events may have been lost."""
    running = server(options=["--durability", durability])
    client = Client(session, running.url)
    await client.scanned()
    later, messages = await client.scanned()
    old = [message.id for message in messages if message.id]
    running.kill()
    running.start()
    async with aiohttp.ClientSession() as again:  # the other still has connections to the dead
        client = Client(again, running.url)
        task_id, _ = await client.scanned()
        opening = control(await client.events(task_id, f"?after={old[-1]}"), "open")[0].json()
        known = (await client.get(f"/scan/{later}")).status
    assert opening["cursor"].partition("-")[0] != old[-1].partition("-")[0]
    expected = {"off": ("reset", 404), "normal": ("recovered", 200)}
    assert (opening["resume"], known) == expected[durability]
