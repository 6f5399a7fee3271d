"""`Content-Type` and its like, as clients write them: a value, and parameters (RFC 9110, 8.3).

The standard library's parser is not used: it decodes each parameter by whatever codec a client
names, and raises what that raises, also for parameters that nobody asks for.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

UNKNOWN: Final = "application/octet-stream"
"""The media type of what is not known."""

CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})
"""In which an extended parameter may be (RFC 8187; the second by RFC 5987)."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(f"{_TOKEN}/{_TOKEN}")

_PIECE: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*(?:"|\\?$))+', re.DOTALL)
"""What stands between semicolons, but not those in quotes, which need not end."""

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)


@lru_cache(maxsize=64)  # most clients send the same
def media_type(header: str | None) -> str:
    """The media type in a `Content-Type`, in small letters; UNKNOWN when there is none in it."""
    if header is None:
        return UNKNOWN
    told = header.partition(";")[0].strip(" \t")
    return told.lower() if _MEDIA_TYPE.fullmatch(told) else UNKNOWN


def parameter(header: str, wanted: str) -> str | None:
    """The parameter of this name, plain or extended (`name*=utf-8''…`); None when there is none.

    ValueError for one that is there twice, or in no charset that is taken.
    """
    found = None
    for piece in _PIECE.findall(header)[1:]:
        name, _, value = piece.partition("=")
        said = name.strip().lower()
        if said not in (wanted, f"{wanted}*"):
            continue
        if found is not None:
            raise ValueError("given more than once")
        found = _unquoted(value.strip())
        if said != wanted:
            found = _extended(found)
    return found


def _unquoted(value: str) -> str:
    quoted = _QUOTED.match(value)
    if quoted is None:
        return value
    if value[quoted.end() :] not in ("", '"'):
        raise ValueError("something stands behind its quotes")
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)


def _extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    _, quote, text = rest.partition("'")
    if not quote or charset.lower() not in CHARSETS:
        raise ValueError(f"{value[:100]!r} is no text in UTF-8: utf-8''…")
    return unquote_to_bytes(text).decode(charset)
