"""A mounted server begins and ends with its host, and leaves nothing behind."""

import asyncio
import gc
import importlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from eco_actor import Config, Eco, Unavailable
from eco_actor.provision import lock
from tests.embedded import Host, blind, traces_left
from tests.web.client import JPEG, data_of
from tests.web.handed_over import until
from tests.web.held import PICTURE, Held


async def settled() -> dict[str, Any]:
    """The traces, once what is on its way to its end has come there."""
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    return await traces_left()


async def follow_until_the_end(
    eco: Eco, host: Host, session: aiohttp.ClientSession, runner: web.AppRunner
) -> None:
    """Streams of all kinds that are open while the host goes: each is told."""
    before = eco.delivery.traffic.poll.opened
    client = host.client(session, "/eco")
    url = f"{client.base}/stream?channel=app:news"
    ws = await session.ws_connect(f"{client.base}/ws?channel=app:news")
    poll = asyncio.ensure_future(client.get("/channels/app:news/events?wait=50"))
    async with session.get(url) as response:
        first = await response.content.readuntil(b"\n\n")
        subscribed = await ws.receive_json()
        await until(lambda: eco.delivery.traffic.poll.opened > before)
        reading = asyncio.ensure_future(ws.receive_json())
        await runner.cleanup()
        told = first + await response.read()
        bye = await reading
        closed = await ws.receive()
    assert b'"going_away"' in told
    assert subscribed["op"] == "subscribed"
    assert (bye["op"], bye["code"]) == ("bye", "going_away")
    assert closed.data == 1001
    assert (await poll).json()["events"] == []
    await ws.close()


async def test_it_is_taken_down_without_a_trace(tmp_path: Path) -> None:
    """No task, thread, file, signal handler, logger or setting; and mounted again it knows all."""
    async with aiohttp.ClientSession() as session:
        # Libraries that set things when they are imported do so once a process.
        await asyncio.to_thread(importlib.import_module, "eco_actor.scan.decode")
        before = await settled()
        for times in range(2):
            host, held = Host(client_max_size=1000), Held()
            held.gate.set()
            eco = await host.mount("/eco", Config(data_dir=tmp_path), classifier=held)
            async with host.running() as runner:
                client = host.client(session, "/eco")
                if times == 0:
                    answer = await client.post(data=PICTURE, headers=JPEG)
                    assert answer.status == 202, answer.body
                    task_id = answer.json()["task_id"]
                    assert len(data_of(await client.events(task_id))) == 5
                else:
                    again = await client.get(f"/scan/{task_id}")
                    assert again.json()["result"]["classification"]["category"] == "glass"
                await follow_until_the_end(eco, host, session, runner)
            assert host.lives == ["begins", "ends"]
        await session.close()
        after = await settled()
    sockets = {fd for fd, what in before["files"].items() if what.startswith("socket")}
    for name in before:
        if name == "files":  # but the client's
            assert {*after[name]} - sockets <= {*before[name]} - sockets
        else:
            assert after[name] == before[name], name
    (await asyncio.to_thread(lock, tmp_path)).close()


async def test_streams_are_told_before_the_host_waits_for_its_requests(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """One of those lasts until a stream was told."""
    host, told = Host(), asyncio.Event()

    async def lasts(request: web.Request) -> web.Response:
        await told.wait()
        return web.Response(text="done")

    host.app.router.add_get("/lasts", lasts)
    eco = await host.mount(config=blind(tmp_path))
    async with host.running() as runner:
        lasting = asyncio.ensure_future(host.client(session).get("/lasts"))
        async with session.get(f"http://127.0.0.1:{host.port}/eco/stream?channel=app:a") as stream:
            await stream.content.readuntil(b"\n\n")
            ending = asyncio.ensure_future(runner.cleanup())
            assert b"going_away" in await stream.read()
            assert eco.gate.closed
            assert not ending.done()
            told.set()
        assert (await lasting).body == b"done"
        await ending


async def test_a_start_that_fails_ends_that_of_the_host(tmp_path: Path) -> None:
    """The directory is in use: the reason is told, nothing is left, another part is taken back."""
    before = await settled()
    held = await asyncio.to_thread(lock, tmp_path / "b")
    host = Host()
    await host.mount("/a", blind(tmp_path / "a"))
    await host.mount("/b", blind(tmp_path / "b"))
    with pytest.raises(Unavailable, match="in use"):
        async with host.running():
            raise AssertionError("it started")
    held.close()
    assert host.lives == ["begins", "ends"]
    assert await settled() == before
    for name in "ab":
        (await asyncio.to_thread(lock, tmp_path / name)).close()


async def test_when_another_part_of_the_host_fails_to_start_it_is_taken_back(
    tmp_path: Path,
) -> None:
    """It was up already; its directory is free again."""
    host = Host()
    await host.mount(config=blind(tmp_path))

    async def fails(app: web.Application) -> None:
        raise RuntimeError("no database")

    host.app.on_startup.append(fails)
    before = await settled()
    with pytest.raises(RuntimeError, match="no database"):
        async with host.running():
            raise AssertionError("it started")
    assert await settled() == before
    (await asyncio.to_thread(lock, tmp_path)).close()
