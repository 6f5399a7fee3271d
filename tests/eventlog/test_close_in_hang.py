"""Closing while a write does not come back, and threads that nobody has to wait for."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability, EventLog, SqliteStore, StoreError, Write
from eco_actor.eventlog.threads import in_thread
from eco_actor.eventlog.writer import Writer
from tests.eventlog.gate import Gate
from tests.eventlog.storage import ADD, THINGS, Watcher, draft, rows


@pytest.fixture(autouse=True)
def closing_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close waits for a write for a moment only."""
    monkeypatch.setattr("eco_actor.eventlog.sqlite.CLOSE_S", 0.05)


async def held_up(path: Path) -> tuple[EventLog, Gate, Writer]:
    """A log with the event 'before', held up in the write of 'hangs'."""
    store = SqliteStore(path, Durability.NORMAL)
    log = EventLog(store)
    await log.open()
    await log.commit([draft("before")])
    assert store._writer is not None
    writer = store._writer
    gate = Gate(store)
    log.append([draft("hangs")])
    await gate.held()
    return log, gate, writer


async def ended(writer: Writer) -> None:
    """Wait until its thread has closed the database, and what it told was heard."""
    await asyncio.to_thread(writer._thread.join, 30)
    assert not writer._thread.is_alive()
    await asyncio.sleep(0)


async def test_a_close_does_not_wait_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says that the store is left behind; appends are refused, a second close does nothing."""
    log, gate, writer = await held_up(tmp_path / "log.db")
    await log.close()
    assert "left behind" in caplog.text
    with pytest.raises(StoreError, match="closed"):
        log.append([draft("late")])
    await log.close()
    gate.open()
    await ended(writer)


async def test_who_waits_is_told_when_the_store_is_left_behind(tmp_path: Path) -> None:
    """Those in the write that nobody knows, those behind it that they were not written."""
    log, gate, writer = await held_up(tmp_path / "log.db")
    errors: list[tuple[str, StoreError | None]] = []
    log.append([draft("waits")], done=lambda _, error: errors.append(("waits", error)))
    await log.close()
    assert [name for name, _ in errors] == ["waits"]
    assert errors[0][1] is not None
    gate.open()
    await ended(writer)
    assert len(errors) == 1


async def test_a_store_that_was_left_behind_writes_nothing_more(tmp_path: Path) -> None:
    """But what was in hand: what had waited behind it would meet whoever writes there now."""
    path = tmp_path / "log.db"
    log, gate, writer = await held_up(path)
    log.append([draft("waits")])
    await log.close()
    gate.open()
    await ended(writer)
    found = await asyncio.to_thread(rows, path, "SELECT position FROM events")
    assert found in ([(1,)], [(1,), (2,)])


async def test_a_store_that_was_left_behind_does_not_meddle_with_the_next(tmp_path: Path) -> None:
    """Its write comes back while the log is opened again: that one counts and marks for itself."""
    path = tmp_path / "log.db"
    store = SqliteStore(path, Durability.NORMAL, [THINGS])
    log = EventLog(store)
    await log.open()
    left = store._writer
    assert left is not None
    gate = Gate(store, at="COMMIT")  # so it has the lock
    log.append([draft("hangs")], [Write(ADD, ("a",))])
    await gate.held()
    await log.close()
    opening = asyncio.ensure_future(log.open())
    await asyncio.sleep(0)
    gate.open()
    await opening
    await ended(left)
    watcher = Watcher(log)
    log.show(draft("at once", transient=True))
    assert watcher.seen == ["at once"]
    (event,) = await log.commit([draft("next")])
    assert event.position == log.head == 2
    assert await asyncio.to_thread(rows, path, "SELECT durability FROM opened") == [("normal",)]
    await log.close()


async def test_a_write_that_has_no_lock_yet_does_not_happen_behind_the_next_store(
    tmp_path: Path,
) -> None:
    """It comes back after the log was opened again: where that one writes, nobody else does."""
    path = tmp_path / "log.db"
    store = SqliteStore(path, Durability.NORMAL, [THINGS])
    log = EventLog(store)
    await log.open()
    left = store._writer
    assert left is not None
    gate = Gate(store, at="BEGIN")
    log.append([draft("hangs")], [Write(ADD, ("a",))])
    await gate.held()
    await log.close()
    await log.open()
    gate.open()
    await ended(left)
    assert await asyncio.to_thread(rows, path, "SELECT position FROM events") == []
    (event,) = await log.commit([draft("next")])
    assert event.position == log.head == 1
    await log.close()


HANGS_FOR_EVER = """
import asyncio, sys, threading
from pathlib import Path
from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, sqlite

sqlite.CLOSE_S = 0.05

async def main():
    store = SqliteStore(Path(sys.argv[1]), Durability.NORMAL)
    log = EventLog(store)
    await log.open()
    await log.query("SELECT 1")
    entered, never = threading.Event(), threading.Event()

    def hang(sql):
        entered.set()
        never.wait()

    store._database.connection.set_trace_callback(hang)
    log.append([Draft("app:a", {}, 1)])
    await asyncio.to_thread(entered.wait, 30)
    await log.close()

asyncio.run(main())
print("the end")
"""


def test_a_write_that_never_comes_back_does_not_keep_the_process(tmp_path: Path) -> None:
    """Its thread is nobody's to wait for: the exit is in order, with status 0."""
    done = subprocess.run(
        [sys.executable, "-c", HANGS_FOR_EVER, str(tmp_path / "log.db")],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.returncode) == ("the end\n", 0), done.stderr


async def test_a_call_in_a_thread_returns_or_raises_what_the_call_does() -> None:
    """Any exception whatever, also such as are no `Exception`."""
    assert await in_thread("t", lambda: threading.current_thread().name) == "t"

    class Odd(BaseException):
        pass

    for error in (ValueError("x"), StoreError("y"), Odd()):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            await in_thread("t", fail)
        assert caught.value is error


async def test_who_waits_for_a_call_in_a_thread_may_be_cancelled() -> None:
    """At once, though the call goes on; what becomes of it is nobody's business."""
    go_on, over = threading.Event(), threading.Event()

    def call() -> None:
        go_on.wait(30)
        over.set()

    waiting = asyncio.ensure_future(in_thread("t", call))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    go_on.set()
    assert await asyncio.to_thread(over.wait, 30)


def test_a_call_that_outlives_its_loop_ends_in_silence() -> None:
    """Nobody is left to tell: no error in the thread, which would fail this test."""
    begun, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def call() -> None:
        threads.append(threading.current_thread())
        begun.set()
        go_on.wait(30)

    async def begin() -> None:
        waiting = asyncio.ensure_future(in_thread("t", call))
        assert await asyncio.to_thread(begun.wait, 30)
        waiting.cancel()

    asyncio.run(begin())
    go_on.set()
    threads[0].join(30)
    assert not threads[0].is_alive()


async def test_an_open_that_fails_leaves_the_store_closed(tmp_path: Path) -> None:
    """StoreError with file and reason; it can be tried again once that is mended."""
    path = tmp_path / "folder" / "log.db"
    log = EventLog(SqliteStore(path, Durability.FULL))
    with pytest.raises(StoreError, match=r"log\.db: No such file or directory"):
        await log.open()
    with pytest.raises(StoreError, match="closed"):
        log.append([draft(1)])
    await log.close()
    path.parent.mkdir()
    await log.open()
    (event,) = await log.commit([draft(1)])
    assert event.position == 1
    await log.close()


async def test_an_open_that_fails_oddly_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of the program is raised as it is."""

    def fail(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("eco_actor.eventlog.database.migrate", fail)
    with pytest.raises(ZeroDivisionError):
        await EventLog(SqliteStore(tmp_path / "log.db", Durability.FULL)).open()
