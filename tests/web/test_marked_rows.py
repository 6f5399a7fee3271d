"""Who is suspended or traced is not forgotten: `/actors` and the stream of the observer tell it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.client import Stream, data_of
from tests.web.test_inspection import RECOVERY, WORKER, Operated, operating


@pytest.fixture
async def operated(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Operated]:
    async with operating(tmp_path, session) as operated:
        yield operated


async def test_rows_tell_who_is_suspended_or_traced(operated: Operated) -> None:
    """In `/actors`, its pages and the stream alike; of the others they say nothing of it."""
    await operated.do("suspend")
    await operated.do("trace", RECOVERY, most=1)
    marked = {WORKER: ("suspended", True), RECOVERY: ("traced", True)}
    client = operated.client

    def check(rows: list[dict[str, Any]]) -> None:
        for each in rows:
            marks = [(name, each[name]) for name in ("suspended", "traced") if name in each]
            assert marks == ([marked[each["path"]]] if each["path"] in marked else [])
        assert marked.keys() <= {each["path"] for each in rows}

    check(await client.actors())
    check((await client.get("/actors?limit=1000")).json()["actors"])
    async with client.session.get(f"{client.base}/stream?channel=system:actors") as response:
        check(await first_rows(response))
    await operated.do("resume")
    await operated.do("trace", RECOVERY, most=0)
    marked.clear()
    check(await client.actors())


async def test_a_folded_row_counts_who_is_suspended(operated: Operated) -> None:
    """Of many connections one is suspended: the row says so, and shows which."""
    client, watch = operated.client, "/stream?channel=system:actors"
    held = [await client.session.get(client.base + watch) for _ in range(20)]
    try:
        path = "/eco/work/connections/7"
        await operated.do("suspend", path)
        async with client.session.get(client.base + watch) as response:
            (folded,) = [row for row in await first_rows(response) if "count" in row]
        assert (folded["suspended"], "traced" in folded) == (1, False)
        assert folded["members"][0]["path"] == path
        assert folded["members"][0]["suspended"] is True
    finally:
        for each in held:
            each.close()


async def first_rows(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    """The rows of a snapshot that is made from now on: the first may have been made before."""
    stream = Stream(response)
    data: list[Any] = []
    while len(data) < 2:
        message = await stream.next()
        assert message is not None
        data += data_of([message])
    rows: list[dict[str, Any]] = data[1]["data"]["rows"]
    return rows
