"""A server that has no room, or is not ready, says so and takes nothing."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.app import Eco
from eco_actor.eventlog import StoreError
from tests.web.checks import check_events, check_problem
from tests.web.client import JPEG
from tests.web.held import PICTURE, Held, Running, post


async def test_a_full_server_accepts_nothing_and_says_when_to_come_back(
    one_scan: Eco, running: Running, held: Held
) -> None:
    """503 with Retry-After while the one place is taken; no trace of what was refused stays."""
    async with running(one_scan) as client:
        task_id = await post(client)
        for _ in range(3):
            answer = await client.post(data=PICTURE, headers=JPEG)
            check_problem(answer, 503, "busy")
        check_problem(await client.post(json={"category": "glass"}), 503, "busy")
        assert await one_scan.log.query("SELECT task_id FROM scans") == [(task_id,)]
        assert await one_scan.log.query("SELECT task_id FROM pictures") == [(task_id,)]
        held.gate.set()
        check_events(await client.events(task_id), task_id)
        async with asyncio.timeout(10):  # its actor ends once its last event is durable
            while (await client.post(json={"category": "glass"})).status == 503:
                pass


async def test_a_crowd_gets_as_many_places_as_there_are(
    make: Callable[..., Eco], running: Running
) -> None:
    """Of twenty at the same moment exactly the five that fit are accepted."""
    eco = await asyncio.to_thread(make, max_scans=5)
    async with running(eco) as client:
        answers = await asyncio.gather(
            *(client.post(data=PICTURE, headers=JPEG) for _ in range(20))
        )
        assert sorted(answer.status for answer in answers) == [202] * 5 + [503] * 15
        accepted = {a.json()["task_id"] for a in answers if a.status == 202}
        rows = await eco.log.query("SELECT task_id FROM scans")
        assert {task_id for (task_id,) in rows} == accepted


async def test_too_many_pictures_to_decode_are_refused(
    make: Callable[..., Eco], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one decoding and room for no other: 503, while categories are still accepted."""
    gate, entered = threading.Event(), threading.Event()
    from eco_actor.scan import decode

    real = decode.decode

    def slow(body: bytes) -> Any:
        entered.set()
        assert gate.wait(30)
        return real(body)

    monkeypatch.setattr(decode, "decode", slow)
    eco = await asyncio.to_thread(make, max_decodes=1)
    async with running(eco) as client:
        first = asyncio.create_task(client.post(data=PICTURE, headers=JPEG))
        assert await asyncio.to_thread(entered.wait, 10)
        check_problem(await client.post(data=PICTURE, headers=JPEG), 503, "busy")
        assert (await client.post(json={"category": "glass"})).status == 202
        gate.set()
        assert (await first).status == 202


async def test_one_connection_too_many_is_told_to_come_back(
    make: Callable[..., Eco], running: Running
) -> None:
    """200 with retry: and eco.bye busy, because an EventSource gives up on any other status."""
    eco = await asyncio.to_thread(make, max_connections=1)
    async with running(eco) as client:
        task_id = await post(client)
        async with client.stream(task_id) as first:
            await first.until(1)
            (bye,) = await client.events(task_id)
            assert bye.event == "eco.bye"
            assert (bye.json()["code"], bye.json()["reconnect"]) == ("busy", True)
            assert bye.retry == bye.json()["retry_ms"]


async def test_a_server_that_says_it_listens_takes_scans(eco: Eco, running: Running) -> None:
    """From the line in the log on nobody is turned away."""
    room: list[bool] = []

    class Look(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "listening on" in record.getMessage():
                room.append(eco.admission.has_room())

    logger, look = logging.getLogger("eco_actor.web.server"), Look()
    level = logger.level
    logger.addHandler(look)
    logger.setLevel(logging.INFO)
    try:
        async with running(eco):
            pass
    finally:
        logger.removeHandler(look)
        logger.setLevel(level)
    assert room == [True]


async def test_not_ready_names_what_is_not(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the store's reason once it takes nothing; healthz and the rest go on."""

    def refuse(*args: object) -> None:
        raise StoreError("disk I/O error")

    async with running(eco) as client:
        with monkeypatch.context() as patched:
            patched.setattr("eco_actor.eventlog.sqlite.SqliteStore.append", refuse)
            problem = check_problem(await client.get("/readyz"), 503)
            assert "store" in problem["detail"]
            assert "disk I/O error" in problem["detail"]
            assert (await client.get("/healthz")).status == 200
            check_problem(await client.post(json={"category": "glass"}), 503)
