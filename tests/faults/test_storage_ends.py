"""A process that ends while its storage fails, and files that are gone under a running one."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.faults.disks import full, injected, small_disk
from tests.faults.troubled import TOKEN, Patron, check_books, until
from tests.web.checks import check_problem
from tests.web.serving import GATED, Server

STEPS = ("vision", "rule", "answer", "reward")

REPLACED = "removed or replaced while it is in use: restart the server"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 16 << 20) as folder:
        yield folder


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    folder.mkdir()
    return folder


@pytest.fixture
async def patron(
    session: aiohttp.ClientSession, server: Callable[..., Server], disk: Path, gates: Path
) -> Patron:
    """A client of a server whose scans wait at their gates, on a small disk."""
    env = {"ECO_GATES": str(gates), **TOKEN}
    running = await asyncio.to_thread(server, disk / "data", program=GATED, env=env)
    return Patron(session, running)


def disk_full(server: Server) -> AbstractContextManager[None]:
    return full(server.data_dir.parent)


def sync_fails(server: Server) -> AbstractContextManager[None]:
    return injected(server.pid, "fdatasync", "error=EIO", server.data_dir / "eco.db-wal")


def disk_fails(server: Server) -> AbstractContextManager[None]:
    """Nothing reaches the disk any more, not even what would undo the last write."""
    wal = server.data_dir / "eco.db-wal"
    return injected(server.pid, "fdatasync,pwrite64", "error=EIO", wal)


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["stopped", "killed"])
@pytest.mark.parametrize("trouble", [disk_full, sync_fails])
async def test_a_server_that_ends_in_trouble_leaves_what_was_accepted(
    patron: Patron,
    gates: Path,
    trouble: Callable[[Server], AbstractContextManager[None]],
    end: Callable[[Server], None],
) -> None:
    """Stopped in order or killed: the next start finishes that, and knows of nothing else.

    Least of all of what was written and answered 503 because it could not be synced.
    """
    running = patron.server
    under_way = [await patron.begin() for _ in range(3)]
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, trouble(running))
        check_problem(await patron.ask_scan(), 503, "storage")
        check_problem(await patron.publish(), 503, "storage")
        await asyncio.to_thread(end, running)
        await asyncio.to_thread(stack.close)
    for step in STEPS:
        (gates / step).touch()
    await asyncio.to_thread(running.start)
    for task_id in under_way:
        await patron.check_end(task_id)
    await asyncio.to_thread(running.stop)
    await asyncio.to_thread(check_books, running.data_dir, patron.books)


def removed(data_dir: Path) -> None:
    (data_dir / "eco.db").unlink()


def replaced(data_dir: Path) -> None:
    shutil.copy(data_dir / "eco.db", data_dir / "copy.db")
    (data_dir / "copy.db").rename(data_dir / "eco.db")


def whole_folder(data_dir: Path) -> None:
    shutil.rmtree(data_dir)


@pytest.mark.parametrize("damage", [removed, replaced, whole_folder])
async def test_a_file_that_is_gone_is_noticed_at_the_next_write(
    patron: Patron, gates: Path, damage: Callable[[Path], None]
) -> None:
    """Nothing is accepted any more, what there was can be read, and the server stops in order."""
    for step in STEPS:
        (gates / step).touch()
    finished = await patron.begin()
    await patron.check_end(finished)
    await asyncio.to_thread(damage, patron.server.data_dir)
    check_problem(await patron.ask_scan(), 503, "storage")
    await patron.check_refusals(REPLACED)
    await patron.check_served(finished)
    await patron.check_transient()
    await patron.check_refusals(REPLACED)
    await asyncio.to_thread(patron.server.stop)


async def test_a_server_whose_whole_disk_fails_recovers(patron: Patron, gates: Path) -> None:
    """Neither writes nor syncs work for a while."""
    for step in STEPS:
        (gates / step).touch()
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, disk_fails(patron.server))
        check_problem(await patron.ask_scan(), 503, "storage")
        await patron.check_refusals("the disk fails")
        await asyncio.to_thread(stack.close)
    await until(patron.is_ready)
    await patron.check_end(await patron.begin())
    await asyncio.to_thread(patron.server.stop)
    await asyncio.to_thread(check_books, patron.server.data_dir, patron.books)
