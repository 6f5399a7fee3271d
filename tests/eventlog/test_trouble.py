"""A store whose storage fails: it refuses at once, serves what it can, and recovers by itself."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor.eventlog import Chain, Durability, EventLog, Excess, SqliteStore, StoreError, Write
from eco_actor.eventlog.database import Database
from tests.eventlog.gate import Gate
from tests.eventlog.storage import (
    ADD,
    READ_ONLY,
    THINGS,
    Watcher,
    draft,
    make_unwritable,
    make_writable,
    on_writer,
    recovery,
    stored,
)

MakeStore = Callable[..., SqliteStore]


@pytest.fixture(autouse=True)
def probing_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery is looked for all the time, not once a second."""
    monkeypatch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.01)


async def troubled(store: SqliteStore) -> EventLog:
    """A log with the event 'before', whose storage has failed since."""
    log = EventLog(store)
    await log.open()
    await log.commit([draft("before")])
    await make_unwritable(store)
    with pytest.raises(StoreError, match=READ_ONLY):
        await log.commit([draft("lost")])
    return log


async def test_in_trouble_appends_are_refused_at_once_with_the_reason(
    make_store: MakeStore,
) -> None:
    """Before they are queued; what is there can still be read."""
    store = make_store([THINGS])
    log = await troubled(store)
    assert READ_ONLY in str(log.trouble)
    with pytest.raises(StoreError) as caught:
        log.append([draft("refused")])
    assert caught.value.reason == log.trouble
    with pytest.raises(StoreError):
        store.forget(["app:a"], log.head, (), lambda events, error: None)
    assert await stored(store) == ["before"]
    assert await log.query("SELECT * FROM things") == []
    assert [event.data["n"] for event in (await log.page(["app:a"], 0)).events] == ["before"]
    await log.close()


async def test_when_the_trouble_ends_appends_are_taken_again(make_store: MakeStore) -> None:
    """The writer finds that out by itself; positions go on without a hole."""
    store = make_store()
    log = await troubled(store)
    ended = recovery(log)
    await make_writable(store)
    await ended
    assert log.trouble is None
    (event,) = await log.commit([draft("after")])
    assert event.position == 2
    assert await stored(store) == ["before", "after"]
    await log.close()


async def test_who_asked_is_told_once_of_each_end_of_a_trouble(make_store: MakeStore) -> None:
    """By then appends are taken; who took the callback back is told no more."""
    store = make_store()
    log = await troubled(store)
    told: list[int] = []

    def note() -> None:
        log.append([draft(f"recovered {len(told)}")])
        told.append(log.head)

    undo = log.on_recovered(note)
    log.on_recovered(note)  # once is enough
    for n in range(3):
        ended = recovery(log)
        await make_writable(store)
        await ended
        for _ in range(5):
            await log.commit([draft("works")])
        assert len(told) == min(n + 1, 2)
        if n == 1:
            undo()
            undo()
        await make_unwritable(store)
        with pytest.raises(StoreError):
            await log.commit([draft("lost")])
    seen = await stored(store)
    assert "lost" not in seen
    assert [n for n in seen if n != "works"] == ["before", "recovered 0", "recovered 1"]
    await log.close()


async def test_a_callback_that_raises_keeps_nobody_from_being_told(
    make_store: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the store works."""
    store = make_store()
    log = await troubled(store)

    def boom() -> None:
        raise ValueError("boom")

    log.on_recovered(boom)
    ended = recovery(log)
    await make_writable(store)
    await ended
    assert "what follows the end of a trouble failed" in caplog.text
    await log.commit([draft("after")])
    await log.close()


async def test_what_gathered_behind_the_write_that_failed_fails_with_it(
    make_store: MakeStore,
) -> None:
    """It is not tried later, and its stories are broken; a story that was not touched goes on."""
    store = make_store([THINGS])
    log = EventLog(store)
    await log.open()
    await make_unwritable(store)
    gate = Gate(store, at="BEGIN")
    queued, refused, whole = Chain(), Chain(), Chain()
    errors: list[StoreError | None] = []
    log.append([draft("first")], [Write(ADD, ("a",))], lambda _, error: errors.append(error))
    await gate.held()
    for n in range(700):
        log.append([draft(n)], (), lambda _, error: errors.append(error), queued)
    gate.open()
    await on_writer(store, lambda db: None)
    assert len(errors) == 701
    reasons = [str(error) for error in errors]
    assert all(READ_ONLY in reason for reason in reasons[:513])
    assert all("same story" in reason for reason in reasons[513:])
    with pytest.raises(StoreError):
        log.append([draft("refused")], chain=refused)
    ended = recovery(log)
    await make_writable(store)
    await ended
    for name, chain in (("queued", queued), ("refused", refused), ("whole", whole)):
        log.append([draft(name)], chain=chain)
    await log.commit([])
    assert await stored(store) == ["whole"]
    await log.close()


async def test_a_transient_event_is_shown_in_trouble(make_store: MakeStore) -> None:
    """It needs no storage: at once, once those before it have failed."""
    store = make_store()
    log = await troubled(store)
    watcher = Watcher(log)
    log.show(draft("shown", transient=True))
    assert watcher.seen == ["shown"]
    await log.close()


async def test_bad_data_is_no_trouble(make_store: MakeStore) -> None:
    """Its own append fails."""
    log = EventLog(make_store([THINGS]))
    await log.open()
    with pytest.raises(StoreError, match="UNIQUE"):
        await log.commit([draft(1)], [Write(ADD, ("a",)), Write(ADD, ("a",))])
    assert log.trouble is None
    await log.close()


async def test_a_trim_that_fails_for_the_storage_begins_a_trouble(make_store: MakeStore) -> None:
    """And another one in it fails without a try; after its end it works."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    await log.commit([draft(n) for n in range(4)])
    await make_unwritable(store)
    for _ in range(2):
        with pytest.raises(StoreError, match=READ_ONLY):
            await log.trim(Excess("app:a", events=2))
    await on_writer(store, lambda db: None)
    assert READ_ONLY in str(log.trouble)
    ended = recovery(log)
    await make_writable(store)
    await ended
    assert await log.trim(Excess("app:a", events=2))
    assert await stored(store) == [2, 3]
    await log.close()


async def test_what_is_too_large_for_the_disk_fails_alone(make_store: MakeStore) -> None:
    """With that reason; while there is room for what is small, it is no trouble."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    await on_writer(store, lambda db: db.execute("PRAGMA max_page_count=1"))
    with pytest.raises(StoreError, match="the disk is full"):
        await log.commit([draft("x" * 100_000)])
    assert log.trouble is None
    await on_writer(store, lambda db: db.execute("PRAGMA max_page_count=100000"))
    (event,) = await log.commit([draft("x" * 100_000)])
    assert event.position == 1
    await log.close()


async def test_a_full_disk_is_a_trouble_until_there_is_room_for_more_than_a_try(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small write may find its place in the old log: that is not yet a disk that takes scans."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    room = False
    monkeypatch.setattr(Database, "has_room", lambda database: room)
    await on_writer(store, lambda db: db.execute("PRAGMA max_page_count=1"))
    with pytest.raises(StoreError, match="the disk is full"):
        await log.commit([draft("x" * 100_000)])
    assert "the disk is full" in str(log.trouble)
    with pytest.raises(StoreError, match="the disk is full"):
        log.append([draft("small")])
    ended = recovery(log)
    await on_writer(store, lambda db: db.execute("PRAGMA max_page_count=100000"))
    room = True
    await ended
    await log.commit([draft("x" * 100_000)])
    await log.close()


async def test_the_lock_of_another_program_is_a_trouble_until_it_is_gone(tmp_path: Path) -> None:
    """After LOCK_S, here without it: the reason says what to do."""
    path = tmp_path / "log.db"
    store = SqliteStore(path, Durability.FULL)
    log = EventLog(store)
    await log.open()
    await on_writer(store, lambda db: db.execute("PRAGMA busy_timeout=0"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has locked the database: end it"):
        await log.commit([draft("lost")])
    ended = recovery(log)
    other.execute("ROLLBACK")
    other.close()
    await ended
    await log.commit([draft("after")])
    assert await stored(store) == ["after"]
    await log.close()


async def test_a_store_that_is_read_all_the_time_recovers_all_the_same() -> None:
    """Reads of what is in memory go through the writer; they do not keep it from probing."""
    store = SqliteStore(None, Durability.OFF)
    log = await troubled(store)
    ended = recovery(log)
    await make_writable(store)
    for _ in range(5000):  # far more than there is time for between two tries
        if ended.done():
            break
        await log.query("SELECT 1")
    recovered = ended.done()
    await log.close()
    assert recovered


async def test_closing_in_trouble_is_in_order(make_store: MakeStore) -> None:
    """It ends, and says that the end could not be noted; what was written is there."""
    store = make_store()
    log = await troubled(store)
    await log.close()
    with pytest.raises(StoreError, match="closed"):
        log.append([draft("late")])
