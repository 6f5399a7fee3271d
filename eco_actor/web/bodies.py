"""Small JSON bodies of calls, read within bounds and checked against a type."""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

from eco_actor.web.problems import Problem
from eco_actor.web.requests import SMALL_BODY, UPLOAD_S, plain_body

T = TypeVar("T")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The body as a *kind*, whatever type it says it has. Problem, when it cannot be one."""
    body = await _read(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_body", str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_json", "the body is not JSON") from error


async def _read(request: web.Request) -> bytes:
    plain_body(request)
    body = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_S):
            while part := await request.content.readany():
                body += part
                if len(body) > SMALL_BODY:
                    raise Problem(413, "too_large", f"the body is larger than {SMALL_BODY} bytes")
    except web.RequestPayloadError as error:
        raise Problem(400, "bad_body", f"the body cannot be read: {error}") from error
    except TimeoutError as error:
        raise Problem(408, "too_slow", f"the body took longer than {UPLOAD_S:g} s") from error
    return bytes(body)
