"""Every actor of a running server may die, once or twice: the server goes on and all come back."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.runtime import State, System
from eco_actor.runtime.cell import Cell
from tests.web.client import JPEG, Client
from tests.web.held import PICTURE, Held, Running, post

SOON_S: Final = 6.0

PATHS: Final = (
    "/eco/store",
    "/eco/work",
    "/eco/work/connections",
    "/eco/work/pipeline",
    "/eco/work/pipeline/vision",
    "/eco/work/pipeline/vision/1",
    "/eco/work/pipeline/rule",
    "/eco/work/pipeline/rule/1",
    "/eco/work/pipeline/answer",
    "/eco/work/pipeline/answer/1",
    "/eco/work/pipeline/reward",
    "/eco/work/pipeline/reward/1",
    "/eco/work/scans",
    "/eco/work/recovery",
    "/eco/work/liveness",
    "/eco/work/retention",
    "/eco/work/scan-retention",
    "/eco/work/counting",
    "/eco/work/observer",
    "/eco/work/drain",
    "/eco/http",
)


@pytest.fixture
def blind(tmp_path: Path) -> Eco:
    """A server without vision."""
    return Eco(Config(port=0, data_dir=tmp_path, vision=False))


@asynccontextmanager
async def serving(eco: Eco, session: aiohttp.ClientSession) -> AsyncIterator[tuple[System, Client]]:
    async with eco.running(http=True) as system:
        yield system, Client(session, eco.address.url)


async def scan_over_http(client: Client) -> float:
    """Seconds until a category scan was answered with its result."""
    begun = time.monotonic()
    last: object = None
    while time.monotonic() < begun + SOON_S:
        try:
            answer = await client.post(json={"category": "glass", "realtime": False})
        except (aiohttp.ClientError, OSError) as error:
            last = error
        else:
            last = answer.status, answer.body
            if answer.status == 200:
                assert answer.json()["classification"]["category"] == "glass"
                return time.monotonic() - begun
        await asyncio.sleep(0.02)
    raise AssertionError(f"no scan within {SOON_S} s, at last {last!r}")


async def whole_tree(client: Client) -> None:
    """Wait until `/actors` shows all of the tree, and nobody else, running."""
    told: dict[Any, Any] = {}
    for _ in range(100):
        told = {actor["path"]: actor["state"] for actor in await client.actors()}
        if told == dict.fromkeys(["/eco", *PATHS], "running"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not whole: {told}")


def orphans(system: System) -> list[str]:
    """Actors of this loop that live without being in the tree."""
    known = {id(cell) for cell in system.walk()}
    return [
        f"{each.path}: {each.state.value}"
        for each in gc.get_objects()
        if type(each) is Cell
        and each._loop is system.loop
        and id(each) not in known
        and each.state is not State.DEAD
    ]


async def no_orphans(system: System) -> None:
    for _ in range(100):
        if not orphans(system):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"orphans: {orphans(system)}")


def cell_at(system: System, path: str) -> Cell:
    found = system.find(path)
    assert found is not None
    return found


async def test_the_paths_are_all_there_are(blind: Eco, session: aiohttp.ClientSession) -> None:
    """So the tests below leave nobody out."""
    async with serving(blind, session) as (system, _):
        assert [cell.path for cell in system.walk()] == ["/eco", *PATHS]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("path", PATHS)
async def test_whoever_is_killed_the_server_goes_on(
    blind: Eco, session: aiohttp.ClientSession, path: str, times: int
) -> None:
    """Within seconds a scan is answered at the same address, and the whole tree runs again."""
    async with serving(blind, session) as (system, client):
        await scan_over_http(client)
        cell = cell_at(system, path)
        for _ in range(times):
            cell.kill()
            for _ in range(3):
                await asyncio.sleep(0)
        await scan_over_http(client)
        await whole_tree(client)
        await no_orphans(system)
        assert blind.admission._reserved == 0
        assert blind.address.url == client.base


@pytest.mark.parametrize("ticks", [1, 3, 6, 12])
async def test_work_that_is_killed_again_while_it_stops_runs_no_scan_twice(
    make: Callable[..., Eco], running: Running, held: Held, ticks: int
) -> None:
    """The scan under way goes on once: five events, each once, in the log."""
    eco = await asyncio.to_thread(make)
    async with running(eco) as client:
        assert eco._system is not None
        task_id = await post(client)
        await asyncio.sleep(0.1)
        work = cell_at(eco._system, "/eco/work")
        for _ in range(3):
            work.kill()
            for _ in range(ticks):
                await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        held.gate.set()
        for _ in range(200):
            if (await client.get(f"/scan/{task_id}/result")).status == 200:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        events = await eco.views.events(task_id)
        assert Counter(event.data["seq"] for event in events) == dict.fromkeys(range(1, 6), 1)
        await no_orphans(eco._system)
        answer = await client.post(data=PICTURE, headers=JPEG)
        assert answer.status == 202
