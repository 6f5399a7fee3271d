"""An `Idempotency-Key` answers as before, whatever became of the process meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.checks import check_events, check_problem
from tests.web.client import Answer, Client
from tests.web.keyed_scans import keyed, keyed_picture, same
from tests.web.serving import GATED, Server
from tests.web.test_crash import STEPS, check_books, rows

CROWD = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "gates"
    made.mkdir()
    return made


@pytest.fixture
def gated_by(server: Callable[..., Server], folder: Path) -> Callable[..., Server]:
    """Starts servers whose steps wait until their gate is open."""

    def start(**how: Any) -> Server:
        return server(program=GATED, env={"ECO_GATES": str(folder)}, **how)

    return start


async def restart(server: Server, how: str) -> None:
    """In a thread, so that the client notices the end of its connections."""
    await asyncio.to_thread(server.kill if how == "kill" else server.stop)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_the_answer_outlives_the_server(
    session: aiohttp.ClientSession, server: Callable[..., Server], how: str, durability: str
) -> None:
    """Byte for byte, with and without waiting for the result; and there is no second scan."""
    running = server(options=["--durability", durability])
    client = Client(session, running.url)

    async def ask() -> list[Answer]:
        return [await keyed(client, "k"), await keyed(client, "w", realtime=False)]

    before = await ask()
    assert [each.status for each in before] == [202, 200]
    await restart(running, how)
    assert all(same(*each) for each in zip(before, await ask(), strict=True))
    check_problem(await keyed(client, "k", lang="en"), 422, "idempotency_key_reused")
    ids = {answer.json()["task_id"] for answer in before}
    for task_id in ids:
        check_events(await client.events(task_id), task_id)
    running.stop()
    check_books(running, ids)
    assert rows(running, "SELECT count(*) FROM scans") == [(2,)]


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_who_waited_when_the_server_ended_waits_for_the_same_scan_again(
    session: aiohttp.ClientSession, gated_by: Callable[..., Server], folder: Path, how: str
) -> None:
    """The repeat finds it under way, and gets its result as often as it asks."""
    server = gated_by(vision=True)
    client = Client(session, server.url)
    first = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
    async with asyncio.timeout(20):
        while not (known := await asyncio.to_thread(rows, server, "SELECT task_id FROM scans")):
            pass
    await restart(server, how)
    if how == "kill":
        with pytest.raises(aiohttp.ClientError):
            await first
    else:
        assert (await first).json()["task_id"] == known[0][0]
    again = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
    async with client.stream(known[0][0]) as stream:
        await stream.until(1)
    for step in STEPS:
        (folder / step).touch()
    answer = await again
    assert (answer.status, answer.json()["task_id"]) == (200, known[0][0])
    assert same(await keyed_picture(client, "k", "?realtime=false"), answer)
    await restart(server, how)
    assert same(await keyed_picture(client, "k", "?realtime=false"), answer)
    check_events(await client.events(known[0][0]), known[0][0])
    server.stop()
    check_books(server, {known[0][0]})
    assert rows(server, "SELECT count(*) FROM scans") == [(1,)]


@pytest.mark.parametrize("enough", [0, 1, 20])
async def test_a_crowd_repeats_itself_after_a_kill_and_each_has_one_scan(
    session: aiohttp.ClientSession, server: Callable[..., Server], enough: int
) -> None:
    """Whoever had an answer gets it again, whoever had none the scan there is, or a new one."""
    running = server()
    client = Client(session, running.url)
    told: dict[int, Answer] = {}

    async def ask(number: int, enough: int = 0) -> None:
        try:
            answer = await keyed(client, f"k{number}", user_input=f"{number}", realtime=False)
        except aiohttp.ClientError:
            return
        assert answer.status == 200
        told[number] = answer
        if len(told) == enough:
            running.kill()

    asking = [asyncio.create_task(ask(number, enough)) for number in range(CROWD)]
    if not enough:
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(rows, running, "SELECT 1 FROM scans LIMIT 1"):
                pass
        running.kill()
    await asyncio.gather(*asking)
    before = dict(told)
    kept = rows(running, "SELECT (SELECT count(*) FROM scans), (SELECT count(*) FROM keys)")
    assert kept[0][0] == kept[0][1] >= len(before)
    await asyncio.to_thread(running.start)
    for _ in range(2):
        await asyncio.gather(*(ask(number) for number in range(CROWD)))
        assert len(told) == CROWD
        assert all(same(told[number], answer) for number, answer in before.items())
        before = dict(told)
    ids = {answer.json()["task_id"] for answer in told.values()}
    assert len(ids) == CROWD
    for task_id in ids:
        check_events(await client.events(task_id), task_id)
    running.stop()
    check_books(running, ids)
    assert rows(running, "SELECT count(*) FROM scans") == [(CROWD,)]
