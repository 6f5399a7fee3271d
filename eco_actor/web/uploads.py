"""Bodies of requests, read within bounds: of their size, of the time they take, and of the memory
that all of them take together.

They are read here, and not by aiohttp: inside somebody else's application its bound is not ours.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiohttp import web

from eco_actor.scan.admission import Busy
from eco_actor.web.problems import Problem

MAX_BODY: Final = 8 * 2**20
"""Bytes of a picture."""

SMALL_BODY: Final = 64 * 1024
"""Bytes of all that comes beside a picture, and of any other body."""

UPLOAD_S: Final = 30.0
"""How long a body may take to arrive."""


class Bound(NamedTuple):
    """At most so many bytes of a body, each of which takes so much memory while it is looked at."""

    most: int = MAX_BODY
    memory: float = 1.0


PICTURE: Final = Bound()


class Uploads:
    """How many bytes of bodies may be on their way in at a time: a bound on memory."""

    def __init__(self, limit: int = 8 * MAX_BODY) -> None:
        self._left = limit

    @contextlib.contextmanager
    def admit(self, length: int | None, bound: Bound = PICTURE) -> Iterator[None]:
        """Hold room for a body of *length* bytes (None: unknown). Busy when there is none.

        A small one always has room.
        """
        length = bound.most if length is None else min(length, bound.most)
        room = 0 if length <= SMALL_BODY else int(length * bound.memory)
        if room > self._left:
            raise Busy("too many pictures are on their way in")
        self._left -= room
        try:
            yield
        finally:
            self._left += room


def plain_body(request: web.Request) -> None:
    """Problem for a body that is packed: unpacking it is bounded by nothing its sender pays for."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_encoding", "Content-Encoding: bodies are taken as they are")


async def read_body(request: web.Request, most: int, seconds: float = UPLOAD_S) -> bytes:
    """The body, of *most* bytes, that is here within *seconds*. Problem, when it is not like that.

    What is too large is not read to its end.
    """
    plain_body(request)
    if (request.content_length or 0) > most:
        raise _too_large(most)
    return await read_content(request.content, most, seconds)


async def read_content(content: Any, most: int, seconds: float = UPLOAD_S) -> bytes:
    """The same of a stream of aiohttp, whatever it belongs to."""
    if content.is_eof() and content.exception() is None:  # no timer, where there is no wait
        here: bytes = content.read_nowait()
        if len(here) > most:
            raise _too_large(most)
        return here
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while piece := await content.readany():
                body += piece
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError as error:
        raise Problem(408, "too_slow", f"the body took longer than {seconds:g} s") from error
    except (web.RequestPayloadError, OSError, RuntimeError) as error:
        # Where a client that leaves does not cancel its request, the stream says it is closed.
        raise Problem(400, "bad_body", f"the body cannot be read: {error}") from error
    return bytes(body)


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"the body is larger than {most} bytes")
