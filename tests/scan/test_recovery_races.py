"""What may happen while unfinished scans go on, in virtual time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from eco_actor.eventlog import Draft
from eco_actor.runtime import Restart, Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.recovery import Recovery
from eco_actor.scan.stages import Fields, StageInput
from eco_actor.scan.tables import UNFINISHED
from eco_actor.scan.task_id import TaskIds
from eco_actor.scan.views import Views
from tests.fakes import FakeStore
from tests.scan_world import FIELDS, NOW, World, fake_stage, story


def look(given: StageInput) -> Fields:
    if given.pixels is None:
        raise RuntimeError("no picture")
    return FIELDS["vision"]


async def left_behind(world: World) -> str:
    """A scan in the log that nobody works at."""
    old = TaskIds().make(NOW - 1)
    event = story(task_id=old)[0]
    await world.log.commit([Draft(channel(old), event, NOW, opens=True)])
    return old


def recovering(world: World, *rows: tuple[Any, ...]) -> System:
    """A recovery beside *world* that is told of *rows* as unfinished, at each look."""

    def answers(sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        if sql == UNFINISHED:
            return sorted((row[0],) for row in rows if row[0] > given[0])
        return [(row[1], None, 0, row[2]) for row in rows if row[0] == given[0]]

    world.store.answers = answers
    actor = child(
        "recovery",
        Recovery,
        world.log,
        world.admission,
        Views(world.log),
        restart=Restart.TEMPORARY,
    )
    return System(child("beside", Supervisor, [actor]))


def test_what_a_scan_that_is_gone_had_still_queued_is_waited_for() -> None:
    """Its actor ended with an event on the way to the disk: that step is not said again."""

    async def main() -> None:
        async with World(FakeStore(delay=1), {"rule": ["silent"]}).running() as world:
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(0.1)
            scans = world.scans()
            assert scans is not None
            scans.stop_children()
            await asyncio.sleep(0.1)
            assert [event["seq"] for event in world.told(task_id)] == [1]
            async with recovering(world, (task_id, Options().pack(), None)):
                await asyncio.sleep(10)
            assert [event["seq"] for event in world.told(task_id)] == [1, 2, 3, 4, 5]
            assert len(world.seen["vision"]) == 1

    run_virtual(main())


def test_a_scan_that_ends_while_others_wait_for_room_is_not_started_again() -> None:
    """It was under way when recovery looked; by its turn it is over, and takes up no place."""

    async def main() -> None:
        async with World(scripts={"vision": [5]}, max_scans=1).running() as world:
            running = await world.admission.submit(b"jpeg", Options())
            old = await left_behind(world)
            packed = Options(category="glass").pack()
            rows = [(old, packed, None), (running, packed, None)]
            async with recovering(world, *rows):
                await asyncio.sleep(100)
                assert [e["status"] for e in world.told(old)] == ["processing", *["completed"] * 4]
                assert world.count == 0

    run_virtual(main())


def test_a_busy_decoder_fails_no_scan_that_was_accepted() -> None:
    """While clients keep the decoder busy, an old scan waits for it and then goes on."""

    async def main() -> None:
        world = World(max_decodes=1, stages=[fake_stage("vision", look)])
        async with world.running():
            old = await left_behind(world)
            world.threads.held = True
            client = asyncio.ensure_future(world.admission.submit(b"jpeg", Options()))
            await asyncio.sleep(0)
            async with recovering(world, (old, Options().pack(), b"jpeg")):
                await asyncio.sleep(5)
                world.threads.let_go()
                await client
                await asyncio.sleep(5)
                statuses = [event["status"] for event in world.told(old)]
                assert statuses == ["processing", *["completed"] * 4]

    run_virtual(main())


def test_a_scan_that_met_a_full_log_goes_on_at_the_next_look() -> None:
    """The acceptance was durable, then the queue was full for a moment: nobody waits for ever."""

    async def main() -> None:
        async with World().running() as world:
            world.store.refuses = lambda drafts: bool(drafts) and drafts[0].data["seq"] == 2
            options = Options(category="glass")
            task_id = await world.admission.submit(None, options)
            await asyncio.sleep(1)
            assert world.count == 0
            world.store.refuses = lambda drafts: False
            async with recovering(world, (task_id, options.pack(), None)):
                await asyncio.sleep(1)
                assert [event["seq"] for event in world.told(task_id)] == [1, 2, 3, 4, 5]

    run_virtual(main())
