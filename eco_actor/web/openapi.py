"""An OpenAPI 3.1 document made of a table of operations and the types that they name. Pure."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from eco_actor.web.schemas import ProblemDetails

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
PROBLEM: Final = "application/problem+json"
REF: Final = "#/components/schemas/{name}"

Schema = dict[str, Any]

NO_STORE: Final[Schema] = {"type": "string", "enum": ["no-store"]}
RETRY_AFTER: Final[Schema] = {"type": "integer", "minimum": 1, "description": "seconds"}
RETRYABLE: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of an operation. `content`: what it may be, by media type; none for no body.

    An error has `codes`, those that its problem may have, and no content of its own. One that is
    `shared` stands in the document once, under that name.
    """

    status: int
    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=lambda: {"Cache-Control": NO_STORE})
    codes: tuple[str, ...] = ()
    shared: str = ""

    @property
    def types(self) -> Iterator[Any]:
        yield from (kind for kind in self.content.values() if not isinstance(kind, dict))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `path_parameters`, `query` and `headers` are Structs with a field for each parameter. `body`:
    the type, or the schema, of each media type that is taken. `empty_is_none`: an option of the
    query without a value is as none. `extensions` go in as they are.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str = ""
    path_parameters: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    headers: type[msgspec.Struct] | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    operator: bool = False
    empty_is_none: bool = False
    extensions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def types(self) -> Iterator[Any]:
        """Of bodies and answers."""
        yield from (kind for kind in self.body.values() if not isinstance(kind, dict))
        for answer in self.answers:
            yield from answer.types

    @property
    def parameters(self) -> Iterator[tuple[str, type[msgspec.Struct]]]:
        """Each Struct of parameters, with where they are."""
        for place, kind in (
            ("path", self.path_parameters),
            ("query", self.query),
            ("header", self.headers),
        ):
            if kind is not None:
                yield place, kind


def error(
    status: int, description: str, *codes: str, shared: str = "", **headers: Schema
) -> Answer:
    """An answer that is a problem; 429 and 503 say when to come again."""
    told: dict[str, Schema] = {"Cache-Control": NO_STORE}
    if status in RETRYABLE:
        told["Retry-After"] = RETRY_AFTER
    told |= {name.replace("_", "-"): schema for name, schema in headers.items()}
    return Answer(status, description, headers=told, codes=codes, shared=shared)


def merged(answers: Iterable[Answer]) -> list[Answer]:
    """The same, with one answer a status: of several errors of a status the codes are joined."""
    found: dict[int, Answer] = {}
    for answer in answers:
        before = found.get(answer.status)
        if before is not None:
            answer = Answer(
                answer.status,
                f"{before.description}; {answer.description}",
                {**before.content, **answer.content},
                {**before.headers, **answer.headers},
                tuple(dict.fromkeys(before.codes + answer.codes)),
            )
        found[answer.status] = answer
    return [found[status] for status in sorted(found)]


class Writer:
    """Turns operations into their part of the document, and keeps the schemas that they name.

    *values* are the enums that are known at run time only, by what stands for them in a type.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        more: Iterable[Any],
        values: Mapping[str, Sequence[str]],
    ) -> None:
        self._values = values
        wanted = [ProblemDetails, *more]
        for operation in operations:
            wanted += operation.types
        parameters = [kind for operation in operations for _, kind in operation.parameters]
        made, schemas = msgspec.json.schema_components([*wanted, *parameters], ref_template=REF)
        self._schemas: dict[int, Schema] = {
            id(kind): self._known(schema) for kind, schema in zip(wanted, made, strict=False)
        }
        only_parameters = {kind.__name__ for kind in parameters} - _names(wanted)
        self._parameters = {name: self._known(schemas[name]) for name in only_parameters}
        self.components: dict[str, Schema] = {
            name: self._known(schemas[name])
            for name in sorted(schemas)
            if name not in only_parameters
        }
        self.responses: dict[str, Any] = {}
        for operation in operations:
            form = operation.body.get(FORM)
            if form is not None:
                self._take_nulls_from(self.components[form.__name__])

    def paths(self, operations: Iterable[Operation]) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = self._told(operation)
        return paths

    def _take_nulls_from(self, form: Schema) -> None:
        properties = form["properties"]
        form["properties"] = {name: _without_null(properties[name]) for name in properties}

    def reference(self, kind: Any) -> Schema:
        """The schema of one of the types that were given."""
        return self._schemas[id(kind)]

    def _told(self, operation: Operation) -> dict[str, Any]:
        told: dict[str, Any] = {
            "operationId": operation.name,
            "tags": [operation.tag],
            "summary": operation.summary,
        }
        if operation.description:
            told["description"] = operation.description
        parameters = [
            each for place, kind in operation.parameters for each in self._asked(place, kind)
        ]
        for each in parameters:
            if operation.empty_is_none and each["in"] == "query":
                each["allowEmptyValue"] = True
        if parameters:
            told["parameters"] = parameters
        if operation.body:
            told["requestBody"] = {"required": True, "content": self._content(operation.body)}
        told["responses"] = {str(each.status): self._shared(each) for each in operation.answers}
        if operation.operator:
            told["security"] = [{"operatorToken": []}, {"operatorCookie": []}]
        return {**told, **operation.extensions}

    def _asked(self, place: str, kind: type[msgspec.Struct]) -> Iterator[dict[str, Any]]:
        """The parameters that are the fields of *kind*."""
        known = self._parameters if kind.__name__ in self._parameters else self.components
        whole = known[kind.__name__]
        for name, schema in whole["properties"].items():
            schema = _without_null(schema)
            told: dict[str, Any] = {"name": name, "in": place}
            if "description" in schema:
                told["description"] = schema.pop("description")
            if name in whole.get("required", ()):
                told["required"] = True
            yield {**told, "schema": schema}

    def _content(self, kinds: Mapping[str, Any]) -> dict[str, Any]:
        return {
            media: {"schema": kind if isinstance(kind, dict) else self.reference(kind)}
            for media, kind in kinds.items()
        }

    def _shared(self, answer: Answer) -> dict[str, Any]:
        """The answer, or where it stands."""
        if not answer.shared:
            return self._answer(answer)
        if answer.shared not in self.responses:
            self.responses[answer.shared] = self._answer(answer)
        return {"$ref": f"#/components/responses/{answer.shared}"}

    def _answer(self, answer: Answer) -> dict[str, Any]:
        told: dict[str, Any] = {
            "description": answer.description or HTTPStatus(answer.status).phrase
        }
        if answer.headers:
            told["headers"] = {
                name: {
                    "required": not schema.get("x-optional", False),
                    "schema": {key: schema[key] for key in schema if key != "x-optional"},
                }
                for name, schema in answer.headers.items()
            }
        content = self._content(answer.content)
        if answer.codes:
            problem = {"properties": {"code": {"enum": list(answer.codes)}}}
            content[PROBLEM] = {"schema": {"allOf": [self.reference(ProblemDetails), problem]}}
        if content:
            told["content"] = content
        return told

    def _known(self, schema: Any) -> Any:
        """*schema* with the enums of this server in it."""
        if isinstance(schema, list):
            return [self._known(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        told = {key: self._known(value) for key, value in schema.items()}
        if "title" in told and "description" in told:  # a docstring
            told["description"] = inspect.cleandoc(told["description"])
        name = told.pop("x-values-of", None)
        return told if name is None else {**told, "enum": list(self._values[name])}


def _names(wanted: Iterable[Any]) -> set[str]:
    """Of the Structs among the types."""
    return {kind.__name__ for kind in wanted if isinstance(kind, type)}


def _without_null(schema: Schema) -> Schema:
    """*schema* for what cannot be null, as nothing in a query or a header can."""
    told = dict(schema)
    choices = [each for each in told.pop("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        told |= choices[0]
    elif choices:
        told["anyOf"] = choices
    if told.get("default", ...) in (None, [], ()):
        del told["default"]
    return told
