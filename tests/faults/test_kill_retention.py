"""kill -9 of a server that has just let go of what it had."""

import random
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from bench.crash_book import GONE, Request
from bench.crash_judge import Tally, judge
from bench.crash_kept import read
from bench.crash_load import Load
from bench.crash_server import Server, Zygote
from bench.crash_small import SMALL
from tests.faults.test_poison import by_category

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE: Final = {"ECO_KEEP_SCAN_HOURS": "0.0000001"}

PLANTED: Final = "tests.faults.planted"


async def scan(load: Load) -> str:
    """One that is posted and followed to its end."""
    request = by_category("glass")
    answer = await load.insist(request)
    task_id: str = answer.json()["task_id"]
    load.accept(task_id, request, answer)
    await load.reader([task_id]).run()
    return task_id


async def forgotten(load: Load, task_id: str) -> None:
    """Wait until the server has let go of it."""
    while True:
        answer = await load.ask(Request("GET", f"/scan/{task_id}"))
        assert answer is not None
        if answer.status == GONE:
            return


async def scan_forget_and_kill(parent: Zygote, data_dir: Path, *stand_ins: str) -> Tally:
    """Two scans: between them the first is forgotten, and the server killed."""
    server = Server(parent, data_dir, environment=AT_ONCE, stand_ins=[SMALL, *stand_ins])
    async with aiohttp.ClientSession() as http:
        load = Load(http, server, random.Random(1), (), small=True)
        await server.start()
        await forgotten(load, await scan(load))
        server.kill()
        assert await server.ended() == -9
        await server.start()
        await forgotten(load, await scan(load))
        server.terminate()
        assert await server.ended() == 0
    return judge(read(data_dir), load.book)


async def test_a_position_is_not_given_again_when_the_log_was_empty(
    parent: Zygote, data_dir: Path
) -> None:
    """Nothing is left that has the last position, and what comes next has the one behind it."""
    tally = await scan_forget_and_kill(parent, data_dir)
    assert not tally.faults, tally.said
    assert (tally.finished, tally.removed) == (2, 2)


async def test_a_position_that_is_given_again_is_found(parent: Zygote, data_dir: Path) -> None:
    """The same, of a server that looks only at what is left."""
    tally = await scan_forget_and_kill(parent, data_dir, f"{PLANTED}:gives_positions_again")
    assert "position 1 was given 2 times" in tally.said
