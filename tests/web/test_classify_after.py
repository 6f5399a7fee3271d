"""`after_scan`: a choice answers a scan that ended unsure, and nothing else."""

from typing import Any

import pytest

from eco_actor.app import Eco
from eco_actor.scan.state import ScanState
from eco_actor.scan.vision import Guess, Pixels, Verdict
from tests.web.checks import check_problem
from tests.web.client import Client
from tests.web.held import Held, Running, post
from tests.web.keyed_scans import keyed, same, scans

UNSURE = Verdict(None, 0.4, (Guess("glass", 0.4), Guess("metal", 0.3), Guess("paper", 0.2)), "held")


def unsure(pixels: Pixels) -> Verdict:
    return UNSURE


async def refused(client: Client, task_id: str) -> None:
    answer = await client.post(json={"category": "glass", "after_scan": task_id})
    assert "after_scan" in check_problem(answer, 422, "bad_option")["detail"]
    answer = await keyed(client, f"after-{task_id}", after_scan=task_id)
    assert "after_scan" in check_problem(answer, 422, "bad_option")["detail"]


async def test_a_scan_under_way_cannot_be_answered(
    eco: Eco, running: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """422 until it has ended unsure; nothing is accepted, and the key stays free."""
    gated = held.classify

    def classify(pixels: Pixels) -> Verdict:
        gated(pixels)
        return UNSURE

    monkeypatch.setattr(held, "classify", classify)
    async with running(eco) as client:
        task_id = await post(client)
        await refused(client, task_id)
        assert await scans(eco) == [task_id]
        held.gate.set()
        await client.events(task_id)
        assert (await keyed(client, f"after-{task_id}", after_scan=task_id)).status == 202


async def test_a_scan_that_was_sure_or_failed_cannot_be_answered(
    eco: Eco, running: Running, held: Held
) -> None:
    """422: there is nothing to choose."""
    held.gate.set()
    async with running(eco) as client:
        sure = await post(client)
        await client.events(sure)
        await refused(client, sure)
        held.error = ValueError("the lens is dirty")
        failed = await post(client)
        await client.events(failed)
        await refused(client, failed)
        assert await scans(eco) == [sure, failed]


async def test_a_repeat_is_told_of_its_scan_when_the_other_is_gone(
    eco: Eco, running: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was accepted while there was one; another request with that option is refused."""
    monkeypatch.setattr(held, "classify", unsure)
    async with running(eco) as client:
        task_id = await post(client)
        await client.events(task_id)
        first = await keyed(client, "k", after_scan=task_id)
        assert first.status == 202

        async def gone(task_id: str) -> bool:
            return False

        monkeypatch.setattr(eco.views, "ended_unsure", gone)
        assert same(await keyed(client, "k", after_scan=task_id), first)
        await refused(client, task_id)
        problem = await keyed(client, "k")
        check_problem(problem, 422, "idempotency_key_reused")


SEEN: dict[str, Any] = {
    "category": None, "confidence": 0.4, "alternatives": [], "unsure": True, "backend": "held",
}  # fmt: skip
STORY: list[dict[str, Any]] = [
    {"step": "vision", "status": "processing", "progress": 10},
    {"step": "vision", "status": "completed", "progress": 33, **SEEN},
    {"step": "rule", "status": "completed", "progress": 50},
    {"step": "answer", "status": "completed", "progress": 100, "result": {}},
]
CANCELLED = {"step": "rule", "status": "cancelled", "progress": 50}


@pytest.mark.parametrize(
    ("events", "ended"),
    [(STORY[:n], False) for n in range(1, 4)] + [([*STORY[:3], CANCELLED], False), (STORY, True)],
)
async def test_it_has_ended_unsure_once_its_answer_is_out(
    eco: Eco, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], ended: bool
) -> None:
    """Not while it is under way, nor when it was cancelled on the way."""
    numbered = [{"seq": number, **event} for number, event in enumerate(events, 1)]

    async def state(task_id: str) -> ScanState:
        return ScanState.fold(numbered)

    monkeypatch.setattr(eco.views, "state", state)
    assert await eco.views.ended_unsure("a-task") is ended
