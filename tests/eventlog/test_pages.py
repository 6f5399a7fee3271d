"""Pages: from the newest events in memory or from the store, always complete or not at all."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Event, EventLog, Place, Resume, SqliteStore
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeStore

MakeStore = Callable[..., SqliteStore]

CHANNELS = ("app:a", "app:b", "app:c")


def draft(n: object, channel: str, *, opens: bool = False) -> Draft:
    return Draft(channel, {"n": n}, at_ms=1, opens=opens)


async def filled(store: SqliteStore, order: str) -> EventLog:
    """A log in which the events stand on channels a, b, c in this *order*."""
    log = EventLog(store)
    await log.open()
    await log.commit([draft(n, f"app:{letter}") for n, letter in enumerate(order, start=1)])
    return log


@pytest.mark.parametrize(
    ("channels", "after", "limit", "positions", "upto"),
    [
        (["app:a", "app:c"], 0, 10, [1, 3, 4, 6, 7], 9),
        (["app:c", "app:a"], 0, 10, [1, 3, 4, 6, 7], 9),
        (["app:a", "app:c"], 0, 3, [1, 3, 4], 4),
        (["app:a", "app:c"], 0, 5, [1, 3, 4, 6, 7], 7),
        (["app:a", "app:c"], 4, 10, [6, 7], 9),
        (["app:a"], 7, 10, [], 9),
        (["app:none"], 0, 10, [], 9),
        (["app:b"], 9, 10, [], 9),
    ],
)
async def test_a_page_has_the_events_of_its_channels_in_position_order(
    make_store: MakeStore,
    channels: list[str],
    after: int,
    limit: int,
    positions: list[int],
    upto: int,
) -> None:
    """At most the limit, behind the position; `upto` is the last event of a full page, else the
    head of the log.
    """
    log = await filled(make_store(), "abacbacbb")
    page = await log.page(channels, after, limit)
    assert [event.position for event in page.events] == positions
    assert [event.data["n"] for event in page.events] == positions
    assert page.upto == upto
    stored = await log.store.page(channels, after, limit)
    assert ([event.position for event in stored.events], stored.upto) == (positions, upto)
    await log.close()


async def test_an_event_reads_back_as_it_was_written(make_store: MakeStore) -> None:
    """Data, time, channel and marks survive the store."""
    log = EventLog(make_store())
    await log.open()
    data = {"ko": "유리병", "list": [1, 2.5, None, True], "deep": {"": {"x": -(2**40)}}}
    written = [
        Draft("scan:x", data, 123456789012, opens=True),
        Draft("scan:x", {}, 5, terminal=True),
        Draft("scan:x", {}, 6, terminal=True, final=True),
    ]
    await log.commit(written)
    page = await log.store.page(["scan:x"], 0, 10)
    read = [
        Draft(e.channel, e.data, e.at_ms, opens=e.opens, terminal=e.terminal, final=e.final)
        for e in page.events
    ]
    assert read == written
    assert [e.cursor for e in page.events] == [log.cursor(n) for n in (1, 2, 3)]
    await log.close()


ORDERS = st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 5)), max_size=40)


@given(ORDERS, st.integers(1, 12), st.integers(0, 30), st.integers(0, 5), st.booleans())
def test_recent_answers_all_or_nothing(
    order: list[tuple[str, int]], capacity: int, max_bytes: int, before: int, opening: bool
) -> None:
    """Against the whole list: an answer is every event behind the position, or it is None.

    It is not None for channels that were opened and not yet pushed out, nor for what lies behind
    the oldest event kept; and what is kept is the most that the bounds allow.
    """
    recent = Recent(capacity, max_bytes)
    everything: list[Event] = []
    opened: set[str] = set()
    for n, (channel, size) in enumerate(order):
        first = opening and channel not in opened
        opened.add(channel)
        event = Event(draft(n, channel, opens=first), before + n + 1, "e", size)
        everything.append(event)
        recent.add(event)
    kept = everything[-capacity:]
    while sum(event.size for event in kept) > max_bytes:
        kept.pop(0)
    assert (len(recent), recent.size) == (len(kept), sum(event.size for event in kept))
    floor = everything[-1].position - len(kept) if everything else before + len(order) + 2
    for channels in ((), *((c,) for c in CHANNELS), CHANNELS[:2], (*CHANNELS, CHANNELS[0])):
        for position in range(before + len(order) + 2):
            found = recent.after(channels, position)
            mine = [event for event in everything if event.channel in channels]
            if found is not None:
                assert found == [event for event in mine if event.position > position]
            # What was there before this memory began can be of any channel that it did not open.
            whole = all(any(e.opens for e in kept if e.channel == c) for c in channels)
            assert (found is not None) == (position >= floor or whole)


async def test_a_page_of_several_channels_comes_from_memory_when_it_can(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In position order, within the limit, without asking the store."""
    log = await filled(make_store(), "abacbacbb")
    with monkeypatch.context() as patched:
        patched.delattr(SqliteStore, "page")
        page = await log.page(["app:c", "app:a"], 1, 3)
        assert ([event.position for event in page.events], page.upto) == ([3, 4, 6], 6)
        page = await log.page(["app:a", "app:b", "app:a"], 5)
        assert ([event.position for event in page.events], page.upto) == ([6, 8, 9], 9)
    await log.close()


async def test_a_page_comes_from_the_store_when_memory_is_not_enough(
    make_store: MakeStore,
) -> None:
    """With room for three events in memory, pages are as complete as with all."""
    log = EventLog(make_store())
    log._recent = Recent(3)
    await log.open()
    for n in range(1, 21):
        await log.commit([draft(n, CHANNELS[n % 2])])
    for after in range(21):
        page = await log.page(["app:a"], after)
        assert [e.position for e in page.events] == [n for n in range(2, 21, 2) if n > after]
        assert page.upto == 20
    await log.close()


def test_the_cursor_of_a_page_is_good_before_its_event_is_offered() -> None:
    """Whoever read an event that is committed may resume behind it at once."""

    async def main() -> None:
        log = EventLog(FakeStore(lead=1.0))
        await log.open()
        log.append([draft(1, "app:a")])
        await asyncio.sleep(0.5)
        page = await log.page(["app:a"], 0)
        assert ([event.position for event in page.events], log.head) == ([1], 0)
        place = log.resume("app:a", str(page.events[-1].cursor), 0)
        assert place == Place(Resume.RECOVERED, 1)

    run_virtual(main())
