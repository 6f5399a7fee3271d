"""What scans, workers and recovery do when one of the others ends, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eco_actor.eventlog import Draft
from eco_actor.runtime import (
    Actor,
    Down,
    DynamicSupervisor,
    ExitKind,
    Restart,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.recovery import Recovery
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.tables import UNFINISHED
from eco_actor.scan.task_id import TaskIds
from eco_actor.scan.views import Views
from eco_actor.scan.workers import Done, Pool, Work, pool_spec
from tests.fakes import InlineExecutor
from tests.scan_world import NOW, ScriptedWorker, World, story

GOOD = ["processing", "completed", "completed", "completed", "completed"]


class Eye(Actor[Any]):
    """Watches what it is told of; notes each Down, and whether its actor may come back."""

    def __init__(self, heard: list[tuple[Down, bool]]) -> None:
        self.heard = heard

    def handle(self, message: Any) -> None:
        if isinstance(message, Down):
            self.heard.append((message, message.ref.alive))
        else:
            self.watch(message)


class Slow(Actor[Any]):
    """Takes a second for everything."""

    async def handle(self, message: Any) -> None:
        await asyncio.sleep(1)


@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.PERMANENT])
def test_a_watcher_hears_when_what_is_queued_is_lost_for_good(restart: Restart) -> None:
    """A second Down says that the actor will not come back; while it may, there is but one."""
    heard: list[tuple[Down, bool]] = []

    async def main() -> None:
        specs = [child("slow", Slow, restart=restart), child("eye", Eye, heard)]
        async with System(child("top", Supervisor, specs)) as system:
            slow, eye = system.find("/top/slow"), system.find("/top/eye")
            assert slow is not None
            assert eye is not None
            eye.tell(slow)
            for n in range(3):
                slow.tell(n)
            await asyncio.sleep(0.5)
            slow.kill()
            await asyncio.sleep(0.1)
            assert all(down.reason.kind is ExitKind.KILLED for down, _ in heard)
            if restart is Restart.PERMANENT:
                assert [(down.lost, alive) for down, alive in heard] == [(0, True)]
            else:
                assert [down.lost for down, _ in heard] == [0, None]
                assert not heard[-1][1]
                assert system.dead_letters == 3

    run_virtual(main())


@pytest.mark.parametrize("queued", [1, 3])
def test_scans_queued_at_a_worker_that_dies_for_good_go_on_at_once(queued: int) -> None:
    """Another worker of the pool has them in the same moment, long before their deadline."""
    seen: list[Work] = []

    async def main() -> None:
        async with World(scripts={"vision": [2]}, max_scans=9).running() as world:
            pool = world.pools["vision"]
            spec = child("mortal", ScriptedWorker, pool, [100], seen, restart=Restart.TEMPORARY)
            scans = [await world.admission.submit(b"jpeg", Options())]  # two seconds' work
            await asyncio.sleep(0.1)
            async with System(child("beside", Supervisor, [spec])) as beside:
                mortal = beside.find("/beside/mortal")
                assert mortal is not None
                while len(mortal.mailbox) < queued:
                    scans.append(await world.admission.submit(b"jpeg", Options()))
                    await asyncio.sleep(0.1)
                scans.remove(seen[0].given.task_id)  # that one was in its hand
                mortal.kill()
                await asyncio.sleep(0.1)
                assert not mortal.alive
                await asyncio.sleep(3)
            assert len(seen) == 1
            for task_id in scans:
                assert [event["status"] for event in world.told(task_id)] == GOOD

    run_virtual(main())


def test_a_scan_whose_worker_is_replaced_goes_on_with_the_new_one() -> None:
    """The supervisor of the pool was killed in mid-stage: the second attempt is for who comes."""

    async def main() -> None:
        async with World(scripts={"vision": [100]}).running() as world:
            pipeline = world.system.find("/eco/pipeline")
            worker = world.system.find("/eco/pipeline/vision")
            assert pipeline is not None
            assert worker is not None
            task_id = await world.admission.submit(b"jpeg", Options())
            await asyncio.sleep(1)
            pipeline.kill()
            await asyncio.sleep(20)
            assert not worker.alive
            assert [event["status"] for event in world.told(task_id)] == GOOD

    run_virtual(main())


def test_work_of_a_scan_that_is_over_is_not_done() -> None:
    """What was queued when its scan was cancelled costs no thread; the next in the queue has it."""
    ran: list[int] = []

    def run(given: StageInput) -> Fields:
        assert given.classification is not None
        ran.append(given.classification["n"])
        return {}

    class Mortal(Actor[Any]):
        def handle(self, message: Any) -> None:
            self.stop()

    heard: list[Any] = []

    class Waiting(Actor[Any]):
        def handle(self, message: Any) -> None:
            heard.append(message)

    async def main() -> None:
        pool = Pool(Stage("vision", 33, run, blocking=True, workers=1), 9)
        threads = InlineExecutor()
        threads.held = True
        mortal = child("mortal", Mortal, restart=Restart.TEMPORARY)
        specs = [pool_spec(pool, threads), mortal, child("waiting", Waiting)]
        async with System(child("eco", Supervisor, specs)) as system:
            leaver, waiting = system.find("/eco/mortal"), system.find("/eco/waiting")
            assert leaver is not None
            assert waiting is not None
            for n, whose in enumerate([waiting, leaver, leaver, leaver, waiting]):
                given = StageInput("t", Options(), None, {"n": n})
                assert pool.tell(Work(given, n, whose))[1].accepted
            await asyncio.sleep(1)  # the first is in its thread
            leaver.tell("stop")
            await asyncio.sleep(1)
            assert not leaver.alive
            threads.let_go()
            await asyncio.sleep(1)
            assert heard == [Done(0, {}), Done(4, {})]

    run_virtual(main())
    assert ran == [0, 4]


class Recovering(World):
    """The same with recovery behind the scans, told of *rows* as unfinished, as in the server."""

    rows: Sequence[tuple[Any, ...]] = ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Recovering"]:
        await self.log.open()
        self.store.answers = self._answers
        workers = [
            child(name, ScriptedWorker, pool, self.scripts.setdefault(name, []), self.seen[name])
            for name, pool in self.pools.items()
        ]
        tree = [
            child("pipeline", Supervisor, workers),
            child("scans", DynamicSupervisor, self.max_scans),
            child("recovery", Recovery, self.log, self.admission, Views(self.log)),
        ]
        self.system = System(child("eco", Supervisor, tree, Strategy.REST_FOR_ONE))
        async with self.system:
            yield self

    def _answers(self, sql: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        if sql == UNFINISHED:
            return sorted((row[0],) for row in self.rows if row[0] > given[0])
        return [(row[1], None, 0, row[2]) for row in self.rows if row[0] == given[0]]


@pytest.mark.parametrize("how", ["restart", "stop"])
def test_a_recovery_that_waits_for_room_holds_up_nobody(how: str) -> None:
    """It waits for the very scans that are being stopped: it gives way at once."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = Recovering(scripts={"vision": ["silent"]}, max_scans=1)
        async with world.running():
            await world.admission.submit(b"jpeg", Options())
            old = TaskIds().make(NOW - 1)
            event = story(task_id=old)[0]
            await world.log.commit([Draft(channel(old), event, NOW, opens=True)])
            world.rows = [(old, Options(category="glass").pack(), None)]
            recovery = world.system.find("/eco/recovery")
            scans = world.system.find("/eco/scans")
            assert recovery is not None
            assert scans is not None
            recovery.kill()  # to make it look again
            await asyncio.sleep(1)
            assert recovery.mailbox.in_hand == 1, "it does not wait for room"
            begun = loop.time()
            if how == "restart":
                scans.kill()
                await asyncio.sleep(0.05)
                while world.scans() is None and loop.time() < begun + 20:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                assert loop.time() < begun + 1
                await asyncio.sleep(1)
                assert [event["status"] for event in world.told(old)] == GOOD
        if how == "stop":
            assert loop.time() < begun + 1

    run_virtual(main())
