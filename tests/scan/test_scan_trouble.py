"""Scans while the storage is in trouble, and the clocks by which they go, in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from eco_actor.eventlog import Draft, StoreError
from eco_actor.runtime import Restart, Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.recovery import SWEEP_S, Recovery
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.tables import ADD_REWARD, ADD_SCAN, FINISH_SCAN, MARK_TRY, UNDO_TRY, UNFINISHED
from eco_actor.scan.task_id import TaskIds, actor_name
from eco_actor.scan.views import Views
from tests.fakes import FakeStore
from tests.scan_world import FIELDS, NOW, World, fake_stage, story

GLASS = Options(category="glass")
HOUR = 3_600_000


async def unfinished(world: World, count: int) -> list[str]:
    """So many scans of glass in the log that nobody works at, which recovery is told of."""
    ids = sorted(TaskIds().make(NOW - n) for n in range(count))
    for task_id in ids:
        event = story(task_id=task_id)[0]
        await world.log.commit([Draft(channel(task_id), event, NOW, opens=True)])

    def answers(sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        if sql == UNFINISHED:
            return [(task_id,) for task_id in ids if task_id > given[0]]
        return [(GLASS.pack(), "vision", 0, None)]

    world.store.answers = answers
    return ids


def recovery_of(world: World) -> System:
    """Never restarted: it has to live through all that happens."""
    about = (world.log, world.admission, Views(world.log))
    actor = child("recovery", Recovery, *about, restart=Restart.TEMPORARY)
    return System(child("beside", Supervisor, [actor]))


def is_over(world: World, task_id: str) -> bool:
    return [event["seq"] for event in world.told(task_id)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", ["ended", "unnoticed"])
def test_recovery_lives_through_a_trouble_and_looks_when_it_ends(how: str) -> None:
    """At once when it is told of the end, else at its next look."""

    async def main() -> None:
        async with World().running() as world:
            (task_id,) = await unfinished(world, 1)
            world.store.trouble = "the disk is full"
            async with recovery_of(world):
                await asyncio.sleep(SWEEP_S * 2 + 1)
                assert not is_over(world, task_id)
                world.store.trouble = None
                if how == "ended":
                    world.store.recovered()
                await asyncio.sleep(1 if how == "ended" else SWEEP_S)
                assert is_over(world, task_id)

    run_virtual(main())


def test_a_log_that_cannot_be_read_does_not_end_recovery() -> None:
    """It is logged, and looked at again later."""

    async def main() -> None:
        async with World().running() as world:
            (task_id,) = await unfinished(world, 1)
            answers = world.store.answers

            def fails(sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
                raise StoreError("the disk fails")

            world.store.answers = fails
            async with recovery_of(world):
                await asyncio.sleep(1)
                world.store.answers = answers
                await asyncio.sleep(SWEEP_S)
                assert is_over(world, task_id)

    run_virtual(main())


@pytest.mark.parametrize("error", [StoreError("a page is damaged"), TypeError("what is that")])
def test_one_scan_that_cannot_be_read_holds_up_no_other(error: Exception) -> None:
    """Whatever is wrong with its row."""

    async def main() -> None:
        async with World().running() as world:
            ids = await unfinished(world, 3)
            answers = world.store.answers

            def fails(sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
                if sql != UNFINISHED and given[0] == ids[0]:
                    raise error
                return answers(sql, given)

            world.store.answers = fails
            async with recovery_of(world):
                await asyncio.sleep(1)
                assert [is_over(world, task_id) for task_id in ids] == [False, True, True]

    run_virtual(main())


def test_nothing_is_accepted_or_cancelled_while_nothing_can_be_written() -> None:
    """The reason is told; nothing is decoded for it, and the scan under way goes on."""

    async def main() -> None:
        async with World(scripts={"vision": [5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            world.store.trouble = "the disk is full"
            world.threads.held = True
            for refused in (world.admission.submit(b"jpeg", Options()), _cancel(world, task_id)):
                with pytest.raises(StoreError, match="disk is full"):
                    await refused
            world.store.trouble = None
            assert world.admission.has_room()
            await asyncio.sleep(60)
            assert is_over(world, task_id)

    run_virtual(main())


async def _cancel(world: World, task_id: str) -> None:
    world.admission.cancel(task_id)


@pytest.fixture
def looked() -> list[str]:
    return []


@pytest.fixture
def looking(looked: list[str]) -> Stage:
    """A vision stage that blocks, and notes at whose picture it looks."""

    def look(given: StageInput) -> Fields:
        looked.append(given.task_id)
        return FIELDS["vision"]

    return replace(fake_stage("vision", look), blocking=True)


def test_a_scan_that_ends_while_its_mark_is_written_is_not_looked_at(
    looking: Stage, looked: list[str]
) -> None:
    """The worker goes on with the next one; a mark that was in time is taken back."""

    async def main() -> None:
        world = World(FakeStore(delay=1), stages=[looking])
        world.stage_threads.held = True
        async with world.running():
            first, second = [await world.admission.submit(b"jpeg", Options()) for _ in "ab"]
            await asyncio.sleep(1)
            world.stage_threads.let_go()
            await asyncio.sleep(0.5)
            scans = world.scans()
            assert scans is not None
            scans.stop_children()
            await asyncio.sleep(5)
            assert looked == [first]
            assert world.store.rows(MARK_TRY) == [(second, "vision", 1)]
            assert (second, "vision", 0) in world.store.rows(UNDO_TRY)

    run_virtual(main())


def test_a_step_whose_mark_cannot_be_written_does_not_begin(
    looking: Stage, looked: list[str]
) -> None:
    """The scan has not failed: it stops, is known not to have crashed, and is left to recovery."""

    async def main() -> None:
        world = World(stages=[looking])
        world.stage_threads.held = True
        async with world.running():
            first, second = [await world.admission.submit(b"jpeg", Options()) for _ in "ab"]
            await asyncio.sleep(1)
            assert [row[-2:] for row in world.store.rows(ADD_SCAN)] == [("vision", 1), (None, 0)]
            world.store.fails = lambda drafts: None if drafts else "no space left"
            world.stage_threads.let_go()
            await asyncio.sleep(1)
            assert looked == [first]
            assert is_over(world, first)
            assert [event["seq"] for event in world.told(second)] == [1]
            assert world.count == 0
            assert world.pipeline.left.crashes(second, "vision") == 0

    run_virtual(main())


@pytest.mark.parametrize("refused", [False, True])
def test_a_scan_that_stops_takes_its_try_back(refused: bool) -> None:
    """In the log where that can be written, and in memory in any case."""

    async def main() -> None:
        async with World(scripts={"rule": ["silent"]}).running() as world:
            task_id = await world.admission.submit(None, GLASS)
            await asyncio.sleep(1)
            if refused:
                world.store.trouble = "the disk is full"
            scans = world.scans()
            assert scans is not None
            scans.stop_children()
            await asyncio.sleep(1)
            undone = [] if refused else [(task_id, "rule", 0)]
            assert world.store.rows(UNDO_TRY) == undone
            assert world.pipeline.left.crashes(task_id, "rule") == 0

    run_virtual(main())


def test_a_scan_that_is_killed_while_nothing_can_be_written_goes_on_later() -> None:
    """It cannot say that it crashed, so it has not: it ends without a word, and is no crash."""

    async def main() -> None:
        async with World(scripts={"rule": ["silent"]}).running() as world:
            task_id = await world.admission.submit(None, GLASS)
            await asyncio.sleep(1)
            world.store.trouble = "the disk is full"
            scans = world.scans()
            assert scans is not None
            cell = scans.child(actor_name(task_id))
            assert cell is not None
            cell.kill()
            await asyncio.sleep(1)
            assert world.count == 0
            assert [event["seq"] for event in world.told(task_id)] == [1, 2]
            assert world.pipeline.left.crashes(task_id, "rule") == 0

    run_virtual(main())


@pytest.mark.parametrize("lost", [2, 5])
def test_a_scan_whose_event_is_lost_has_not_crashed(lost: int) -> None:
    """Also when it was its last: recovery begins where the log ends, as innocent as before."""

    async def main() -> None:
        async with World().running() as world:
            world.store.fails = lambda drafts: (
                "no space left" if drafts and drafts[0].data["seq"] >= lost else None
            )
            task_id = await world.admission.submit(None, GLASS)
            await asyncio.sleep(1)
            assert len(world.told(task_id)) == lost - 1
            step = ["vision", "rule", "answer", "reward"][lost - 2]
            assert world.pipeline.left.crashes(task_id, step) == 0
            world.store.fails = lambda drafts: None
            answers = [(GLASS.pack(), step, 2, None)]
            world.store.answers = lambda sql, given: (
                answers if sql != UNFINISHED else [(task_id,)] if given[0] < task_id else []
            )
            async with recovery_of(world):
                await asyncio.sleep(1)
                assert is_over(world, task_id)
                assert world.store.rows(MARK_TRY) == [(task_id, step, 1)]
                assert len(world.pipeline.left) == 0

    run_virtual(main())


@pytest.mark.parametrize("jump", [-5 * HOUR, 5 * HOUR])
def test_a_wall_clock_that_jumps_changes_only_what_clients_are_shown(jump: int) -> None:
    """Creation, end, reward and the times of the log go by the steady clock; `at` by the wall's."""

    async def main() -> None:
        async with World(scripts={"rule": [3]}).running() as world:
            world.steady_ms = NOW + 7
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            world.wall_ms += jump
            world.steady_ms += 1000
            await asyncio.sleep(5)
            steady = [NOW + 7, NOW + 7, NOW + 1007, NOW + 1007, NOW + 1007]
            assert [draft.at_ms for draft in world.store.appended] == steady
            assert int(task_id[:11], 16) == NOW + 7
            assert world.store.rows(ADD_SCAN)[0][1] == NOW + 7
            assert world.store.rows(FINISH_SCAN) == [(task_id, NOW + 1007)]
            assert world.store.rows(ADD_REWARD)[0][3] == NOW + 1007
            hours = [event["at"][11:13] for event in world.told(task_id)]
            later = (22 + jump // HOUR) % 24
            assert hours == ["22", "22", *[f"{later:02}"] * 3]

    run_virtual(main())
