"""What the log keeps of its clock: with what is written anyway, and where a restart goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eco_actor.eventlog import (
    Draft,
    Durability,
    EventLog,
    SqliteStore,
    SteadyClock,
    StoreError,
    Write,
)
from eco_actor.eventlog.clock import JUMP_MS, SET_MS
from eco_actor.eventlog.database import CLOCK_MS
from tests.eventlog.storage import ADD, THINGS, draft, make_unwritable, on_writer, recovery, rows

HOUR = 3_600_000
BEGIN = SET_MS + 1000 * HOUR


@dataclass
class Board:
    """A computer's clocks, and the log on its disk."""

    path: Path
    wall: int = BEGIN
    up: float = 0.0

    async def start(self) -> EventLog:
        clock = SteadyClock(lambda: self.wall, lambda: self.up)
        self.store = SqliteStore(self.path, Durability.FULL, [THINGS], clock=clock)
        log = EventLog(self.store)
        await log.open()
        return log

    def run(self, ms: int) -> None:
        self.wall += ms
        self.up += ms / 1000

    async def saved(self) -> tuple[int, int]:
        """Since the beginning: steady and wall time, as they are in the file."""
        found = await asyncio.to_thread(rows, self.path, "SELECT steady_ms, wall_ms FROM clock")
        ((steady, wall),) = found
        return steady - BEGIN, wall - BEGIN

    async def kill(self, log: EventLog) -> None:
        """The process ends without an orderly close; nothing of it is written any more."""
        await on_writer(self.store, lambda db: db.close())
        await log.close()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "log.db")


async def test_the_clock_is_noted_once_a_minute_with_what_is_written(board: Board) -> None:
    """In the same transaction; not in between, and not for what is only shown."""
    log = await board.start()
    assert await board.saved() == (0, 0)
    board.run(CLOCK_MS - 1)
    await log.commit([draft(1)])
    assert await board.saved() == (0, 0)
    board.run(1)
    await log.commit([draft(2, transient=True)])
    assert await board.saved() == (0, 0)
    await log.commit([draft(3)])
    assert await board.saved() == (CLOCK_MS, CLOCK_MS)
    board.run(CLOCK_MS - 1)
    await log.commit([draft(4)], [Write(ADD, ("a",))])
    assert await board.saved() == (CLOCK_MS, CLOCK_MS)
    board.run(HOUR)
    await log.commit([], [Write(ADD, ("b",))])
    assert await board.saved() == (2 * CLOCK_MS - 1 + HOUR,) * 2
    await log.close()


async def test_an_idle_log_writes_nothing(board: Board) -> None:
    """However much time passes and however often it is looked at: an SD card is spared."""
    log = await board.start()
    statements: list[str] = []
    await on_writer(board.store, lambda db: db.set_trace_callback(statements.append))
    for _ in range(50):
        board.run(HOUR)
        log.check()
        await log.query("SELECT 1")
    await on_writer(board.store, lambda db: db.set_trace_callback(None))
    assert statements == []
    assert await board.saved() == (0, 0)
    await log.close()
    assert await board.saved() == (50 * HOUR, 50 * HOUR)


@pytest.mark.parametrize("jump", [-HOUR, -JUMP_MS - 1, JUMP_MS + 1, 30 * HOUR])
async def test_a_clock_that_was_set_is_noted_at_the_next_look(board: Board, jump: int) -> None:
    """Or the next process would take the jump for time that passed."""
    log = await board.start()
    board.run(1000)
    board.wall += jump
    log.check()
    await on_writer(board.store, lambda db: None)
    assert await board.saved() == (1000, 1000 + jump)
    before = log.now_ms()
    await board.kill(log)
    board.run(5)
    log = await board.start()
    assert log.now_ms() == before + 5
    await log.close()


@pytest.mark.parametrize("drift", [-JUMP_MS, JUMP_MS, 0])
async def test_a_clock_that_is_adjusted_is_no_reason_to_write(board: Board, drift: int) -> None:
    """That happens all the time."""
    log = await board.start()
    board.run(1000)
    board.wall += drift
    log.check()
    await log.commit([draft(1)])
    assert await board.saved() == (0, 0)
    await log.close()


async def fails_for_its_data(board: Board, log: EventLog) -> None:
    with pytest.raises(StoreError):
        await log.commit([draft("lost")], [Write(ADD, ("a",)), Write(ADD, ("a",))])


async def fails_for_the_storage(board: Board, log: EventLog) -> None:
    await make_unwritable(board.store)
    with pytest.raises(StoreError):
        await log.commit([draft("lost")])
    ended = recovery(log)
    await on_writer(board.store, lambda db: db.execute("PRAGMA query_only=OFF"))
    await ended


@pytest.mark.parametrize("fails", [fails_for_its_data, fails_for_the_storage])
@pytest.mark.parametrize(
    ("passed", "jump"), [(CLOCK_MS, 0), (CLOCK_MS, HOUR), (1000, -HOUR), (1000, HOUR)]
)
async def test_a_note_that_came_to_nothing_is_made_with_the_next_write(
    board: Board,
    monkeypatch: pytest.MonkeyPatch,
    fails: Callable[[Board, EventLog], Any],
    passed: int,
    jump: int,
) -> None:
    """It was in a transaction that failed: what it was for is still to be noted."""
    monkeypatch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.01)
    log = await board.start()
    board.run(passed)
    board.wall += jump
    await fails(board, log)
    await log.commit([draft(1)])
    assert await board.saved() == (passed, passed + jump)
    await log.close()


@pytest.mark.parametrize(
    ("off", "added"), [(0, 0), (HOUR, HOUR), (-HOUR, 0), (-BEGIN, 0), (1000 * HOUR, 1000 * HOUR)]
)
async def test_a_restart_goes_on_by_the_wall_time_that_passed(
    board: Board, off: int, added: int
) -> None:
    """From the orderly close, however long before anything was written."""
    log = await board.start()
    board.run(10 * HOUR)
    before = log.now_ms()
    await log.close()
    board.wall += off
    board.up = 0
    log = await board.start()
    assert log.now_ms() == before + added
    # a clock that is behind is not believed
    assert await board.saved() == (10 * HOUR + added, 10 * HOUR + max(0, off))
    await log.close()


async def test_after_a_kill_it_goes_on_from_the_last_note_or_the_newest_event(board: Board) -> None:
    """Whichever is later; the wall went back, so it says nothing."""
    log = await board.start()
    board.run(50_000)
    await log.commit([Draft("app:a", {}, log.now_ms())])
    board.run(5000)
    await board.kill(log)
    board.wall = BEGIN - HOUR
    log = await board.start()
    assert log.now_ms() == BEGIN + 50_000
    board.run(CLOCK_MS)
    await log.commit([Draft("app:a", {}, BEGIN)])
    await board.kill(log)
    board.wall = BEGIN - HOUR
    log = await board.start()
    assert log.now_ms() == BEGIN + 50_000 + CLOCK_MS
    await log.close()


@pytest.mark.parametrize("jump", [-HOUR, 30 * HOUR])
async def test_in_one_process_it_runs_on_when_the_log_is_opened_again(
    board: Board, jump: int
) -> None:
    """Even after a close that could not be noted, with a wall that jumped meanwhile."""
    log = await board.start()
    board.run(HOUR)
    await board.kill(log)
    before = log.now_ms()
    board.wall += jump
    await log.open()
    assert log.now_ms() == before
    await log.close()
