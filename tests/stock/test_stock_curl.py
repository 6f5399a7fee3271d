"""curl follows two channels at once, and a scan by long polling."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.following import STEPS, Gated
from tests.stock.cutting import Cutter
from tests.stock.followers import CURL, Curl, output, program
from tests.stock.story import check_scan, scan
from tests.web.credentials import SECRET

pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


async def curl(*arguments: str) -> bytes:
    """What it writes."""
    assert CURL is not None
    async with program(CURL, "-s", *arguments) as process:
        return b"".join([piece async for piece in output(process)])


async def publish(url: str, channel: str, number: int) -> str:
    """The cursor of an event of the operator's."""
    told = await curl(
        "-H", f"Authorization: Bearer {SECRET}", "--json", json.dumps({"n": number}),
        f"{url}/channels/{channel}/events",
    )  # fmt: skip
    return str(json.loads(told)["cursor"])


async def test_two_channels_over_one_connection(gated: Gated, cutter: Cutter) -> None:
    """Cut within an event of one: of both, each event comes once and in its channel's order."""
    task = await scan(gated.url)
    client = Curl(cutter.url, f"/stream?channel=scan:{task}&channel=app:x&after=earliest")
    await client.begin()
    await client.has(2)
    cutter.marker = b'"n":2'
    said = [await publish(gated.url, "app:x", number) for number in (1, 2)]
    await client.cut()
    await client.has(4)
    gated.let(*STEPS)
    said += [await publish(gated.url, "app:x", 3)]
    await client.has(8)
    await client.close()
    assert all(each.data["cursor"] == each.cursor for each in client.told)
    check_scan([each.data["data"] for each in client.told if each.data["channel"] != "app:x"])
    assert [
        (each.cursor, each.data["data"]) for each in client.told if each.data["channel"] == "app:x"
    ] == [(cursor, {"n": number}) for number, cursor in enumerate(said, start=1)]


async def test_two_scans_over_one_connection_end_it(gated: Gated) -> None:
    """When both are over the stream is, and 204 says so to who asks again."""
    tasks = [await scan(gated.url), await scan(gated.url)]
    gated.let(*STEPS)
    named = "&".join(f"channel=scan:{task}" for task in tasks)
    client = Curl(gated.url, f"/stream?{named}")
    await client.begin()
    assert (await client.rest()).how == 204
    for task in tasks:
        told = [each.data for each in client.told if each.data["channel"] == f"scan:{task}"]
        check_scan([each["data"] for each in told])


async def test_a_scan_by_long_polling_through_a_kill(gated: Gated) -> None:
    """after= of the last answer's cursor, until done; the server is killed between two polls."""
    task = await scan(gated.url)
    events: list[Any] = []
    after = ""

    async def poll() -> bool:
        nonlocal after
        query = f"wait=25&after={after}" if after else "wait=25"
        told = json.loads(await curl(f"{gated.url}/scan/{task}/events?{query}"))
        events.extend(told["events"])
        after = told["cursor"]
        assert told["gap"] is None
        return bool(told["done"])

    while len(events) < 2:
        assert not await poll()
    await asyncio.to_thread(gated.server.kill)
    assert await curl(f"{gated.url}/scan/{task}/events") == b""
    await asyncio.to_thread(gated.server.start)
    gated.let(*STEPS)
    while not await poll():
        pass
    check_scan(events)
