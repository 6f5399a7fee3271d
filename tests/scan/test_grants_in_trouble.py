"""Grants while the log is slow, fails, or does not come back: told of one reward, never of two."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import pytest

from eco_actor.eventlog import StoreError, StoreUncertain, Write
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.grants import Grants
from eco_actor.scan.options import Options
from eco_actor.scan.scan import Scan
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import ADD_REWARD
from tests.fakes import FakeStore
from tests.scan_world import World, fake_stage

AGAIN: Final = Options(category="glass", revises="first")


class Unrewarded(FakeStore):
    """Each look finds that nothing was granted for the first scan yet."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = lambda sql, given: [("first",)]


class Uncertain(Unrewarded):
    """The first write with a reward hangs: it is given up, nobody knows whether it will happen."""

    def __init__(self) -> None:
        super().__init__()
        self._hangs = True

    def _commit(self) -> None:
        drafts, _, done, chain = self._waiting[0]
        if not self._hangs or not any(each.data.get("step") == "reward" for each in drafts):
            super()._commit()
            return
        self._hangs, chain.broken = False, True
        self._waiting.popleft()
        assert done is not None
        done([], StoreUncertain("a write hangs"))


def told(world: World, ids: Sequence[str]) -> list[bool | None]:
    """Of each scan whether it was told of a reward; None: its event is missing."""
    lasts = [world.told(task_id)[-1] for task_id in ids]
    return [each["reward"] is not None if each["step"] == "reward" else None for each in lasts]


def test_a_look_that_does_not_show_the_grant_yet_grants_nothing() -> None:
    """The log says that nothing was granted, to both of two that ask at the same time."""

    async def main() -> None:
        store = Unrewarded()
        async with World(store).running() as world:
            ids = [await world.admission.submit(None, AGAIN) for _ in range(2)]
            await asyncio.sleep(1)
            assert (told(world, ids), world.count) == ([True, False], 0)
            assert [row[0] for row in store.rows(ADD_REWARD)] == ["first"]

    run_virtual(main())


def test_a_grant_that_could_not_be_written_is_free_again() -> None:
    """Somebody else who asks about the thing gets it."""

    async def main() -> None:
        store = Unrewarded()
        async with World(store).running() as world:
            fails = iter([True])
            store.fails = lambda drafts: (
                "the disk"
                if any(each.data.get("step") == "reward" for each in drafts) and next(fails, False)
                else None
            )
            ids = []
            for _ in range(2):
                ids.append(await world.admission.submit(None, AGAIN))
                await asyncio.sleep(1)
            assert (told(world, ids), world.count) == ([None, True], 0)

    run_virtual(main())


def test_what_cannot_be_read_is_left_to_recovery() -> None:
    """The scan stops, with its answer out and its reward to come."""

    async def main() -> None:
        store = FakeStore()

        def broken(sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
            raise StoreError("the disk")

        store.answers = broken
        async with World(store).running() as world:
            ids = [await world.admission.submit(None, AGAIN)]
            await asyncio.sleep(1)
            assert (told(world, ids), world.count) == ([None], 0)
            assert world.told(ids[0])[-1]["step"] == "answer"
            assert world.pipeline.left.crashes(ids[0], "reward") == 0

    run_virtual(main())


def test_a_grant_of_which_nobody_knows_whether_it_was_written_is_kept() -> None:
    """Nobody else gets it; the scan itself does when it goes on, as one of the same id."""

    async def main() -> None:
        store = Uncertain()
        async with World(store).running() as world:
            ids = []
            for _ in range(2):
                ids.append(await world.admission.submit(None, AGAIN))
                await asyncio.sleep(1)
            assert (told(world, ids), world.count) == ([None, False], 0)
            world.admission.start(ids[0], AGAIN, None, ScanState.fold(world.told(ids[0])))
            await asyncio.sleep(1)
            assert told(world, ids) == [True, False]
            assert [row[0] for row in store.rows(ADD_REWARD)] == ["first"]

    run_virtual(main())


def test_a_scan_that_crashes_with_a_grant_gives_it_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before its reward was on the way to the disk: who asks next gets it."""
    grant, broken = Scan._grant, iter([True])

    def granted(scan: Scan, reward: Any) -> Write:
        if next(broken, False):
            raise ValueError("a fault of ours")
        return grant(scan, reward)

    monkeypatch.setattr(Scan, "_grant", granted)
    caplog.set_level(logging.CRITICAL)

    async def main() -> None:
        async with World(Unrewarded()).running() as world:
            ids = []
            for _ in range(3):
                ids.append(await world.admission.submit(None, AGAIN))
                await asyncio.sleep(1)
            assert (told(world, ids), world.count) == ([False, True, False], 0)

    run_virtual(main())


def test_a_look_that_does_not_come_back_ends_with_the_time_of_the_step() -> None:
    """The scans are left to recovery, and others have their places."""

    class Silent(FakeStore):
        def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[Any]:
            return asyncio.get_running_loop().create_future()

    async def main() -> None:
        stage = fake_stage("reward", deadline=3.0)
        async with World(Silent(), stages=[stage], max_scans=2).running() as world:
            ids = [await world.admission.submit(None, AGAIN) for _ in range(2)]
            await asyncio.sleep(2.9)
            assert (world.count, world.admission.has_room()) == (2, False)
            await asyncio.sleep(0.2)
            assert (told(world, ids), world.count) == ([None, None], 0)
            assert [world.told(each)[-1]["step"] for each in ids] == ["answer", "answer"]
            assert [world.pipeline.left.crashes(each, "reward") for each in ids] == [0, 0]

    run_virtual(main())


def test_grants_are_remembered_for_a_while() -> None:
    """As many as that."""
    grants = Grants(most=2)
    assert [grants.take(thing, "x") for thing in "abc"] == [True, True, True]
    assert [grants.take(thing, "y") for thing in "cba"] == [False, False, True]


def test_a_grant_is_given_back_by_who_has_it() -> None:
    """Others who would, or do so once more, change nothing; who has it may take it again."""
    grants = Grants()
    assert [grants.take("thing", task_id) for task_id in "aba"] == [True, False, True]
    grants.give_back("thing", "b")
    assert not grants.take("thing", "b")
    grants.give_back(None, "a")
    grants.give_back("thing", "a")
    assert grants.take("thing", "b")
    grants.give_back("thing", "a")
    assert not grants.take("thing", "a")
