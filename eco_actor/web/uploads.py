"""Bodies of requests, read within bounds: of their size, of the time they take, and of the memory
that all of them take together.

They are read here, and not by aiohttp: inside somebody else's application its bound is not ours.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

from aiohttp import web

from eco_actor.scan.admission import Busy
from eco_actor.web.problems import Problem

MAX_BODY: Final = 8 * 2**20
"""Bytes of a picture."""

SMALL_BODY: Final = 64 * 1024
"""Bytes of all that comes beside a picture, and of any other body."""

TINY_BODY: Final = 4 * 1024
"""Bytes of a body that always have room: connections, which are bounded, take more themselves."""

ROOM: Final = 8 * MAX_BODY
"""Bytes of all bodies that are larger than a small one."""

SMALL_ROOM: Final = 32 * 2**20
"""Bytes of all small ones: larger bodies cannot use them up."""

UPLOAD_S: Final = 30.0
"""How long a body may take to arrive."""

GRACE_S: Final = 5.0
"""How long it may be slower than `LEAST_RATE`."""

LEAST_RATE: Final = 8 * 1024.0
"""Bytes a second, on the average since its beginning."""


class Pace(NamedTuple):
    """How fast a body has to arrive: within *seconds*, and after the first *grace_s* of them at
    *least_rate* bytes a second, counted from its beginning."""

    seconds: float = UPLOAD_S
    grace_s: float = GRACE_S
    least_rate: float = LEAST_RATE

    def until(self, received: int) -> float:
        """Seconds after its beginning at which it is too slow, if no more comes than *received*."""
        return min(self.seconds, max(self.grace_s, received / self.least_rate))


PACE: Final = Pace()


class Bound(NamedTuple):
    """At most so many bytes of a body, each of which takes so much memory while it is looked at."""

    most: int = MAX_BODY
    memory: float = 1.0


PICTURE: Final = Bound()


class _Pot:
    """Bytes that are left, of those that bodies of one kind may take."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Uploads:
    """How many bytes of bodies may be in memory at a time: *room* of large ones, *small_room* of
    small ones. They are counted as they arrive, so who sends nothing keeps nobody out.
    """

    def __init__(self, room: int = ROOM, small_room: int = SMALL_ROOM) -> None:
        self.large = _Pot(room)
        self.small = _Pot(small_room)

    def admit(self, length: int | None, bound: Bound = PICTURE) -> "Room":
        """The room of one body, which is given back at the end of a `with`.

        Busy when it says that it has more bytes than there is room for now. None: it does not say.
        """
        room = Room(self, bound)
        if length is not None:
            room.check(min(length, bound.most))
        return room


class Room:
    """What one body has of the room of all, by its bytes that are here."""

    __slots__ = ("_bound", "_held", "_pot", "_uploads")

    def __init__(self, uploads: Uploads, bound: Bound) -> None:
        self._uploads = uploads
        self._bound = bound
        self._pot = uploads.small
        self._held = 0

    def grow(self, size: int) -> None:
        """Have room for *size* bytes in all. Busy when there is not; what it had, it keeps."""
        if size <= TINY_BODY:
            return
        pot, wanted = self.check(size)
        self._pot.left += self._held
        pot.left -= wanted
        self._pot, self._held = pot, wanted

    def check(self, size: int) -> tuple[_Pot, int]:
        """Where *size* bytes in all would have room, and how much they would take. Busy."""
        pot, wanted = self._uploads.small, size
        if size <= TINY_BODY:
            return pot, 0
        if size > SMALL_BODY:
            pot, wanted = self._uploads.large, int(size * self._bound.memory)
        if wanted - (self._held if pot is self._pot else 0) > pot.left:
            raise Busy("too many bodies are on their way in")
        return pot, wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pot.left += self._held
        self._held = 0


def plain_body(request: web.Request) -> None:
    """Problem for a body that is packed: unpacking it is bounded by nothing its sender pays for."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_encoding", "Content-Encoding: bodies are taken as they are")


def _no_more(size: int) -> None:
    """For bodies whose most is little, or whose senders are trusted."""


Grow = Callable[[int], None]


async def read_body(
    request: web.Request, most: int, pace: Pace = PACE, grow: Grow = _no_more
) -> bytes:
    """The body, of *most* bytes, that arrives at this *pace*. Problem, when it is not like that.

    *grow* is told how many bytes are here, each time there are more; Busy from it ends the reading.
    What is too large is not read to its end.
    """
    plain_body(request)
    if (request.content_length or 0) > most:
        raise _too_large(most)
    return await read_content(request.content, most, pace, grow)


async def read_content(content: Any, most: int, pace: Pace = PACE, grow: Grow = _no_more) -> bytes:
    """The same of a stream of aiohttp, whatever it belongs to."""
    if content.is_eof() and content.exception() is None:  # no timer, where there is no wait
        here: bytes = content.read_nowait()
        if len(here) > most:
            raise _too_large(most)
        grow(len(here))
        return here
    body = bytearray()
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began + pace.until(0)) as timer:
            while piece := await content.readany():
                body += piece
                if len(body) > most:
                    raise _too_large(most)
                grow(len(body))
                if (due := began + pace.until(len(body))) != timer.when():
                    timer.reschedule(due)
    except TimeoutError as error:
        raise _too_slow(pace, len(body)) from error
    except (web.RequestPayloadError, OSError, RuntimeError) as error:
        # Where a client that leaves does not cancel its request, the stream says it is closed.
        raise Problem(400, "bad_body", f"the body cannot be read: {error}") from error
    return bytes(body)


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"the body is larger than {most} bytes")


def _too_slow(pace: Pace, received: int) -> Problem:
    if pace.until(received) < pace.seconds:
        detail = f"the body came slower than {pace.least_rate:g} bytes a second"
    else:
        detail = f"the body took longer than {pace.seconds:g} s"
    return Problem(408, "too_slow", detail)
