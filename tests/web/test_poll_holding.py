"""Polls that an interval holds back: what the log has is not in memory before it is due."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import pytest

from eco_actor.delivery.traffic import GOING_AWAY
from eco_actor.eventlog import Draft, Event, Excess, Page
from eco_actor.runtime.testing import run_virtual
from eco_actor.web.polls import MAX_WAITING, READERS
from tests.fakes import FakeStore
from tests.web.edge import Edge, numbers, publish, started, waiting
from tests.web.polled import Polled

WHOLE = "overflow=latest&capacity=4096"
LONG = "overflow=latest&capacity=4096&interval_ms=60000&wait=60"
"""Longer than any test takes."""


class Copy(Event):
    """An event as it was read from a disk: an object of its own."""

    __slots__ = ("__weakref__",)


class DiskStore(FakeStore):
    """One of which each page is made anew. `alive`: what was read and is still in memory."""

    def __init__(self) -> None:
        super().__init__(read=0.01)
        self.alive: WeakSet[Copy] = WeakSet()
        self.most = 0
        self.reads = 0

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        page = await super().page(channels, after, limit)
        self.reads += 1
        copies = [copy_of(event) for event in page.events]
        self.alive.update(copies)
        self.most = max(self.most, len(self.alive))
        return Page([*copies], page.upto)


def copy_of(event: Event) -> Copy:
    draft = Draft(event.channel, event.data, 1, terminal=event.terminal, final=event.final)
    return Copy(draft, event.position, "e", event.size)


@asynccontextmanager
async def far_behind(*numbers: int, **last: Any) -> AsyncIterator[tuple[Polled, DiskStore]]:
    """A client with a cursor behind which are *numbers*, which only the store has."""
    store = DiskStore()
    client = Polled(MAX_WAITING, store)
    await client.log.open()
    await client.publish(-1)
    client.cursor = str(client.log.cursor(1))
    await client.publish(*numbers[:-1])
    await client.publish(numbers[-1], **last)
    await client.log.open()  # what was in memory is not any more
    yield client, store
    assert (client.traffic.polls_waiting, len(client.log.hub)) == (0, 0)
    await client.log.close()


def test_a_poll_that_is_held_back_keeps_no_events() -> None:
    """Neither those behind its cursor nor what is published meanwhile; then all is told."""

    async def main() -> None:
        async with far_behind(*range(600)) as (client, store), asyncio.TaskGroup() as group:
            told = group.create_task(client.poll(f"{WHOLE}&interval_ms=5000"))
            await asyncio.sleep(4)
            await client.publish(600)
            await client.log.open()
            gc.collect()
            assert (len(store.alive), store.reads > 0) == (0, True)
            assert await told == [*range(601)]
            assert client.told["gap"] is None
            assert client.times == pytest.approx([5], abs=0.1)

    run_virtual(main())


@pytest.mark.parametrize("last", [{"terminal": True}, {"final": True}])
def test_a_terminal_event_that_only_the_store_has_is_told_at_once(last: dict[str, Any]) -> None:
    """However far behind the cursor it lies."""

    async def main() -> None:
        async with far_behind(*range(200), **last) as (client, _):
            await client.publish(200)
            assert await client.poll(f"{WHOLE}&interval_ms=5000") == [*range(201)]
            assert client.times == pytest.approx([0], abs=0.1)

    run_virtual(main())


def test_few_polls_at_a_time_have_what_they_read_in_memory() -> None:
    """The others wait for their turn, with an interval or without."""

    async def main() -> None:
        async with far_behind(*range(600)) as (client, store), asyncio.TaskGroup() as group:
            for n in range(3 * READERS):
                how = "&interval_ms=2000" if n % 2 else ""
                told = group.create_task(client.poll(WHOLE + how, keeps_cursor=False))
                told.add_done_callback(lambda each: seen.append(len(each.result())))
            seen: list[int] = []
        assert seen == [600] * 3 * READERS
        assert 600 <= store.most <= READERS * 600

    run_virtual(main())


@pytest.mark.parametrize(
    ("capacity", "there", "dropped"), [(9, [1, 2, 3, 4, 5], 0), (2, [4, 5], 3), (1, [5], 4)]
)
def test_what_no_log_has_is_told_in_its_place(
    capacity: int, there: list[int], dropped: int
) -> None:
    """Transient events between those that are read when it is due; what gives way is counted."""

    async def main() -> None:
        async with far_behind(1) as (client, _), asyncio.TaskGroup() as group:
            query = f"overflow=latest&capacity={capacity}&interval_ms=1000"
            told = group.create_task(client.poll(query))
            await asyncio.sleep(0.5)
            for n in range(2, 6):
                await client.publish(n, transient=n in (2, 4))
            assert await told == there
            gap = client.told["gap"]
            assert (gap["dropped"] if gap else 0) == dropped
            assert client.cursor == str(client.log.cursor(4))

    run_virtual(main())


def test_after_an_interval_without_events_the_poll_waits_on() -> None:
    """As one without; and not for longer than it asked for."""

    async def main() -> None:
        async with far_behind(1) as (client, _):
            client.cursor = str(client.log.cursor(2))
            async with asyncio.TaskGroup() as group:
                told = group.create_task(client.poll(f"{WHOLE}&interval_ms=1000", wait="5"))
                await asyncio.sleep(3)
                await client.publish(2, 3)
            assert (told.result(), client.told["gap"]) == ([2, 3], None)
            assert await client.poll(f"{WHOLE}&interval_ms=1000", wait="5") == []
            assert client.times == pytest.approx([3, 8], abs=0.1)

    run_virtual(main())


async def test_what_is_trimmed_while_a_poll_is_held_back_is_told(here: Edge) -> None:
    """It is in no page any more: there is a gap instead, and nothing twice."""
    events = await publish(here, 6)
    waits = started(here, f"after={events[0].cursor}&{LONG}")
    await waiting(here)
    await here.log.trim(Excess("app:a", events=3))
    await here.log.commit([Draft("app:a", {"n": 6}, here.now_ms, terminal=True)])
    told = await waits
    assert numbers(told) == [3, 4, 5, 6]
    assert (told["gap"]["from"], told["gap"]["to"]) == (
        str(events[0].cursor),
        str(events[2].cursor),
    )
    assert told["gap"]["reason"] == "trimmed"
    assert told["cursor"] == str(here.log.cursor(here.log.head))


async def test_a_poll_that_is_held_back_ends_with_the_server(here: Edge) -> None:
    """At once, with what there is."""
    events = await publish(here, 3)
    waits = started(here, f"after={events[0].cursor}&{LONG}")
    await waiting(here)
    await publish(here, 1)
    async with asyncio.timeout(10):
        await here.runner.cleanup()
        told = await waits
    assert numbers(told) == [1, 2, 0]
    assert here.traffic.poll.ended[GOING_AWAY] == 1
