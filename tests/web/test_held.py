"""A server in this process, with a classifier that waits, raises or stalls as the test wants."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.eventlog import StoreError
from eco_actor.scan.vision import Guess, Pixels, Verdict
from tests.web.client import JPEG, Client, check_problem, control, data_of
from tests.web.pictures import drawn, encoded
from tests.web.test_sse import check_events

PICTURE = encoded(drawn())
GLASS = Verdict("glass", 0.9, (Guess("glass", 0.9),), "held")


class Held:
    """Answers once `gate` is open, or raises `error`."""

    backend = "held"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.error: Exception | None = None

    def classify(self, pixels: Pixels) -> Verdict:
        assert self.gate.wait(30), "nobody opened the gate"
        if self.error is not None:
            raise self.error
        return GLASS


Running = Callable[[Eco], AbstractAsyncContextManager[Client]]


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def make(tmp_path: Path, held: Held) -> Callable[..., Eco]:
    """Makes a server of these settings; outside the loop, for it reads its rules."""

    def make(**settings: Any) -> Eco:
        return Eco(Config(port=0, data_dir=tmp_path, **settings), held)

    return make


@pytest.fixture
def running(session: aiohttp.ClientSession, held: Held) -> Running:
    @asynccontextmanager
    async def run(eco: Eco) -> AsyncIterator[Client]:
        try:
            async with eco.running(http=True):
                yield Client(session, eco.address.url)
                held.gate.set()
        finally:
            held.gate.set()

    return run


@pytest.fixture
def one_scan(make: Callable[..., Eco]) -> Eco:
    return make(max_scans=1)


@pytest.fixture
def impatient(make: Callable[..., Eco]) -> Eco:
    return make(sync_wait_s=0.05)


@pytest.fixture
def eco(make: Callable[..., Eco]) -> Eco:
    return make()


async def post(client: Client, query: str = "") -> str:
    answer = await client.post(f"/scan/classify{query}", data=PICTURE, headers=JPEG)
    assert answer.status == 202, answer.body
    return str(answer.json()["task_id"])


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
                await asyncio.sleep(0)


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
        answer = await client.post(
            "/scan/classify?realtime=false", data=PICTURE, headers=JPEG
        )
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


async def test_silence_is_broken_by_a_comment(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing happens a comment shows that the connection lives, again and again."""
    monkeypatch.setattr("eco_actor.delivery.connection.HEARTBEAT", 0.02)
    async with running(eco) as client, client.stream(await post(client)) as stream:
        await stream.until(1)
        for _ in range(3):
            message = await stream.next()
            assert message is not None
            assert (message.comments, message.data, message.event) == ([""], None, None)


async def test_a_stop_says_goodbye_to_every_stream(
    eco: Eco, session: aiohttp.ClientSession, held: Held
) -> None:
    """Each open stream gets eco.bye going_away with a time to come back, and ends."""
    async with AsyncExitStack() as stack:
        async with eco.running(http=True):
            client = Client(session, eco.address.url)
            task_id = await post(client)
            streams = [
                await stack.enter_async_context(client.stream(task_id)) for _ in range(10)
            ]
            for stream in streams:
                await stream.until(1)
            rests = asyncio.gather(*(stream.rest() for stream in streams))
            rests.add_done_callback(lambda _: held.gate.set())
    for rest in await rests:
        (bye,) = rest
        assert (bye.event, bye.json()["code"]) == ("eco.bye", "going_away")
        assert bye.json()["reconnect"] is True
        assert bye.retry == bye.json()["retry_ms"] > 0


@pytest.mark.xfail(strict=True, reason="503 until the start is over, though it listens already")
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
