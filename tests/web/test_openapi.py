"""`/openapi.json`: it has all that the router has, and its bounds are those of the server."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from eco_actor.app import Eco
from eco_actor.delivery.poll import MAX_LIMIT
from eco_actor.delivery.rule import MAX_CAPACITY, MAX_INTERVAL_MS
from eco_actor.routes import add_routes
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import LANGUAGES, RuleBook
from eco_actor.web.api_document import OPERATIONS, document
from eco_actor.web.polls import MAX_WAIT_S
from eco_actor.web.requests import MAX_TEXT
from tests.web.checks import check_problem
from tests.web.client import Client
from tests.web.held import Running

TAGS = ("soiled", "broken")

FILES = {("GET", "/static/{name}")}


@pytest.fixture(scope="module")
def made() -> Any:
    return document("/eco", {"tags": TAGS})


def parameter(made: Any, path: str, name: str, method: str = "get") -> Any:
    """The schema of a parameter."""
    (found,) = (
        each["schema"] for each in made["paths"][path][method]["parameters"] if each["name"] == name
    )
    return found


async def test_the_table_has_what_the_router_has(make: Callable[..., Eco]) -> None:
    """Each method of each path once, but for files; HEAD stands with its GET."""
    app = await asyncio.to_thread(routed, make())
    there = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    told = [(each.method, each.path) for each in OPERATIONS]
    assert len(set(told)) == len(told)
    assert set(told) == there - FILES


def routed(eco: Eco) -> web.Application:
    app = web.Application()
    eco.read()
    add_routes(eco, app)
    return app


def test_each_operation_has_a_name_of_its_own(made: Any) -> None:
    """Programs name functions after them."""
    names = [each["operationId"] for path in made["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names) == len(OPERATIONS)


def test_each_reference_leads_somewhere(made: Any) -> None:
    """To a schema or an answer of the document; nothing stands for something unknown any more."""
    for key, value in members(made):
        assert key != "x-values-of"
        if key in ("$ref", "propertyName"):
            at = made
            for part in value.removeprefix("#/").split("/") if key == "$ref" else ():
                at = at[part]
            assert isinstance(at, dict)


def members(told: Any) -> Iterator[tuple[str, Any]]:
    """All members of all objects."""
    for key, value in told.items() if isinstance(told, dict) else enumerate(told):
        if isinstance(key, str):
            yield key, value
        if isinstance(value, dict | list):
            yield from members(value)


def test_what_the_operator_alone_may_do_says_so(made: Any) -> None:
    """By the token or the cookie, and with the answer to anybody else."""
    for operation in OPERATIONS:
        told = made["paths"][operation.path][operation.method.lower()]
        schemes = [name for each in told.get("security", ()) for name in each]
        assert set(schemes) <= made["components"]["securitySchemes"].keys()
        if operation.operator:
            assert sorted(schemes) == ["operatorCookie", "operatorToken"]
            assert "401" in told["responses"]


def test_bounds_are_those_of_the_server(made: Any) -> None:
    """Of lengths, numbers and names."""
    poll = "/scan/{task_id}/events"
    assert parameter(made, poll, "wait") == {
        "type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 25.0,
    }  # fmt: skip
    assert parameter(made, poll, "limit")["maximum"] == MAX_LIMIT
    assert parameter(made, "/stream", "capacity")["maximum"] == MAX_CAPACITY
    assert parameter(made, "/stream", "interval_ms")["maximum"] == MAX_INTERVAL_MS
    classify = "/scan/classify"
    assert parameter(made, classify, "category", "post")["enum"] == list(CATEGORIES)
    assert parameter(made, classify, "lang", "post")["enum"] == list(LANGUAGES)
    assert parameter(made, classify, "user_input", "post")["maxLength"] == MAX_TEXT


def test_the_conditions_are_those_of_the_rules_of_this_server(made: Any) -> None:
    """Wherever there may be one."""
    assert parameter(made, "/scan/classify", "tags", "post")["items"]["enum"] == list(TAGS)
    for name in ("ScanBody", "ScanForm", "CategoryInfo"):
        schema = made["components"]["schemas"][name]["properties"]["tags"]
        assert schema["items"]["enum"] == list(TAGS), name


def test_a_mounted_server_says_where_it_is(made: Any) -> None:
    """Paths are relative to where it is mounted."""
    assert made["servers"] == [{"url": "/eco"}]
    assert document("", {"tags": TAGS})["servers"] == [{"url": "/"}]


def test_options_that_are_not_known_are_refused_by_polls_and_ignored_by_streams(made: Any) -> None:
    """The document says so."""
    for path in ("/stream", "/ws", "/scan/{task_id}/stream"):
        assert "ignored" in made["paths"][path]["get"]["description"]
    for path in ("/channels/{channel}/events", "/scan/{task_id}/events"):
        assert "refused" in made["paths"][path]["get"]["description"]


async def test_a_server_tells_its_document(make: Callable[..., Eco], running: Running) -> None:
    """As JSON that nobody stores; with the conditions of its own rules."""
    eco = await asyncio.to_thread(make)
    book = await asyncio.to_thread(RuleBook.load)
    async with running(eco) as client:
        answers = [await client.get("/openapi.json") for _ in range(2)]
        for answer in answers:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.json() == json.loads(json.dumps(document("", {"tags": book.tag_ids})))
        check_problem(await client.post("/openapi.json"), 405)


async def test_streams_ignore_options_that_they_do_not_know(plain: Client) -> None:
    """A polyfill's own do no harm; a poll names them."""
    task_id, messages = await plain.scanned()
    assert await plain.events(task_id, "?lastEventId=1&r=0.5") == messages
    answer = await plain.get(f"/scan/{task_id}/events?r=0.5")
    assert "r" in check_problem(answer, 422, "bad_option")["detail"]
