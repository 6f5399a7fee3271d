"""A picture that kills the process fails after three tries, and takes no other scan along."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eco_actor.eventlog import EventLog
from eco_actor.scan import recovery
from eco_actor.scan.options import Options
from eco_actor.scan.tries import MOST
from tests.scan.rig import GOOD, STEPS, Gate, Rig, crash_copy, leave, open_log, tried
from tests.scan_world import PROGRESS


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for room in real time."""
    monkeypatch.setattr(recovery, "WAIT_S", 0.0)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end, whatever happened, so that no thread waits for ever."""
    made = Gate()
    with made.threads:
        yield made
        made.open()


class Disk:
    """The file of a log, over crashes: `crash` goes on with what the disk has now."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self._folder, self._gate = folder, gate
        self._path, self._crashes = folder / "log.db", 0

    async def crash(self) -> None:
        """From now on it is as if the process that has the file open had died at this moment."""
        self._crashes += 1
        self._path = await crash_copy(self._path, self._folder / str(self._crashes))

    @asynccontextmanager
    async def log(self) -> AsyncIterator[EventLog]:
        log = open_log(self._path)
        await log.open()
        yield log
        await log.close()

    @asynccontextmanager
    async def running(self, workers: int = 1) -> AsyncIterator[Rig]:
        async with self.log() as log:
            stages = [self._gate.stage(workers)]
            async with Rig(log, stages=stages, threads=self._gate.threads).running() as rig:
                yield rig


@pytest.fixture
def disk(tmp_path: Path, gate: Gate) -> Disk:
    return Disk(tmp_path, gate)


async def error_of(rig: Rig, task_id: str) -> tuple[str, str]:
    error = (await rig.views.snapshot(task_id) or {})["error"]
    return error["code"], error["detail"]


async def test_a_try_is_durable_before_a_worker_begins(disk: Disk, gate: Gate) -> None:
    """The first comes with the acceptance; a scan that only waits for the worker has none."""
    async with disk.running() as rig:
        first, second = [await rig.admission.submit(b"jpeg", Options()) for _ in "ab"]
        await gate.reached(first)
        await disk.crash()
    gate.only = {second}
    async with disk.running() as rig:
        await gate.reached(second)
        assert await tried(rig.log, first) == ("vision", 1)
        assert await tried(rig.log, second) == ("vision", 1)
        gate.open()
        await rig.finished([first, second])
        assert await tried(rig.log, first) == ("vision", 2)


async def test_a_picture_that_kills_the_process_fails_after_three_tries(
    disk: Disk, gate: Gate
) -> None:
    """Its last event names the step, its picture is gone, and who waited with it is finished."""
    async with disk.running() as rig:
        bad, other = [await rig.admission.submit(b"jpeg", Options()) for _ in "ab"]
        await gate.reached(bad)
        await disk.crash()
    gate.only = {bad}
    for crash in range(1, MOST):
        async with disk.running() as rig:
            await gate.reached(bad, crash + 1)
            assert await tried(rig.log, bad) == ("vision", crash + 1)
            assert await rig.steps(bad) == GOOD[:1]
            await disk.crash()
    async with disk.running() as rig:
        await rig.finished([bad, other])
        assert await rig.steps(bad) == [GOOD[0], ("vision", "failed")]
        code, detail = await error_of(rig, bad)
        assert (code, "vision" in detail) == ("step_crashed", True)
        assert await rig.steps(other) == GOOD
        assert gate.seen.count(bad) == MOST
        assert await rig.log.query("SELECT * FROM pictures") == []
        assert await rig.log.query("SELECT count(*) FROM rewards") == [(1,)]


@pytest.mark.parametrize("done", range(len(PROGRESS)))
async def test_steps_inside_the_turn_have_three_tries_as_well(disk: Disk, done: int) -> None:
    """The first needs no mark of its own; a reward that crashes fails alone, as ever."""
    async with disk.log() as log:
        ids = {
            tries: await leave(
                log,
                *STEPS[:done],
                picture=None,
                number=tries,
                tried=(list(PROGRESS)[done], tries) if tries > 1 else ("vision", 0),
            )
            for tries in (1, MOST - 1, MOST)
        }
    async with disk.running() as rig:
        await rig.finished(ids.values())
        step = list(PROGRESS)[done]
        for tries, task_id in ids.items():
            status = "failed" if tries == MOST else "completed"
            steps = await rig.steps(task_id)
            assert steps[done + 1] == (step, status)
            assert (len(steps) == len(GOOD)) == (tries < MOST or step == "reward")
        if step == "reward":
            snapshot = await rig.views.snapshot(ids[MOST]) or {}
            assert (snapshot["status"], snapshot["reward"]) == ("completed", None)
        else:
            assert (await error_of(rig, ids[MOST]))[0] == "step_crashed"
            assert await tried(rig.log, ids[MOST - 1]) == (step, MOST)


async def test_suspects_come_last_and_one_at_a_time(disk: Disk, gate: Gate) -> None:
    """Whoever killed the process takes none of the others along, though two workers are there.

    Innocents first; of the suspects those with fewer crashes, then the older.
    """
    async with disk.log() as log:
        worst = await leave(log, tried=("vision", 2), number=1)
        old, new = [await leave(log, tried=("vision", 1), number=n) for n in (2, 3)]
        innocent = [await leave(log, number=n) for n in (4, 5)]
    gate.only = {old}
    async with disk.running(workers=2) as rig:
        await gate.reached(old)
        await rig.ended(innocent)
        assert sorted(gate.seen[:2]) == sorted(innocent)
        await rig.recovery_rests()
        assert gate.seen[2:] == [old]
        assert len(rig.scans() or ()) == 1
        assert [await tried(rig.log, each) for each in (new, worst)] == [
            ("vision", 1),
            ("vision", 2),
        ]
        gate.open()
        await rig.finished([old, new, worst])
        assert gate.seen[2:] == [old, new, worst]


async def test_an_orderly_stop_in_the_middle_of_a_step_is_no_crash(disk: Disk, gate: Gate) -> None:
    """Stopped four times with the picture in a worker: it is as innocent as before."""
    async with disk.running() as rig:
        task_id = await rig.admission.submit(b"jpeg", Options())
        await gate.reached(task_id)
    for stop in range(2, MOST + 2):
        async with disk.running() as rig:
            await gate.reached(task_id, stop)
            assert await tried(rig.log, task_id) == ("vision", 1)
    gate.open()
    async with disk.running() as rig:
        await rig.finished([task_id])
        assert await rig.steps(task_id) == GOOD


async def test_a_crash_before_an_orderly_stop_still_counts(disk: Disk, gate: Gate) -> None:
    """The stop takes back its own try, and no other."""
    async with disk.log() as log:
        task_id = await leave(log, tried=("vision", 1))
    async with disk.running():
        await gate.reached(task_id)
    async with disk.running() as rig:
        await gate.reached(task_id, 2)
        assert await tried(rig.log, task_id) == ("vision", 2)
        gate.open()
        await rig.finished([task_id])


async def test_a_restart_of_the_scans_is_no_crash(disk: Disk, gate: Gate) -> None:
    """Their supervisor is killed again and again with a picture in a worker."""
    async with disk.running(workers=MOST + 2) as rig:
        task_id = await rig.admission.submit(b"jpeg", Options())
        for restart in range(1, MOST + 1):
            await gate.reached(task_id, restart)
            scans = rig.system.find("/work/scans")
            assert scans is not None
            scans.kill()
        await gate.reached(task_id, MOST + 1)
        assert await tried(rig.log, task_id) == ("vision", 1)
        gate.open()
        await rig.finished([task_id])
        assert await rig.steps(task_id) == GOOD
