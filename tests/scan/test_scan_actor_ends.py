"""How a scan ends before its time: cancelled, crashed, or with the server."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import NORMAL, SHUTDOWN, Outcome
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.messages import Cancel
from eco_actor.scan.options import Options
from eco_actor.scan.scan import Scan
from eco_actor.scan.tables import DROP_PICTURE, FINISH_SCAN
from eco_actor.scan.task_id import actor_name
from eco_actor.scan.workers import Done
from tests.fakes import FakeStore
from tests.scan_world import NOW, PROGRESS, World

GOOD = [("vision", "processing"), *((step, "completed") for step in PROGRESS)]


def steps(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return [(event["step"], event["status"]) for event in events]


def cell_of(world: World, task_id: str) -> Cell:
    scans = world.scans()
    assert scans is not None
    cell = scans.child(actor_name(task_id))
    assert cell is not None
    return cell


@pytest.mark.parametrize("step", ["vision", "rule", "answer"])
def test_a_cancelled_scan_says_so_and_is_over(step: str) -> None:
    """In the middle of a step before the answer: the event is the last, its picture is dropped."""

    async def main() -> None:
        async with World(scripts={step: [5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            assert world.admission.cancel(task_id)
            await asyncio.sleep(0.1)
            assert world.count == 0
            at = list(PROGRESS).index(step) + 1
            assert steps(world.told(task_id)) == [*GOOD[:at], (step, "cancelled")]
            assert world.store.appended[-1].final
            assert (task_id,) in world.store.rows(DROP_PICTURE)
            assert world.store.rows(FINISH_SCAN) == [(task_id, NOW)]
            await asyncio.sleep(10)
            assert len(world.told(task_id)) == at + 1
            assert not world.admission.cancel(task_id)

    run_virtual(main())


def test_after_the_answer_there_is_nothing_to_cancel() -> None:
    """The reward still comes; the scan stays completed."""

    async def main() -> None:
        async with World(scripts={"reward": [5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            world.admission.cancel(task_id)
            await asyncio.sleep(10)
            assert steps(world.told(task_id)) == GOOD

    run_virtual(main())


def test_a_second_cancel_says_nothing_more() -> None:
    """The first one decides, also while its event is not yet durable."""

    async def main() -> None:
        async with World(FakeStore(delay=1), {"vision": [50]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            for _ in range(3):
                world.admission.cancel(task_id)
            await asyncio.sleep(5)
            assert steps(world.told(task_id)) == [*GOOD[:1], ("vision", "cancelled")]

    run_virtual(main())


def test_an_answer_that_comes_after_the_cancel_is_ignored() -> None:
    """The worker is done before the cancellation is durable: it is the last event all the same."""

    async def main() -> None:
        async with World(FakeStore(delay=1), {"vision": [0.5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            world.admission.cancel(task_id)
            await asyncio.sleep(10)
            assert steps(world.told(task_id)) == [*GOOD[:1], ("vision", "cancelled")]
            assert world.count == 0

    run_virtual(main())


@pytest.mark.parametrize("step", ["vision", "reward"])
def test_an_answer_that_comes_after_the_last_timeout_is_ignored(step: str) -> None:
    """Just after the second deadline: the failure stays the last event."""

    async def main() -> None:
        world = World(FakeStore(delay=1), {step: ["silent", 10.5]})
        async with world.running():
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(50)
            told = steps(world.told(task_id))
            assert told[-1] == (step, "failed")
            assert len(told) == list(PROGRESS).index(step) + 2
            assert world.count == 0

    run_virtual(main())


@pytest.mark.parametrize("how", ["crash", "kill"])
@pytest.mark.parametrize("step", ["vision", "rule", "answer", "reward"])
def test_a_scan_that_crashes_says_so_in_the_log(step: str, how: str) -> None:
    """`scan_crashed` at the step where it was, as its last event; a reward fails alone."""

    async def main() -> None:
        async with World(scripts={step: [5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            cell = cell_of(world, task_id)
            if how == "kill":
                cell.kill()
            else:
                scan = cell.actor
                assert isinstance(scan, Scan)
                nonsense: Any = None
                cell.tell(Done(scan.attempt, nonsense))
            await asyncio.sleep(1)
            assert world.count == 0
            events = world.told(task_id)
            at = list(PROGRESS).index(step) + 1
            assert steps(events[:at]) == GOOD[:at]
            last = events[-1]
            assert (last["status"], last["error"]["code"]) == ("failed", "scan_crashed")
            assert world.store.appended[-1].final
            assert ("reward" in last) == (step == "reward")
            await asyncio.sleep(10)
            assert world.told(task_id) == events

    run_virtual(main())


def test_a_stop_leaves_unfinished_scans_as_they_are() -> None:
    """Nothing is said in the log: the next start goes on with them."""

    async def main() -> list[Any]:
        async with World(scripts={"rule": [50]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
        await world.log.close()
        assert world.store.rows(FINISH_SCAN) == []
        return world.told(task_id)

    assert steps(run_virtual(main())) == GOOD[:2]


@pytest.mark.parametrize("reason", [SHUTDOWN, NORMAL])
def test_an_orderly_end_of_one_scan_says_nothing(reason: Any) -> None:
    """Only an abnormal end is a fault that the client is told."""

    async def main() -> None:
        async with World(scripts={"vision": [50]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            cell = cell_of(world, task_id)
            cell.request_exit(reason)
            await asyncio.sleep(1)
            assert steps(world.told(task_id)) == GOOD[:1]
            assert cell.tell(Cancel()) is Outcome.DEAD

    run_virtual(main())
