"""Answers of a server, held against its `/openapi.json`."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from eco_actor.scan.rules import RuleBook
from eco_actor.web.api_document import document
from tests.web.client import Answer, Client, Message


@cache
def the_document() -> Any:
    """Of a server with the national rules, where no answer has fields that are not named."""
    return strict(document("", {"tags": RuleBook.load().tag_ids}))


def strict(told: Any) -> Any:
    """The document with nothing allowed in its objects that they do not name."""
    for schema in told["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return told


def check_schema(value: Any, schema: Mapping[str, Any]) -> None:
    """*value* is as *schema*, of the document, says."""
    whole = {**schema, "components": the_document()["components"]}
    faults = [
        f"{'/'.join(map(str, each.instance_path))}: {each.message}"
        for each in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)
    ]
    assert not faults, (faults, value)


def check_named(value: Any, name: str) -> None:
    """*value* is as the schema of this name says."""
    check_schema(value, {"$ref": f"#/components/schemas/{name}"})


def check_event(message: Message, data: str) -> None:
    """An event of a stream, whose data is as the schema *data* if it is no control event."""
    told: dict[str, Any] = {"data": message.data}
    for name in ("event", "id", "retry"):
        if getattr(message, name) is not None:
            told[name] = getattr(message, name)
    check_named(told, "SseEvent")
    controls = {"eco.open": "StreamOpen", "eco.gap": "Gap", "eco.bye": "StreamBye"}
    check_named(message.json(), data if message.event is None else controls[message.event])


class Documented:
    """Asks *client*, and finds every answer in the document."""

    def __init__(self, client: Client, headers: Mapping[str, str] | None = None) -> None:
        self.client = client
        self.headers = dict(headers or {})
        self.seen: set[tuple[str, str, int]] = set()

    async def ask(
        self, method: str, path: str, status: int, query: str = "", /, **given: Any
    ) -> Answer:
        """The answer to a request to *path*, as it is in the document, with its {names} given."""
        names = {name: given.pop(name) for name in list(given) if f"{{{name}}}" in path}
        headers = {**self.headers, **given.pop("headers", {})}
        answer = await self.client.ask(
            method, path.format(**names) + query, headers=headers, **given
        )
        assert answer.status == status, answer.body
        self.check(method, path, answer)
        return answer

    async def get(self, path: str, status: int = 200, query: str = "", /, **given: Any) -> Any:
        """What the body of the answer says."""
        return (await self.ask("GET", path, status, query, **given)).json()

    async def post(self, path: str, status: int = 200, query: str = "", /, **given: Any) -> Any:
        return (await self.ask("POST", path, status, query, **given)).json()

    def check(self, method: str, path: str, answer: Answer) -> None:
        told = the_document()["paths"][path][method.lower()]["responses"][str(answer.status)]
        if "$ref" in told:
            told = the_document()["components"]["responses"][told["$ref"].rpartition("/")[2]]
        for name, header in told.get("headers", {}).items():
            if name in answer.headers:
                value = answer.headers[name]
                kind = header["schema"].get("type")
                check_schema(int(value) if kind == "integer" else value, header["schema"])
            else:
                assert not header["required"], name
        content = told.get("content", {})
        if content:
            media = answer.headers["Content-Type"].partition(";")[0]
            json_like = media.endswith("json")
            value = json.loads(answer.body) if json_like else answer.body.decode()
            check_schema(value, content[media]["schema"])
        else:
            assert answer.body == b""
        self.seen.add((method, path, answer.status))
