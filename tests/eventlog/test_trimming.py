"""Trims: what goes, what is left, and who is not held up by it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, StoreError
from eco_actor.eventlog.history import Excess
from eco_actor.eventlog.recent import Recent
from eco_actor.eventlog.trimming import STEP, STEP_SIZE
from eco_actor.eventlog.writer import _Pause
from tests.eventlog.filled import draft, filled, positions
from tests.eventlog.gate import Gate
from tests.fakes import FakeStore

MakeStore = Callable[..., SqliteStore]


@pytest.mark.parametrize("memory", [True, False], ids=["from memory", "from the store"])
async def test_the_oldest_events_of_one_channel_go(make_store: MakeStore, memory: bool) -> None:
    """So many as are in excess, of that channel alone; new events come behind those left."""
    log = await filled(make_store(), "abaabba")
    if not memory:
        log._recent = Recent(0)
        await log.commit([draft(8, "app:c")])
    assert await log.trim(Excess("app:a", events=2))
    assert (log.trimmed("app:a"), log.trimmed("app:b")) == (3, 0)
    assert await positions(log, "app:a") == [4, 7]
    assert await positions(log, "app:b") == [2, 5, 6]
    page = await log.page(["app:a", "app:b"], 0)
    assert [event.position for event in page.events] == [2, 4, 5, 6, 7]
    (event,) = await log.commit([draft("next")])
    assert await positions(log, "app:a") == [4, 7, event.position]
    await log.close()


async def test_nothing_goes_where_nothing_is_in_excess(make_store: MakeStore) -> None:
    """An empty excess, and a channel that there is not: False, and no mark."""
    log = await filled(make_store(), "aaa")
    assert not await log.trim(Excess("app:a"))
    assert not await log.trim(Excess("app:none", events=5, size=5, before_ms=99))
    assert (log.trimmed("app:a"), log.trimmed("app:none")) == (0, 0)
    assert await positions(log, "app:a") == [1, 2, 3]
    await log.close()


@pytest.mark.parametrize(
    ("excess", "upto"),
    [
        (Excess("app:a", events=3), 3),
        (Excess("app:a", size=1), 1),
        (Excess("app:a", size=8), 2),
        (Excess("app:a", size=9), 3),
        (Excess("app:a", before_ms=3), 2),
        (Excess("app:a", events=1, size=5, before_ms=5), 4),
        (Excess("app:a", events=4, size=5, before_ms=2), 4),
        (Excess("app:a", events=99), 6),
    ],
)
async def test_a_trim_ends_when_all_three_bounds_are_kept(
    make_store: MakeStore, excess: Excess, upto: int
) -> None:
    """Events of four bytes, written at 1, 2, 3 … ms: the largest of the three excesses decides."""
    log = await filled(make_store(), "aaaaaa")
    assert await log.trim(excess)
    assert log.trimmed("app:a") == upto
    assert await positions(log, "app:a") == list(range(upto + 1, 7))
    await log.close()


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12),
    st.integers(0, 12),
    st.integers(0, 60),
    st.integers(0, 9),
)
def test_an_excess_takes_no_more_than_it_must(
    events: list[tuple[int, int]], count: int, size: int, before_ms: int
) -> None:
    """What is left is within the bounds or begins with an event that is; one less would not do."""
    rows = [(n, at_ms, length) for n, (at_ms, length) in enumerate(events)]
    excess = Excess("app:a", count, size, before_ms)
    taken, bytes_taken = excess.take(rows)
    assert bytes_taken == sum(length for _, _, length in rows[:taken])
    left = excess.less(taken, bytes_taken)
    if taken < len(rows):
        assert (left.events, left.size) == (0, 0)
        assert rows[taken][1] >= before_ms
    if taken:
        short = excess.less(taken - 1, bytes_taken - rows[taken - 1][2])
        assert short.events or short.size or rows[taken - 1][1] < before_ms


@pytest.mark.parametrize("events", [STEP - 1, STEP, STEP + 1, 3 * STEP])
async def test_a_long_trim_goes_in_steps(tmp_path: Path, events: int) -> None:
    """No transaction deletes more than STEP events, and each marks how far it went."""
    log = await filled(SqliteStore(tmp_path / "log.db", Durability.FULL), "a" * (events + 10))
    steps: list[str] = []
    assert isinstance(log.store, SqliteStore)
    assert log.store._database is not None
    log.store._database.connection.set_trace_callback(steps.append)
    assert await log.trim(Excess("app:a", events=events))
    changes = [sql.split()[0] for sql in steps if not sql.startswith("SELECT")]
    expected = -(-events // STEP)
    assert changes == ["BEGIN", "DELETE", "INSERT", "COMMIT"] * expected
    deletes = [int(sql.rsplit(maxsplit=1)[1]) for sql in steps if sql.startswith("DELETE")]
    assert deletes == [min(n * STEP, events) for n in range(1, expected + 1)]
    await log.close()


async def test_a_step_of_large_events_ends_early(make_store: MakeStore) -> None:
    """After STEP_SIZE bytes the transaction is over; the trim still reaches its end."""
    log = EventLog(make_store())
    await log.open()
    large = {"text": "x" * (STEP_SIZE // 4)}
    for _ in range(10):
        await log.commit([Draft("app:a", large, 1)])
    steps: list[int] = []
    store = log.store
    assert isinstance(store, SqliteStore)
    done = asyncio.Event()

    def told(step: object) -> None:
        assert not isinstance(step, StoreError)
        steps.append(step.events)  # type: ignore[attr-defined]
        if step.done:  # type: ignore[attr-defined]
            done.set()

    store.trim(Excess("app:a", events=9), told)
    await done.wait()
    assert steps == [4, 4, 1]
    await log.close()


async def test_appends_are_written_between_the_steps_of_a_trim(make_store: MakeStore) -> None:
    """What was appended during the first step is written before the second."""
    store = make_store()
    log = await filled(store, "a" * 3 * STEP)
    await log.trim(Excess("app:a"))  # so that it is counted
    gate = Gate(store, at="DELETE")
    trim = asyncio.ensure_future(log.trim(Excess("app:a", events=3 * STEP)))
    await gate.held()
    waiting = [asyncio.ensure_future(log.commit([draft("new", "app:b")])) for _ in range(5)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(*waiting, trim)
    kinds = [word for word in gate.statements if word in ("DELETE", "INSERT")]
    assert kinds[:4] == ["DELETE", "INSERT", "INSERT", "DELETE"]
    await log.close()


async def test_a_second_trim_of_a_channel_is_the_first(make_store: MakeStore) -> None:
    """Asked twice at once for the same excess, it goes once; also when the first gave up."""
    store = make_store()
    log = await filled(store, "aaaaaa")
    await log.trim(Excess("app:a"))
    gate = Gate(store, at="DELETE")
    first = asyncio.ensure_future(log.trim(Excess("app:a", events=2)))
    await gate.held()
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.ensure_future(log.trim(Excess("app:a", events=2)))
    await asyncio.sleep(0)
    gate.open()
    assert await second
    assert await positions(log, "app:a") == [3, 4, 5, 6]
    await log.close()


async def test_a_trim_that_fails_is_told_and_changes_nothing(make_store: MakeStore) -> None:
    """StoreError; events and marks are as they were, and the next one works."""
    store = make_store()
    log = await filled(store, "aaaa")
    await log.trim(Excess("app:a"))
    assert store._database is not None
    database = store._database.connection
    database.execute("ALTER TABLE trimmed RENAME TO hidden")
    with pytest.raises(StoreError, match="no such table"):
        await log.trim(Excess("app:a", events=2))
    assert log.trimmed("app:a") == 0
    database.execute("ALTER TABLE hidden RENAME TO trimmed")
    assert await positions(log, "app:a") == [1, 2, 3, 4]
    assert await log.trim(Excess("app:a", events=2))
    assert await positions(log, "app:a") == [3, 4]
    await log.close()


async def test_a_close_ends_a_trim(make_store: MakeStore) -> None:
    """Whoever waits for it is told so; what had gone is marked."""
    store = make_store()
    log = await filled(store, "a" * 4 * STEP)
    await log.trim(Excess("app:a"))
    gate = Gate(store, at="DELETE")
    trim = asyncio.ensure_future(log.trim(Excess("app:a", events=4 * STEP)))
    await gate.held()
    assert store._writer is not None
    store._writer._queue.put(_Pause.CLOSE)  # what a close does once its readers have ended
    gate.open()
    with pytest.raises(StoreError, match="closed"):
        await trim
    await log.close()
    assert 0 < log.trimmed("app:a") <= 2 * STEP
    with pytest.raises(StoreError, match="closed"):
        await log.trim(Excess("app:a", events=1))


async def test_a_store_that_cannot_trim_says_so() -> None:
    """Nothing is in excess there, and a trim is a StoreError."""
    log = EventLog(FakeStore())
    await log.open()
    assert list(await log.excesses(10**15)) == []
    with pytest.raises(StoreError, match="does not trim"):
        await log.trim(Excess("app:a", events=1))
    assert log.trimmed("app:a") == 0


async def test_a_store_counts_what_there_is_of_all_channels_but_scans(
    make_store: MakeStore,
) -> None:
    """Events, bytes and the time of the first, up to a position; what begins like a scan counts."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    names = ("app:a", "scan:x", "scan:~", "scan", "scanner:y", "user:z", "app:a", "scan:x", "app:b")
    for at_ms, name in enumerate(names, start=5):
        await log.commit([draft(1, name, at_ms)])
    assert sorted(await store.count("scan:", 8)) == [
        ("app:a", 2, 8, 5),
        ("scan", 1, 4, 8),
        ("scanner:y", 1, 4, 9),
        ("user:z", 1, 4, 10),
    ]
    await log.close()
