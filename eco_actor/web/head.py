"""The heads of plain GET requests, as nearly all that open a stream are. Pure.

What is not exactly of this form is no mistake: it is for a whole HTTP parser to judge.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

MAX_HEAD: Final = 8 * 1024
"""Bytes of a head; aiohttp takes no longer lines either."""

CR: Final = ord("\r")
END: Final = b"\r\n\r\n"

_HEAD: Final = re.compile(
    rb"GET (/[A-Za-z0-9_./~-]*)(?:\?([!-\"$-~]*))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z][A-Za-z0-9-]*:[\t -~]*\r\n)+)\r\n"
)

_BEGINNING: Final = b"GET /"

_BODIES: Final = frozenset({"content-length", "transfer-encoding", "expect"})


@dataclass(frozen=True, slots=True)
class Head:
    """A request without a body: its path, its query as it stands, headers by small-letter name."""

    path: str
    query: str
    headers: dict[str, str]

    def options(self) -> list[tuple[str, str]]:
        """Names and values of the query."""
        query = self.query
        if not query:
            return []
        if "%" not in query and "+" not in query:
            pairs = [part.partition("=") for part in query.split("&") if part]
            return [(name, value) for name, _, value in pairs]
        return parse_qsl(query, keep_blank_values=True)


def may_be_plain(data: bytes) -> bool:
    """Whether more bytes could make *data* the beginning of a plain head."""
    if END in data or len(data) >= MAX_HEAD:
        return False
    if not _BEGINNING.startswith(data[: len(_BEGINNING)]):
        return False
    line = data.find(b"\n")
    return line < 1 or data[line - 1] == CR


def parse_head(data: bytes) -> tuple[Head, bytes] | None:
    """The head at the beginning of *data* and what is behind it.

    None when it is not plain: incomplete, another method, a body, a header twice, odd characters.
    """
    found = _HEAD.match(data)
    if found is None or found.end() > MAX_HEAD:
        return None
    path, query, lines = found.groups()
    headers: dict[str, str] = {}
    for line in lines.decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in headers or name in _BODIES:
            return None
        headers[name] = value.strip(" \t")
    return Head(path.decode(), (query or b"").decode(), headers), data[found.end() :]
