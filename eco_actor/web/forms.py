"""`multipart/form-data` (RFC 7578), taken apart within bounds.

aiohttp's reader of it is not used: it puts what clients send into the log as warnings, loses the
name of a part whose file name has semicolons, and holds up the loop for seconds with lines in front
of the first boundary. The headers of a part are told apart by the standard library, but their
parameters are read here.
"""

import asyncio
from collections.abc import Collection, Iterator
from email.parser import HeaderParser
from typing import Final, NamedTuple

from eco_actor.web.media_types import UNKNOWN, parameter
from eco_actor.web.problems import Problem
from eco_actor.web.uploads import MAX_BODY

MAX_PARTS: Final = 32

MAX_HEAD: Final = 2048
"""Bytes of the headers of a part."""

MAX_OPTION: Final = 8192
"""Bytes of a part that is an option."""

MAX_PADDING: Final = 256
"""Bytes that a line of a boundary may go on with; they are blank."""

MAX_BOUNDARY: Final = 70

IMAGE: Final = "image"
"""The part with the picture."""

AS_IS: Final = frozenset({"", "binary", "8bit", "7bit", "identity"})
"""Encodings that change nothing."""


class Part(NamedTuple):
    """One field. `kind` is the media type that it says it has, if it says so."""

    name: str
    kind: str | None
    content: memoryview


HINT: Final = f"the part with the picture is called {IMAGE}"
"""For who sent it under another name."""


class Form(NamedTuple):
    """A picture, and options as they were written."""

    picture: bytes
    options: list[tuple[str, str]]


async def read_form(body: bytes, content_type: str, kinds: Collection[str]) -> Form:
    """The fields of a body of this `Content-Type`, with a picture of one of these *kinds*.

    A picture whose kind is not said is what its bytes are. Problem for all that is not like that.
    """
    picture: memoryview | None = None
    options: list[tuple[str, str]] = []
    for part in parts(body, boundary_of(content_type)):
        if part.name != IMAGE:
            options.append((part.name, _text(part)))
        elif picture is not None:
            raise Problem(422, "bad_option", "image: given more than once")
        elif part.kind not in (None, UNKNOWN, *kinds):
            known = ", ".join(sorted(kinds))
            detail = f"image: {part.kind:.100} is none of {known}"
            raise Problem(415, "unsupported_media_type", detail)
        else:
            picture = part.content
        await asyncio.sleep(0)  # the others have their turns
    if picture is None:
        detail = "image: the part is missing; without an image send JSON with a category"
        raise Problem(422, "bad_option", detail)
    if not picture:
        raise Problem(400, "empty_body", "image: the part is empty")
    if len(picture) > MAX_BODY:
        raise Problem(413, "too_large", f"image: larger than {MAX_BODY} bytes")
    return Form(bytes(picture), options)


def _text(part: Part) -> str:
    if len(part.content) > MAX_OPTION:
        detail = f"{part.name:.100}: an option has at most {MAX_OPTION} bytes; {HINT}"
        raise Problem(422, "bad_option", detail)
    try:
        return str(part.content, "utf-8")
    except UnicodeDecodeError as error:
        raise Problem(422, "bad_option", f"{part.name:.100}: not in UTF-8; {HINT}") from error


def boundary_of(content_type: str) -> bytes:
    """What separates the parts of a body of this `Content-Type`. Problem, when there is none."""
    boundary = (_parameter(content_type, "boundary") or "").rstrip()
    if not 1 <= len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise _bad(f"the boundary has 1 to {MAX_BOUNDARY} ASCII characters")
    return boundary.encode()


def parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    """The fields in their order. Problem at what is no field, or one too many.

    What stands before the first boundary and behind the last is nobody's.
    """
    view = memoryview(body)
    mark = b"\r\n--" + boundary
    # The first boundary may stand at the very beginning.
    at = len(mark) - 2 if body.startswith(mark[2:]) else _after(body, mark, 0)
    for _ in range(MAX_PARTS):
        if body.startswith(b"--", at):
            return
        line = body.find(b"\r\n", at, at + MAX_PADDING)
        if line < 0 or body[at:line].strip(b" \t"):
            raise _bad("a boundary is followed by other than the end of its line")
        # Without headers the empty line follows at once.
        head = body.find(b"\r\n\r\n", line, line + MAX_HEAD)
        if head < 0:
            raise _bad(f"the headers of a part do not end, or have more than {MAX_HEAD} bytes")
        after = _after(body, mark, head + 2)
        name, kind = _described(body[line + 2 : head + 2])
        yield Part(name, kind, view[head + 4 : after - len(mark)])
        at = after
    if not body.startswith(b"--", at):
        raise Problem(413, "too_large", f"a form has at most {MAX_PARTS} parts")


def _after(body: bytes, mark: bytes, start: int) -> int:
    found = body.find(mark, start)
    if found < 0:
        where = "behind the last part" if start else "anywhere"
        raise _bad(f"the boundary that Content-Type names is not {where}")
    return found + len(mark)


def _described(head: bytes) -> tuple[str, str | None]:
    """Name and media type of a part. Problem for one that has no name, or that is packed."""
    headers = HeaderParser().parsestr(head.decode(errors="replace"))
    named = _parameter(str(headers.get("Content-Disposition", "")), "name")
    if headers.defects or headers.get_payload() or named is None:
        raise _bad('a part needs the header Content-Disposition: form-data; name="…"')
    for header in ("Content-Transfer-Encoding", "Content-Encoding"):
        if str(headers.get(header, "")).strip().lower() not in AS_IS:
            detail = f"{named:.100}: {header}: the content of a part is taken as it is"
            raise Problem(415, "unsupported_encoding", detail)
    kind = headers.get("Content-Type")
    if kind is None:
        return named, None
    media = str(kind).partition(";")[0].strip().lower()
    if media.startswith("multipart/"):
        detail = f"{named:.100}: a part that has parts itself"
        raise Problem(415, "unsupported_media_type", detail)
    return named, media


def _parameter(header: str, wanted: str) -> str | None:
    try:
        return parameter(header, wanted)
    except ValueError as error:
        raise _bad(f"{wanted}: {error}") from error


def _bad(detail: str) -> Problem:
    return Problem(400, "bad_form", detail)
