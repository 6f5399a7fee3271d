"""Storage that misbehaves as a test wants it, and what is in a file by hand."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eco_actor.eventlog import Draft, EventLog, SqliteStore, Statement, Tables
from eco_actor.eventlog.writer import Read

ADD = Statement("INSERT INTO things (name) VALUES ", "(?)")
THINGS = Tables("things", (("CREATE TABLE things (name TEXT PRIMARY KEY)",),), (ADD,))

READ_ONLY = "read-only"
"""What the reason says while a store is `unwritable`."""


def draft(n: object, channel: str = "app:a", *, transient: bool = False) -> Draft:
    return Draft(channel, {"n": n}, at_ms=1, transient=transient)


async def on_writer(store: SqliteStore, call: Callable[[sqlite3.Connection], Any]) -> Any:
    """What *call* returns, called between two writes in the writer's own thread."""
    assert store._writer is not None
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    store._writer.put(Read(call, answer))
    return await answer


async def make_unwritable(store: SqliteStore) -> None:
    """From now on each write fails as on a disk that is mounted read-only."""
    await on_writer(store, lambda db: db.execute("PRAGMA query_only=ON"))


async def make_writable(store: SqliteStore) -> None:
    await on_writer(store, lambda db: db.execute("PRAGMA query_only=OFF"))


def recovery(log: EventLog) -> "asyncio.Future[None]":
    """Done when the next trouble of *log* has ended."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note() -> None:
        if not ended.done():
            ended.set_result(None)

    log.on_recovered(note)
    return ended


async def stored(store: SqliteStore, channel: str = "app:a") -> list[object]:
    """The `n` of each event of *channel* that the store has, in order."""
    page = await store.page([channel], 0, 10_000)
    return [event.data["n"] for event in page.events]


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a connection of its own reads in the file; to be called outside the loop."""
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


class Watcher:
    """Notes the `n` of what it is shown on its channel."""

    def __init__(self, log: EventLog, channel: str = "app:a") -> None:
        self.seen: list[object] = []
        log.subscribe(channel, self)

    def offer(self, event: Any) -> None:
        self.seen.append(event.data["n"])
