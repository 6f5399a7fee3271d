"""Sentences of the contract about scans that no other test has to the letter."""

import asyncio
import base64
from pathlib import Path

import pytest

from tests.web.checks import GOOD, check_problem
from tests.web.client import Client, data_of
from tests.web.contract_clients import Bye, Declined, Follower, RoutedSse, ScanSse, Sse, Told
from tests.web.contract_sockets import SCANS, Poll, WsJson
from tests.web.contract_world import World

IDS = (
    "pet_clear plastic film eps paper cardboard carton glass metal battery lighting ewaste textile"
    " food general incombustible hazardous bulky construction"
)


async def test_the_categories_are_those_of_the_contract(plain: Client) -> None:
    """By their ids, which are a promise, and in their order."""
    told = (await plain.get("/scan/categories")).json()
    assert " ".join(each["id"] for each in told["categories"]) == IDS


async def test_a_task_id_cannot_be_guessed(plain: Client) -> None:
    """URL-safe, and 128 bits of it have nothing to do with those of any other."""
    ids = await asyncio.gather(*(plain.accepted() for _ in range(50)))
    secrets = [base64.urlsafe_b64decode(f"{task_id[-22:]}==") for task_id in ids]
    assert {len(secret) for secret in secrets} == {16}
    for place in range(15):  # the last has bits to spare
        assert len({secret[place] for secret in secrets}) > 10
    one = ids[0]
    for wrong in (one[:-1], one + "A", one.swapcase(), one[::-1], one[:-22] + "A" * 22):
        for tail in ("", "/result", "/events"):
            check_problem(await plain.get(f"/scan/{wrong}{tail}"), 404, "unknown_task")


async def test_the_users_choice_is_told_in_the_events(plain: Client) -> None:
    """vision is completed without having been run: backend user, confidence 1."""
    _, messages = await plain.scanned("metal")
    seen = data_of(messages)[1]
    assert (seen["step"], seen["status"], seen["category"]) == ("vision", "completed", "metal")
    assert (seen["backend"], seen["confidence"]) == ("user", 1)


async def test_a_scan_is_completed_from_its_answer_on(gated: World, gates: Path) -> None:
    """While the reward is still worked out: 200 for the result, too late to cancel, no reward."""
    client = gated.client
    task_id = await client.accepted()
    for url in ("", "/result"):
        answer = await client.get(f"/scan/{task_id}{url}")
        assert answer.json()["status"] == "processing"
        assert (answer.status, "Retry-After" in answer.headers) == (
            (202, True) if url else (200, False)
        )
    for step in ("rule", "answer"):
        await asyncio.to_thread((gates / step).touch)
    async with client.stream(task_id) as stream:
        told = data_of(await stream.until(4))[-1]
        snapshot = (await client.get(f"/scan/{task_id}")).json()
        assert (snapshot["status"], snapshot["step"]) == ("completed", "answer")
        assert (snapshot["result"], snapshot["reward"]) == (told["result"], None)
        answer = await client.get(f"/scan/{task_id}/result")
        assert (answer.status, answer.json()) == (200, told["result"])
        check_problem(await client.ask("DELETE", f"/scan/{task_id}"), 409)
        poll = (await client.get(f"/scan/{task_id}/events?wait=0")).json()
        assert (len(poll["events"]), poll["done"]) == (4, False)
        await asyncio.to_thread((gates / "reward").touch)
        last = data_of(await stream.rest())[-1]
    assert (last["step"], last["status"], last["progress"]) == GOOD[-1]
    poll = (await client.get(f"/scan/{task_id}/events?after={poll['cursor']}")).json()
    assert ([each["seq"] for each in poll["events"]], poll["done"]) == ([5], True)


@pytest.mark.parametrize("kind", SCANS)
async def test_the_cursor_of_a_snapshot_is_good_on_each_transport(
    gated: World, gates: Path, kind: type[Follower]
) -> None:
    """Looked at first, followed from there: the rest, and nothing twice."""
    task_id = await gated.client.accepted()
    follower = await gated.open(kind, f"scan:{task_id}")
    await follower.events(2)
    cursor = (await gated.client.get(f"/scan/{task_id}")).json()["cursor"]
    again = await gated.open(kind, f"scan:{task_id}", after=cursor)
    assert again.verdict == "recovered"
    for step in ("rule", "answer", "reward"):
        await asyncio.to_thread((gates / step).touch)
    assert [each.data["seq"] for each in await again.events(3)] == [3, 4, 5]


@pytest.mark.parametrize("kind", [ScanSse, Sse, RoutedSse, WsJson, Poll])
async def test_who_was_told_of_the_end_of_a_cancelled_scan_is_told_no_more(
    gated: World, kind: type[Follower]
) -> None:
    """Cancelled, told so, and over: behind it an event stream is 204, the others complete."""
    task_id = await gated.client.accepted()
    follower = await gated.open(kind, f"scan:{task_id}")
    await follower.events(2)
    assert (await gated.client.ask("DELETE", f"/scan/{task_id}")).status == 202
    told, bye = await follower.rest()
    assert isinstance(told, Told)
    assert (told.data["status"], told.data["seq"]) == ("cancelled", 3)
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("complete", False)
    if issubclass(kind, Sse):
        with pytest.raises(Declined) as declined:
            await gated.open(kind, f"scan:{task_id}", after=follower.cursor)
        assert declined.value.status == 204
    else:
        again = await gated.open(kind, f"scan:{task_id}", after=follower.cursor)
        (bye,) = await again.rest()
        assert isinstance(bye, Bye)
        assert (bye.code, bye.reconnect) == ("complete", False)
    answer = await gated.client.get(f"/scan/{task_id}/result")
    check_problem(answer, 409, "cancelled")
