"""Files as answers: what was read once, whatever becomes of it on the disk.

Conditions and ranges are those of RFC 9110, errors are problems as all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from http import HTTPStatus
from math import ceil
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final, Self

from aiohttp import ETag, web

from eco_actor.web.problems import NO_STORE, code_of, problem_response

_TYPES: Final = MimeTypes()
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class File:
    """What is sent for a file: all of it is in memory.

    `changed_at`: seconds since 1970, rounded up; None where the content was made, not read.
    """

    content: bytes = field(repr=False)
    content_type: str
    changed_at: int | None = None
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", blake2b(self.content, digest_size=12).hexdigest())

    @classmethod
    def read(cls, path: Path, content_type: str | None = None) -> Self:
        """The file as it is now; its type is that of its name unless given. OSError. Blocks."""
        kind = content_type or _TYPES.guess_type(path.name)[0] or "application/octet-stream"
        return cls(path.read_bytes(), kind, ceil(path.stat().st_mtime))

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """The file, the range of it that is asked for, or 304 for who has it.

        Else a problem: 412 for a condition that does not hold, 416 for a range that it does not
        have. All of them have *headers*, but a problem is not stored.
        """
        if not self._is_meant(request):
            return _refused(HTTPStatus.PRECONDITION_FAILED, headers)
        if self._is_known(request):
            return self._described(web.Response(status=304, headers=headers))
        size = len(self.content)
        told = {**headers, "Content-Type": self.content_type, "Accept-Ranges": "bytes"}
        if not self._is_for_a_range(request):
            return self._described(web.Response(body=self.content, headers=told))
        try:
            part = range(size)[request.http_range]
        except ValueError:
            part = range(0)
        if not part:
            wrong = {**headers, "Content-Range": f"bytes */{size}"}
            return _refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, wrong)
        told["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        body = self.content[part.start : part.stop]
        return self._described(web.Response(body=body, status=206, headers=told))

    def _described(self, response: web.Response) -> web.Response:
        response.etag = self.tag
        response.last_modified = self.changed_at
        return response

    def _is_meant(self, request: web.Request) -> bool:
        """Whether If-Match, or else If-Unmodified-Since, holds."""
        if request.if_match is not None:
            return self._is_among(request.if_match, weak=False)
        since = _seconds(request.headers.get("If-Unmodified-Since", ""))
        return since is None or self.changed_at is None or self.changed_at <= since

    def _is_known(self, request: web.Request) -> bool:
        """Whether the client has it, by If-None-Match, or else by If-Modified-Since."""
        if request.if_none_match is not None:
            return self._is_among(request.if_none_match, weak=True)
        return self._is_older_than(request.headers.get("If-Modified-Since", ""))

    def _is_for_a_range(self, request: web.Request) -> bool:
        """Whether there is a Range, and what If-Range says of the rest is this file."""
        if "Range" not in request.headers:
            return False
        rest = request.headers.get("If-Range", "").strip()
        if not rest or rest == f'"{self.tag}"':
            return True
        return '"' not in rest and self._is_older_than(rest)

    def _is_older_than(self, date: str) -> bool:
        moment = _seconds(date)
        return moment is not None and self.changed_at is not None and self.changed_at <= moment

    def _is_among(self, tags: tuple[ETag, ...], *, weak: bool) -> bool:
        if len(tags) == 1 and tags[0].value == _ANY:
            return True
        return any(tag.value == self.tag and (weak or not tag.is_weak) for tag in tags)


def _seconds(date: str) -> float | None:
    """Since 1970; None for what is no date, which counts as if it was not there."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):  # years of twenty digits, too
        return None


def _refused(status: HTTPStatus, headers: Mapping[str, str]) -> web.Response:
    return problem_response(status, code_of(status), status.phrase, {**headers, **NO_STORE})
