"""Data of every earlier version, with scans under way: a server takes it over and finishes them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from eco_actor.eventlog.schema import VERSION
from tests.faults.older import SCHEMAS, write_old
from tests.faults.troubled import TOKEN, Patron, check_books, rows
from tests.web.serving import Server


@pytest.mark.parametrize("version", SCHEMAS)
async def test_scans_of_an_older_version_are_finished(
    session: aiohttp.ClientSession,
    server: Callable[..., Server],
    tmp_path: Path,
    version: int,
) -> None:
    """At whatever step they were; a cursor of that time still works, and so do new scans."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    ids = await asyncio.to_thread(write_old, data_dir / "eco.db", version, [1, 2, 3])
    running = await asyncio.to_thread(server, data_dir, env=TOKEN)
    patron = Patron(session, running)
    patron.books.scans.update(ids)
    for task_id in ids:
        await patron.check_end(task_id)
    polled = (await patron.client.get(f"/scan/{ids[2]}/events?after=abc123-4&wait=0")).json()
    assert polled["resume"] == "recovered"
    assert [event["seq"] for event in polled["events"]] == [2, 3, 4, 5]
    await patron.check_end(await patron.begin())
    assert (await patron.publish()).status == 202
    await asyncio.to_thread(running.stop)
    await asyncio.to_thread(check_books, data_dir, patron.books)
    assert rows(data_dir, "PRAGMA user_version") == [(VERSION,)]


def test_every_earlier_version_is_tried() -> None:
    """A new version of the log comes with the tables of the one before it."""
    assert set(SCHEMAS) == set(range(1, VERSION))
