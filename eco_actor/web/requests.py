"""What clients ask `POST /scan/classify` for, turned into what the scans understand, or a problem
that names the mistake.

A picture comes as it is, as a part of a form, or as text in JSON; options come in the query, and
beside the picture. What is asked for is the same, however it came.
"""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.options import Options
from eco_actor.scan.rules import LANGUAGES
from eco_actor.scan.task_id import TASK_ID, is_task_id
from eco_actor.web.data_urls import decode_data_url
from eco_actor.web.forms import read_form
from eco_actor.web.idempotency import fingerprint
from eco_actor.web.json_scans import JSON_BODY, read_fields
from eco_actor.web.media_types import media_type
from eco_actor.web.problems import Problem
from eco_actor.web.schemas import Tag
from eco_actor.web.uploads import MAX_BODY, PICTURE, SMALL_BODY, Bound, Grow, Pace, read_body

PIECE: Final = 256 * 1024
"""Bytes of a picture that are hashed in one turn of the loop."""

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

BOUNDS: Final = {
    JSON: Bound(JSON_BODY, 1.75),  # the text of a picture, and the picture
    FORM: Bound(MAX_BODY + SMALL_BODY, 1.0),  # once the picture is copied, the form is gone
    **dict.fromkeys(IMAGE_TYPES, PICTURE),
}

MAX_TEXT: Final = 2000
"""Characters of `user_input`."""

MAX_NAMES: Final = 200
"""Characters of the names in it."""

MAX_DETAIL: Final = 300
"""Characters of what is said of a mistake that may contain what the client sent."""


class ScanOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The options of `POST /scan/classify`, from the query, the parts of a form or a JSON object.

    In a query and in a form `tags` are separated by commas, or given several times, or both.
    """

    realtime: Annotated[
        bool, Meta(description="true: answer at once; false: wait for the result")
    ] = True
    lang: Annotated[
        str,
        Meta(description="language of all texts", extra_json_schema={"enum": list(LANGUAGES)}),
    ] = "ko"
    category: (
        Annotated[
            str,
            Meta(
                description="the user's own choice, which vision does not question",
                extra_json_schema={"enum": list(CATEGORIES)},
            ),
        ]
        | None
    ) = None
    user_input: (
        Annotated[str, Meta(max_length=MAX_TEXT, description="free text, kept with the scan")]
        | None
    ) = None
    tags: Annotated[
        tuple[Tag, ...],
        Meta(description="conditions of the thing, of those that /scan/categories lists: a set"),
    ] = ()
    after_scan: (
        Annotated[
            str,
            Meta(description='with category: the id of the task whose "unsure" this answers'),
        ]
        | None
    ) = None
    revises: (
        Annotated[
            str,
            Meta(
                description="the id of the task that this asks again, with other conditions,"
                " another language or another category: it is not counted, and is rewarded only if"
                " no other scan of the thing was; not with after_scan",
                extra_json_schema={"pattern": f"^{TASK_ID.pattern}$"},
            ),
        ]
        | None
    ) = None


class ScanBody(ScanOptions, forbid_unknown_fields=True, frozen=True):
    """The JSON body of `POST /scan/classify`: with an image, a category, or both."""

    image: (
        Annotated[
            str,
            Meta(
                description="data:image/jpeg;base64,… (or image/png, image/webp), 8 MiB decoded",
                extra_json_schema={
                    "pattern": "^data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]{2}"
                },
            ),
        ]
        | None
    ) = None


NOTHING: Final = ScanOptions()
"""What is asked for by a request without options."""

KNOWN: Final = frozenset(ScanOptions.__struct_fields__)
"""The names of the options."""

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
        said = {name: getattr(self.asked, name) for name in ScanOptions.__struct_fields__}
        unlike = {name: value for name, value in said.items() if value != getattr(NOTHING, name)}
        parts = [_canonical(unlike)]
        if self.picture is not None:
            digest = hashlib.blake2b(digest_size=32)
            for start in range(0, len(self.picture), PIECE):
                digest.update(memoryview(self.picture)[start : start + PIECE])
                await asyncio.sleep(0)  # the others have their turns
            parts.append(digest.digest())
        return fingerprint(parts)


def bound_of(request: web.Request) -> Bound:
    """What its body may be."""
    return BOUNDS.get(_kind(request), PICTURE)


def _kind(request: web.Request) -> str:
    return media_type(request.headers.get("Content-Type"))


async def read_scan_request(
    request: web.Request, tags: Collection[str], pace: Pace, grow: Grow
) -> ScanRequest:
    """Read and check a request to scan, of which *tags* are the conditions there are.

    Problem, when it cannot be one, or its body does not arrive at this *pace*. *grow* is told how
    many bytes of it are here; Busy from it ends the reading.
    """
    kind = _kind(request)
    if kind not in BOUNDS:
        known = ", ".join(sorted(BOUNDS))
        raise Problem(415, "unsupported_media_type", f"{kind:.100} is none of {known}")
    in_query = _typed(request.query.items())
    asked = _checked(in_query, tags)
    body = await read_body(request, BOUNDS[kind].most, pace, grow)
    if not body:
        raise Problem(400, "empty_body", "the request has no body")
    picture: bytes | None
    if kind == JSON:
        fields, text = read_fields(body)
        asked = _checked(_both(in_query, fields), tags)
        picture = await decode_data_url(text, IMAGE_TYPES) if text is not None else None
    elif kind == FORM:
        form = await read_form(body, request.headers["Content-Type"], IMAGE_TYPES)
        del body  # while the picture is looked at, it is there once
        asked = _checked(_both(in_query, _typed(form.options)), tags)
        picture = form.picture
    else:
        picture = body
    if picture is None and asked.category is None:
        raise _bad_option("category: needed when there is no image")
    return ScanRequest(asked, _options(asked), picture)


def _typed(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The options that a query or a form has, as what they stand for. Problem."""
    given: dict[str, Any] = {}
    twice: set[str] = set()
    for name, text in texts:
        if name == "tags":
            given.setdefault(name, []).extend(text.split(",") if text else ())
        elif name in given:
            twice.add(name)
        else:
            given[name] = text
    _check_known(given)
    _check_once(twice)
    read = _converted(given, strict=False)
    return {name: getattr(read, name) for name in given}


def _both(in_query: Mapping[str, Any], in_body: Mapping[str, Any]) -> dict[str, Any]:
    """The options of query and body. Problem for those that are not known, or in both."""
    _check_known(in_body)
    _check_once(in_query.keys() & in_body.keys())
    return {**in_query, **in_body}


def _check_known(given: Mapping[str, Any]) -> None:
    unknown = given.keys() - KNOWN
    if unknown:
        raise _bad_option(f"{_named(unknown)}: no option; these are: {', '.join(sorted(KNOWN))}")


def _check_once(twice: Collection[str]) -> None:
    if twice:
        raise _bad_option(f"{_named(twice)}: given more than once")


def _named(names: Iterable[str]) -> str:
    """All of them, if there are not too many to tell."""
    told = ", ".join(f"{name:.100}" for name in sorted(names))
    return told if len(told) <= MAX_NAMES else f"{told[: MAX_NAMES - 1]}…"


def _converted(given: Mapping[str, Any], *, strict: bool) -> ScanOptions:
    try:
        return msgspec.convert(given, ScanOptions, strict=strict)
    except msgspec.ValidationError as error:
        raise _bad_option(str(error)) from error


def _checked(given: Mapping[str, Any], tags: Collection[str]) -> ScanOptions:
    """The options in *given*, the tags as a set, in order. Problem for what there is not."""
    asked = _converted(given, strict=True)
    if asked.lang not in LANGUAGES:
        raise _bad_option(f"lang: one of {', '.join(LANGUAGES)}")
    if asked.category is not None and asked.category not in CATEGORIES:
        raise _bad_option(f"category: one of {', '.join(CATEGORIES)}")
    unknown = sorted(set(asked.tags).difference(tags))
    if unknown:
        raise _bad_option(f"tags: {unknown[0]!r:.100} is none of {', '.join(sorted(tags))}")
    return msgspec.structs.replace(asked, tags=tuple(sorted(set(asked.tags))))


def _options(asked: ScanOptions) -> Options:
    if asked.after_scan is not None and asked.category is None:
        raise _bad_option("after_scan: needs a category, which answers that scan")
    if asked.revises is not None and asked.after_scan is not None:
        raise _bad_option("revises: not together with after_scan")
    if asked.revises is not None and not is_task_id(asked.revises):
        raise _bad_option(f"revises: {asked.revises!r:.100} is no task id")
    return Options(
        lang=asked.lang,
        category=asked.category,
        tags=asked.tags,
        user_input=asked.user_input,
        after_scan=asked.after_scan,
        revises=asked.revises,
    )


def _bad_option(detail: str) -> Problem:
    return Problem(422, "bad_option", detail[:MAX_DETAIL])
