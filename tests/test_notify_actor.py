"""When the server tells its manager what, in virtual time: ready, how it is, that it lives."""

import asyncio
from itertools import pairwise

import pytest

from eco_actor.progress import PROBE_S
from eco_actor.runtime import DynamicSupervisor, child
from eco_actor.service import NUMBERS_S
from tests.notified import DEADLINE_S, WATCHDOG_S, Ear, Held, Mute, Scene, Slow, staged


def largest_gap(times: list[float], begin: float, end: float) -> float:
    inside = [begin, *(at for at in times if begin <= at <= end), end]
    return max(after - before for before, after in pairwise(inside))


def test_ready_is_told_when_it_listens_and_the_store_answers() -> None:
    """Not before, with what is missing as the status; then once, and signs of life from then on."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(100)

    ear = staged(main, listening=Slow)
    assert ear.statuses[0].startswith("not ready: it does not listen yet")
    (ready,) = ear.times("READY")
    assert ready >= 3.5
    assert ear.times("WATCHDOG")[0] == ready
    assert largest_gap(ear.times("WATCHDOG"), ready, 100.0) <= WATCHDOG_S / 2


def test_a_store_that_does_not_answer_keeps_it_from_being_ready() -> None:
    """The status says why; what is refused at first is asked again until it works."""

    def broken(stage: Scene) -> None:
        stage.store.trouble = "the disk is full"

    async def main(stage: Scene) -> None:
        await asyncio.sleep(20)
        assert "not ready: store: the disk is full; 0 scans under way, 0 streams" in (
            stage.ear.statuses
        )
        assert stage.ear.times("READY") == []
        stage.store.trouble = None
        await asyncio.sleep(3)
        assert len(stage.ear.times("READY")) == 1

    staged(main, prepare=broken)


def test_ready_that_was_not_heard_is_said_again() -> None:
    """A manager whose socket is full would wait for it until it gives up."""

    async def main(stage: Scene) -> None:
        stage.ear.deaf = True
        await asyncio.sleep(10)
        stage.ear.deaf = False
        await asyncio.sleep(2)

    ear = staged(main)
    assert len(ear.times("READY")) == 1


@pytest.mark.parametrize("watchdog_s", [0.08, 2.0, 4.4, 30.0, 600.0])
def test_signs_of_life_come_twice_as_often_as_they_must(watchdog_s: float) -> None:
    """Whatever the manager's patience."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(watchdog_s * 4)

    ear = staged(main, Ear(watchdog_s))
    (ready,) = ear.times("READY")
    assert largest_gap(ear.times("WATCHDOG"), ready, watchdog_s * 4) <= watchdog_s / 2 + 1e-6


def test_without_a_watchdog_there_are_none() -> None:
    """But ready, and a status."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(100)

    ear = staged(main, Ear(None))
    assert ear.times("READY")
    assert not ear.times("WATCHDOG")


def test_a_worker_that_hangs_silences_it_and_one_that_goes_on_does_not() -> None:
    """Beyond the deadline there is no sign of life, and a status; they come again when it ends."""

    async def main(stage: Scene) -> None:
        stage.threads.held = True
        stage.scan()
        await asyncio.sleep(DEADLINE_S - 5)
        assert stage.ear.times("WATCHDOG")[-1] > DEADLINE_S - 5 - WATCHDOG_S / 2
        await asyncio.sleep(100)
        assert stage.ear.times("WATCHDOG")[-1] <= DEADLINE_S + 1
        assert stage.ear.statuses[-1].startswith("stuck: vision/1: nothing came of it for")
        stage.threads.let_go()
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(3)
        assert stage.ear.times("WATCHDOG")[-1] >= now
        assert stage.ear.statuses[-1].startswith("ready")

    staged(main)


def test_threads_that_answer_nothing_silence_it() -> None:
    """Nobody scans, and nobody could: the job that asks does not come back."""

    class Gone(Held):
        free = True  # it seems so

    def lost(stage: Scene) -> None:
        stage.threads = Gone()

    async def main(stage: Scene) -> None:
        await asyncio.sleep(20)
        stage.threads.held = True
        await asyncio.sleep(PROBE_S + WATCHDOG_S)
        assert stage.ear.times("WATCHDOG")[-1] <= 20 + WATCHDOG_S / 4 + PROBE_S + 1
        assert "no thread took a job" in stage.ear.statuses[-1]

    staged(main, prepare=lost)


def test_trouble_of_the_storage_is_told_and_does_not_kill() -> None:
    """Also when work waits for it; the end of the trouble is told, too."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(5)
        stage.store.trouble = "a write has not come back for 5 s"
        await asyncio.sleep(500)
        assert stage.ear.statuses[-1].startswith("nothing can be written: a write has not come")
        assert stage.ear.times("WATCHDOG")[-1] > 500 - WATCHDOG_S / 2
        stage.store.trouble = None
        await asyncio.sleep(3)
        assert stage.ear.statuses[-1].startswith("ready")

    staged(main)


def test_what_only_a_restart_ends_is_left_to_the_manager() -> None:
    """A file that was replaced is never written again: no sign of life, and the status says why."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(5)
        stage.store.trouble = "the file was replaced: restart the server"
        stage.store.needs_restart = True
        await asyncio.sleep(100)
        assert stage.ear.times("WATCHDOG")[-1] <= 5
        assert stage.ear.statuses[-1].startswith(
            "nothing can be written: the file was replaced: restart the server; "
        )

    staged(main)


def test_a_status_is_told_when_it_changes() -> None:
    """Health at once, numbers now and then, and nothing when nothing is new."""

    async def main(stage: Scene) -> None:
        await asyncio.sleep(100)
        before = len(stage.ear.statuses)
        assert before <= 3
        scans = stage.system.at("/eco/work/scans").actor
        assert isinstance(scans, DynamicSupervisor)
        for n in range(8):
            scans.start_child_nowait(child(f"s{n}", Mute))
            await asyncio.sleep(1)
        await asyncio.sleep(NUMBERS_S)
        told = stage.ear.statuses[before:]
        assert len(told) <= 8 / NUMBERS_S + 2
        assert told[-1] == "ready; 8 scans under way, 0 streams"
        stage.draining = True
        await asyncio.sleep(1.1)
        assert stage.ear.statuses[-1].startswith("draining; 8 scans")

    staged(main)


def test_a_restart_of_the_actor_is_no_news_to_the_manager() -> None:
    """What it knew lasts: it does not say ready again, nor forget how long somebody hangs."""

    async def main(stage: Scene) -> None:
        stage.threads.held = True
        stage.scan()
        for _ in range(4):
            await asyncio.sleep(30)
            stage.system.at("/eco/work/notify").kill()
        await asyncio.sleep(10)
        assert len(stage.ear.times("READY")) == 1
        assert stage.ear.times("WATCHDOG")[-1] <= DEADLINE_S + 1
        assert not stage.ear.times("STOPPING")

    staged(main)


def test_a_worker_that_the_operator_holds_does_not_hang() -> None:
    """Suspended, it has work and does none, and that is meant."""

    async def main(stage: Scene) -> None:
        stage.system.at("/eco/work/pipeline/vision/1").suspend()
        stage.scan()
        await asyncio.sleep(300)
        assert stage.ear.times("WATCHDOG")[-1] > 300 - WATCHDOG_S / 2

    staged(main)
