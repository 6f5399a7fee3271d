"""The calls of `/drain`, over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web

from eco_actor.web.drain import MOST_OVER_S, DrainRoutes
from eco_actor.web.operator import Operator
from eco_actor.web.problems import problems
from tests.web.checks import check_problem
from tests.web.client import Client
from tests.web.credentials import SECRET, bearer
from tests.web.draining import Told, World

OPERATOR: Final = bearer(SECRET)


@asynccontextmanager
async def serving(session: aiohttp.ClientSession, world: World) -> AsyncIterator[Client]:
    operator = Operator(SECRET, None)
    operator.load()
    app = web.Application(middlewares=[problems])
    DrainRoutes(lambda: world.system.find("/eco/drain"), operator).add_to(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(Told(3, leave=False))
    async with world.system:
        yield world


@pytest.fixture
async def client(session: aiohttp.ClientSession, world: World) -> AsyncIterator[Client]:
    async with serving(session, world) as client:
        yield client


async def state(client: Client) -> Any:
    answer = await client.get("/drain", headers=OPERATOR)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()


async def test_a_drain_is_begun_looked_at_and_ended(client: Client, world: World) -> None:
    """202 with what it means, 200 with how far it has come, 204."""
    assert await state(client) == {"draining": False, "connections": 3}
    answer = await client.post("/drain", json={"over_s": 600}, headers=OPERATOR)
    assert answer.status == 202
    assert answer.json() == {"connections": 3, "over_s": 600}
    assert world.gate.closed
    told = await state(client)
    assert 0 < told.pop("left_s") <= 600
    assert told == {"draining": True, "connections": 3, "told": 0, "over_s": 600}
    for _ in range(2):  # twice is once
        answer = await client.ask("DELETE", "/drain", headers=OPERATOR)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Cache-Control"] == "no-store"
    assert not world.gate.closed
    assert await state(client) == {"draining": False, "connections": 3}


async def test_the_time_is_ten_seconds_when_none_is_given(client: Client) -> None:
    """An empty object is enough."""
    answer = await client.post("/drain", json={}, headers=OPERATOR)
    assert (answer.status, answer.json()) == (202, {"connections": 3, "over_s": 10})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b'{"over_s": NaN}', 400, "bad_json"),
        (b"[]", 422, "bad_body"),
        (b'{"over_s": "10"}', 422, "bad_body"),
        (b'{"over_s": null}', 422, "bad_body"),
        (b'{"over_s": -0.1}', 422, "bad_body"),
        (b'{"over_s": %d}' % (MOST_OVER_S + 1), 422, "bad_body"),
        (b'{"over_s": 1e999}', 422, "bad_body"),
        (b'{"over": 1}', 422, "bad_body"),
    ],
)
async def test_a_wrong_body_begins_nothing(
    client: Client, world: World, body: bytes, status: int, code: str
) -> None:
    """It is named, and everybody is admitted as before."""
    check_problem(await client.post("/drain", data=body, headers=OPERATOR), status, code)
    assert not world.gate.closed


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_only_the_operator_drains(client: Client, world: World, method: str) -> None:
    """401 for anybody else, and nothing is done."""
    answer = await client.ask(method, "/drain", data=b"{}")
    check_problem(answer, 401, "operator_only")
    assert not world.gate.closed


async def test_while_the_actor_is_not_there_the_answer_says_so(
    session: aiohttp.ClientSession,
) -> None:
    """503, to be tried again."""
    async with serving(session, World(Told(0))) as client:  # its system was never started
        for method in ("GET", "POST", "DELETE"):
            answer = await client.ask(method, "/drain", data=b"{}", headers=OPERATOR)
            check_problem(answer, 503, "not_running")
