"""A thing is rewarded once: whoever asks about it again is told of no second reward."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eco_actor.eventlog import Draft, EventLog, Write
from eco_actor.scan.events import channel
from eco_actor.scan.grants import Grants, granted
from eco_actor.scan.options import Options
from eco_actor.scan.reward import load as load_characters
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.stages import stages
from eco_actor.scan.tables import (
    ADD_SCAN,
    DROP_REWARD,
    DROP_SCAN,
    FINISH_SCAN,
    NAME_THING,
)
from eco_actor.scan.task_id import TaskIds
from eco_actor.scan.vision import Pixels, Verdict
from tests.scan.rig import GOOD, Gate, Rig, leave, open_log
from tests.scan_world import NOW, story

BOOK = RuleBook.load()
load_characters()  # here, where it may block

GLASS = Options(category="glass")
SOILED = Options(category="plastic", tags=("soiled",))


class Unsure:
    """Recognises nothing."""

    backend = "unsure"

    def classify(self, pixels: Pixels) -> Verdict:
        return Verdict(None, 0.3, (), self.backend)


def real_rig(log: EventLog, *more: Any) -> Rig:
    """The real stages; *more* take the place of some of them."""
    return Rig(log, stages=[*stages(BOOK, Unsure(), 1), *more])


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    made = open_log(tmp_path / "log.db")
    await made.open()
    yield made
    await made.close()


async def scanned(rig: Rig, options: Options) -> tuple[str, bool]:
    """The id of a scan of these options, and whether it was told of a reward."""
    body = b"jpeg" if options.category is None else None
    task_id = await rig.admission.submit(body, options)
    await rig.finished([task_id])
    return task_id, await rewarded(rig, task_id)


async def rewarded(rig: Rig, task_id: str) -> bool:
    last = (await rig.views.events(task_id))[-1]
    assert (last.data["step"], last.data["status"], last.final) == ("reward", "completed", True)
    return last.data["reward"] is not None


async def ledger(log: EventLog) -> list[str]:
    return [task_id for (task_id,) in await log.query("SELECT task_id FROM rewards")]


async def test_who_asks_again_is_not_rewarded_again(log: EventLog) -> None:
    """Nor is who asks again about that, nor somebody else about the first."""
    async with real_rig(log).running() as rig:
        first, told = await scanned(rig, GLASS)
        assert told
        second, told = await scanned(rig, replace(GLASS, lang="en", revises=first))
        assert not told
        for before in (second, first):
            assert not (await scanned(rig, replace(GLASS, revises=before)))[1]
        other, told = await scanned(rig, GLASS)
        assert told
    assert await ledger(log) == [first, other]


async def test_what_was_not_rewarded_yet_is_when_it_is_asked_about_again(log: EventLog) -> None:
    """A soiled thing that was washed; once, whichever of its scans is named."""
    async with real_rig(log).running() as rig:
        first, told = await scanned(rig, SOILED)
        assert not told
        second, told = await scanned(rig, replace(SOILED, tags=(), revises=first))
        assert told
        for before in (first, second):
            assert not (await scanned(rig, replace(SOILED, tags=(), revises=before)))[1]
    assert await ledger(log) == [first]


async def test_an_answer_to_an_unsure_scan_is_rewarded_once(log: EventLog) -> None:
    """However often somebody answers it, or asks again about the answer."""
    async with real_rig(log).running() as rig:
        unsure, told = await scanned(rig, Options())
        assert not told
        answer, told = await scanned(rig, replace(GLASS, after_scan=unsure))
        assert told
        assert not (await scanned(rig, replace(GLASS, after_scan=unsure)))[1]
        assert not (await scanned(rig, replace(GLASS, revises=answer)))[1]
    assert await ledger(log) == [unsure]


async def test_of_those_that_ask_at_the_same_time_one_is_rewarded(log: EventLog) -> None:
    """What they are told is what the ledger has."""
    async with real_rig(log).running() as rig:
        first, _ = await scanned(rig, SOILED)
        again = Options(category="glass", revises=first)
        ids = await asyncio.gather(*(rig.admission.submit(None, again) for _ in range(8)))
        await rig.finished(ids)
        assert sum([await rewarded(rig, task_id) for task_id in ids]) == 1
    assert await ledger(log) == [first]


async def test_while_the_first_scan_is_under_way_its_reward_is_its_own(log: EventLog) -> None:
    """Who asks again before it is over gets none."""
    gate = Gate()
    async with Rig(log, stages=[gate.stage()], threads=gate.threads).running() as rig:
        first = await rig.admission.submit(b"jpeg", Options())
        await gate.reached(first)
        again = await rig.admission.submit(None, replace(GLASS, revises=first))
        await rig.ended([again])
        assert not await rewarded(rig, again)
        gate.open()
        await rig.finished([first])
        assert await rewarded(rig, first)
    assert await ledger(log) == [first]
    gate.threads.shutdown()


async def test_the_answer_to_an_unsure_scan_does_not_wait_for_its_end(log: EventLog) -> None:
    """That earns nothing: after a crash the two may go on side by side."""
    unsure = await leave(log, *GOOD[1:3])
    answer = await left_asking(log, after_scan=unsure)
    assert await may_be(log, answer, after_scan=unsure) == unsure
    assert await may_be(log, answer, revises=unsure) is None


async def test_the_answer_to_one_that_asked_again_waits_for_the_end_of_the_first(
    log: EventLog,
) -> None:
    """Of all scans of the thing the answered one earns nothing; the first one still may."""
    first = await leave(log)
    unsure = await left_asking(log, revises=first)
    await log.commit([], [Write(FINISH_SCAN, (unsure, NOW))])
    answer = await left_asking(log, after_scan=unsure)
    assert await may_be(log, answer, after_scan=unsure) is None
    await log.commit([], [Write(FINISH_SCAN, (first, NOW))])
    assert await may_be(log, answer, after_scan=unsure) == first


async def may_be(log: EventLog, task_id: str, **about: Any) -> str | None:
    """The thing for which this scan may be granted a reward, by the log."""
    return await Grants().unrewarded(log, task_id, Options(**about), 30.0)


async def test_a_thing_whose_first_scan_is_gone_earns_nothing(log: EventLog) -> None:
    """Nobody could tell whether it did, and no row is left behind."""
    async with real_rig(log).running() as rig:
        first, _ = await scanned(rig, SOILED)
        second, _ = await scanned(rig, replace(SOILED, revises=first))
        await log.commit([], [Write(DROP_SCAN, (first,)), Write(DROP_REWARD, (first,))])
        for before in (first, second):
            assert not (await scanned(rig, replace(GLASS, revises=before)))[1]
    await log.commit([], [granted(first, {"points": 1, "character": {"id": "iseul"}}, NOW)])
    assert await ledger(log) == []


async def left_asking(log: EventLog, **about: Any) -> str:
    """What a process that died left of a scan that asked again, with an answer."""
    task_id = TaskIds().make(NOW + 5)
    options = Options(category="glass", **about)
    parts = [(step, "completed") for step in ("vision", "rule", "answer")]
    events = story(*parts, task_id=task_id)
    drafts = [Draft(channel(task_id), each, NOW, opens=n == 0) for n, each in enumerate(events)]
    writes = [Write(ADD_SCAN, (task_id, NOW, options.pack(), 0, None, 0))]
    writes.append(Write(NAME_THING, (task_id, next(iter(about.values())))))
    await log.commit(drafts, writes)
    return task_id


@pytest.mark.parametrize("paid", [True, False])
async def test_after_a_crash_it_is_rewarded_as_without(log: EventLog, paid: bool) -> None:
    """The ledger knows."""
    first = await leave(log, *GOOD[1:4], *([("reward", "completed")] if paid else []))
    if not paid:
        await log.commit([], [Write(FINISH_SCAN, (first, NOW))])
    again = await left_asking(log, revises=first)
    async with Rig(log).running() as rig:
        await rig.finished([again])
        assert await rewarded(rig, again) is not paid
    assert await ledger(log) == [first]
