"""A scan that retention lets go of while somebody is about to be told of it."""

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.delivery.directory import Directory
from eco_actor.eventlog import Write
from eco_actor.eventlog.recent import Recent
from eco_actor.scan.tables import ADD_GONE, DROP_REWARD, DROP_SCAN

REQUEST: Final = {"category": "glass", "realtime": False}

PATHS: Final = ("/scan/{}/stream", "/stream?channel=scan:{}", "/scan/{}/events?wait=30")


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_told_to_be_gone_and_not_to_be_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """At once, or when the client comes again; it neither waits for ever nor takes it for told."""
    eco = Eco(Config(data_dir=tmp_path, port=0, vision=False))
    place = Directory.place

    async def removed_behind(self: Directory, channel: str, after: str | None) -> Any:
        found = await place(self, channel, after)
        task_id = channel.partition(":")[2]
        writes = [Write(DROP_SCAN, (task_id,)), Write(DROP_REWARD, (task_id,))]
        await eco.log.forget([channel], [*writes, Write(ADD_GONE, (task_id, eco.log.now_ms()))])
        return found

    async with eco.running(http=True), aiohttp.ClientSession() as http, asyncio.timeout(20):
        url = f"http://127.0.0.1:{eco.address.port}"
        async with http.post(f"{url}/scan/classify", json=REQUEST) as response:
            task_id = (await response.json())["task_id"]
        async with http.get(f"{url}/scan/{task_id}/stream") as response:
            await response.read()  # to its end
        monkeypatch.setattr(eco.log, "_recent", Recent())  # as after a restart
        monkeypatch.setattr(Directory, "place", removed_behind)
        statuses = []
        while 410 not in statuses:
            async with http.get(url + path.format(task_id)) as response:
                statuses.append(response.status)
                told = await response.text()
            assert response.status == 410 or ("going_away" in told and len(statuses) == 1), told
