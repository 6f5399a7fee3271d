"""A server that goes away behind deploy/nginx.conf, and comes back."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.web.contract_wire import LONG_S
from tests.web.proxied import NEEDED, nginx_before, through_of
from tests.web.serving import GATED, Server

pytestmark = [*NEEDED]


async def ids(response: aiohttp.ClientResponse) -> list[str]:
    """Those of all events until the stream ends, with whatever it ends."""
    found: list[str] = []
    with contextlib.suppress(aiohttp.ClientPayloadError):  # cut off
        async with asyncio.timeout(LONG_S):
            async for line in response.content:
                name, _, value = line.decode().strip().partition(": ")
                found += [value] if name == "id" else []
    return found


async def test_a_scan_goes_on_over_a_restart_behind_nginx(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    """While it is away nginx says so in the server's own form; a resume has no hole or repeat."""
    gates = tmp_path / "gates"
    gates.mkdir()
    running = await asyncio.to_thread(server, program=GATED, env={"ECO_GATES": str(gates)})
    folder = tmp_path / "nginx"
    folder.mkdir()
    proxied = nginx_before(running.port, folder)
    proxy = await asyncio.to_thread(proxied.__enter__)
    try:
        async with through_of(proxy) as through:
            async with through.post("/scan/classify", json={"category": "glass"}) as answer:
                task_id = (await answer.json())["task_id"]
            (gates / "rule").touch()
            path = f"/scan/{task_id}/stream"
            async with through.get(path) as response:
                async with asyncio.timeout(LONG_S):
                    while b'"rule"' not in await response.content.readline():
                        pass
                await asyncio.to_thread(running.kill)
                seen = await ids(response)
            for method in (through.get, through.post):
                async with method("/scan/classify") as answer:
                    assert answer.status == 503
                    assert answer.headers["Retry-After"] == "2"
                    assert answer.headers["Content-Type"] == "application/problem+json"
                    assert (await answer.json(content_type=None))["code"] == "not_ready"
            await asyncio.to_thread(running.start)
            for step in ("answer", "reward"):
                (gates / step).touch()
            async with through.get(path) as response:
                whole = await ids(response)
            assert len(whole) == len(set(whole)) == 6
            assert seen == [each for each in whole if each in seen]
            async with through.get(path, headers={"Last-Event-ID": whole[2]}) as response:
                assert (await ids(response))[-1] == whole[-1]
    finally:
        await asyncio.to_thread(proxied.__exit__, None, None, None)
