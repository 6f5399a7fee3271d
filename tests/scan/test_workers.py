"""Stage workers and the way to the least busy of them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eco_actor.runtime import Actor, Outcome, Supervisor, System, child
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.options import Options
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.workers import Done, Failed, Pool, Work, pool_spec
from tests.fakes import InlineExecutor


class Asker(Actor[Any]):
    """Notes what it is answered."""

    def __init__(self, heard: list[Any], answered: asyncio.Event) -> None:
        self.heard = heard
        self.answered = answered

    def handle(self, message: Any) -> None:
        self.heard.append(message)
        self.answered.set()


class Bench:
    """One pool under its supervisor, and somebody who asks."""

    def __init__(
        self, run: Callable[[StageInput], Fields], *, workers: int, capacity: int, blocking: bool
    ) -> None:
        self.pool = Pool(Stage("vision", 33, run, blocking=blocking, workers=workers), capacity)
        self.threads = InlineExecutor()
        self.heard: list[Any] = []
        self.answered = asyncio.Event()

    def tree(self) -> System:
        asker = child("asker", Asker, self.heard, self.answered)
        return System(child("eco", Supervisor, [pool_spec(self.pool, self.threads), asker]))

    def tell(self, system: System, attempt: int) -> tuple[Any, Outcome]:
        asker = system.find("/eco/asker")
        assert asker is not None
        given = StageInput("t", Options(), None, {"n": attempt})
        return self.pool.tell(Work(given, attempt, asker))


def echo(given: StageInput) -> Fields:
    assert given.classification is not None
    return dict(given.classification)


@pytest.mark.parametrize("blocking", [False, True])
def test_a_worker_answers_with_what_its_stage_found_and_the_number(blocking: bool) -> None:
    """In the turn or in a thread, one answer a work."""
    bench = Bench(echo, workers=2, capacity=3, blocking=blocking)

    async def main() -> None:
        async with bench.tree() as system:
            for n in range(4):
                worker, outcome = bench.tell(system, n)
                assert outcome.accepted
                assert worker is not None
            await asyncio.sleep(1)

    run_virtual(main())
    assert sorted(bench.heard, key=lambda done: done.attempt) == [
        Done(n, {"n": n}) for n in range(4)
    ]


@pytest.mark.parametrize("blocking", [False, True])
def test_a_stage_that_raises_is_an_answer_and_the_worker_lives(blocking: bool) -> None:
    """Failed with the error; the next work is done by the same incarnation."""

    def run(given: StageInput) -> Fields:
        if given.classification == {"n": 1}:
            raise ValueError("boom")
        return {}

    bench = Bench(run, workers=1, capacity=3, blocking=blocking)

    async def main() -> None:
        async with bench.tree() as system:
            bench.tell(system, 1)
            bench.tell(system, 2)
            await asyncio.sleep(1)
            worker = system.find("/eco/vision/1")
            assert isinstance(worker, Cell)
            assert worker.incarnation == 1

    run_virtual(main())
    failed, done = bench.heard
    assert isinstance(failed, Failed)
    assert (failed.attempt, str(failed.error)) == (1, "boom")
    assert done == Done(2, {})


def test_work_goes_to_the_shortest_queue_and_a_full_pool_says_so() -> None:
    """Queued and in hand count alike; when every mailbox is full nobody has it."""
    bench = Bench(echo, workers=3, capacity=2, blocking=True)
    bench.threads.held = True

    async def main() -> None:
        async with bench.tree() as system:
            first = [bench.tell(system, n)[0] for n in range(3)]
            assert len(set(first)) == 3
            await asyncio.sleep(1)  # one in hand each
            second = [bench.tell(system, n)[0] for n in range(6)]
            assert sorted(map(second.count, set(second))) == [2, 2, 2]
            assert bench.tell(system, 99) == (None, Outcome.FULL)
            bench.threads.let_go()
            await asyncio.sleep(1)
            assert len(bench.heard) == 9

    run_virtual(main())


def test_a_restarted_worker_is_the_same_to_the_pool_and_keeps_its_queue() -> None:
    """A kill in mid-stage loses the work in hand alone."""
    bench = Bench(echo, workers=1, capacity=2, blocking=True)
    bench.threads.held = True

    async def main() -> None:
        async with bench.tree() as system:
            worker, _ = bench.tell(system, 1)
            await asyncio.sleep(1)
            bench.tell(system, 2)
            worker.kill()
            await asyncio.sleep(1)
            bench.threads.let_go()
            await asyncio.sleep(1)
            assert bench.heard == [Done(2, {"n": 2})]
            assert worker.incarnation == 2
            assert bench.tell(system, 3) == (worker, Outcome.ENQUEUED)

    run_virtual(main())


def test_a_pool_without_living_workers_is_dead_until_new_ones_join() -> None:
    """Before the start, and after the end for good, work is refused with DEAD."""
    bench = Bench(echo, workers=2, capacity=2, blocking=False)
    asker: Any = None

    async def main() -> None:
        work = Work(StageInput("t", Options(), None, {}), 1, asker)
        assert bench.pool.tell(work) == (None, Outcome.DEAD)
        async with bench.tree() as system:
            assert bench.tell(system, 1)[1] is Outcome.ENQUEUED
        assert bench.pool.tell(work) == (None, Outcome.DEAD)
        async with bench.tree() as system:
            assert bench.tell(system, 2)[1] is Outcome.ENQUEUED
            await asyncio.sleep(1)

    run_virtual(main())
    assert [done.attempt for done in bench.heard] == [1, 2]


async def test_a_blocking_stage_leaves_the_loop_free() -> None:
    """While it runs in its thread, the loop goes on; its answer comes when it is done."""
    bench = Bench(echo, workers=1, capacity=2, blocking=True)
    loop = asyncio.get_running_loop()
    turns = asyncio.Event()

    def run(given: StageInput) -> Fields:
        asyncio.run_coroutine_threadsafe(turns.wait(), loop).result(30)
        return {}

    bench.pool = Pool(Stage("vision", 33, run, blocking=True), 2)
    with ThreadPoolExecutor(1) as threads:
        asker = child("asker", Asker, bench.heard, bench.answered)
        spec = child("eco", Supervisor, [pool_spec(bench.pool, threads), asker])
        async with System(spec) as system:
            bench.tell(system, 1)
            for _ in range(5):
                await asyncio.sleep(0)
            assert bench.heard == []
            turns.set()
            async with asyncio.timeout(30):
                await bench.answered.wait()
    assert bench.heard == [Done(1, {})]
