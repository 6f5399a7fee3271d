"""Backups that are taken while servers are killed, and what a server makes of the last of them."""

import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from bench.crash_book import Book
from bench.crash_judge import Tally, judge, judge_epochs, judge_history
from bench.crash_kept import Kept, read, unfinished
from bench.crash_load import Load
from bench.crash_readers import position
from bench.crash_server import PATIENCE_S, Server, environment
from bench.server import ROOT

EACH: Final = 4
"""Lives of the server between two backups: each takes half a second of a core."""

ASKED_AGAIN: Final = 16
"""Keys that are used again in what was restored."""


@dataclass(slots=True)
class Copier:
    """Takes backups of what the server of *load* keeps, into *file*. `taken`: how many.

    `promised` is what clients had been promised when the last of them began.
    """

    load: Load
    file: Path
    taken: int = 0
    promised: Book = field(default_factory=Book)

    async def run(self) -> None:
        """One after the other, until the load is told to close."""
        load = self.load
        while not load.closing:
            await self.take()
            until = load.server.life + EACH
            while load.server.life < until and not load.closing:
                await load.server.again(load.server.life)

    async def take(self) -> None:
        """One backup, which has to succeed whatever happens to the server meanwhile."""
        book = self.load.book
        promised = Book(dict(book.accepted), dict(book.published), dict(book.answers))
        promised.small, promised.kills = book.small, book.kills
        data_dir = str(self.load.server.data_dir)
        status, said = await _command("backup", str(self.file), "--force", "--data-dir", data_dir)
        if status != 0:
            book.wrong.append(f"a backup ended with status {status}: {said}")
            return
        self.promised = promised
        self.taken += 1


async def _command(*words: str) -> tuple[int, str]:
    """Run a command as its users do; its exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py", *words),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


async def go_on(copier: Copier, server: Server, original: Kept, last: Sequence[str]) -> Tally:
    """Restore the backup to where *server* will run, let it go on there, and judge what is there.

    *original*: what the directory of the backup has now; *last*: the last cursors that clients of
    that one have, in `app:` channels, each after its channel and a blank.
    """
    book = copier.promised
    status, said = await _command("restore", str(copier.file), "--data-dir", str(server.data_dir))
    if status != 0:
        book.wrong.append(f"the restore ended with status {status}: {said}")
        return judge(original, book)
    before = read(server.data_dir)
    async with aiohttp.ClientSession() as http:
        load = Load(http, server, random.Random(1), (), small=book.small)
        load.book = book
        book.one_epoch = False
        await server.start()
        for task_id in unfinished(copier.file):
            async with asyncio.timeout(PATIENCE_S):
                await load.reader([task_id]).run()
        for name in [name for name in book.answers if name.startswith("key ")][:ASKED_AGAIN]:
            await load.ask_again(name)
        for each in last:
            await _resume(load, before, *each.split())
    server.terminate()
    if (status := await server.ended()) != 0:
        book.wrong.append(f"it stopped with status {status}")
    after = read(server.data_dir)
    judge_epochs(before, after, original, book)
    judge_history(before, original, book)
    tally = judge(after, book)
    tally.copies = 1
    return tally


async def _resume(load: Load, before: Kept, channel: str, cursor: str) -> None:
    """A client of the original comes: what it knows and the copy does not was never there."""
    url = f"{load.server.url}/channels/{channel}/events?wait=0&after={cursor}"
    async with load.http.get(url) as response:
        told = await response.json()
    epoch = cursor.rpartition("-")[0]
    known = position(cursor) <= before.head and epoch in dict(before.epochs)
    if told["resume"] not in (("recovered", "partial") if known else ("reset",)):
        load.book.wrong.append(
            f"{cursor} of {channel} was resumed as {told['resume']} in a copy up to {before.head}"
        )
