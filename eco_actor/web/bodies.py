"""Small JSON bodies of calls, read within bounds and checked against a type."""

from typing import TypeVar

import msgspec
from aiohttp import web

from eco_actor.web.problems import Problem
from eco_actor.web.uploads import TINY_BODY, read_body

T = TypeVar("T")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The body as a *kind*, whatever type it says it has. Problem, when it cannot be one."""
    body = await read_body(request, TINY_BODY)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_body", str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_json", "the body is not JSON") from error
