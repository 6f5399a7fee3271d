"""`revises`: what asks about a thing again is answered, and the thing is rewarded once."""

from typing import Any

from tests.web.client import Client


async def told(client: Client, **options: Any) -> tuple[str, Any]:
    """The id of a scan of glass, and its reward as its last event and its state tell it."""
    answer = await client.post(json={"category": "glass", **options})
    assert answer.status == 202, answer.body
    task_id = answer.json()["task_id"]
    *_, last, bye = await client.events(task_id)
    state = (await client.get(f"/scan/{task_id}")).json()
    assert bye.event == "eco.bye"
    assert (last.json()["step"], last.json()["reward"]) == ("reward", state["reward"])
    assert (state["status"], state["error"]) == ("completed", None)
    return task_id, state["reward"]


async def test_a_thing_is_rewarded_once(plain: Client) -> None:
    """By the first scan of it that earns something; those after it are told null."""
    first, reward = await told(plain, tags=["has_contents"])
    assert reward is None
    second, reward = await told(plain, lang="en", revises=first)
    assert reward.keys() == {"points", "character"}
    for before in (first, second):
        assert (await told(plain, revises=before))[1] is None
    assert (await told(plain))[1] is not None
