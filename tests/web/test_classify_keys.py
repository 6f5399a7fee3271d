"""`Idempotency-Key`: a request is the same in whichever way it is sent."""

from typing import Any
from uuid import uuid4

import pytest

from tests.web.asking import WAYS
from tests.web.checks import check_problem
from tests.web.client import Client
from tests.web.pictures import drawn, encoded

PICTURE = encoded(drawn())
SAID: dict[str, Any] = {"category": "glass", "tags": ["broken", "soiled"], "user_input": "병"}


async def test_a_request_may_be_repeated_in_another_way(plain: Client) -> None:
    """The same bytes of a picture and the same options: one scan, and the same answer."""
    key = uuid4().hex
    answers = [
        await WAYS[way](PICTURE, {**SAID, "tags": tags}).to(plain, Idempotency_Key=key)
        for way in WAYS
        for tags in (["broken", "soiled"], ["soiled", "broken", "broken"])
    ]
    assert [each.status for each in answers] == [202] * 6
    assert len({each.body for each in answers}) == 1


async def test_an_option_that_says_nothing_is_as_none(plain: Client) -> None:
    """What is so without it, in whichever way it is said."""
    key = uuid4().hex
    said: list[dict[str, Any]] = [
        {}, {"tags": []}, {"lang": "ko"}, {"realtime": True}, {"user_input": None},
        {"after_scan": None, "image": None, "revises": None},
    ]  # fmt: skip
    headers = {"Idempotency-Key": key}
    answers = [
        await plain.post(json={"category": "glass", **each}, headers=headers) for each in said
    ]
    assert len({(each.status, each.body) for each in answers}) == 1
    assert answers[0].status == 202


@pytest.mark.parametrize(
    "other",
    [
        {"tags": ["broken"]},
        {"tags": []},
        {"user_input": "병 "},
        {"lang": "en"},
        {"category": "metal"},
        {"realtime": False},
        {"revises": "18bcfe56800nobody_knows_this_one_"},
    ],
)
@pytest.mark.parametrize("way", WAYS)
async def test_another_request_may_not_have_the_key(
    plain: Client, way: str, other: dict[str, Any]
) -> None:
    """422 for other options, and for another picture."""
    key = uuid4().hex
    first = await WAYS[way](PICTURE, SAID).to(plain, Idempotency_Key=key)
    assert first.status == 202
    for picture, said in ((PICTURE, {**SAID, **other}), (PICTURE + b"\0", SAID)):
        answer = await WAYS[way](picture, said).to(plain, Idempotency_Key=key)
        check_problem(answer, 422, "idempotency_key_reused")
    again = await WAYS[way](PICTURE, SAID).to(plain, Idempotency_Key=key)
    assert again.body == first.body
