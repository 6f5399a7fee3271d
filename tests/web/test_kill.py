"""`POST /actors/kill`, and `/actors` by the page."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from tests.web.checks import check_problem
from tests.web.client import Answer, Client
from tests.web.credentials import SECRET, bearer
from tests.web.held import Running

OPERATOR = bearer(SECRET)


@pytest.fixture
def blind(tmp_path: Path) -> Eco:
    """A server without vision."""
    return Eco(Config(port=0, data_dir=tmp_path, vision=False, operator_token=SECRET))


async def kill(client: Client, path: object) -> Answer:
    return await client.post("/actors/kill", json={"path": path}, headers=OPERATOR)


async def incarnations(client: Client) -> dict[str, int]:
    """Of all actors that run, by their paths."""
    actors = await client.actors()
    return {each["path"]: each["incarnation"] for each in actors if each["state"] == "running"}


async def restarted(client: Client, path: str) -> dict[str, int]:
    """The incarnations of all, once the killed one at *path* and all behind it run again.

    What lies below an actor dies with it, and begins at one.
    """
    for _ in range(500):
        with contextlib.suppress(aiohttp.ClientError):
            now = await incarnations(client)
            if now.get(path) == 2 and "/eco/http" in now:
                return now
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path} did not come back")


@pytest.mark.parametrize(
    "path",
    ["/eco/http", "/eco/store", "/eco/work", "/eco/work/pipeline", "/eco/work/pipeline/rule/1"],
)
async def test_the_operator_kills_and_the_supervisor_restarts(
    blind: Eco, running: Running, path: str
) -> None:
    """202 with the incarnation that ends, also from whom the answer comes; then a new one runs."""
    async with running(blind) as client:
        before = await incarnations(client)
        answer = await kill(client, path)
        assert answer.status == 202
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json() == {"path": path, "incarnation": 1}
        after = await restarted(client, path)
        assert after.keys() == before.keys()
        again = await client.post(json={"category": "glass", "realtime": False})
        assert again.status == 200


async def test_the_root_cannot_be_killed(blind: Eco, running: Running) -> None:
    """409 that says why."""
    async with running(blind) as client:
        problem = check_problem(await kill(client, "/eco"), 409, "root_actor")
        assert "restart" in problem["detail"]
        assert (await incarnations(client))["/eco"] == 1


@pytest.mark.parametrize(
    "path",
    ["", "/", "eco", "eco/http", "/eco/", "/eco//http", "/eco/http/", "/eco/nobody", "/ECO/http",
     "/eco/http/x", "/eco/work/pipeline/rule/1/x", "/other", "../eco", "/eco/\0", "x" * 3_000],
)  # fmt: skip
async def test_who_is_not_there_cannot_be_killed(blind: Eco, running: Running, path: str) -> None:
    """404, also for ways of writing the path of somebody who is."""
    async with running(blind) as client:
        problem = check_problem(await kill(client, path), 404, "unknown_actor")
        assert len(problem["detail"]) < 1000
        assert {*(await incarnations(client)).values()} == {1}


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"path":1}', 422),
     (b'{"path":null}', 422), (b'{"path":"/eco/http","more":1}', 422),
     (b'{"path":"' + b"x" * 70_000, 413)],
)  # fmt: skip
async def test_a_wish_that_is_none_is_a_problem(
    blind: Eco, running: Running, body: bytes, status: int
) -> None:
    """400, 413 or 422, and nobody dies of it."""
    async with running(blind) as client:
        check_problem(await client.post("/actors/kill", data=body, headers=OPERATOR), status)
        assert {*(await incarnations(client)).values()} == {1}


async def test_a_client_that_does_not_wait_has_killed_all_the_same(
    blind: Eco, running: Running
) -> None:
    """The connection is closed at once: the actor ends, and comes back."""
    async with running(blind) as client:
        port = int(client.base.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"path":"/eco/work/recovery"}'
        head = "POST /actors/kill HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: {OPERATOR['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await restarted(client, "/eco/work/recovery")


async def page(client: Client, query: str) -> Any:
    answer = await client.get(f"/actors?{query}")
    assert answer.status == 200, answer.body
    told = answer.json()
    assert told.keys() == {"actors", "total"}
    return told


async def test_actors_come_by_the_page(make: Callable[..., Eco], running: Running) -> None:
    """All pages together are the list without any, in its order; `total` tells how many."""
    eco = await asyncio.to_thread(make)
    async with running(eco) as client:
        everybody = [each["path"] for each in await client.actors()]
        for limit in (1, 3, 1000):
            seen: list[str] = []
            for offset in range(0, len(everybody) + 1, limit):
                told = await page(client, f"limit={limit}&offset={offset}")
                assert told["total"] == len(everybody)
                seen += [each["path"] for each in told["actors"]]
            assert seen == everybody
        assert (await page(client, "offset=999999999"))["actors"] == []
        below = await page(client, "under=/eco/work/pipeline")
        paths = [path for path in everybody if path.startswith("/eco/work/pipeline")]
        assert [each["path"] for each in below["actors"]] == paths
        assert below["total"] == len(paths)
        (alone,) = (await page(client, "under=/eco/http&limit=5"))["actors"]
        assert alone["path"] == "/eco/http"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=", "limit=x", "limit=10001", "limit=1.5", "limit=%D9%A1",
     "limit=" + "9" * 5000, "offset=-1", "offset=", "offset=1_0", "offset=+1",
     "offset=1000000000", "limit=1&limit=2", "under=/eco&under=/eco", "offset=0&offset=0"],
)  # fmt: skip
async def test_a_page_that_cannot_be_is_a_problem(plain: Client, query: str) -> None:
    """422 that names the option."""
    problem = check_problem(await plain.get(f"/actors?{query}"), 422, "bad_option")
    assert query.partition("=")[0] in problem["detail"]


@pytest.mark.parametrize("under", ["", "/", "eco", "/eco/", "/nobody", "/eco/work/", "%00"])
async def test_nobody_is_under_a_path_that_is_not_there(plain: Client, under: str) -> None:
    """404, rather than an empty page."""
    check_problem(await plain.get(f"/actors?under={under}"), 404, "unknown_actor")
