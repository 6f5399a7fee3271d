"""What each client goes through, whoever made it."""

import asyncio
from typing import Any, Final

import httpx

from tests.e2e.following import STEPS, Gated
from tests.stock.cutting import Cutter
from tests.stock.followers import Ended, Stock

GOOD: Final = [
    ("vision", "processing", 10),
    ("vision", "completed", 33),
    ("rule", "completed", 50),
    ("answer", "completed", 100),
    ("reward", "completed", 100),
]
"""Step, status and progress of the events of a good scan."""


async def scan(url: str) -> str:
    """The task id of a scan that was just accepted."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/scan/classify", json={"category": "glass"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def check_scan(events: list[Any]) -> None:
    """All events of one good scan, each once, in order, and the result in the answer's."""
    assert [(each["step"], each["status"], each["progress"]) for each in events] == GOOD
    assert [each["seq"] for each in events] == [1, 2, 3, 4, 5]
    assert [("result" in each) for each in events] == [False, False, False, True, False]
    assert events[3]["result"]["classification"]["category"] == "glass"
    assert events[3]["result"]["rule"]["steps"]


def check(client: Stock, ended: Ended) -> None:
    """It was told one good scan, and then that this was all."""
    assert ended.how == client.end
    check_scan([told.data for told in client.told])
    assert len({told.cursor for told in client.told}) == 5


async def is_cut_within_an_event(client: Stock, gated: Gated, cutter: Cutter) -> None:
    """It is cut in the middle of the third event, and goes on behind the second."""
    await client.begin()
    await client.has(2)  # a reset would take with it what was sent and not yet read
    cutter.marker = b'"seq":3'
    gated.let("rule")
    await client.cut()
    assert [told.data["seq"] for told in client.told] == [1, 2]
    await client.has(3)
    gated.let(*STEPS)
    check(client, await client.rest())


async def outlives_the_server(client: Stock, gated: Gated) -> None:
    """The server is killed behind the second event and started again, and the scan goes on."""
    await client.begin()
    await client.has(2)
    await asyncio.to_thread(gated.server.kill)
    gated.let(*STEPS)
    await asyncio.to_thread(gated.server.start)
    await client.cut()
    check(client, await client.rest())
