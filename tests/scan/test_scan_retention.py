"""Scans that are over go, oldest first, and nothing else: on a real store, and in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from eco_actor.eventlog import Durability, EventLog, StoreError
from eco_actor.runtime import Restart, Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan import retention
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.retention import REST_S, STEP, ScanRetention
from eco_actor.scan.tables import GONE_COUNT, KEYED_COUNT, OLDEST, OLDEST_GONE, VOLUME
from eco_actor.scan.views import Views
from eco_actor.scan.volume import GONE_MS, KEYED_MS, Keep, Volume
from tests.fakes import FakeStore
from tests.scan.rig import STEPS, Rig, leave, open_log

HOUR = 3_600_000
MANY = Keep(scans=10**9, size=10**12, age_ms=1000 * HOUR)


@pytest.fixture(params=[Durability.FULL, Durability.OFF], ids=lambda d: d.value)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    on_disk = request.param is Durability.FULL
    made = open_log(tmp_path / "log.db" if on_disk else None, request.param)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again and again, in real time."""
    for name in ("PAUSE_S", "INTERVAL_S", "REST_S"):
        monkeypatch.setattr(retention, name, 0.001)


@asynccontextmanager
async def keeping(
    log: EventLog, keep: Keep, volume: Volume | None = None, most_gone: int = 10**6
) -> AsyncIterator[System]:
    about = (log, volume or Volume(), keep, most_gone)
    spec = child("keeper", ScanRetention, *about, restart=Restart.TEMPORARY)
    async with System(child("eco", Supervisor, [spec])) as system:
        yield system


async def left_over(log: EventLog, count: int, age_ms: int = 0, **how: Any) -> list[str]:
    """So many scans that ended so long ago, oldest first."""
    at_ms = log.now_ms() - age_ms
    return [await leave(log, *STEPS, number=n, at_ms=at_ms, **how) for n in range(count)]


async def ids(log: EventLog) -> set[str]:
    return {task_id for (task_id,) in await log.query("SELECT task_id FROM scans")}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # a table says so
            await asyncio.sleep(0)


async def only(log: EventLog, kept: Sequence[str]) -> None:
    """Wait until nobody is left but *kept*; of the others nothing is, but that they were there."""

    async def gone() -> bool:
        return await ids(log) == set(kept)

    await until(gone)
    channels = {name for (name,) in await log.query("SELECT DISTINCT channel FROM events")}
    assert channels == {channel(task_id) for task_id in kept}
    assert {each for (each,) in await log.query("SELECT task_id FROM rewards")} <= set(kept)
    assert {each for (each,) in await log.query("SELECT task_id FROM pictures")} <= set(kept)
    assert not {each for (each,) in await log.query("SELECT task_id FROM gone")} & set(kept)


@pytest.mark.usefixtures("impatient")
async def test_the_oldest_of_too_many_scans_go(log: EventLog) -> None:
    """In several steps; who asks for one of them is told that it is gone, of others that not."""
    made = await left_over(log, 2 * STEP + 10)
    head, views = log.head, Views(log)
    async with keeping(log, Keep(scans=7)):
        await only(log, made[-7:])
        assert [await views.gone(task_id) for task_id in (made[0], made[-8])] == [True, True]
        assert not await views.gone(made[-1])
        assert not await views.gone("0" * 33)
        assert not await views.gone("no id at all")
        assert await views.events(made[0]) == []
        assert len(await views.events(made[-1])) == 5
        (new,) = await left_over(log, 1)
        assert (await views.events(new))[0].position == head + 1


@pytest.mark.usefixtures("impatient")
async def test_scans_go_when_their_end_is_too_long_ago(log: EventLog) -> None:
    """Whoever ended later, or not at all, stays, also when it began long ago."""
    await left_over(log, 3, age_ms=3 * HOUR)
    late = await leave(log, at_ms=log.now_ms() - 2 * HOUR, picture=None)
    rig = Rig(log)
    async with rig.running():
        await rig.finished([late])
    young = await left_over(log, 3, age_ms=HOUR // 2)
    unfinished = await leave(log, *STEPS[:2], at_ms=log.now_ms() - 5 * HOUR)
    async with keeping(log, Keep(age_ms=HOUR)):
        await only(log, [late, *young, unfinished])


@pytest.mark.usefixtures("impatient")
async def test_scans_go_when_their_events_take_too_many_bytes(log: EventLog) -> None:
    """Until no more bytes are left than there may be."""
    made = await left_over(log, 20)
    total = "SELECT sum(length(data)) FROM events"
    ((size,),) = await log.query(total)
    async with keeping(log, Keep(size=size // 4)):

        async def small() -> bool:
            ((left,),) = await log.query(total)
            return bool(left <= size // 4)

        await until(small)
    kept = await ids(log)
    assert kept == set(made[-len(kept) :])
    assert len(kept) == 5


@pytest.mark.usefixtures("impatient")
async def test_what_is_not_over_or_has_a_living_key_stays(log: EventLog) -> None:
    """Whatever count, bytes and age say; pictures that are still needed stay with it."""
    keyed = await left_over(log, 2, age_ms=KEYED_MS - HOUR, keyed=True)
    await left_over(log, 2, age_ms=KEYED_MS + HOUR, keyed=True)
    waiting = await leave(log, at_ms=log.now_ms() - 1000 * HOUR)
    await left_over(log, 2)
    async with keeping(log, Keep(scans=1, size=1, age_ms=1)):
        await only(log, [*keyed, waiting])
        assert await log.query("SELECT task_id FROM pictures") == [(waiting,)]


@pytest.mark.usefixtures("impatient")
async def test_what_comes_later_is_counted_along(log: EventLog) -> None:
    """Scans that are accepted while it runs push out the oldest; the log is counted once."""
    await left_over(log, 3, age_ms=HOUR)
    rig = Rig(log)
    volume = rig.admission.pipeline.volume
    async with rig.running(), keeping(log, Keep(scans=4), volume):
        accepted = [await rig.admission.submit(None, Options(category="glass")) for _ in range(4)]
        await only(log, accepted)

        async def counted() -> bool:
            ((count, size),) = await log.query(VOLUME, (log.head,))
            return (volume.scans, volume.size) == (count, size)

        await until(counted)
        assert volume.scans == 4


@pytest.mark.usefixtures("impatient")
async def test_gone_scans_are_forgotten_in_their_turn(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a month, or the oldest of too many; then nobody knows that they were there."""
    made = await left_over(log, STEP + 20)
    views = Views(log)

    async def known() -> set[str]:
        return {task_id for (task_id,) in await log.query("SELECT task_id FROM gone")}

    async with keeping(log, Keep(scans=1), most_gone=30):

        async def most() -> bool:
            return await known() == set(made[-31:-1])

        await until(most)
        assert [await views.gone(task_id) for task_id in made[-32:-30]] == [False, True]
    late = log.now_ms() + GONE_MS + HOUR
    monkeypatch.setattr(log, "now_ms", lambda: late)
    assert not await views.gone(made[-31])
    async with keeping(log, MANY):

        async def nobody() -> bool:
            return not await known()

        await until(nobody)


class Asked:
    """A store that answers with so many scans of a kind, and counts what it was asked."""

    def __init__(self, count: int = 0, *, keyed: int = 0) -> None:
        self.store = FakeStore()
        self.store.answers = self._answer
        self.count, self.keyed = count, keyed
        self.asked: list[str] = []
        self.broken = False

    def _answer(self, sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        self.asked.append(sql)
        if self.broken:
            raise StoreError("the disk fails")
        if sql == VOLUME:
            return [(self.count, 100 * self.count)]
        if sql == OLDEST:
            first = int(given[0] or -1) + 1
            last = min(self.count, first + given[1])
            return [(f"{n:09}", n, 1, self.keyed, n, 100) for n in range(first, last)]
        if sql == KEYED_COUNT:
            return [(self.count * self.keyed,)]
        return [(0,)] if sql == GONE_COUNT else []


def test_while_nothing_is_too_much_the_log_is_hardly_read() -> None:
    """One small query a rest, however many scans there are."""

    async def main() -> None:
        asked = Asked(10_000)
        log = EventLog(asked.store)
        await log.open()
        async with keeping(log, MANY):
            await asyncio.sleep(REST_S * 10 - 1)
        assert (asked.asked.count(VOLUME), asked.asked.count(GONE_COUNT)) == (1, 1)
        assert asked.asked.count(OLDEST) == asked.asked.count(OLDEST_GONE) == 10

    run_virtual(main())


def test_scans_that_have_to_stay_are_walked_over_once_a_rest() -> None:
    """Too many with living keys: they are no excess, and are looked at no more than others."""

    async def main() -> None:
        asked = Asked(100 * STEP, keyed=1)
        log = EventLog(asked.store)
        await log.open()
        async with keeping(log, Keep(scans=5)):
            await asyncio.sleep(REST_S * 10 - 1)
        assert asked.asked.count(OLDEST) <= 10 * 101
        assert asked.store.forgotten == []

    run_virtual(main())


@pytest.mark.parametrize("fault", ["reads", "writes"])
def test_a_store_that_fails_is_left_alone_for_a_while(fault: str) -> None:
    """Nobody is restarted, and when it works again what is too much goes."""

    async def main() -> None:
        asked = Asked(10)
        log = EventLog(asked.store)
        await log.open()
        asked.broken = fault == "reads"
        asked.store.trouble = "the disk is full" if fault == "writes" else None
        volume = Volume()
        async with keeping(log, Keep(scans=4), volume):
            await asyncio.sleep(REST_S - 1)
            assert len(asked.asked) <= 4
            assert asked.store.forgotten == []
            asked.broken, asked.store.trouble = False, None
            await asyncio.sleep(2)
            assert asked.store.forgotten == [f"scan:{n:09}" for n in range(6)]
            assert (volume.scans, volume.size) == (4, 400)
        assert asked.asked.count(VOLUME) == (2 if fault == "reads" else 1)

    run_virtual(main())
