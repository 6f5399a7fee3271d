"""Reading scans: what is durable of them, and waiting for the answer."""

import asyncio
from typing import Any

import pytest

from eco_actor.eventlog import StoreError
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.options import Options
from eco_actor.scan.views import Views
from tests.fakes import FakeStore
from tests.scan_world import FIELDS, World


@pytest.mark.parametrize(
    "task_id", ["", "x", "nobody-knows-this-task", "18bcfe56800nobody_knows_this_one", "é" * 33]
)
def test_an_unknown_scan_is_none(task_id: str) -> None:
    """Well-formed or not: no events, no state, no snapshot."""

    async def main() -> None:
        async with World().running() as world:
            views = Views(world.log)
            assert await views.events(task_id) == []
            assert await views.state(task_id) is None
            assert await views.snapshot(task_id) is None

    run_virtual(main())


def test_a_snapshot_shows_what_is_durable_and_its_cursor() -> None:
    """Not the steps that are done but not yet committed; resuming at the cursor gives the rest."""

    async def main() -> None:
        async with World(FakeStore(delay=1), {"rule": [5], "reward": [5]}).running() as world:
            views = Views(world.log)
            task_id = await world.admission.submit(b"jpeg", Options())
            shown: dict[str, Any] = {
                "task_id": task_id,
                "status": "processing",
                "step": "vision",
                "progress": 10,
                "result": None,
                "reward": None,
                "error": None,
                "cursor": "e-1",
            }
            await asyncio.sleep(0.5)
            assert [draft.data["seq"] for draft in world.store.appended] == [1, 2]
            assert await views.snapshot(task_id) == shown
            await asyncio.sleep(1)
            shown |= {"progress": 33, "cursor": "e-2"}
            assert await views.snapshot(task_id) == shown
            await asyncio.sleep(5)
            shown |= {"status": "completed", "step": "answer", "progress": 100, "cursor": "e-4"}
            shown |= FIELDS["answer"]
            assert await views.snapshot(task_id) == shown
            await asyncio.sleep(9)
            shown |= {"step": "reward", "cursor": "e-5"} | FIELDS["reward"]
            assert await views.snapshot(task_id) == shown

    run_virtual(main())


@pytest.mark.parametrize(
    ("script", "status", "after"),
    [
        ({"rule": [5.0]}, "completed", 5.0),
        ({"vision": ["raise"]}, "failed", 0.0),
        ({"vision": [5.0, "raise"]}, "completed", 5.0),
        ({"reward": [9.0]}, "completed", 0.0),
    ],
)
def test_waiting_for_the_answer_ends_with_it(
    script: dict[str, list[float | str]], status: str, after: float
) -> None:
    """As soon as it is durable; not later, for the reward; a failure is an answer, too."""

    async def main() -> None:
        async with World(FakeStore(delay=0.1), script).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            start = asyncio.get_running_loop().time()
            state = await Views(world.log).wait_answer(task_id, 60)
            assert state is not None
            assert state.status == status
            waited = asyncio.get_running_loop().time() - start
            assert waited == pytest.approx(after + 0.1)
            assert len(world.log.hub) == 0

    run_virtual(main())


@pytest.mark.parametrize("kept", [1, 4096])
def test_an_answer_that_is_out_is_not_waited_for(kept: int) -> None:
    """From memory or from the store, at once."""

    async def main() -> None:
        async with World(FakeStore()).running() as world:
            world.log._recent = Recent(kept)
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(10)
            state = await Views(world.log).wait_answer(task_id, 0.001)
            assert state is not None
            assert state.status == "completed"
            assert len(world.log.hub) == 0

    run_virtual(main())


def test_a_cancelled_scan_ends_the_wait() -> None:
    """The state says so."""

    async def main() -> None:
        async with World(scripts={"vision": [50]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            waiting = asyncio.ensure_future(Views(world.log).wait_answer(task_id, 60))
            await asyncio.sleep(1)
            world.admission.cancel(task_id)
            state = await waiting
            assert state is not None
            assert state.status == "cancelled"

    run_virtual(main())


def test_a_wait_that_is_too_long_ends_with_none_and_leaves_nothing() -> None:
    """After its timeout, or when its caller goes away, no subscription remains."""

    async def main() -> None:
        async with World(scripts={"vision": [50]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            views = Views(world.log)
            start = asyncio.get_running_loop().time()
            assert await views.wait_answer(task_id, 3) is None
            assert asyncio.get_running_loop().time() - start == pytest.approx(3)
            waiting = asyncio.ensure_future(views.wait_answer(task_id, 60))
            await asyncio.sleep(1)
            assert len(world.log.hub) == 1
            waiting.cancel()
            await asyncio.wait([waiting])
            assert len(world.log.hub) == 0

    run_virtual(main())


def test_a_store_that_cannot_be_read_is_an_error() -> None:
    """It is not the same as a scan that does not exist."""

    async def main() -> None:
        async with World(FakeStore()).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            world.log._recent = Recent(1)
            world.store.reads_fail = True
            with pytest.raises(StoreError):
                await Views(world.log).snapshot(task_id)

    run_virtual(main())
