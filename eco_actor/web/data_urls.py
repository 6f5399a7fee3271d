"""Pictures in JSON: `data:image/png;base64,…` (RFC 2397), decoded in pieces.

A picture of 8 MiB takes some 30 ms to decode, far longer than everybody else may wait.
"""

import asyncio
import binascii
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from eco_actor.web.problems import Problem
from eco_actor.web.uploads import MAX_BODY

PIECE: Final = 256 * 1024
"""Characters that are decoded in one turn of the loop."""

MAX_HEAD: Final = 256
"""Characters up to the comma."""

_HEAD: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)

MAX_PADDING: Final = 2

_ESCAPE: Final = 6
"""The length of the longest escape sequence: backslash, u and four digits."""


async def decode_data_url(text: memoryview, kinds: frozenset[str]) -> bytes:
    """The picture in *text*, which is what stands between the quotes of a JSON string.

    Problem: 415 for another media type than *kinds*, 422 for other mistakes, 413 for more than
    `MAX_BODY` bytes, 400 for none.
    """
    start = _check_head(bytes(text[:MAX_HEAD]), kinds)
    picture = bytearray()
    rest = b""
    padded = False
    for piece in _unescaped(text[start:]):
        if padded and piece:
            raise bad_image("there is something behind the end of the base64")
        rest += piece
        whole = len(rest) // 4 * 4
        picture += _decoded(rest[:whole])
        padded = rest.endswith(b"=", 0, whole)
        if rest.count(b"=") > MAX_PADDING:
            raise bad_image("the base64 has too much padding")
        rest = rest[whole:]
        if len(picture) > MAX_BODY:
            raise Problem(413, "too_large", f"image: larger than {MAX_BODY} bytes")
        await asyncio.sleep(0)  # the others have their turns
    if rest:
        raise bad_image("the base64 breaks off: its length is no multiple of 4")
    if not picture:
        raise Problem(400, "empty_body", "image: there are no bytes in it")
    return bytes(picture)


def _check_head(begin: bytes, kinds: frozenset[str]) -> int:
    """Where the base64 begins. Problem."""
    comma = begin.find(b",")
    told = _unescape(begin[: comma + 1]).decode(errors="replace")
    head = _HEAD.fullmatch(told)
    if head is None:
        raise bad_image("it is no data URL: data:image/png;base64,…")
    if head[1].strip().lower() not in kinds:
        known = ", ".join(sorted(kinds))
        detail = f"image: {head[1]:.100} is none of {known}"
        raise Problem(415, "unsupported_media_type", detail)
    if not head[2].strip().lower().endswith(";base64"):
        raise bad_image("the data URL is not in base64: data:image/png;base64,…")
    return comma + 1


def _unescaped(text: memoryview) -> Iterator[bytes]:
    """*text* in pieces, as it is without the escape sequences of JSON."""
    start = 0
    while start < len(text):
        piece = bytes(text[start : start + PIECE])
        cut = piece.rfind(b"\\", PIECE - _ESCAPE)
        if cut > 0:  # it may go on in the next piece
            piece = piece[:cut]
        start += len(piece)
        yield _unescape(piece)


def _unescape(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    try:
        return msgspec.json.decode(b'"%s"' % text, type=str).encode()
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Problem(400, "bad_json", f"the body is not JSON: {error}") from error


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        hint = " (percent-encoding is not undone)" if b"%" in text else ""
        raise bad_image(f"no base64 of the standard alphabet{hint}: {error}") from error


def bad_image(detail: str) -> Problem:
    return Problem(422, "bad_option", f"image: {detail}")
