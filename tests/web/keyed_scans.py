"""Scans that are asked for with an `Idempotency-Key`."""

from typing import Any

from eco_actor.app import Eco
from tests.web.client import JPEG, Answer, Client
from tests.web.held import PICTURE


async def keyed(client: Client, key: str, **options: Any) -> Answer:
    """POST of a category, glass unless *options* say otherwise."""
    headers = {"Idempotency-Key": key}
    return await client.post(json={"category": "glass", **options}, headers=headers)


async def keyed_picture(
    client: Client, key: str, query: str = "", picture: bytes = PICTURE
) -> Answer:
    headers = {**JPEG, "Idempotency-Key": key}
    return await client.post(f"/scan/classify{query}", data=picture, headers=headers)


async def scans(eco: Eco) -> list[str]:
    """The task ids of all scans there are."""
    return [task_id for (task_id,) in await eco.log.query("SELECT task_id FROM scans")]


def same(one: Answer, other: Answer) -> bool:
    """Whether a client could tell one answer from the other."""
    return told(one) == told(other)


def told(answer: Answer) -> tuple[Any, ...]:
    names = ("Content-Type", "Cache-Control", "Location")
    return answer.status, answer.body, *(answer.headers.get(name) for name in names)
