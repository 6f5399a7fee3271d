"""What the operator is told is what `/openapi.json` says, to the last field."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from eco_actor.app import Eco
from tests.web.contract_sockets import WsJson
from tests.web.contract_world import World, channel
from tests.web.credentials import SECRET, bearer
from tests.web.documented import Documented, the_document
from tests.web.held import Running

LIVENESS = {"path": "/eco/work/liveness"}
NOBODY = {"path": "/eco/nobody"}


@pytest.fixture
async def api(make: Callable[..., Eco], running: Running) -> AsyncIterator[Documented]:
    await asyncio.to_thread(the_document)  # reads the rules
    eco = await asyncio.to_thread(make, operator_token=SECRET)
    async with running(eco) as client:
        yield Documented(client, bearer(SECRET))


async def test_the_tree_is_documented(api: Documented) -> None:
    """Each actor that there is, the connections of clients with them; pages of it."""
    world = World(api.client.session, api.client.base, SECRET)
    try:
        await world.open(WsJson, channel())
        told = (await api.get("/actors"))["actors"]
        assert any("client" in each for each in told)
        await api.get("/actors", 200, "?under=/eco/work&limit=3&offset=1")
    finally:
        world.close()
    await api.get("/actors", 404, "?under=/eco/nobody")
    await api.get("/actors", 422, "?limit=0")


async def test_one_actor_from_the_inside_is_documented(api: Documented) -> None:
    """Inspected, traced, suspended, resumed, and killed."""
    await api.post("/actors/trace", json={**LIVENESS, "most": 10})
    assert (await api.post("/actors/suspend", json=LIVENESS))["suspended"]
    suspended = (await api.get("/actors", 200, "?under=/eco/work/liveness"))["actors"]
    assert suspended[0]["suspended"]
    await api.post("/actors/resume", json=LIVENESS)
    await api.get("/actors/inspect", 200, "?path=/eco/work/liveness&last=3")
    assert (await api.get("/actors", 200, "?under=/eco/work/liveness"))["actors"][0]["traced"]
    await api.post("/actors/kill", 202, json=LIVENESS)


async def test_what_the_operator_is_refused_is_documented(api: Documented) -> None:
    """Unknown actors, actors that are needed, bodies that are none."""
    for path in ("/actors/kill", "/actors/suspend", "/actors/resume"):
        await api.post(path, 404, json=NOBODY)
        await api.post(path, 422, json={})
        await api.post(path, 400, data=b"{")
        await Documented(api.client).post(path, 401, json=NOBODY)
    await api.post("/actors/kill", 409, json={"path": "/eco"})
    await api.post("/actors/suspend", 409, json={"path": "/eco/http"})
    await api.post("/actors/trace", 413, data=b" " * 70_000)
    await api.get("/actors/inspect", 422)


async def test_a_drain_is_documented(api: Documented) -> None:
    """Begun, looked at and ended; not ready in between."""
    await api.get("/readyz")
    await api.get("/drain")
    await api.post("/drain", 202, json={"over_s": 0})
    assert (await api.get("/drain"))["draining"]
    assert (await api.get("/readyz", 503))["code"] == "draining"
    await api.ask("DELETE", "/drain", 204)
    await api.post("/drain", 422, json={"over_s": -1})


async def test_logging_in_is_documented(api: Documented) -> None:
    """With the right token and another, and out again."""
    await api.ask("POST", "/login", 204, json={"token": SECRET})
    await api.post("/login", 401, json={"token": "x"})
    await api.ask("POST", "/logout", 204)
    await api.get("/operator")
    await api.ask("GET", "/observer", 303, f"?token={SECRET}")
    await api.ask("GET", "/observer", 303, "?token=x")


@pytest.mark.parametrize(
    "path", ["/", "/observer", "/sw.js", "/manifest.webmanifest", "/healthz", "/openapi.json"]
)
async def test_pages_are_documented(api: Documented, path: str) -> None:
    """With the type that they have, and who is to ask again."""
    await api.ask("GET", path, 200)


@pytest.mark.parametrize("path", ["/", "/observer", "/sw.js", "/manifest.webmanifest"])
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Range": "bytes=0-"}),
        (304, {"If-None-Match": "*"}),
        (412, {"If-Match": '"another"'}),
        (416, {"Range": "bytes=99999999-"}),
    ],
)
async def test_conditions_and_ranges_of_pages_are_documented(
    api: Documented, path: str, status: int, headers: dict[str, str]
) -> None:
    """All of them are files, and answer as such."""
    await api.ask("GET", path, status, headers=headers)


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
async def test_figures_are_documented(api: Documented, accept: str) -> None:
    """In both formats."""
    await api.ask("GET", "/metrics", 200, headers={"Accept": accept})
