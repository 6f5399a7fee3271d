"""`GET /openapi.json`: all that the server answers, as a document for programs."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from eco_actor.web.openapi import Writer
from eco_actor.web.openapi_operating import OPERATING_OPERATIONS
from eco_actor.web.openapi_scans import SCAN_OPERATIONS
from eco_actor.web.openapi_streams import STREAM_OPERATIONS
from eco_actor.web.prefix import prefix_of
from eco_actor.web.problems import NO_STORE
from eco_actor.web.schemas import ScanEvent
from eco_actor.web.schemas_streams import MESSAGES, SAID

VERSION: Final = "1"
"""Of the contract."""

OPERATIONS: Final = (*SCAN_OPERATIONS, *STREAM_OPERATIONS, *OPERATING_OPERATIONS)

TAGS: Final = (
    ("scans", "What a thing is and where it goes."),
    ("streams", "Following scans and channels; a cursor is good on every transport."),
    ("operating", "Looking after the server."),
    ("pages", "For people."),
)

ABOUT: Final = (
    "Errors are problems (RFC 9457) with a stable `code`. Every GET may be a HEAD, but for streams"
    " and polls. A method that a path does not have is 405 with `Allow`."
)

SECURITY: Final[dict[str, Any]] = {
    "operatorToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The operator's token: ECO_OPERATOR_TOKEN, or made by the server at its"
        " first start.",
    },
    "operatorCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "eco_operator",
        "description": "What `POST /login` sets; where the address has a port, `_` and the port"
        " come behind the name.",
    },
}


def document(prefix: str, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The document of a server mounted at *prefix* ("" for the root)."""
    writer = Writer(OPERATIONS, [ScanEvent, *SAID, *MESSAGES.values()], values)
    paths = writer.paths(OPERATIONS)
    messages = {side: writer.reference(kind) for side, kind in MESSAGES.items()}
    paths["/ws"]["get"]["x-messages"] = messages
    return {
        "openapi": "3.1.0",
        "info": {"title": "Eco", "version": VERSION, "description": ABOUT},
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS],
        "paths": paths,
        "components": {
            "schemas": writer.components,
            "responses": writer.responses,
            "securitySchemes": SECURITY,
        },
    }


class DocumentRoutes:
    """The document is made when somebody asks for it first, in a thread, and kept.

    *values*: the enums that are known at run time only, as `openapi.Writer` wants them.
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        self._encoded: bytes | None = None

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/openapi.json", self.openapi)

    async def openapi(self, request: web.Request) -> web.Response:
        encoded = self._encoded
        if encoded is None:
            prefix = prefix_of(request)  # the same for all: an application is mounted once
            encoded = await asyncio.to_thread(_encoded, prefix, self._values)
            self._encoded = encoded
        return web.Response(body=encoded, content_type="application/json", headers=NO_STORE)


def _encoded(prefix: str, values: Mapping[str, Sequence[str]]) -> bytes:
    return msgspec.json.encode(document(prefix, values))
