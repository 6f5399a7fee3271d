"""`POST /scan/classify`: what is accepted, and how it is answered."""

import re

import pytest

from eco_actor.scan.categories import CATEGORIES
from tests.web.checks import check_result
from tests.web.client import JPEG, Answer, Client, data_of
from tests.web.pictures import drawn, encoded

TASK_ID = re.compile(r"[A-Za-z0-9_-]{22,64}")  # 128 bits and more


def check_accepted(answer: Answer) -> str:
    """The 202 has exactly what the contract lists; its task id."""
    assert answer.status == 202, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    told = answer.json()
    task_id = told["task_id"]
    assert isinstance(task_id, str)
    assert TASK_ID.fullmatch(task_id)
    assert told == {
        "task_id": task_id,
        "status": "processing",
        "stream_url": f"/scan/{task_id}/stream",
        "events_url": f"/scan/{task_id}/events",
        "result_url": f"/scan/{task_id}/result",
    }
    assert answer.headers["Location"] == told["result_url"]
    return task_id


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("JPEG", "image/jpeg; charset=binary"),
        ("JPEG", "IMAGE/JPEG"),
    ],
)
async def test_a_picture_is_accepted_at_once_and_answered_on_its_stream(
    vision: Client, form: str, kind: str
) -> None:
    """JPEG, PNG and WebP get the 202 of the contract, and five events with the answer."""
    answer = await vision.post(data=encoded(drawn(), form), headers={"Content-Type": kind})
    events = data_of(await vision.events(check_accepted(answer)))
    assert [event["step"] for event in events] == ["vision", "vision", "rule", "answer", "reward"]
    assert events[3]["result"]["answer"]["lang"] == "ko"


@pytest.mark.parametrize("lang", ["ko", "en"])
async def test_waiting_for_a_picture_gives_the_whole_result(vision: Client, lang: str) -> None:
    """With realtime=false the answer is 200 with the result in the language asked for."""
    answer = await vision.post(
        f"/scan/classify?realtime=false&lang={lang}", data=encoded(drawn()), headers=JPEG
    )
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    result = answer.json()
    check_result(result, lang)
    assert result["classification"]["backend"] != "user"


@pytest.mark.parametrize("lang", ["ko", "en"])
@pytest.mark.parametrize("category", CATEGORIES)
async def test_each_category_of_the_user_is_answered_in_both_languages(
    plain: Client, category: str, lang: str
) -> None:
    """The user's own choice is not questioned: confidence 1, backend user, a rule, a text."""
    body = {"category": category, "lang": lang, "realtime": False}
    answer = await plain.post(json=body)
    assert answer.status == 200
    result = answer.json()
    check_result(result, lang)
    seen = result["classification"]
    assert (seen["category"], seen["confidence"], seen["backend"]) == (category, 1.0, "user")
    assert seen["unsure"] is False


async def test_a_category_is_accepted_at_once_and_korean_unless_asked_otherwise(
    plain: Client,
) -> None:
    """JSON with nothing but a category gets the 202 of the contract and a Korean answer."""
    task_id = check_accepted(await plain.post(json={"category": "glass"}))
    events = data_of(await plain.events(task_id))
    assert events[1]["backend"] == "user"
    assert events[3]["result"]["answer"]["lang"] == "ko"


async def test_a_category_beside_a_picture_wins(vision: Client) -> None:
    """With ?category= the picture is not looked at: the events say backend user."""
    answer = await vision.post(
        "/scan/classify?realtime=false&category=battery&user_input=old%20phone",
        data=encoded(drawn()),
        headers=JPEG,
    )
    assert answer.status == 200
    seen = answer.json()["classification"]
    assert (seen["category"], seen["backend"]) == ("battery", "user")


async def test_json_may_name_its_charset(plain: Client) -> None:
    """A content type with parameters is still JSON."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await plain.post(data='{"category":"paper","user_input":"신문"}', headers=headers)
    check_accepted(answer)


async def test_no_two_scans_have_the_same_id(plain: Client) -> None:
    """Twenty scans of the same thing are twenty scans."""
    assert len({await plain.accepted() for _ in range(20)}) == 20


async def test_json_may_take_its_options_from_the_query(plain: Client) -> None:
    """The body says what it is, the query how it is answered."""
    answer = await plain.post("/scan/classify?realtime=false&lang=en", json={"category": "glass"})
    assert answer.status == 200
    check_result(answer.json(), "en")
