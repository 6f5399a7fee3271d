"""Closing and opening again: positions go on, epochs tell where history may have been reissued."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockBuster

from eco_actor.eventlog import (
    EARLIEST,
    Cursor,
    Draft,
    Durability,
    Event,
    EventLog,
    Place,
    Resume,
    SqliteStore,
    StoreError,
)
from eco_actor.eventlog.database import Database, Item

MakeStore = Callable[..., SqliteStore]


def draft(n: object, channel: str = "app:a") -> Draft:
    return Draft(channel, {"n": n}, at_ms=1)


async def opened(store: SqliteStore, events: int = 0) -> EventLog:
    log = EventLog(store)
    await log.open()
    for n in range(events):
        await log.commit([draft(n)])
    return log


def crash_with(path: Path, durability: Durability, events: int) -> str:
    """Open, write *events* and stop without closing in order; returns the epoch."""
    database = Database(path, durability, ())
    for n in range(events):
        database.commit([Item([draft(n)], [b"\x81\xa1n\x01"], ())])
    database.connection.close()
    return database.epochs[-1][0]


def epochs_after(path: Path, durability: Durability) -> list[tuple[str, int]]:
    """Open and close in order; returns the epochs that there were."""
    database = Database(path, durability, ())
    database.close()
    return database.epochs


async def test_positions_go_on_where_they_were(tmp_path: Path) -> None:
    """After a clean close the next event has the next position, in the same epoch."""
    log = await opened(SqliteStore(tmp_path / "log.db", Durability.FULL), events=3)
    before = log.cursor(3)
    await log.close()
    log = await opened(SqliteStore(tmp_path / "log.db", Durability.FULL))
    assert log.head == 3
    (event,) = await log.commit([draft("next")])
    assert event.position == 4
    assert event.cursor == Cursor(before.epoch, 4)
    assert [e.data["n"] for e in (await log.page(["app:a"], 0)).events] == [0, 1, 2, "next"]
    await log.close()


def test_the_newest_of_several_epochs_without_events_is_the_current_one(tmp_path: Path) -> None:
    """Crashing again and again before the first event leaves the epochs in their order."""
    path = tmp_path / "log.db"
    crashed = [crash_with(path, Durability.NORMAL, events=0) for _ in range(12)]
    epochs = epochs_after(path, Durability.FULL)
    assert [token for token, _ in epochs[:-1]] == crashed
    assert len(set(crashed)) == len(crashed)
    assert epochs_after(path, Durability.FULL) == epochs


async def test_a_log_in_memory_has_an_epoch_of_its_own_each_time() -> None:
    """What a cursor of an earlier one meant is gone: it is reset."""
    first = await opened(SqliteStore(None, Durability.OFF), events=3)
    cursor = str(first.cursor(2))
    await first.close()
    second = await opened(SqliteStore(None, Durability.OFF), events=3)
    assert second.resume("app:a", cursor, 3).resume is Resume.RESET
    await second.close()


async def test_a_log_in_memory_that_is_opened_again_is_empty() -> None:
    """A restart of its owner makes a new memory: nothing of the old one is shown any more."""
    log = await opened(SqliteStore(None, Durability.OFF))
    await log.commit([Draft("scan:a", {"n": 1}, 1, opens=True)])
    await log.close()
    await log.open()
    try:
        assert (await log.page(["scan:a"], 0)).events == []
    finally:
        await log.close()


@pytest.mark.parametrize(
    ("text", "verdict", "position"),
    [
        (None, Resume.FRESH, 0),
        (EARLIEST, Resume.RECOVERED, 0),
        ("rubbish", Resume.RESET, 0),
        ("", Resume.RESET, 0),
        ("é-1", Resume.RESET, 0),
        ("0000000-1", Resume.RESET, 0),
        ("{old}-0", Resume.RECOVERED, 0),
        ("{old}-2", Resume.RECOVERED, 2),
        ("{old}-3", Resume.RESET, 0),
        ("{new}-0", Resume.RECOVERED, 0),
        ("{new}-3", Resume.RECOVERED, 3),
        ("{new}-5", Resume.RECOVERED, 5),
        ("{new}-6", Resume.RESET, 0),
        ("{new}-fffffffffffffff", Resume.RESET, 0),
    ],
)
async def test_a_cursor_is_good_up_to_the_end_of_its_epoch(
    tmp_path: Path, text: str | None, verdict: Resume, position: int
) -> None:
    """Two events of an old epoch, three of the new: behind the end of either it is a reset."""
    path = tmp_path / "log.db"
    old = await asyncio.to_thread(crash_with, path, Durability.NORMAL, 2)
    log = await opened(SqliteStore(path, Durability.NORMAL), events=3)
    new = log.cursor(0).epoch
    place = log.resume("app:a", text and text.format(old=old, new=new), 0)
    begin = log.cursor(0)
    missing = (begin, begin) if verdict is Resume.RESET else None
    assert place == Place(verdict, position, missing)
    await log.close()


async def test_the_cursor_of_every_event_shown_is_good(make_store: MakeStore) -> None:
    """Offered or paged, an event's cursor resumes behind it, whatever was appended meanwhile."""
    log = EventLog(make_store())
    await log.open()
    places: list[Place] = []

    class Watcher:
        def offer(self, event: Event) -> None:
            places.append(log.resume("app:a", str(event.cursor), 0))

    log.subscribe("app:a", Watcher())
    await asyncio.gather(*(log.commit([draft(n)]) for n in range(20)))
    page = await log.store.page(["app:a"], 0, 100)
    places.extend(log.resume("app:a", str(event.cursor), 0) for event in page.events)
    assert places == [Place(Resume.RECOVERED, n) for n in range(1, 21)] * 2
    await log.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 99])
async def test_a_file_that_is_no_database_is_refused_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    """StoreError names the file; nothing is overwritten."""
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"log\.db"):
        await EventLog(SqliteStore(path, Durability.FULL)).open()
    assert path.read_bytes() == content


def test_a_path_goes_with_durability_and_without_it_there_is_none(tmp_path: Path) -> None:
    """Both or neither: everything else would promise what it does not keep."""
    with pytest.raises(ValueError, match="durability off"):
        SqliteStore(None, Durability.FULL)
    with pytest.raises(ValueError, match="durability off"):
        SqliteStore(tmp_path / "log.db", Durability.OFF)


async def test_closing_does_not_block_the_loop(tmp_path: Path, blockbuster: BlockBuster) -> None:
    """Others go on while a slow read ends."""
    blockbuster.functions["threading.Lock.acquire"].can_block_functions[:] = [
        known
        for known in blockbuster.functions["threading.Lock.acquire"].can_block_functions
        if "eventlog" not in str(known)
    ]
    log = await opened(SqliteStore(tmp_path / "log.db", Durability.FULL))
    await log.query("SELECT 1")
    await log.close()


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.NORMAL])
async def test_a_closed_log_is_one_file(tmp_path: Path, durability: Durability) -> None:
    """Everything is checkpointed: a copy of the file alone is the whole log."""
    path = tmp_path / "log.db"
    log = await opened(SqliteStore(path, durability), events=5)
    await log.query("SELECT 1")
    await log.close()
    assert os.listdir(tmp_path) == ["log.db"]
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    opened_copy = await opened(SqliteStore(copy, durability))
    assert opened_copy.head == 5
    await opened_copy.close()
