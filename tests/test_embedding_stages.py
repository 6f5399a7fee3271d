"""Own stages in a running server: in the events, over restarts and crashes, when they fail."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from eco_actor import Config, Durability, Eco, ScanFailed, Stage, StageInput
from eco_actor.scan.stages import Fields
from tests.scan.rig import crash_copy
from tests.web.handed_over import until


def memory() -> Config:
    return Config(durability=Durability.OFF, vision=False)


def kept(data_dir: Path) -> Config:
    return Config(data_dir=data_dir, vision=False)


async def steps(eco: Eco, task_id: str) -> list[tuple[str, str, int]]:
    """Of all events, which have no hole."""
    events = [event async for event in eco.events(task_id)]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return [(event["step"], event["status"], event["progress"]) for event in events]


def weigh(given: StageInput) -> Fields:
    """Grams by what was found before."""
    assert given.classification is not None
    return {"grams": {"glass": 300}.get(given.classification["category"], 10)}


def price(given: StageInput) -> Fields:
    return {"won": given.found["weigh"]["grams"] * 2, "bin": given.found["rule"]["bin"]}


WEIGH = Stage("weigh", 60, weigh, blocking=True)
PRICE = Stage("price", 80, price, after="weigh")


async def test_their_events_come_in_order_with_what_they_found() -> None:
    """Each with its own step and progress; the later one has what the earlier one found."""
    async with Eco(memory(), stages=[PRICE, WEIGH]) as eco:
        task_id = await eco.submit(category="glass")
        assert await steps(eco, task_id) == [
            ("vision", "processing", 10), ("vision", "completed", 33), ("rule", "completed", 50),
            ("weigh", "completed", 60), ("price", "completed", 80), ("answer", "completed", 100),
            ("reward", "completed", 100),
        ]  # fmt: skip
        events = [event async for event in eco.events(task_id)]
        assert events[3]["grams"] == 300
        assert events[4]["won"] == 600
        assert events[4]["bin"] == events[2]["bin"]
        snapshot = await eco.views.snapshot(task_id)
        assert snapshot is not None
        assert (snapshot["status"], snapshot["step"]) == ("completed", "reward")


async def test_an_own_answer_and_reward_take_the_place_of_the_standard_ones() -> None:
    """With all that was found; the reward is in the ledger."""

    def answer(given: StageInput) -> Fields:
        return {"result": {"task_id": given.task_id, "bin": given.found["rule"]["bin"]}}

    def grant(given: StageInput) -> Fields:
        return {"reward": {"points": 7, "character": {"id": "mine"}}}

    own = [Stage("answer", 100, answer), Stage("reward", 100, grant)]
    async with Eco(memory(), stages=own) as eco:
        result = await eco.scan(category="glass", lang="en")
        assert result.keys() == {"task_id", "bin"}
        assert (await steps(eco, result["task_id"]))[-1] == ("reward", "completed", 100)
        rows = await eco.log.query("SELECT points, character FROM rewards")
        assert rows == [(7, "mine")]


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (lambda given: 1 / 0, "ZeroDivisionError"),
        (lambda given: {"seq": 3}, "'seq' means something else"),
        (lambda given: {"at_all": object()}, "is not JSON"),
        (lambda given: {"text": "x" * 70_000}, "bytes are more than"),
        (lambda given: None, "a stage returns a dict"),
        (lambda given: exit(3), "it raised SystemExit"),
    ],
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_one_that_fails_fails_the_scan(
    run: Any, told: str, blocking: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """step_failed with the reason, also in the log; the server goes on."""
    async with Eco(memory(), stages=[Stage("weigh", 60, run, blocking=blocking)]) as eco:
        with pytest.raises(ScanFailed, match="step_failed") as failed:
            await eco.scan(category="glass")
        assert told in failed.value.detail
        assert told in caplog.text
        task_id = await eco.submit(category="glass")
        assert (await steps(eco, task_id))[-1][:2] == ("weigh", "failed")


async def test_what_a_client_is_told_of_a_failure_is_bounded() -> None:
    """However much the exception says."""

    def run(given: StageInput) -> Fields:
        raise ValueError("x" * 100_000)

    async with Eco(memory(), stages=[Stage("weigh", 60, run)]) as eco:
        with pytest.raises(ScanFailed) as failed:
            await eco.scan(category="glass")
        assert len(failed.value.detail) == 500


async def test_one_with_a_fallback_does_not_fail_the_scan() -> None:
    """The step is completed with these fields and the error; the next one finds them."""

    def fails(given: StageInput) -> Fields:
        raise OSError("no scales")

    own = [Stage("weigh", 60, fails, fallback={"grams": 1}), PRICE]
    async with Eco(memory(), stages=own) as eco:
        result = await eco.scan(category="glass")
        events = [event async for event in eco.events(result["task_id"])]
        assert [event["status"] for event in events[1:]] == ["completed"] * 6
        assert events[3]["grams"] == 1
        assert events[3]["error"] == {"code": "step_failed", "detail": "OSError: no scales"}
        assert events[4]["won"] == 2


class Gate:
    """A stage that waits until it is opened, and counts."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.opened = threading.Event()

    def __call__(self, given: StageInput) -> Fields:
        self.begun.append(given.task_id)
        assert self.opened.wait(30)
        return weigh(given)

    def stage(self) -> Stage:
        return Stage("weigh", 60, self, blocking=True)


async def test_a_scan_that_was_stopped_in_one_goes_on_there(tmp_path: Path) -> None:
    """Nothing is said twice, and the stop is no try that failed."""
    gate = Gate()
    async with Eco(kept(tmp_path), stages=[gate.stage(), PRICE]) as eco:
        task_id = await eco.submit(category="glass")
        await until(lambda: gate.begun == [task_id])
        gate.opened.set()  # it may end its thread, which is told to nobody
    async with Eco(kept(tmp_path), stages=[gate.stage(), PRICE]) as eco:
        names = [name for name, _, _ in await steps(eco, task_id)]
        assert names == ["vision", "vision", "rule", "weigh", "price", "answer", "reward"]


@pytest.mark.parametrize(
    ("later", "names"),
    [
        ([], []),
        ([PRICE, WEIGH], ["weigh", "price"]),
        ([WEIGH], ["weigh"]),
        ([Stage("stamp", 55, lambda given: {}), WEIGH], ["stamp", "weigh"]),
        ([Stage("weigh", 40, weigh, after="vision")], []),  # too late for it
    ],
)
async def test_stages_may_come_and_go_between_a_crash_and_the_next_start(
    tmp_path: Path, later: list[Stage], names: list[str]
) -> None:
    """The process died in an own step: with others, or none, the scan ends, rewarded once."""
    gate, path = Gate(), tmp_path / "before"
    async with Eco(kept(path), stages=[gate.stage()]) as eco:
        task_id = await eco.submit(category="glass")
        await until(lambda: gate.begun == [task_id])
        await eco.log.commit([])
        await crash_copy(path / "eco.db", tmp_path / "after")
        gate.opened.set()
    async with Eco(kept(tmp_path / "after"), stages=later) as eco:
        told = [name for name, _, _ in await steps(eco, task_id)]
        assert told == ["vision", "vision", "rule", *names, "answer", "reward"]
        assert await eco.log.query("SELECT count(*) FROM rewards") == [(1,)]


async def test_one_that_was_done_is_not_done_again_after_a_crash(tmp_path: Path) -> None:
    """What it found is there for those behind it."""
    gate, path = Gate(), tmp_path / "before"
    ask = Stage("ask", 90, gate, after="price", blocking=True)
    async with Eco(kept(path), stages=[WEIGH, PRICE, ask]) as eco:
        task_id = await eco.submit(category="glass")
        await until(lambda: gate.begun == [task_id])
        await eco.log.commit([])
        await crash_copy(path / "eco.db", tmp_path / "after")
        gate.opened.set()

    def never(given: StageInput) -> Fields:
        raise AssertionError("again")

    found: list[Any] = []

    def look(given: StageInput) -> Fields:
        found.append(dict(given.found))
        return {}

    again = [Stage("weigh", 60, never), Stage("price", 80, never, after="weigh")]
    ask = Stage("ask", 90, look, after="price")
    async with Eco(kept(tmp_path / "after"), stages=[*again, ask]) as eco:
        events = [event async for event in eco.events(task_id)]
    assert [event["step"] for event in events[3:6]] == ["weigh", "price", "ask"]
    (seen,) = found
    assert [*seen] == ["rule", "weigh", "price", "vision"] or {*seen} == {
        "vision", "rule", "weigh", "price",
    }  # fmt: skip
    assert seen["weigh"] == {"grams": 300}


async def test_one_that_takes_too_long_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Past its deadline, after its attempts, the scan fails, or goes on with the fallback."""
    gate = Gate()
    slow = Stage(
        "weigh", 60, gate, blocking=True, workers=2, deadline=0.05, attempts=2,
        fallback={"grams": 0},
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        async with Eco(memory(), stages=[slow]) as eco:
            result = await eco.scan(category="glass")
            events = [event async for event in eco.events(result["task_id"])]
            assert events[3]["error"]["code"] == "step_timeout"
            assert len(gate.begun) == 2
            gate.opened.set()
            await asyncio.sleep(0)


async def test_own_stages_have_threads_of_their_own() -> None:
    """One that blocks in all its workers does not keep the others from theirs."""
    gate = Gate()
    hold = Stage("hold", 55, gate, blocking=True, workers=3)
    async with Eco(memory(), stages=[hold, Stage("weigh", 40, weigh, True, after="vision")]) as eco:
        held = [await eco.submit(category="glass") for _ in range(3)]
        await until(lambda: len(gate.begun) == 3)
        more = await eco.submit(category="glass")
        seen = 0
        async for event in eco.events(more):
            seen += 1
            if event["step"] == "rule":
                break
        assert seen == 4
        gate.opened.set()
        for task_id in (*held, more):
            assert (await steps(eco, task_id))[-1] == ("reward", "completed", 100)
