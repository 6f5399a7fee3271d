"""A picture and its options in each of the three ways: as it is, in a form, and in JSON.

Each row of the table of options is gone through in each of them.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.web.asking import FORM, JSON, WAYS, Sent, data_url, form_of, image_part, kept, part
from tests.web.checks import GOOD, check_problem, check_result
from tests.web.client import Client, data_of
from tests.web.pictures import drawn, encoded, gradient
from tests.web.serving import Server
from tests.web.test_classify import check_accepted

PICTURE = encoded(drawn())
OTHER = "18bcfe56800nobody_knows_this_one_"
WET_PAPER = {"category": "paper", "tags": ["soiled"], "realtime": False, "lang": "en"}

each_way = pytest.mark.parametrize("way", WAYS)


async def result(client: Client, way: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The result, but for its task id."""
    answer = await WAYS[way](PICTURE, options).to(client)
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    assert told.pop("task_id")
    return told


@each_way
async def test_a_picture_is_looked_at(vision: Client, way: str) -> None:
    """The 202 of the contract, and the events of a good scan, seen by the device's own vision."""
    answer = await WAYS[way](PICTURE, {}).to(vision)
    events = data_of(await vision.events(check_accepted(answer)))
    assert [(each["step"], each["status"], each["progress"]) for each in events] == GOOD
    assert events[1]["backend"] not in ("user", None)
    assert events[3]["result"]["answer"]["lang"] == "ko"


@each_way
@pytest.mark.parametrize("realtime", [True, False])
async def test_realtime_says_when_it_is_answered(vision: Client, way: str, realtime: bool) -> None:
    """202 at once, or 200 with the result."""
    answer = await WAYS[way](PICTURE, {"realtime": realtime}).to(vision)
    if realtime:
        check_accepted(answer)
    else:
        assert answer.status == 200
        check_result(answer.json(), "ko")


@each_way
@pytest.mark.parametrize("lang", ["ko", "en"])
async def test_lang_is_the_language_of_the_texts(vision: Client, way: str, lang: str) -> None:
    """Korean and English."""
    answer = await WAYS[way](PICTURE, {"realtime": False, "lang": lang}).to(vision)
    assert answer.status == 200
    check_result(answer.json(), lang)


@each_way
async def test_a_category_is_not_questioned(plain: Client, way: str) -> None:
    """Also where there is no vision: the picture is not looked at, confidence 1, backend user."""
    answer = await WAYS[way](PICTURE, {"category": "battery"}).to(plain)
    events = data_of(await plain.events(check_accepted(answer)))
    seen = events[1]
    assert (seen["category"], seen["confidence"], seen["backend"]) == ("battery", 1.0, "user")


@each_way
async def test_tags_change_what_is_to_be_done(plain: Client, way: str) -> None:
    """Soiled paper is not for the paper bin, in each way the same as with a category alone."""
    told = await result(plain, way, WET_PAPER)
    clean = await result(plain, way, {**WET_PAPER, "tags": []})
    assert told["rule"]["bin"] != clean["rule"]["bin"]
    answer = await plain.post(json=WET_PAPER)
    assert answer.json()["rule"] == told["rule"]


@each_way
async def test_what_a_client_says_is_kept(plain: Client, plain_server: Server, way: str) -> None:
    """The options of the scan are as they were sent, tags as a set in order."""
    said = {"category": "glass", "lang": "en", "user_input": '병, 두 개; "파란" & 100%'}
    check_accepted(await WAYS[way](PICTURE, {**said, "tags": ["soiled", "broken"]}).to(plain))
    others = {"after_scan": None, "revises": None}
    assert kept(plain_server)[-1] == {**said, "tags": ["broken", "soiled"], **others}


async def test_tags_may_be_separated_by_commas_repeated_or_both(
    plain: Client, plain_server: Server
) -> None:
    """In a query and in a form; what is there twice is there once, and nothing is no tag."""
    asked = "/scan/classify?category=glass"
    sent = [
        Sent(f"{asked}&tags=soiled,broken", PICTURE, {"Content-Type": "image/jpeg"}),
        Sent(f"{asked}&tags=soiled&tags=broken,soiled", PICTURE, {"Content-Type": "image/png"}),
        Sent(asked, form_of([part("tags", b"soiled,broken"), image_part(PICTURE)]), FORM),
        Sent(
            asked,
            form_of([image_part(PICTURE), part("tags", b"broken"), part("tags", b"soiled")]),
            FORM,
        ),
        Sent(f"{asked}&tags=broken,soiled", b"{}", JSON),
        Sent(asked, b'{"tags":["soiled","broken","soiled"]}', JSON),
    ]
    for each in sent:
        check_accepted(await each.to(plain))
        assert kept(plain_server)[-1]["tags"] == ["broken", "soiled"]
    for none in (Sent(f"{asked}&tags=", PICTURE, {"Content-Type": "image/jpeg"}),
                 Sent(asked, b'{"tags":[]}', JSON)):  # fmt: skip
        check_accepted(await none.to(plain))
        assert kept(plain_server)[-1]["tags"] == []


@each_way
@pytest.mark.parametrize("tags", [["magic"], ["broken", "magic"], ["broken "], ["broken,,soiled"]])
async def test_a_tag_that_there_is_not_is_named(plain: Client, way: str, tags: list[str]) -> None:
    """422 with its name and those that there are."""
    answer = await WAYS[way](PICTURE, {"category": "glass", "tags": tags}).to(plain)
    detail = check_problem(answer, 422, "bad_option")["detail"]
    assert detail.startswith("tags: ")
    known = (await plain.get("/scan/categories")).json()["tags"]
    assert all(each["id"] in detail for each in known)


@each_way
async def test_an_option_that_there_is_not_is_named(plain: Client, way: str) -> None:
    """422, whatever its value; an image is no option of a query."""
    for name in ("colour", "webhook_url", "Lang", "한글"):
        answer = await WAYS[way](PICTURE, {"category": "glass", name: "green"}).to(plain)
        assert name in check_problem(answer, 422, "bad_option")["detail"]


@each_way
async def test_all_options_that_there_are_not_are_named(plain: Client, way: str) -> None:
    """422 with each of them, in order."""
    said = {"category": "glass", "size": "l", "colour": "green", "한글": "x"}
    answer = await WAYS[way](PICTURE, said).to(plain)
    detail = check_problem(answer, 422, "bad_option")["detail"]
    assert detail.startswith("colour, size, 한글: ")


@each_way
async def test_what_is_said_of_a_mistake_is_short(plain: Client, way: str) -> None:
    """Also when the mistake is long."""
    for said in ({"x" * 1500: "y"}, {"tags": ["y" * 5000]}, {"after_scan": "z" * 5000}):
        answer = await WAYS[way](PICTURE, {"category": "glass", **said}).to(plain)
        assert len(check_problem(answer, 422, "bad_option")["detail"]) <= 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("realtime", "maybe"),
        ("lang", "de"),
        ("lang", ""),
        ("category", "unicorn"),
        ("category", "null"),
        ("user_input", "x" * 2001),
        ("user_input", "x" * 9000),
        ("after_scan", "x"),
        ("revises", ""),
        ("revises", "null"),
        ("revises", f"{OTHER}0"),
    ],
)
@each_way
async def test_an_option_that_it_cannot_be_is_named(
    plain: Client, way: str, name: str, value: str
) -> None:
    """422 for what is none of those there are, and for too much."""
    sent = WAYS[way](PICTURE, {"category": "glass", name: value})
    answer = await sent.to(plain)
    if len(sent.path) > 8190:
        check_problem(answer, 414, "uri_too_long")
    else:
        assert name in check_problem(answer, 422, "bad_option")["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("realtime", 1), ("realtime", "true"), ("lang", None), ("category", 5), ("tags", "soiled"),
     ("tags", [1]), ("tags", None), ("user_input", {}), ("after_scan", True), ("revises", 1),
     ("image", 1), ("image", [PICTURE[:3].hex()])],
)  # fmt: skip
async def test_json_has_types(plain: Client, name: str, value: object) -> None:
    """422 that names an option of another type: nothing is made to fit."""
    answer = await plain.post(json={"category": "glass", name: value})
    assert name in check_problem(answer, 422, "bad_option")["detail"]


@each_way
async def test_an_option_that_comes_twice_is_named(plain: Client, way: str) -> None:
    """422: none of the two is taken without a word, also when they are the same."""
    sent = WAYS[way](PICTURE, {"category": "glass", "lang": "en"})
    double = {
        "raw": sent._replace(path=f"{sent.path}&lang=en"),
        "form": sent._replace(data=form_of([part("lang", b"en")] * 2 + [image_part(PICTURE)])),
        "json": sent._replace(data=sent.data.replace(b'"lang"', b'"lang": "en", "lang"')),
    }
    answer = await double[way].to(plain)
    assert "lang" in check_problem(answer, 422, "bad_option")["detail"]


@pytest.mark.parametrize("way", ["form", "json"])
@pytest.mark.parametrize(("name", "value"), [("lang", "en"), ("category", "glass"), ("tags", [])])
async def test_an_option_in_query_and_body_is_named(
    plain: Client, plain_server: Server, way: str, name: str, value: object
) -> None:
    """422: neither is taken without a word, also when they are the same; others may be shared."""
    before = len(kept(plain_server))
    sent = WAYS[way](PICTURE, {"category": "glass", "lang": "en", "tags": ["broken"], name: value})
    if way == "form" and name == "tags":  # a list of none has no part
        sent = WAYS[way](PICTURE, {"category": "glass", "tags": ""})
    path = {"lang": "?lang=en", "category": "?category=metal", "tags": "?tags=soiled"}[name]
    answer = await sent._replace(path=f"/scan/classify{path}").to(plain)
    detail = check_problem(answer, 422, "bad_option")["detail"]
    assert detail == f"{name}: given more than once"
    assert len(kept(plain_server)) == before


@pytest.mark.parametrize("way", ["form", "json"])
async def test_query_and_body_may_share_the_options(
    plain: Client, plain_server: Server, way: str
) -> None:
    """Each of them once, wherever it is."""
    sent = WAYS[way](PICTURE, {"lang": "en", "tags": ["broken"]})
    sent = sent._replace(path="/scan/classify?category=glass&user_input=x")
    check_accepted(await sent.to(plain))
    said = {"category": "glass", "lang": "en", "user_input": "x", "tags": ["broken"]}
    assert kept(plain_server)[-1] == {**said, "after_scan": None, "revises": None}


async def test_a_picture_and_a_category_may_come_in_one_object(vision: Client) -> None:
    """As with a picture beside ?category=: the category wins, and the picture does no harm."""
    body = {"category": "glass", "image": data_url(b"no picture"), "realtime": False}
    answer = await vision.post(json=body)
    assert answer.status == 200
    assert answer.json()["classification"]["backend"] == "user"
    body = {"category": "glass", "image": None, "realtime": False}
    assert (await vision.post(json=body)).status == 200


@each_way
async def test_without_vision_a_picture_needs_a_category(plain: Client, way: str) -> None:
    """422 vision_off, however the picture comes."""
    check_problem(await WAYS[way](PICTURE, {}).to(plain), 422, "vision_off")


@each_way
async def test_after_scan_answers_one_that_was_unsure(
    vision: Client, vision_server: Server, way: str
) -> None:
    """The choice of a user is accepted, and kept with the scan that it answers."""
    answer = await WAYS[way](gradient(), {"realtime": False}).to(vision)
    unsure = answer.json()
    assert unsure["classification"]["unsure"] is True
    said = {"category": "glass", "after_scan": unsure["task_id"]}
    check_accepted(await WAYS[way](PICTURE, said).to(vision))
    assert kept(vision_server)[-1]["after_scan"] == unsure["task_id"]
    check_accepted(await vision.post(json=said))
    assert kept(vision_server)[-1]["after_scan"] == unsure["task_id"]


@each_way
async def test_after_scan_needs_a_scan_that_ended_unsure(vision: Client, way: str) -> None:
    """422 for one that was sure, that there is not, that cannot be one, and without a category."""
    sure = (await vision.post(json={"category": "glass", "realtime": False})).json()["task_id"]
    for other in (sure, OTHER, "", "../x", "null"):
        answer = await WAYS[way](PICTURE, {"category": "glass", "after_scan": other}).to(vision)
        assert "after_scan" in check_problem(answer, 422, "bad_option")["detail"]
    answer = await WAYS[way](PICTURE, {"after_scan": sure}).to(vision)
    assert "category" in check_problem(answer, 422, "bad_option")["detail"]


@each_way
async def test_revises_names_the_scan_that_is_asked_again(
    plain: Client, plain_server: Server, way: str
) -> None:
    """It is kept with the scan; the other need not be there any more."""
    said = {"category": "glass", "lang": "en", "revises": OTHER}
    check_accepted(await WAYS[way](PICTURE, said).to(plain))
    assert kept(plain_server)[-1]["revises"] == OTHER


@each_way
async def test_a_scan_that_answers_another_cannot_ask_it_again(plain: Client, way: str) -> None:
    """422: the first answer is counted, a second asking is not."""
    said = {"category": "glass", "after_scan": OTHER, "revises": OTHER}
    answer = await WAYS[way](PICTURE, said).to(plain)
    assert "revises" in check_problem(answer, 422, "bad_option")["detail"]
