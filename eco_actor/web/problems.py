"""Errors as clients see them: `application/problem+json` (RFC 9457) with a stable `code`."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from eco_actor.delivery.rule import Refused
from eco_actor.eventlog import StoreError
from eco_actor.scan.admission import Busy
from eco_actor.scan.picture import BadPicture, TooManyPixels

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 1
"""What a client that was turned away for want of room is told to wait, in seconds."""

REFUSED: Final = {
    "unknown_task": 404,
    "unknown_channel": 404,
    "not_publishable": 403,
    "slow_consumer": 409,
    "gone": 410,
}
"""Statuses of what the delivery refuses; all else is a bad option, 422."""

NO_STORE: Final = {"Cache-Control": "no-store"}

CODES: Final = {
    413: "too_large",
    414: "uri_too_long",
    416: "range_not_satisfiable",
    431: "headers_too_large",
}
"""Of statuses whose names in the standard library differ from version to version, or are long."""

DETAILS: Final = {404: "there is nothing at this address"}
"""Where the standard's own words tell nobody anything."""

KEPT: Final = ("Allow", "Content-Range")
"""Headers of an error of aiohttp's that its problem needs."""


class Problem(Exception):
    """Answers the request with this status and code; `detail` is for the client's developer."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


def problem_response(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> web.Response:
    body = {
        "type": f"urn:eco:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **extra,
    }
    all_headers = dict(NO_STORE)
    if status in (429, 503):
        all_headers["Retry-After"] = str(RETRY_AFTER_S)
    all_headers.update(headers or {})
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/problem+json",
        headers=all_headers,
    )


def json_response(
    data: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A dynamic answer."""
    return web.Response(
        body=msgspec.json.encode(data),
        status=status,
        content_type="application/json",
        headers={**NO_STORE, **headers} if headers else NO_STORE,
    )


def code_of(status: int) -> str:
    """The code of an error of which no more is known than its status."""
    return CODES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "_")


def as_problem(answer: web.StreamResponse) -> web.StreamResponse:
    """The same answer; where it is an error that aiohttp raised, the problem in its place."""
    if not isinstance(answer, web.HTTPException) or answer.status < 400:
        return answer
    kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
    detail = DETAILS.get(answer.status) or answer.reason or HTTPStatus(answer.status).phrase
    return problem_response(answer.status, code_of(answer.status), detail, kept)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a handler raises into a problem; a fault of ours is logged, not explained."""
    try:
        return await handler(request)
    except Problem as error:
        return problem_response(error.status, error.code, error.detail, **error.extra)
    except Refused as error:
        return problem_response(REFUSED.get(error.code, 422), error.code, error.detail)
    except Busy as error:
        return problem_response(503, "busy", str(error))
    except TooManyPixels as error:
        return problem_response(413, error.code, str(error))
    except BadPicture as error:
        return problem_response(422, error.code, str(error))
    except StoreError as error:
        return problem_response(503, "storage", error.reason)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return as_problem(error)
    except Exception:
        log.exception("%s %s failed", request.method, request.rel_url)
        return problem_response(500, "internal", "a fault of the server; it is in its log")
