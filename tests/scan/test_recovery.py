"""What an earlier process left unfinished goes on at its next step, on a real store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability, EventLog, Write
from eco_actor.scan import recovery
from eco_actor.scan.options import Options
from eco_actor.scan.tables import ADD_REWARD, DROP_PICTURE
from tests.scan.rig import GOOD, STEPS, Rig, leave, open_log
from tests.scan_world import NOW, PROGRESS


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for room in real time."""
    monkeypatch.setattr(recovery, "WAIT_S", 0.0)


@pytest.fixture(params=[Durability.FULL, Durability.OFF], ids=lambda d: d.value)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    on_disk = request.param is Durability.FULL
    made = open_log(tmp_path / "log.db" if on_disk else None, request.param)
    await made.open()
    yield made
    await made.close()


async def test_scans_go_on_behind_whatever_step_they_had_done(log: EventLog) -> None:
    """One left after each step: five events each in the end, none twice, one reward each; the
    steps that were done are not run again, and only what still needs its picture is decoded.
    """
    left = [await leave(log, *STEPS[:done], number=done) for done in range(4)]
    chosen = await leave(log, picture=None, number=5)
    rig = Rig(log)
    async with rig.running():
        await rig.finished([*left, chosen])
        for task_id in [*left, chosen]:
            assert await rig.steps(task_id) == GOOD
        assert rig.decoded == [b"jpeg"]
        for done, task_id in enumerate(left):
            assert [name for t, name in rig.runs if t == task_id] == list(PROGRESS)[done:]
        assert [name for t, name in rig.runs if t == chosen] == ["rule", "answer", "reward"]
        rewards = await log.query("SELECT task_id, count(*) FROM rewards GROUP BY task_id")
        assert dict(rewards) == dict.fromkeys([*left, chosen], 1)
        assert await log.query("SELECT * FROM pictures") == []
        assert await log.query("SELECT count(*) FROM scans WHERE finished = 0") == [(0,)]


@pytest.mark.parametrize(
    "parts",
    [
        STEPS,
        [("vision", "failed")],
        [("vision", "cancelled")],
        [*STEPS[:2], ("answer", "failed")],
        [*STEPS[:3], ("reward", "failed")],
    ],
)
async def test_scans_that_are_over_stay_over(log: EventLog, parts: list[tuple[str, str]]) -> None:
    """Not a stage is run, not an event is said, however they ended."""
    over = await leave(log, *parts)
    other = await leave(log, *STEPS[:1], number=1)
    rig = Rig(log)
    async with rig.running():
        await rig.finished([other])
        assert await rig.steps(over) == [GOOD[0], *parts]
        assert {task_id for task_id, _ in rig.runs} == {other}


@pytest.mark.parametrize("picture", [b"bad", b""], ids=["broken", "missing"])
async def test_a_scan_whose_picture_is_gone_fails_and_says_so(
    log: EventLog, picture: bytes
) -> None:
    """It does not wait for ever, and the others go on."""
    task_id = await leave(log, picture=picture or b"x")
    if not picture:
        await log.commit([], [Write(DROP_PICTURE, (task_id,))])
    other = await leave(log, number=1)
    rig = Rig(log)
    async with rig.running():
        await rig.finished([task_id, other])
        assert await rig.steps(task_id) == [GOOD[0], ("vision", "failed")]
        assert await rig.steps(other) == GOOD
        error = (await rig.views.snapshot(task_id) or {})["error"]
        assert error["code"] == "step_failed"
        assert await log.query("SELECT * FROM pictures") == []


async def test_more_than_there_is_room_for_go_on_one_after_another(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty unfinished, read seven at a time, with room for two."""
    monkeypatch.setattr(recovery, "FEW", 7)
    left = [await leave(log, *STEPS[: n % 4], number=n) for n in range(40)]
    rig = Rig(log, max_scans=2)
    async with rig.running():
        await rig.finished(left)
        for task_id in left:
            assert await rig.steps(task_id) == GOOD
        assert 1 <= rig.most <= 2
        assert await log.query("SELECT count(*) FROM rewards") == [(40,)]


async def test_a_reward_that_was_granted_is_not_granted_again(log: EventLog) -> None:
    """The ledger keeps the first row, whatever the log says."""
    task_id = await leave(log, *STEPS[:3])
    await log.commit([], [Write(ADD_REWARD, (task_id, 77, "first", NOW))])
    rig = Rig(log)
    async with rig.running():
        await rig.finished([task_id])
        assert await log.query("SELECT points, character FROM rewards") == [(77, "first")]


async def test_a_restart_of_the_scans_brings_back_what_was_under_way(log: EventLog) -> None:
    """Their supervisor is killed in mid-step; each step is still said once."""
    rig = Rig(log)
    async with rig.running():
        accepted = [await rig.admission.submit(b"jpeg", Options()) for _ in range(5)]
        scans = rig.system.find("/work/scans")
        assert scans is not None
        scans.kill()
        await asyncio.sleep(0)
        await rig.finished(accepted)
        for task_id in accepted:
            assert await rig.steps(task_id) == GOOD
        assert await log.query("SELECT count(*) FROM rewards") == [(5,)]


async def test_a_process_that_goes_on_where_another_was_killed(tmp_path: Path) -> None:
    """Over a file: what the first left is finished by the second, with a new look at the disk."""
    path = tmp_path / "log.db"
    first = open_log(path, Durability.NORMAL)
    await first.open()
    task_id = await leave(first, *STEPS[:1])
    await first.close()
    second = open_log(path, Durability.NORMAL)
    await second.open()
    rig = Rig(second)
    async with rig.running():
        await rig.finished([task_id])
        assert await rig.steps(task_id) == GOOD
    await second.close()
