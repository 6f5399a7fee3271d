"""The scan actor: which events it says, whatever becomes of its workers, its client, its log."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.options import Options
from eco_actor.scan.scan import FULL_RETRY
from eco_actor.scan.stages import Fields, StageInput
from eco_actor.scan.tables import ADD_REWARD, DROP_PICTURE, FINISH_SCAN
from eco_actor.scan.task_id import actor_name
from eco_actor.scan.workers import Done, Failed
from tests.fakes import FakeStore
from tests.scan_world import FIELDS, NOW, PROGRESS, World, fake_stage

GOOD = [
    (1, "vision", "processing", 10),
    (2, "vision", "completed", 33),
    (3, "rule", "completed", 50),
    (4, "answer", "completed", 100),
    (5, "reward", "completed", 100),
]


def outline(events: list[dict[str, Any]]) -> list[tuple[int, str, str, int]]:
    return [(e["seq"], e["step"], e["status"], e["progress"]) for e in events]


def scanned(world: World, wait: float = 100.0, *, body: bytes | None = b"jpeg") -> list[Any]:
    """The events of one scan in *world*; it has ended, and nothing of it is left."""

    async def main() -> list[Any]:
        async with world.running():
            task_id = await world.admission.submit(body, Options())
            await asyncio.sleep(wait)
            assert world.count == 0
            return world.told(task_id)

    return run_virtual(main())


def test_a_good_scan_says_five_events() -> None:
    """Seq 1 to 5, each with what its stage found; the answer and the reward are kept for all,
    the reward is the last; picture, reward and end are in the transactions of their events.
    """
    world = World()
    events = scanned(world)
    assert outline(events) == GOOD
    for event, step in zip(events[1:], PROGRESS, strict=True):
        assert FIELDS[step].items() <= event.items()
    drafts = world.store.appended
    assert [(d.opens, d.terminal, d.final) for d in drafts] == [
        (True, False, False),
        (False, False, False),
        (False, False, False),
        (False, True, False),
        (False, True, True),
    ]
    task_id = events[0]["task_id"]
    assert world.store.rows(ADD_REWARD) == [(task_id, 3, "iseul", NOW)]
    assert world.store.rows(DROP_PICTURE) == [(task_id,)]
    assert world.store.rows(FINISH_SCAN) == [(task_id, NOW)]


def test_a_category_of_the_user_needs_no_vision() -> None:
    """The same five events, vision's with the user as back end and full confidence."""

    async def main() -> None:
        async with World(scripts={"vision": ["die"]}).running() as world:
            task_id = await world.admission.submit(None, Options(category="metal"))
            await asyncio.sleep(100)
            events = world.told(task_id)
            assert outline(events) == GOOD
            seen = events[1]
            assert (seen["category"], seen["confidence"], seen["backend"]) == ("metal", 1.0, "user")
            assert world.seen["vision"] == []

    run_virtual(main())


@pytest.mark.parametrize("step", ["vision", "rule", "answer"])
def test_a_stage_that_raises_fails_the_scan(step: str) -> None:
    """Once, because trying again would raise again; the failure is the last event."""
    world = World(scripts={step: ["raise"]})
    *before, last = scanned(world)
    at = list(PROGRESS).index(step) + 1
    assert outline(before) == GOOD[:at]
    assert (last["seq"], last["step"], last["status"]) == (at + 1, step, "failed")
    assert last["error"] == {"code": "step_failed", "detail": "ValueError: cannot"}
    assert world.store.appended[-1].final
    assert world.store.rows(FINISH_SCAN) == [(last["task_id"], NOW)]
    assert len(world.seen[step]) == 1


@pytest.mark.parametrize("script", [["raise"], ["die", "die"], ["silent", "silent"]])
def test_a_reward_that_fails_leaves_the_scan_completed(script: list[float | str]) -> None:
    """An event with reward null, the last one; nothing is granted."""
    world = World(scripts={"reward": script})
    events = scanned(world)
    assert outline(events[:-1]) == GOOD[:-1]
    last = events[-1]
    assert (last["seq"], last["step"], last["reward"], last["progress"]) == (5, "reward", None, 100)
    assert world.store.appended[-1].final
    assert world.store.rows(ADD_REWARD) == []


@pytest.mark.parametrize("step", ["vision", "rule", "answer", "reward"])
@pytest.mark.parametrize("fault", ["die", "silent"])
def test_a_step_whose_worker_died_or_fell_silent_is_tried_again(step: str, fault: str) -> None:
    """The events are those of a good scan."""
    world = World(scripts={step: [fault]})
    assert outline(scanned(world)) == GOOD
    first, second = [work.attempt for work in world.seen[step]]
    assert first < second


@pytest.mark.parametrize(
    ("script", "code", "after"),
    [(["die", "die"], "worker_down", 0.0), (["silent", "silent"], "step_timeout", 20.0)],
)
def test_a_second_death_or_silence_fails_the_scan(
    script: list[float | str], code: str, after: float
) -> None:
    """Its code says which; silence takes two attempts of ten seconds each."""

    async def main() -> None:
        async with World(scripts={"vision": script}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            if after:
                await asyncio.sleep(after - 0.1)
                assert outline(world.told(task_id)) == GOOD[:1]
            await asyncio.sleep(1)
            last = world.told(task_id)[-1]
            assert (last["seq"], last["status"], last["error"]["code"]) == (2, "failed", code)
            assert world.count == 0
            assert len(world.seen["vision"]) == 2
            assert world.store.rows(DROP_PICTURE) == [(task_id,)]

    run_virtual(main())


def test_a_worker_that_dies_with_the_work_still_queued_costs_no_attempt() -> None:
    """The mailbox survives the restart, so only the work in hand is given anew."""
    world = World(scripts={"vision": ["die", 0, 0, 0]})

    async def main() -> None:
        async with world.running():
            ids = await asyncio.gather(
                *(world.admission.submit(b"jpeg", Options()) for _ in range(3))
            )
            await asyncio.sleep(5)
            assert [outline(world.told(task_id)) for task_id in ids] == [GOOD] * 3
            assert len(world.seen["vision"]) == 4

    run_virtual(main())


def test_the_late_answer_of_an_attempt_that_was_given_up_is_good_and_the_next_is_ignored() -> None:
    """It comes after its deadline, while the second attempt is under way: work done is not lost."""
    numbers = itertools.count(1)

    def look(given: StageInput) -> Fields:
        return {**FIELDS["vision"], "backend": f"run {next(numbers)}"}

    world = World(
        scripts={"vision": [10.5, 3]}, stages=[fake_stage("vision", look, deadline=10)], capacity=1
    )
    events = scanned(world)
    assert outline(events) == GOOD
    assert events[1]["backend"] == "run 1"


def test_replies_with_a_wrong_number_are_ignored() -> None:
    """A reply of another attempt changes nothing, whenever it comes."""

    async def main() -> None:
        async with World(scripts={"vision": [5]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            scans = world.scans()
            assert scans is not None
            cell = scans.child(actor_name(task_id))
            assert cell is not None
            cell.tell(Done(0, FIELDS["vision"]))
            cell.tell(Done(7, FIELDS["vision"]))
            cell.tell(Failed(0, ValueError("of long ago")))
            await asyncio.sleep(1)
            assert outline(world.told(task_id)) == GOOD[:1]
            await asyncio.sleep(10)
            assert outline(world.told(task_id)) == GOOD

    run_virtual(main())


def test_a_full_pool_is_tried_again_within_the_deadline() -> None:
    """With one place in the queue of vision, five scans take turns and all finish."""

    async def main() -> None:
        world = World(scripts={"vision": [1] * 5}, capacity=1, max_scans=5)
        async with world.running():
            ids = [await world.admission.submit(b"jpeg", Options()) for _ in range(5)]
            await asyncio.sleep(5 + 5 * FULL_RETRY + 0.1)
            assert [outline(world.told(task_id)) for task_id in ids] == [GOOD] * 5

    run_virtual(main())


def test_a_pool_that_stays_full_is_a_timeout() -> None:
    """Waiting for a worker counts against the deadline of the step."""

    async def main() -> None:
        async with World(scripts={"vision": [99, 99]}, capacity=1).running() as world:
            ids = [await world.admission.submit(b"jpeg", Options()) for _ in range(3)]
            await asyncio.sleep(30)
            assert world.told(ids[2])[-1]["error"]["code"] == "step_timeout"

    run_virtual(main())


def test_nothing_but_the_acceptance_is_waited_for() -> None:
    """With commits of a second all five events are queued when the first is durable."""

    async def main() -> None:
        async with World(FakeStore(delay=1.0)).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(0.5)
            assert [draft.data["seq"] for draft in world.store.appended] == [1, 2, 3, 4, 5]
            assert outline(world.told(task_id)) == GOOD[:1]
            assert world.count == 1, "it ends when its last event is durable"
            await asyncio.sleep(0.6)
            assert outline(world.told(task_id)) == GOOD
            assert world.count == 0

    run_virtual(main())


def test_a_log_that_cannot_take_the_end_is_reported_and_the_actor_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The scan is left to a later recovery; the place it took is free."""
    world = World()
    world.store.fails = lambda drafts: "no space" if drafts and drafts[0].final else None
    assert outline(scanned(world)) == GOOD[:4]
    assert "goes on when the log takes it again: no space" in caplog.text


@pytest.mark.parametrize("how", ["refused", "failed"])
def test_an_event_that_cannot_be_written_leaves_no_hole(how: str) -> None:
    """What is in the log is 1, 2, 3 … up to where the scan got, although later events were queued
    before the failure was known.
    """
    world = World(FakeStore(delay=1.0))
    first: Callable[[Any], bool] = lambda drafts: drafts[0].data["seq"] == 2  # noqa: E731
    if how == "refused":
        world.store.refuses = first
    else:
        world.store.fails = lambda drafts: "no space" if first(drafts) else None
    seqs = [event["seq"] for event in scanned(world)]
    assert seqs == list(range(1, len(seqs) + 1))
