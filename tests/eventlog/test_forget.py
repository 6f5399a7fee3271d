"""Channels that are removed whole: their events go, their positions are never given again."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Durability, EventLog, Resume, SqliteStore, StoreError, Write
from eco_actor.eventlog.log import FORGET
from eco_actor.eventlog.recent import Recent
from eco_actor.eventlog.sqlite import GIVE_UP_S
from tests.eventlog.filled import filled, positions
from tests.eventlog.gate import Gate
from tests.eventlog.storage import (
    ADD,
    READ_ONLY,
    THINGS,
    Watcher,
    draft,
    make_unwritable,
    recovery,
    stored,
)

MakeStore = Callable[..., SqliteStore]


def opened(channel: str, n: int) -> Draft:
    return Draft(channel, {"n": n}, 1, opens=True)


async def test_all_events_of_the_channels_go_and_no_others(make_store: MakeStore) -> None:
    """From the store and from memory; the log's head stays where it was."""
    store = make_store()
    log = await filled(store, "aabcab")
    await log.forget(["app:a", "app:c"])
    for channel, left in (("app:a", []), ("app:b", [3, 6]), ("app:c", [])):
        assert await positions(log, channel) == left
        assert await stored(store, channel) == left
    assert log.head == 6
    await log.close()


@pytest.mark.parametrize("channels", ["abab", "abb", "aaa"])
async def test_positions_of_what_was_removed_are_never_given_again(
    tmp_path: Path, channels: str
) -> None:
    """Nor after a restart, be they the newest of the log or all there was."""
    path = tmp_path / "log.db"
    log = await filled(SqliteStore(path, Durability.FULL), channels)
    head = log.head
    await log.forget(["app:b"])
    await log.forget(["app:a"])
    (event,) = await log.commit([draft("here", "app:b")])
    assert event.position == head + 1
    await log.forget(["app:b"])
    await log.close()
    for again in range(2, 4):
        log = EventLog(SqliteStore(path, Durability.FULL))
        await log.open()
        assert log.head == head + again - 1
        (event,) = await log.commit([draft("later", "app:c")])
        assert event.position == head + again
        await log.forget(["app:c"])
        await log.close()


async def test_who_reads_a_channel_that_was_removed_finds_nothing(make_store: MakeStore) -> None:
    """An empty page up to the head, and a cursor that stood in it is good: nothing is reissued."""
    store = make_store()
    log = await filled(store, "ababa")
    cursor = str(log.cursor(3))
    await log.forget(["app:a"])
    page = await log.page(["app:a"], 3)
    assert (page.events, page.upto) == ([], 5)
    assert (await store.page(["app:a"], 0, 9)).upto == 5
    place = log.resume("app:a", cursor, 0)
    assert (place.resume, place.position) == (Resume.RECOVERED, 3)
    (event,) = await log.commit([draft("new")])
    assert [e.position for e in (await log.page(["app:a"], 3)).events] == [event.position] == [6]
    await log.close()


async def test_the_rows_go_with_the_events_or_nothing_does(make_store: MakeStore) -> None:
    """A row that fails keeps the events, in the store and in memory."""
    store = make_store([THINGS])
    log = await filled(store, "aab")
    await log.forget(["app:b"], [Write(ADD, ("gone b",))])
    with pytest.raises(StoreError, match="UNIQUE"):
        await log.forget(["app:a"], [Write(ADD, ("gone a",)), Write(ADD, ("gone b",))])
    assert await log.query("SELECT name FROM things") == [("gone b",)]
    assert await positions(log, "app:a") == await stored(store) == [1, 2]
    await log.close()


async def test_a_fault_of_the_storage_leaves_all_as_it_was(make_store: MakeStore) -> None:
    """StoreError; after the trouble the same can be asked again."""
    store = make_store()
    log = await filled(store, "aab")
    await make_unwritable(store)
    with pytest.raises(StoreError, match=READ_ONLY):
        await log.forget(["app:a"])
    assert await positions(log, "app:a") == await stored(store) == [1, 2]
    with pytest.raises(StoreError, match=READ_ONLY):
        await log.forget(["app:a"])  # refused at once now
    assert await positions(log, "app:a") == [1, 2]
    watcher = Watcher(log)
    log.show(draft("shown", transient=True))
    assert watcher.seen == ["shown"]
    await log.close()


async def test_no_more_than_a_bounded_number_at_once(make_store: MakeStore) -> None:
    """ValueError, and nothing went; as many as the bound do."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    names = [f"app:{n}" for n in range(FORGET + 1)]
    await log.commit([draft(n, name) for n, name in enumerate(names)])
    with pytest.raises(ValueError, match="65 channels: at most 64"):
        await log.forget(names)
    assert await stored(store, "app:0") == [0]
    await log.forget(names[:-1])
    assert [await stored(store, name) for name in names] == [[]] * FORGET + [[FORGET]]
    await log.close()


async def test_it_goes_in_turn_with_appends_and_shows(make_store: MakeStore) -> None:
    """What is appended behind it is in the log; what is shown behind it comes behind those."""
    store = make_store()
    log = await filled(store, "aa")
    watcher = Watcher(log, "app:b")
    gate = Gate(store)
    log.append([draft("slow", "app:c")])
    await gate.held()
    removal = asyncio.ensure_future(log.forget(["app:a"]))
    await asyncio.sleep(0)
    log.append([draft("behind", "app:b")])
    log.show(draft("shown", "app:b", transient=True))
    gate.open()
    await removal
    await log.commit([])
    assert watcher.seen == ["behind", "shown"]
    assert await stored(store, "app:b") == ["behind"]
    log.show(draft("at once", "app:b", transient=True))
    assert watcher.seen[-1] == "at once"
    await log.close()


@pytest.mark.parametrize("opens", [True, False])
async def test_who_asked_and_went_away_leaves_memory_as_the_store_is(
    make_store: MakeStore, opens: bool
) -> None:
    """The removal happens all the same, and nobody is given what is gone."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    await log.commit([Draft("app:a", {"n": 1}, 1, opens=opens), draft(2, "app:b")])
    gate = Gate(store)
    removal = asyncio.ensure_future(log.forget(["app:a"]))
    await gate.held()
    removal.cancel()
    await asyncio.wait([removal])
    gate.open()
    await log.commit([])
    assert await stored(store) == []
    assert (await log.page(["app:a"], 0)).events == []
    await log.close()


async def test_after_a_removal_of_which_nobody_knew_memory_is_as_the_store_is(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its write hung and was given up, and then it happened."""
    store = make_store()
    log = await filled(store, "aab")
    gate = Gate(store)
    removal = asyncio.ensure_future(log.forget(["app:a"]))
    await gate.held()
    assert store._writer is not None
    with monkeypatch.context() as patched:
        patched.setattr(store._writer, "busy_s", lambda: GIVE_UP_S)
        log.check()
    with pytest.raises(StoreError, match="may happen yet"):
        await removal
    ended = recovery(log)
    gate.open()
    await ended
    assert await stored(store) == await positions(log, "app:a") == []
    await log.close()


async def test_in_the_turn_in_which_it_is_durable_memory_has_nothing_of_it(
    make_store: MakeStore,
) -> None:
    """Who looks as soon as anybody may be told finds in memory what is in the store."""
    store = make_store()
    log = await filled(store, "ab")
    found: list[list[int]] = []
    gate = Gate(store)
    removal = asyncio.ensure_future(log.forget(["app:a"]))
    await gate.held()

    def look(events: object, error: StoreError | None) -> None:
        page = log.page_now(["app:a"], 0)
        found.append([event.position for event in page.events] if page is not None else [])

    log.append([], done=look)
    gate.open()
    await removal
    await log.commit([])
    assert found == [[]]
    await log.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from("abc"), st.integers(1, 3)),
        st.tuples(st.just("forget"), st.sampled_from(["a", "b", "ab", "abc"]), st.just(0)),
        st.tuples(st.just("restart"), st.just(""), st.just(0)),
        st.tuples(st.just("read"), st.sampled_from(["a", "ab", "cb"]), st.integers(0, 20)),
    ),
    max_size=20,
)


async def play(path: Path, steps: list[tuple[str, str, int]], capacity: int) -> None:
    """Beside a model: position -> channel of what is there."""
    there: dict[int, str] = {}
    highest = 0
    log = EventLog(SqliteStore(path, Durability.NORMAL))
    await log.open()
    log._recent = Recent(capacity)
    for what, letters, n in steps:
        channels = [f"app:{letter}" for letter in letters]
        if what == "append":
            first = all(channel != channels[0] for channel in there.values())
            drafts = [opened(channels[0], 1)] if first else []
            drafts += [draft(k, channels[0]) for k in range(n)]
            for event in await log.commit(drafts):
                assert event.position == highest + 1
                highest += 1
                there[event.position] = event.channel
        elif what == "forget":
            await log.forget(channels)
            there = {at: channel for at, channel in there.items() if channel not in channels}
        elif what == "restart":
            await log.close()
            await log.open()
            log._recent = Recent(capacity)
            assert log.head == highest
        else:
            page = await log.page(channels, n)
            expected = [at for at, channel in there.items() if channel in channels and at > n]
            assert [event.position for event in page.events] == expected
    for letter in "abc":
        expected = [at for at, channel in there.items() if channel == f"app:{letter}"]
        assert await positions(log, f"app:{letter}") == expected
    assert log._recent.size == sum(event.size for event in log._recent._order)
    await log.close()


@settings(deadline=None, max_examples=25)
@given(STEPS, st.sampled_from([1, 3, 4096]))
def test_pages_are_those_of_a_log_in_which_it_never_was(
    steps: list[tuple[str, str, int]], capacity: int
) -> None:
    """Appends, removals, restarts and pages, from memory and from the store, beside a model."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "log.db", steps, capacity))
