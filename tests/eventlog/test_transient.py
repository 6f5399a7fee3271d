"""Transient events: shown in their turn to whoever is there, and in no log."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor.eventlog import (
    Draft,
    Durability,
    Event,
    EventLog,
    SqliteStore,
    StoreError,
    StoreFull,
)
from tests.eventlog.gate import Gate

MakeStore = Callable[..., SqliteStore]


def draft(n: object, *, transient: bool = False, key: str | None = None) -> Draft:
    return Draft("app:a", {"n": n}, at_ms=1, key=key, transient=transient)


class Watcher:
    """Notes what it is shown, then does what it was made to do."""

    def __init__(self, act: Callable[[Event], None] = lambda event: None) -> None:
        self.seen: list[tuple[object, int, bool]] = []
        self.act = act

    def offer(self, event: Event) -> None:
        self.seen.append((event.data["n"], event.position, event.transient))
        self.act(event)


async def watched(store: SqliteStore, watcher: Watcher) -> EventLog:
    log = EventLog(store)
    await log.open()
    log.subscribe("app:a", watcher)
    return log


async def test_a_transient_event_is_shown_at_once_when_nothing_waits(
    make_store: MakeStore,
) -> None:
    """Before `show` returns, at the head of the log, without a cursor, and of no size."""
    shown: list[Event] = []
    watcher = Watcher(shown.append)
    log = await watched(make_store(), watcher)
    log.show(draft("first", transient=True, key="k"))
    assert watcher.seen == [("first", 0, True)]
    assert (shown[0].cursor, shown[0].size, shown[0].key) == (None, 0, "k")
    await log.commit([draft(n) for n in range(3)])
    log.show(draft("second", transient=True))
    assert watcher.seen[-1] == ("second", 3, True)
    assert log.head == 3
    await log.close()


async def test_a_transient_event_never_overtakes_what_was_appended_before_it(
    make_store: MakeStore,
) -> None:
    """Shown or appended, alone or among others: all come in the order in which they were given."""
    watcher = Watcher()
    log = await watched(make_store(), watcher)
    log.append([draft(0), draft(1, transient=True), draft(2)])
    log.show(draft(3, transient=True))
    log.append([draft(4, transient=True)])
    log.append([draft(5)])
    (last, behind) = await log.commit([draft(6), draft(7, transient=True)])
    log.show(draft(8, transient=True))
    assert [n for n, _, _ in watcher.seen] == list(range(9))
    assert [position for _, position, _ in watcher.seen] == [1, 1, 2, 2, 2, 3, 4, 4, 4]
    assert (last.position, behind.position, behind.cursor, log.head) == (4, 4, None, 4)
    assert [event.data["n"] for event in (await log.page(["app:a"], 0)).events] == [0, 2, 5, 6]
    stored = await log.store.page(["app:a"], 0, 10)
    assert [event.data["n"] for event in stored.events] == [0, 2, 5, 6]
    await log.close()


async def test_only_transient_ones_cost_no_transaction(tmp_path: Path) -> None:
    """An append of nothing else is told and takes no position; the file is not touched."""
    store = SqliteStore(tmp_path / "log.db", Durability.FULL)
    log = await watched(store, Watcher())
    statements: list[str] = []
    assert store._database is not None
    store._database.connection.set_trace_callback(statements.append)
    events = await log.commit([draft(n, transient=True) for n in range(3)])
    assert [event.position for event in events] == [0, 0, 0]
    assert statements == []
    await log.close()


async def test_what_a_subscriber_shows_is_seen_by_all_in_one_order(make_store: MakeStore) -> None:
    """Shown from inside an offer, of a logged event or of a shown one, it comes behind."""

    def answer(event: Event) -> None:
        if event.data["n"] in (1, "shown"):
            log.show(draft(("answer", event.data["n"]), transient=True))

    eager, calm = Watcher(answer), Watcher()
    log = await watched(make_store(), eager)
    log.subscribe("app:a", calm)
    await log.commit([draft(1), draft(2)])
    await log.commit([])
    log.show(draft("shown", transient=True))
    await log.commit([])
    order = [1, 2, ("answer", 1), "shown", ("answer", "shown")]
    assert [n for n, _, _ in eager.seen] == order
    assert calm.seen == eager.seen
    await log.close()


async def test_a_transient_event_waits_for_later_batches_too(make_store: MakeStore) -> None:
    """Shown when the first of two batches has been told: the second was appended before it."""
    store = make_store()
    watcher = Watcher()
    log = await watched(store, watcher)
    gate = Gate(store)
    log.append([draft(1)], done=lambda events, error: log.show(draft(3, transient=True)))
    await gate.held()
    second = asyncio.ensure_future(log.commit([draft(2)]))
    await asyncio.sleep(0)
    gate.open()
    await second
    await log.commit([])
    assert [(n, position) for n, position, _ in watcher.seen] == [(1, 1), (2, 2), (3, 2)]
    await log.close()


async def test_after_a_failed_append_transient_ones_are_shown_at_once_again(
    make_store: MakeStore,
) -> None:
    """A failure is the end of its wait, too."""
    store = make_store()
    watcher = Watcher()
    log = await watched(store, watcher)
    assert store._database is not None
    store._database.connection.execute("DROP TABLE events")
    with pytest.raises(StoreError):
        await log.commit([draft(1), draft(2, transient=True)])
    assert watcher.seen == []
    log.show(draft("now", transient=True))
    assert watcher.seen == [("now", 0, True)]
    await log.close()


async def test_a_store_that_is_full_refuses_a_transient_event_that_would_have_to_wait(
    make_store: MakeStore,
) -> None:
    """StoreFull, and nobody is shown it; what was accepted still comes."""
    watcher = Watcher()
    log = await watched(make_store(capacity=0), watcher)
    with pytest.raises(StoreFull):
        log.append([draft("refused")])
    log.show(draft("shown", transient=True))
    log._under_way = 1  # as if an append were with the writer
    with pytest.raises(StoreFull):
        log.show(draft("refused", transient=True))
    assert [n for n, _, _ in watcher.seen] == ["shown"]
    await log.close()


async def test_an_event_that_is_to_be_kept_cannot_be_shown(make_store: MakeStore) -> None:
    """`show` would lose it silently, so it refuses."""
    log = await watched(make_store(), Watcher())
    with pytest.raises(ValueError, match="is appended"):
        log.show(draft(1))
    await log.close()


async def test_the_key_of_an_event_reads_back(make_store: MakeStore) -> None:
    """With a key or without, from the store and from memory alike; so does its size."""
    log = EventLog(make_store())
    await log.open()
    events = await log.commit([draft(1, key="door"), draft(2), draft(3, key="")])
    for page in (await log.page(["app:a"], 0), await log.store.page(["app:a"], 0, 10)):
        assert [event.key for event in page.events] == ["door", None, ""]
        assert [event.size for event in page.events] == [event.size for event in events] == [4] * 3
    await log.close()
