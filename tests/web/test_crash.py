"""kill -9 at any moment: scans go on where they were, clients come back to exactly the rest."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.checks import check_events
from tests.web.client import JPEG, Client, Message, control, data_of, is_data
from tests.web.pictures import drawn, encoded
from tests.web.serving import GATED, Server

STEPS = ("vision", "rule", "answer", "reward")


def rows(server: Server, sql: str) -> list[tuple[Any, ...]]:
    """What the database holds."""
    path = server.data_dir / "eco.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def check_books(server: Server, accepted: set[str]) -> None:
    """After the end nothing is unfinished, and each scan has five events and one reward."""
    told = rows(
        server,
        "SELECT substr(channel, 6), count(*) FROM events WHERE channel LIKE 'scan:%' GROUP BY 1",
    )
    assert {task_id for task_id, _ in told} >= accepted
    assert {count for _, count in told} <= {5}
    assert rows(server, "SELECT count(*) FROM scans WHERE finished = 0") == [(0,)]
    assert rows(server, "SELECT count(*) FROM pictures") == [(0,)]
    (rewards,) = rows(server, "SELECT count(*), count(DISTINCT task_id) FROM rewards")
    assert rewards[0] == rewards[1]
    assert rows(server, "PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    folder.mkdir()
    return folder


@pytest.fixture
def gated(server: Callable[..., Server], gates: Path) -> Callable[..., Server]:
    """Starts servers whose steps wait until their gate is open."""

    def start(**how: Any) -> Server:
        return server(program=GATED, env={"ECO_GATES": str(gates)}, **how)

    return start


async def begin(client: Client, kind: str) -> str:
    """A scan of glass, by photo or by category."""
    if kind == "category":
        return await client.accepted("glass")
    answer = await client.post(data=encoded(drawn()), headers=JPEG)
    assert answer.status == 202, answer.body
    return str(answer.json()["task_id"])


@pytest.mark.parametrize(
    ("kind", "received"),
    [("photo", n) for n in (1, 2, 3, 4)] + [("category", n) for n in (2, 3, 4)],
)
async def test_a_scan_killed_in_any_step_is_finished_by_the_next_process(
    session: aiohttp.ClientSession,
    gated: Callable[..., Server],
    gates: Path,
    kind: str,
    received: int,
) -> None:
    """Killed in the step after event N, watched up to there: the stream goes on with N + 1."""
    for step in STEPS[: received - 1]:
        (gates / step).touch()
    server = gated(vision=kind == "photo")
    client = Client(session, server.url)
    task_id = await begin(client, kind)
    async with client.stream(task_id) as stream:
        before = await stream.until(received)
    server.kill()
    for step in STEPS:
        (gates / step).touch()
    server.start()
    assert client.base == server.url
    last = before[-1].id or ""
    after = await client.events(task_id, headers={"Last-Event-ID": last})
    assert control(after, "open")[0].json()["resume"] == "recovered"
    assert control(after, "gap") == []
    check_events(after, task_id, first=received + 1)
    events = check_events([m for m in before + after if is_data(m)], task_id)
    assert events[4]["reward"]["points"] > 0
    assert (await client.get(f"/scan/{task_id}")).json()["reward"] == events[4]["reward"]
    server.stop()
    check_books(server, {task_id})
    assert rows(server, "SELECT task_id, points FROM rewards") == [
        (task_id, events[4]["reward"]["points"])
    ]


async def test_a_scan_survives_being_killed_in_each_of_its_steps(
    session: aiohttp.ClientSession, gated: Callable[..., Server], gates: Path
) -> None:
    """Four kills, one a step; the client resumes five times and sees each event once."""
    server = gated(vision=True)
    client = Client(session, server.url)
    task_id = await begin(client, "photo")
    seen: list[Message] = []
    for seq, step in enumerate((*STEPS, None), start=1):
        headers = {"Last-Event-ID": seen[-1].id or ""} if seen else None
        async with client.stream(task_id, headers=headers) as stream:
            seen += [message for message in await stream.until(seq) if is_data(message)]
        if step is not None:
            server.kill()
            (gates / step).touch()
            server.start()
    check_events(seen, task_id)
    server.stop()
    check_books(server, {task_id})
    assert rows(server, "SELECT count(*) FROM rewards") == [(1,)]


async def test_an_event_source_that_waits_through_the_kill_gets_the_rest(
    session: aiohttp.ClientSession, gated: Callable[..., Server], gates: Path
) -> None:
    """The stream breaks off without a bye; its cursor is as good in the next process."""
    server = gated(vision=True)
    client = Client(session, server.url)
    task_id = await begin(client, "photo")
    async with client.stream(task_id) as stream:
        before = await stream.until(1)
        server.kill()
        said = await stream.rest()
    assert not any(message.event == "eco.bye" for message in said)
    (gates / "vision").touch()
    server.start()
    opening = control(before, "open")[0].id or ""
    for step in STEPS:
        (gates / step).touch()
    check_events(await client.events(task_id, headers={"Last-Event-ID": opening}), task_id)


async def test_what_failed_before_the_kill_is_not_tried_again(
    session: aiohttp.ClientSession, gated: Callable[..., Server], gates: Path
) -> None:
    """A cancelled scan stays cancelled over a kill."""
    server = gated(vision=True)
    client = Client(session, server.url)
    task_id = await begin(client, "photo")
    assert (await client.ask("DELETE", f"/scan/{task_id}")).status == 202
    before = data_of(await client.events(task_id))
    server.kill()
    for step in STEPS:
        (gates / step).touch()
    server.start()
    assert data_of(await client.events(task_id)) == before
    assert (await client.get(f"/scan/{task_id}")).json()["status"] == "cancelled"


async def crowd(
    client: Client, bodies: list[bytes], enough: int, then: Callable[[], None]
) -> set[str]:
    """Post all at once, and do *then* as soon as *enough* are accepted; all ids accepted."""
    accepted: set[str] = set()
    reached = asyncio.Event()

    async def post(body: bytes) -> None:
        try:
            answer = await client.post(data=body, headers=JPEG)
        except aiohttp.ClientError:
            return
        if answer.status == 202:
            accepted.add(answer.json()["task_id"])
        if len(accepted) >= enough:
            reached.set()

    posts = [asyncio.create_task(post(body)) for body in bodies]
    async with asyncio.timeout(30):
        await reached.wait()
    then()
    await asyncio.gather(*posts)
    return accepted


async def finish(session: aiohttp.ClientSession, server: Server, accepted: set[str]) -> None:
    """All scans that are in the books, whether their client was told or not, come to their end."""
    known = {task_id for (task_id,) in rows(server, "SELECT task_id FROM scans")}
    assert known >= accepted
    client = Client(session, server.url)
    for task_id in known:
        check_events(await client.events(task_id), task_id)
    server.stop()
    check_books(server, known)


@pytest.fixture(scope="module")
def fifty(photos: Path) -> list[bytes]:
    names = sorted(photos.glob("*/*.jpg"))
    return [name.read_bytes() for name in names[:: len(names) // 50]][:50]


@pytest.mark.parametrize("enough", [1, 10, 45])
async def test_whatever_was_accepted_is_finished_after_a_kill(
    session: aiohttp.ClientSession,
    server: Callable[..., Server],
    fifty: list[bytes],
    enough: int,
) -> None:
    """Fifty photos at once, killed after some answers: each accepted one ends, gapless."""
    running = server(vision=True, env={"ECO_MAX_DECODES": "50"})
    accepted = await crowd(Client(session, running.url), fifty, enough, running.kill)
    assert len(accepted) >= enough
    running.start()
    await finish(session, running, accepted)


async def test_an_orderly_stop_in_the_middle_of_work_leaves_it_to_the_next_process(
    session: aiohttp.ClientSession, server: Callable[..., Server], fifty: list[bytes]
) -> None:
    """SIGTERM with photos waiting for vision: exit 0, and after a start they are finished."""
    running = server(vision=True, env={"ECO_MAX_DECODES": "50"})
    accepted = await crowd(Client(session, running.url), fifty, 30, running.stop)
    unfinished = rows(running, "SELECT count(*) FROM scans WHERE finished = 0")
    assert unfinished > [(0,)]
    running.start()
    await finish(session, running, accepted)
    assert "Traceback" not in running.log_text()


async def test_a_stage_that_hangs_does_not_hold_up_a_stop(
    session: aiohttp.ClientSession, gated: Callable[..., Server]
) -> None:
    """A classifier and a rule that never return: SIGTERM still ends the process in 10 s."""
    server = gated(vision=True)
    client = Client(session, server.url)
    for kind in ("photo", "category"):
        await begin(client, kind)
    await asyncio.to_thread(server.stop)


async def test_a_kill_in_the_middle_of_recovery_is_recovered_from(
    session: aiohttp.ClientSession, server: Callable[..., Server], fifty: list[bytes]
) -> None:
    """Killed again right after each start, three times: still nothing is lost or told twice."""
    running = server(vision=True, env={"ECO_MAX_DECODES": "50"})
    accepted = await crowd(Client(session, running.url), fifty, 30, running.kill)
    for _ in range(3):
        running.start()
        running.kill()
    running.start()
    await finish(session, running, accepted)
