"""What kills the process whenever it is looked at does so three times, and no more."""

import asyncio
import json
import random
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from bench.crash_book import Request
from bench.crash_judge import judge
from bench.crash_kept import read
from bench.crash_load import TOKEN, Load
from bench.crash_server import Server, Zygote
from bench.crash_stages import SPREAD
from tests.faults import poison
from tests.web.pictures import drawn, encoded

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSTALL: Final = "tests.faults.poison:install"

OTHERS: Final = 6
"""Scans that are posted beside the one that kills."""

TRIES: Final = 3


def by_category(category: str) -> Request:
    body = json.dumps({"category": category}).encode()
    return Request("POST", "/scan/classify", {"Content-Type": "application/json"}, body)


def by_picture(width: int) -> Request:
    body = encoded(drawn(width, 64))
    return Request("POST", "/scan/classify", {"Content-Type": "image/jpeg"}, body)


async def follow(load: Load, task_id: str) -> str:
    await load.reader([task_id]).run()
    return task_id


async def post(load: Load, request: Request, key: str) -> str:
    """The task id of a scan that is accepted once, whatever happens to the server meanwhile."""
    keyed = Request(
        request.method, request.path, {**request.headers, "Idempotency-Key": key}, request.body
    )
    answer = await load.insist(keyed)
    assert answer.status == 202, answer
    task_id: str = answer.json()["task_id"]
    load.accept(task_id, keyed, answer)
    return task_id


async def deaths(server: Server, until: "asyncio.Future[list[str]]") -> int:
    """Start the server again whenever it has ended, until then; how often it had."""
    count = 0
    while True:
        end = asyncio.create_task(server.ended())
        await asyncio.wait((end, until), return_when=asyncio.FIRST_COMPLETED)
        if not end.done():
            server.terminate()
            assert await end == 0
            return count
        assert await end == -9
        count += 1
        await server.start()


@pytest.mark.parametrize("kind", ["category", "picture"])
async def test_what_kills_the_process_is_given_up_after_three_tries(
    parent: Zygote, data_dir: Path, kind: str
) -> None:
    """It ends as failed, step_crashed; its picture is gone, and all others are completed."""
    server = Server(
        parent,
        data_dir,
        vision=kind == "picture",
        environment={"ECO_OPERATOR_TOKEN": TOKEN},
        stand_ins=[SPREAD, INSTALL],  # each step begins when the one before it is durable
    )
    step = "vision" if kind == "picture" else "rule"
    deadly = by_picture(poison.WIDTH) if kind == "picture" else by_category(poison.CATEGORY)
    harmless = by_picture(128) if kind == "picture" else by_category("glass")
    async with aiohttp.ClientSession() as http:
        load = Load(http, server, random.Random(1), ())
        await server.start()
        posts = [post(load, deadly, "deadly")]
        posts += [post(load, harmless, f"harmless-{n}") for n in range(OTHERS)]

        async def all_over() -> list[str]:
            task_ids = await asyncio.gather(*posts)
            return await asyncio.gather(*(follow(load, task_id) for task_id in task_ids))

        over = asyncio.ensure_future(all_over())
        assert await deaths(server, over) == TRIES
    killer, *others = over.result()
    tally = judge(read(data_dir), load.book, failed={killer})
    assert not tally.faults, tally.said
    assert tally.finished == len(others) + 1
    last = load.book.followed[killer].seen[-1].data
    assert (last["step"], last["status"]) == (step, "failed")
    assert last["error"]["code"] == "step_crashed"
