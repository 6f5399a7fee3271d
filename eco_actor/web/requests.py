"""What clients send, turned into what the scans understand, or a problem that names the mistake."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from eco_actor.scan.admission import Busy
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.options import Options
from eco_actor.scan.rules import LANGUAGES
from eco_actor.web.idempotency import fingerprint
from eco_actor.web.problems import Problem

MAX_BODY: Final = 8 * 2**20
SMALL_BODY: Final = 64 * 1024
UPLOAD_S: Final = 30.0
"""How long a body may take to arrive."""

PIECE: Final = 256 * 1024
"""Bytes of a picture that are hashed in one turn of the loop."""

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


class ScanOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The options of `POST /scan/classify`, from the query or the JSON body."""

    realtime: bool = True
    lang: str = "ko"
    category: str | None = None
    user_input: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


_canonical: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """`asked` is what `options` and `realtime` were made of; `picture` is as it was sent."""

    asked: ScanOptions
    options: Options
    picture: bytes | None

    @property
    def realtime(self) -> bool:
        return self.asked.realtime

    @property
    def body(self) -> bytes | None:
        """Of the picture, when it has to be looked at."""
        return self.picture if self.options.category is None else None

    async def fingerprint(self) -> bytes:
        """Equal for the same options, however they were given, with the bytes of the same picture.

        An option that says what is so without it is as good as none, also one that there was not
        when the request came first.
        """
        parts = [_canonical(self.asked)]
        if self.picture is not None:
            digest = hashlib.blake2b(digest_size=32)
            for start in range(0, len(self.picture), PIECE):
                digest.update(memoryview(self.picture)[start : start + PIECE])
                await asyncio.sleep(0)  # the others have their turns
            parts.append(digest.digest())
        return fingerprint(parts)


class Uploads:
    """How many bytes of bodies may be on their way in at a time: a bound on memory."""

    def __init__(self, limit: int = 8 * MAX_BODY) -> None:
        self._left = limit

    @contextlib.contextmanager
    def admit(self, length: int | None) -> Iterator[None]:
        """Hold room for a body of *length* bytes (None: unknown). Busy when there is none.

        A small one always has room.
        """
        room = MAX_BODY if length is None else min(length, MAX_BODY)
        if room <= SMALL_BODY:
            room = 0
        if room > self._left:
            raise Busy("too many pictures are on their way in")
        self._left -= room
        try:
            yield
        finally:
            self._left += room


async def read_scan_request(request: web.Request) -> ScanRequest:
    """Read and check a request to scan. Problem, when it cannot be one."""
    kind = request.content_type
    if kind == "application/json":
        given = _decode_json(await _read(request))
        asked, picture = _scan_options(request, given), None
        if asked.category is None:
            raise Problem(422, "bad_option", "category: needed when there is no image")
    elif kind in IMAGE_TYPES:
        asked = _scan_options(request, {})
        picture = await _read(request)
    else:
        known = ", ".join(sorted(IMAGE_TYPES))
        raise Problem(415, "unsupported_media_type", f"{kind} is none of {known}, application/json")
    return ScanRequest(asked, _checked(asked), picture)


def plain_body(request: web.Request) -> None:
    """Problem for a body that is packed: unpacking it is bounded by nothing its sender pays for."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_encoding", "Content-Encoding: bodies are taken as they are")


async def _read(request: web.Request) -> bytes:
    plain_body(request)
    too_large = Problem(413, "too_large", f"the body is larger than {MAX_BODY} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    try:
        async with asyncio.timeout(UPLOAD_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large from error
    except web.RequestPayloadError as error:
        raise Problem(400, "bad_body", f"the body cannot be read: {error}") from error
    except TimeoutError as error:
        raise Problem(408, "too_slow", f"the body took longer than {UPLOAD_S:g} s") from error
    if not body:
        raise Problem(400, "empty_body", "the request has no body")
    return body


def _decode_json(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise Problem(400, "bad_json", "the body is JSON, but not an object") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_json", f"the body is not JSON: {error}") from error


def _scan_options(request: web.Request, body: Mapping[str, Any]) -> ScanOptions:
    """The options of query and body; the body, where they have types, wins."""
    query = request.query
    twice = [name for name in set(query) if len(query.getall(name)) > 1]
    if twice:
        raise Problem(422, "bad_option", f"{twice[0]}: given more than once")
    try:
        from_query = msgspec.convert(dict(query), ScanOptions, strict=False)
        merged = {name: getattr(from_query, name) for name in query} | dict(body)
        return msgspec.convert(merged, ScanOptions)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_option", str(error)) from error


def _checked(asked: ScanOptions) -> Options:
    if asked.lang not in LANGUAGES:
        raise Problem(422, "bad_option", f"lang: one of {', '.join(LANGUAGES)}")
    if asked.category is not None and asked.category not in CATEGORIES:
        raise Problem(422, "bad_option", f"category: one of {', '.join(CATEGORIES)}")
    return Options(lang=asked.lang, category=asked.category, user_input=asked.user_input)
