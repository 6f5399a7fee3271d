"""A scan looked at from outside: its snapshot, its result, its end; and the list of categories."""

from typing import Any

import pytest

from eco_actor.scan.categories import CATEGORIES
from tests.web.checks import HANGUL, check_problem, check_result
from tests.web.client import Client, data_of

SNAPSHOT = {"task_id", "status", "step", "progress", "result", "reward", "error", "cursor"}


async def test_a_snapshot_of_a_finished_scan_is_the_sum_of_its_events(plain: Client) -> None:
    """Its fields are those of the contract, its result and reward those of the events."""
    task_id, messages = await plain.scanned("metal", lang="en")
    answer = await plain.get(f"/scan/{task_id}")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    snapshot, events = answer.json(), data_of(messages)
    assert snapshot.keys() == SNAPSHOT
    assert (snapshot["task_id"], snapshot["status"]) == (task_id, "completed")
    assert (snapshot["step"], snapshot["progress"], snapshot["error"]) == ("reward", 100, None)
    assert snapshot["result"] == events[3]["result"]
    assert snapshot["reward"] == events[4]["reward"]
    assert snapshot["reward"]["points"] > 0
    assert snapshot["cursor"] == [message.id for message in messages if message.data][-2]


async def test_a_snapshot_never_runs_ahead_of_the_stream_or_behind_itself(
    plain: Client,
) -> None:
    """Asked again and again through a scan's life, it only ever goes forward."""
    task_id = await plain.accepted()
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["step"] != "reward":
        snapshot = (await plain.get(f"/scan/{task_id}")).json()
        assert snapshot.keys() == SNAPSHOT
        done = snapshot["status"] == "completed"
        assert done == (snapshot["result"] is not None) == (snapshot["progress"] == 100)
        seen.append(snapshot)
    assert [s["progress"] for s in seen] == sorted(s["progress"] for s in seen)


async def test_the_result_is_what_the_answer_event_brought(plain: Client) -> None:
    """200, the result itself, complete."""
    task_id, messages = await plain.scanned("battery")
    answer = await plain.get(f"/scan/{task_id}/result")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == data_of(messages)[3]["result"]
    assert answer.json()["task_id"] == task_id
    check_result(answer.json(), "ko")


async def test_a_finished_scan_cannot_be_cancelled(plain: Client) -> None:
    """DELETE after the answer is 409, and changes nothing."""
    task_id, _ = await plain.scanned()
    check_problem(await plain.ask("DELETE", f"/scan/{task_id}"), 409)
    assert (await plain.get(f"/scan/{task_id}")).json()["status"] == "completed"


@pytest.mark.parametrize("category", ["general", "food", "bulky"])
async def test_what_is_not_recycled_earns_nothing(plain: Client, category: str) -> None:
    """The reward event is there all the same, and says null."""
    _, messages = await plain.scanned(category)
    last = data_of(messages)[-1]
    assert (last["step"], last["status"], last["reward"]) == ("reward", "completed", None)


@pytest.mark.parametrize(
    ("query", "accepted", "korean"),
    [
        ("?lang=ko", "", True),
        ("?lang=en", "", False),
        ("", "", True),
        ("", "en", False),
        ("", "en-GB,en;q=0.9", False),
        ("", "ko-KR", True),
        ("", "fr-FR, de;q=0.9", True),
        ("", "fr, en;q=0.5", False),
        ("?lang=en", "ko", False),
        pytest.param(
            "", "en;q=0.1, ko;q=0.9", True,
        ),
        pytest.param(
            "", "en;q=0, ko", True,
        ),
    ],
)  # fmt: skip
async def test_categories_come_in_the_language_asked_for(
    plain: Client, query: str, accepted: str, korean: bool
) -> None:
    """?lang= wins over Accept-Language, which wins over Korean; all 19, in the contract's order."""
    headers = {"Accept-Language": accepted} if accepted else {}
    answer = await plain.get(f"/scan/categories{query}", headers=headers)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told.keys() == {"categories", "tags"}
    assert tuple(each["id"] for each in told["categories"]) == CATEGORIES
    for each in told["categories"]:
        drawn = {"bin_id", "bin_color", "bin_shape", "here", "tags"}
        assert each.keys() == {"id", "name", "bin", "instructions"} | drawn
        assert bool(HANGUL.search(each["name"])) == korean
    assert {"soiled", "broken"} <= {each["id"] for each in told["tags"]}
    assert all(each.keys() == {"id", "name"} for each in told["tags"])


async def test_categories_in_an_unknown_language_are_a_problem(plain: Client) -> None:
    """422 for ?lang= of a language that there is not."""
    check_problem(await plain.get("/scan/categories?lang=de"), 422, "bad_option")
