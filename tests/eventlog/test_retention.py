"""The actor that keeps channels within their bounds: in virtual time, and on a real store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from eco_actor.eventlog import Draft, Event, EventLog, SqliteStore
from eco_actor.eventlog.history import Bounds
from eco_actor.eventlog.retention import BUSY, INTERVAL, RECOVERY, Retention
from eco_actor.runtime import Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from tests.eventlog.trimming_store import TrimmingStore

MakeStore = Callable[..., SqliteStore]

NOW = 1_000_000
HOUR = 3_600_000


class Clock:
    """A wall clock that goes with the loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> int:
        return NOW + int(self._loop.time() * 1000)


@asynccontextmanager
async def keeping(
    log: EventLog, clock: Callable[[], int], interval: float = INTERVAL
) -> AsyncIterator[System]:
    tree = child("eco", Supervisor, [child("retention", Retention, log, clock, interval)])
    async with System(tree) as system:
        yield system


async def publish(log: EventLog, count: int, clock: Callable[[], int], name: str = "a") -> None:
    await log.commit([Draft(f"app:{name}", {"n": n}, clock()) for n in range(count)])


def left(store: TrimmingStore, channel: str = "app:a") -> int:
    return len(store.left(channel))


def test_what_is_over_a_bound_is_trimmed_within_an_interval() -> None:
    """Too many go at the next look; a channel within its bounds and a scan keep all."""

    async def main() -> None:
        store, clock = TrimmingStore(), Clock()
        log = EventLog(store, Bounds(events=5))
        await log.open()
        async with keeping(log, clock):
            await publish(log, 5, clock, "b")
            await log.commit([Draft("scan:x", {}, clock())] * 20)
            await publish(log, 20, clock)
            await asyncio.sleep(INTERVAL + 1)
            assert [left(store, f"app:{name}") for name in "ab"] == [5, 5]
            assert left(store, "scan:x") == 20
            assert log.trimmed("app:a") == 40
            assert log.trimmed("app:b") == 0

    run_virtual(main())


def test_what_was_there_at_the_start_is_counted_once() -> None:
    """What an earlier process left is trimmed at once, and there is one count, not one a look."""

    async def main() -> None:
        store, clock = TrimmingStore(), Clock()
        earlier = EventLog(store)
        await earlier.open()
        await publish(earlier, 20, clock)
        log = EventLog(store, Bounds(events=5))
        await log.open()
        async with keeping(log, clock):
            await publish(log, 1, clock)
            await asyncio.sleep(INTERVAL / 2)
            assert left(store) == 5
            await asyncio.sleep(10 * INTERVAL)
        assert (store.counts, len(store.trims)) == (1, 1)

    run_virtual(main())


def test_what_is_too_old_goes_though_nothing_is_published() -> None:
    """An event is there until its age is over, and gone an interval later."""

    async def main() -> None:
        store, clock = TrimmingStore(), Clock()
        log = EventLog(store, Bounds(age_ms=HOUR))
        await log.open()
        async with keeping(log, clock):
            await publish(log, 4, clock)
            await asyncio.sleep(1800)
            await publish(log, 2, clock)
            await asyncio.sleep(1799)
            assert left(store) == 6
            await asyncio.sleep(2 + INTERVAL)
            assert left(store) == 2
            await asyncio.sleep(1800)
            assert left(store) == 0
            assert len(store.trims) == 2

    run_virtual(main())


def test_it_keeps_up_with_a_publisher_that_never_rests() -> None:
    """While something is over a bound it looks again soon, and so holds it near the bound."""

    async def main() -> None:
        store, clock = TrimmingStore(step=10, pace=0.01), Clock()
        log = EventLog(store, Bounds(events=50))
        await log.open()
        async with keeping(log, clock):
            held = []
            for _ in range(1000):
                await publish(log, 5, clock)
                await asyncio.sleep(0.01)
                held.append(left(store))
        assert max(held) <= 50 + 5 * INTERVAL / 0.01 + 5
        # caught up, it stays so: what comes between two looks, and while those before it go
        assert max(held[500:]) <= 50 + 4 * 5 * BUSY / 0.01

    run_virtual(main())


def test_a_store_that_fails_is_left_alone_for_a_while() -> None:
    """It is logged, nobody is restarted, and the next look comes later and succeeds."""

    async def main() -> None:
        store, clock = TrimmingStore(), Clock()
        log = EventLog(store, Bounds(events=5))
        await log.open()
        store.broken = "the disk is full"
        async with keeping(log, clock) as system:
            await publish(log, 9, clock)
            await asyncio.sleep(RECOVERY - 1)
            assert store.counts == 1
            store.broken = None
            await asyncio.sleep(2)
            assert left(store) == 5
            store.broken = "the disk is full"
            await publish(log, 4, clock)
            await asyncio.sleep(INTERVAL + 1)
            assert left(store) == 9
            store.broken = None
            await asyncio.sleep(RECOVERY)
            assert left(store) == 5
            cell = system.find("/eco/retention")
            assert cell is not None
            assert cell.incarnation == 1

    run_virtual(main())


def test_a_stop_does_not_wait_for_a_long_trim() -> None:
    """The trim goes on alone; what it does is still known to the log."""

    async def main() -> None:
        store, clock = TrimmingStore(step=1, pace=10.0), Clock()
        log = EventLog(store, Bounds(events=5))
        await log.open()
        await publish(log, 9, clock)
        began = asyncio.get_running_loop().time()
        async with keeping(log, clock):
            await asyncio.sleep(15)
        assert asyncio.get_running_loop().time() - began < 16
        await asyncio.sleep(60)
        assert (left(store), log.trimmed("app:a")) == (5, 4)

    run_virtual(main())


def test_a_restart_of_it_trims_no_more_than_there_is_too_much() -> None:
    """Killed in the middle of a trim, it begins again and finds the one that goes on."""

    async def main() -> None:
        store, clock = TrimmingStore(step=1, pace=10.0), Clock()
        log = EventLog(store, Bounds(events=5))
        await log.open()
        await publish(log, 9, clock)
        async with keeping(log, clock) as system:
            await asyncio.sleep(15)
            cell = system.find("/eco/retention")
            assert cell is not None
            cell.kill()
            await asyncio.sleep(120)
            assert cell.incarnation == 2
            assert (left(store), log.trimmed("app:a")) == (5, 4)
            assert len(store.trims) == 1

    run_virtual(main())


@pytest.mark.parametrize("earlier", [0, 1500])
async def test_a_real_store_is_kept_within_its_bounds(make_store: MakeStore, earlier: int) -> None:
    """Events published while it runs, with those that were there before: the newest are left."""
    log = EventLog(make_store(), Bounds(events=1000))
    await log.open()
    drafts = [Draft("app:a", {"n": n}, NOW) for n in range(earlier + 2600)]
    await log.commit(drafts[:earlier])
    async with keeping(log, lambda: NOW, interval=0.01):
        for start in range(earlier, len(drafts), 100):
            await log.commit(drafts[start : start + 100])
        await _reaches(log, len(drafts) - 1000)
    page = await log.page(["app:a"], log.trimmed("app:a"), 2000)
    assert [event.data["n"] for event in page.events] == list(
        range(len(drafts) - 1000, len(drafts))
    )
    stored: list[Event] = (await log.store.page(["app:a"], 0, 2000)).events
    assert [event.position for event in stored] == [event.position for event in page.events]
    await log.close()


async def _reaches(log: EventLog, upto: int) -> None:
    """Wait until so much was trimmed."""
    while log.trimmed("app:a") < upto:
        await log.query("SELECT 1")
    assert log.trimmed("app:a") == upto
