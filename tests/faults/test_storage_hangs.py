"""A write that does not come back: nobody waits for it for ever, and it may still come back."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.faults.disks import injected, locked
from tests.faults.troubled import TOKEN, Patron, check_books, rows, until
from tests.web.checks import check_problem
from tests.web.client import Answer
from tests.web.serving import RUN, STOP_S, Server

HOUR_US: Final = 3600 * 1_000_000

HANGS: Final = "has not come back"

IMPATIENT: Final = (str(Path(__file__).with_name("impatient.py")),)

Waits = list["asyncio.Task[Answer]"]


def hanging(server: Server) -> AbstractContextManager[None]:
    """Until the end of the `with`, no sync of the write-ahead log comes back."""
    wal = server.data_dir / "eco.db-wal"
    return injected(server.pid, "fdatasync", f"delay_enter={HOUR_US}", wal)


async def depth(patron: Patron) -> int:
    """Appends that wait behind what is being written."""
    text = (await patron.client.get("/metrics")).body.decode()
    (line,) = [each for each in text.splitlines() if each.startswith("eco_store_waiting_appends ")]
    return int(float(line.split()[-1]))


async def ask_until_some_wait(patron: Patron) -> tuple["asyncio.Task[Answer]", Waits]:
    """A scan whose acceptance is being written, and publishers of whom the last one waits."""
    first = asyncio.create_task(patron.ask_scan())
    behind: Waits = []
    async with asyncio.timeout(5):
        while not await depth(patron):
            behind.append(asyncio.create_task(patron.publish()))
    return first, behind


@pytest.fixture
async def patron(
    session: aiohttp.ClientSession, server: Callable[..., Server], request: pytest.FixtureRequest
) -> Patron:
    """A client of a server that he may parametrise with its program."""
    program = getattr(request, "param", RUN)
    running = await asyncio.to_thread(server, env=TOKEN, program=program)
    return Patron(session, running)


async def begin(stack: ExitStack, trouble: AbstractContextManager[None]) -> None:
    await asyncio.to_thread(stack.enter_context, trouble)


async def check_refused(waits: Waits) -> None:
    """All have been answered that nothing can be written."""
    for wait in waits:
        problem = check_problem(await wait, 503, "storage")
        assert HANGS in problem["detail"]


async def stop_and_check(patron: Patron) -> None:
    await asyncio.to_thread(patron.server.stop)
    await asyncio.to_thread(check_books, patron.server.data_dir, patron.books)


async def test_a_write_that_hangs_is_noticed_and_waited_for(patron: Patron) -> None:
    """Who waits behind it is refused, as all who come; who is in it is answered when it is back."""
    finished = await patron.begin()
    await patron.check_end(finished)
    with ExitStack() as stack:
        await begin(stack, hanging(patron.server))
        first, behind = await ask_until_some_wait(patron)
        check_problem(await behind[-1], 503, "storage")
        await patron.check_refusals(HANGS)
        await patron.check_served(finished)
        assert not first.done()
        await asyncio.to_thread(stack.close)
    assert (await first).status == 202
    for wait in behind:  # some were taken along by the same write
        assert (await wait).status in (202, 503)
    await until(patron.is_ready)
    await patron.check_end((await first).json()["task_id"])
    await patron.check_end(await patron.begin())
    await stop_and_check(patron)


@pytest.mark.parametrize("patron", [IMPATIENT], indirect=True)
async def test_who_waits_for_a_hanging_write_is_told_that_nobody_knows(patron: Patron) -> None:
    """Answered 503 after a while; what was written nevertheless ends as if it were accepted."""
    with ExitStack() as stack:
        await begin(stack, hanging(patron.server))
        first, behind = await ask_until_some_wait(patron)
        problem = check_problem(await first, 503, "storage")
        assert "may happen yet" in problem["detail"]
        await check_refused(behind)
        await patron.check_refusals(HANGS)
        await asyncio.to_thread(stack.close)
    await until(patron.is_ready)
    found = rows(patron.server.data_dir, "SELECT task_id FROM scans")
    assert len(found) <= 1
    for (task_id,) in found:
        patron.books.scans.add(task_id)
        await patron.check_end(task_id)
    await patron.check_end(await patron.begin())
    await stop_and_check(patron)


async def test_a_server_stops_in_time_though_a_write_hangs(patron: Patron) -> None:
    """It leaves the write behind; the next start goes on with all that was accepted."""

    async def left_behind() -> bool:
        return "the store is left behind" in patron.server.log_text()

    await patron.check_end(await patron.begin())
    with ExitStack() as stack:
        await begin(stack, hanging(patron.server))
        first, behind = await ask_until_some_wait(patron)
        os.kill(patron.server.pid, signal.SIGTERM)
        await until(left_behind, STOP_S)
        told = await asyncio.gather(first, *behind, return_exceptions=True)
        assert not [each for each in told if isinstance(each, Answer) and each.status == 202]
        await asyncio.to_thread(stack.close)  # who is in a system call cannot end before
    await asyncio.to_thread(patron.server.end)  # exit status 0
    await asyncio.to_thread(patron.server.start)
    for (task_id,) in rows(patron.server.data_dir, "SELECT task_id FROM scans"):
        patron.books.scans.add(task_id)
        await patron.check_end(task_id)
    assert len(patron.books.scans) <= 2
    await asyncio.to_thread(patron.server.stop)


async def test_a_short_lock_of_another_program_is_waited_for(patron: Patron) -> None:
    """Who comes in between is answered a little later, as ever."""
    with ExitStack() as stack:
        await begin(stack, locked(patron.server.data_dir / "eco.db"))
        first, behind = await ask_until_some_wait(patron)
        await asyncio.to_thread(stack.close)
    assert {(await each).status for each in (first, *behind)} == {202}
    await patron.check_end((await first).json()["task_id"])
    await stop_and_check(patron)
