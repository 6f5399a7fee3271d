"""Storage fails under a running server, for a while: refuse, serve, recover, and never pretend."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.faults.disks import full, injected, locked, small_disk
from tests.faults.troubled import FITS, TOKEN, Patron, check_books, numbers, until
from tests.web.checks import check_events
from tests.web.client import data_of
from tests.web.serving import GATED, Server

STEPS = ("vision", "rule", "answer", "reward")

MIB = 1 << 20


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", 16 * MIB) as folder:
        yield folder


def opened(gates: Path, *steps: str) -> None:
    for step in steps:
        (gates / step).touch()


def closed(gates: Path, *steps: str) -> None:
    for step in steps:
        (gates / step).unlink()


def wal(server: Server) -> Path:
    return server.data_dir / "eco.db-wal"


def disk_full(server: Server) -> AbstractContextManager[None]:
    return full(server.data_dir.parent)


def sync_fails(server: Server) -> AbstractContextManager[None]:
    return injected(server.pid, "fdatasync", "error=EIO", wal(server))


def write_fails(server: Server) -> AbstractContextManager[None]:
    return injected(server.pid, "pwrite64", "error=EIO", wal(server))


def write_forbidden(server: Server) -> AbstractContextManager[None]:
    return injected(server.pid, "pwrite64", "error=EROFS", wal(server))


def other_writes(server: Server) -> AbstractContextManager[None]:
    return locked(server.data_dir / "eco.db")


TROUBLES = [
    pytest.param(disk_full, "the disk is full", id="disk-full"),
    pytest.param(sync_fails, "the disk fails", id="sync-fails"),
    pytest.param(write_fails, "the disk fails", id="write-fails"),
    pytest.param(write_forbidden, "the disk fails|read-only", id="read-only"),
    pytest.param(other_writes, "another program has locked the database", id="locked"),
]


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES)
async def test_a_server_in_trouble_refuses_serves_and_recovers(
    session: aiohttp.ClientSession,
    server: Callable[..., Server],
    disk: Path,
    gates: Path,
    trouble: Callable[[Server], AbstractContextManager[None]],
    reason: str,
) -> None:
    """New work is refused with the reason, the rest is served, and afterwards all goes on."""
    running = await asyncio.to_thread(
        server, disk / "data", program=GATED, env={"ECO_GATES": str(gates), **TOKEN}, vision=True
    )
    patron = Patron(session, running)
    opened(gates, *STEPS)
    finished = await patron.begin()
    await patron.check_end(finished)
    assert (await patron.publish()).status == 202
    closed(gates, "rule", "answer", "reward")
    under_way = [await patron.begin(), await patron.begin(photo=True)]
    async with patron.client.stream(under_way[1]) as stream:
        seen = await stream.until(2)
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, trouble(running))
            opened(gates, *STEPS)  # now they would write
            await patron.check_first_refusal(fits=FITS if trouble is disk_full else 0)
            await patron.check_refusals(reason, photo=True)
            await patron.check_served(finished, under_way[1])
            await patron.check_transient()
            await patron.check_refusals(reason, photo=True)
            await asyncio.to_thread(stack.close)
        await until(patron.is_ready)
        assert (await patron.publish()).status == 202
        await patron.check_end(await patron.begin())
        await patron.check_key_is_free()
        for task_id in under_way:
            await patron.check_end(task_id)
        seen += await stream.rest()
    check_events(seen, under_way[1])
    assert [event["seq"] for event in data_of(seen)] == [1, 2, 3, 4, 5]
    assert await numbers(patron.client) == patron.books.numbers
    await asyncio.to_thread(running.stop)
    await asyncio.to_thread(check_books, running.data_dir, patron.books)
