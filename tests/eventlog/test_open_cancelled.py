"""Opening a log is owned: who is cancelled meanwhile leaves nothing open; and it says nothing."""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from eco_actor.eventlog import Durability, Event, SqliteStore, StoreError, sqlite, threads
from eco_actor.eventlog.database import Database


class Opening:
    """Holds the opening of a database up in its thread, before it and behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, *about: Any) -> Database:
        self.threads.append(threading.current_thread())
        self.entered.set()
        assert self.go_on.wait(30)
        return Database(*about)

    async def ended(self) -> None:
        """Wait for the end of its threads."""
        for thread in self.threads:
            await asyncio.to_thread(thread.join, 30)


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    held = Opening()
    monkeypatch.setattr(sqlite, "Database", held)
    yield held
    held.go_on.set()


def offer(events: Sequence[Event], appends: int = 1, /) -> None:
    """Nobody is told."""


def open_files(folder: Path) -> list[str]:
    """The files of *folder* that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(each)
        except FileNotFoundError:
            continue
        if name.startswith(f"{folder}/"):
            found.append(name)
    return found


def check_left(folder: Path) -> None:
    """Nothing is open, and the database was closed in order."""
    assert open_files(folder) == []
    with sqlite3.connect(folder / "log.db") as db:
        assert db.execute("SELECT count(*) FROM opened").fetchone() == (0,)
    db.close()


async def test_a_cancelled_opening_is_over_when_its_thread_is(
    tmp_path: Path, opening: Opening
) -> None:
    """What it opened is closed, in order, before the cancellation goes on."""
    store = SqliteStore(tmp_path / "log.db", Durability.FULL)
    task = asyncio.create_task(store.open(offer))
    await asyncio.to_thread(opening.entered.wait, 30)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    opening.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_left(tmp_path)
    await store.close()
    again = SqliteStore(tmp_path / "log.db", Durability.FULL)
    await again.open(offer)
    await again.close()


async def test_an_opening_that_hangs_is_waited_for_only_so_long(
    tmp_path: Path,
    opening: Opening,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Should it come back, it closes what it opened by itself."""
    monkeypatch.setattr(threads, "LEAVE_S", 0.01)
    task = asyncio.create_task(SqliteStore(tmp_path / "log.db", Durability.FULL).open(offer))
    await asyncio.to_thread(opening.entered.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "thread store-open is still busy, and left behind" in caplog.text
    opening.go_on.set()
    await opening.ended()
    check_left(tmp_path)


async def test_what_is_opened_in_the_moment_of_the_cancellation_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its thread, which is through, and its task, which does not know it yet."""
    succeed = threads._succeed

    def cancel_then(done: "asyncio.Future[Any]", value: object) -> None:
        succeed(done, value)
        task.cancel()

    monkeypatch.setattr(threads, "_succeed", cancel_then)
    task = asyncio.create_task(SqliteStore(tmp_path / "log.db", Durability.FULL).open(offer))
    with pytest.raises(asyncio.CancelledError):
        await task
    check_left(tmp_path)


async def test_an_opening_that_fails_after_its_cancellation_is_just_over(
    tmp_path: Path, opening: Opening
) -> None:
    """Nobody is left to be told, and nothing to be closed."""
    (tmp_path / "log.db").write_bytes(b"not a database" * 100)
    task = asyncio.create_task(SqliteStore(tmp_path / "log.db", Durability.FULL).open(offer))
    await asyncio.to_thread(opening.entered.wait, 30)
    task.cancel()
    opening.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert open_files(tmp_path) == []


async def test_an_opening_that_fails_says_why(tmp_path: Path) -> None:
    """The same way round the thread."""
    (tmp_path / "log.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"log\.db: the database is damaged"):
        await SqliteStore(tmp_path / "log.db", Durability.FULL).open(offer)


@pytest.mark.parametrize("durability", Durability)
async def test_a_log_opens_and_closes_without_a_word(
    tmp_path: Path, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    """New or not, at whatever level is logged: which SQLite it is, is for `doctor` to say."""
    path = None if durability is Durability.OFF else tmp_path / "log.db"
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            store = SqliteStore(path, durability)
            await store.open(offer)
            await store.close()
    assert [each for each in caplog.messages if "asyncio" not in each] == []
