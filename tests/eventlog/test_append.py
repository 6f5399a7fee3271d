"""Appends: positions, groups, what is shown when, and what fails alone."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

from eco_actor.eventlog import (
    Draft,
    Durability,
    Event,
    EventLog,
    SqliteStore,
    Statement,
    StoreError,
    StoreFull,
    Tables,
    Write,
)
from eco_actor.eventlog.store import Appended
from tests.eventlog.gate import Gate

MakeStore = Callable[..., SqliteStore]

ADD = Statement("INSERT INTO things (name) VALUES ", "(?)")
UNKNOWN = Statement("INSERT INTO nothings (name) VALUES ", "(?)")
THINGS = Tables("things", (("CREATE TABLE things (name TEXT PRIMARY KEY)",),), (ADD,))


def draft(n: object, channel: str = "app:a") -> Draft:
    return Draft(channel, {"n": n}, at_ms=1)


async def test_positions_have_no_holes_and_follow_the_order_of_commits(
    make_store: MakeStore,
) -> None:
    """Appends from many tasks get 1, 2, 3 … each once, offered in that order."""
    store = make_store()
    offered: list[int] = []
    settled: list[list[Event]] = []
    await store.open(lambda events, _=1: offered.extend(event.position for event in events))

    async def publish(n: int) -> None:
        for m in range(5):
            done = asyncio.get_running_loop().create_future()
            drafts = [draft(n) for _ in range(1 + m % 3)]

            def finish(
                events: Sequence[Event],
                error: StoreError | None,
                done: "asyncio.Future[list[Event]]" = done,
            ) -> None:
                assert error is None
                done.set_result(list(events))

            store.append(drafts, done=finish)
            settled.append(await done)

    await asyncio.gather(*(publish(n) for n in range(20)))
    await store.close()
    total = sum(map(len, settled))
    assert total == 20 * 9
    assert offered == list(range(1, total + 1))
    assert [event.position for events in settled for event in events] == offered
    for events in settled:
        first = events[0].position
        assert [event.position for event in events] == [first + n for n in range(len(events))]


async def test_what_gathers_while_the_writer_is_busy_becomes_one_transaction(
    make_store: MakeStore,
) -> None:
    """Three hundred appends behind a slow one share one BEGIN, in a few statements."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    gate = Gate(store)
    log.append([draft("slow")])
    await gate.held()
    waiting = [asyncio.ensure_future(log.commit([draft(n)])) for n in range(300)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(*waiting)
    assert gate.statements.count("BEGIN") == 1
    assert gate.statements.count("COMMIT") == 1
    assert gate.statements.count("INSERT") <= 6
    await log.close()


async def test_an_event_is_offered_once_others_can_read_it(
    tmp_path: Path, blockbuster: BlockBuster
) -> None:
    """In the moment of the offer a connection of its own finds the event committed."""
    blockbuster.deactivate()  # the look in the moment of the offer blocks, and is meant to
    path = tmp_path / "log.db"
    store = SqliteStore(path, Durability.FULL)
    seen: list[int] = []

    def offer(events: Sequence[Event], appends: int = 1, /) -> None:
        (last,) = reader.execute("SELECT max(position) FROM events").fetchone()
        assert last >= events[-1].position
        seen.extend(event.position for event in events)

    log = EventLog(store)
    await store.open(offer)
    reader = sqlite3.connect(path)
    await asyncio.gather(*(log.commit([draft(n)]) for n in range(50)))
    reader.close()
    await store.close()
    assert seen == list(range(1, 51))


async def test_all_events_of_a_batch_are_offered_before_anybody_is_told(
    make_store: MakeStore,
) -> None:
    """When the first `done` is called, the last event of its batch has been shown."""
    store = make_store()
    diary: list[tuple[str, list[int]]] = []

    def note(what: str) -> Appended:
        return lambda events, error: diary.append((what, [event.position for event in events]))

    await store.open(lambda events, _=1: note("offered")(events, None))
    gate = Gate(store)
    store.append([draft("slow")])
    await gate.held()
    for n in range(5):
        store.append([draft(n)], done=note("done"))
    gate.open()
    await store.close()
    told = [positions for what, positions in diary if what == "done"]
    assert told == [[2], [3], [4], [5], [6]]
    batch = [what for what, _ in diary].index("done") - 1
    assert diary[batch][1][-1] == 6
    assert [what for what, _ in diary[batch + 1 :]] == ["done"] * 5


async def test_a_failed_item_fails_alone_and_takes_no_position(make_store: MakeStore) -> None:
    """A duplicate key costs its own append its events; those beside it in the batch succeed."""
    log = EventLog(make_store([THINGS]))
    await log.open()
    gate = Gate(log.store)  # type: ignore[arg-type]
    log.append([draft("slow")])
    await gate.held()
    names = ["a", "b", "a", "c", "b", "d"]
    tasks = [
        asyncio.ensure_future(log.commit([draft(name), draft(name)], [Write(ADD, (name,))]))
        for name in names
    ]
    unknown = asyncio.ensure_future(log.commit([draft("?")], [Write(UNKNOWN, ("x",))]))
    narrow = asyncio.ensure_future(log.commit([draft("?")], [Write(ADD, ())]))
    last = asyncio.ensure_future(log.commit([draft("last")]))
    await asyncio.sleep(0)
    gate.open()
    results = await asyncio.gather(*tasks, unknown, narrow, last, return_exceptions=True)
    failed = [n for n, result in enumerate(results) if isinstance(result, StoreError)]
    assert failed == [2, 4, 6, 7]
    placed = [e.position for r in results if isinstance(r, list) for e in r]
    assert placed == list(range(2, 11))
    page = await log.page(["app:a"], 0)
    assert [event.data["n"] for event in page.events] == ["slow", *"aabbccdd", "last"]
    assert await log.query("SELECT name FROM things ORDER BY name") == [(n,) for n in "abcd"]
    await log.close()


@pytest.mark.parametrize(
    "wrong",
    [
        object(),
        {1, 2},
        "\ud800",
        2**64,
    ],
    ids=["object", "set", "surrogate", "65 bits"],
)
async def test_data_that_cannot_be_written_is_refused_at_once(
    wrong: object, make_store: MakeStore
) -> None:
    """`append` raises and queues nothing, not even the good event in front."""
    log = EventLog(make_store())
    await log.open()
    try:
        with pytest.raises((TypeError, ValueError)):
            log.append([draft("good"), draft(wrong)])
        (event,) = await log.commit([draft("next")])
        assert event.position == 1
    finally:
        await log.close()


async def test_more_than_the_bound_is_refused_and_the_rest_is_written(
    make_store: MakeStore,
) -> None:
    """StoreFull at the bound queues nothing; there is room again as soon as the writer goes on."""
    store = make_store(capacity=3)
    log = EventLog(store)
    await log.open()
    gate = Gate(store)
    log.append([draft("slow")])
    await gate.held()
    assert _fill(log) == store.depth == 3
    gate.open()
    (after,) = await _persist(log, draft("after"))
    assert after.position == 5
    await log.close()


def _fill(log: EventLog) -> int:
    """Append until it is refused; how many were not."""
    for n in range(100):
        try:
            log.append([draft(n)])
        except StoreFull:
            return n
    raise AssertionError("there is no bound")


async def _persist(log: EventLog, last: Draft) -> list[Event]:
    """Commit *last* as soon as there is room."""
    while True:
        try:
            return await log.commit([last])
        except StoreFull:
            await log.query("SELECT 1")


async def test_close_writes_and_tells_what_waits(make_store: MakeStore) -> None:
    """All that was appended is committed and told before `close` returns; then it is refused."""
    store = make_store()
    told: list[int] = []
    await store.open(lambda events, _=1: None)
    for n in range(700):
        store.append([draft(n)], done=lambda events, error: told.append(events[0].position))
    await store.close()
    assert told == list(range(1, 701))
    with pytest.raises(StoreError):
        store.append([draft("late")])
    with pytest.raises(StoreError):
        await store.page(["app:a"], 0, 10)
    await store.close()


async def test_what_follows_an_append_may_fail_without_harm(
    make_store: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A `done` that raises is logged; those of the same batch are still called."""
    store = make_store()
    told: list[str] = []
    await store.open(lambda events, _=1: None)

    def boom(events: Any, error: Any) -> None:
        raise ValueError("boom")

    store.append([draft(1)], done=boom)
    store.append([draft(2)], done=lambda events, error: told.append("told"))
    await store.close()
    assert told == ["told"]
    assert "what follows an append failed" in caplog.text
