"""The opening handshake of a WebSocket (RFC 6455): a request's headers in, the whole answer out."""

import base64
import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

VERSION: Final = "13"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade"}
_ALLOW: Final = {"Allow": "GET"}


class BadHandshake(Exception):
    """The request does not open a WebSocket: answer with this status, code and headers."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers: dict[str, str] = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Handshake:
    """The answer that opens: `head` is all of it; `subprotocol` is the one agreed on, or None."""

    head: bytes
    subprotocol: str | None

    def with_headers(self, extra: Mapping[str, str]) -> bytes:
        """The answer with more headers. ValueError for one that would break a line."""
        lines = [f"{name}: {value}\r\n" for name, value in extra.items()]
        if any("\r" in line[:-2] or "\n" in line[:-2] for line in lines):
            raise ValueError("a header holds a line break")
        return self.head[:-2] + "".join(lines).encode("latin-1") + b"\r\n"


def handshake(method: str, headers: Mapping[str, str], offered: Container[str]) -> Handshake:
    """The answer to a request that opens a WebSocket. BadHandshake for one that does not.

    *offered* are the subprotocols that we speak; the client's order decides. One that asks for
    unknown ones only is answered without any, as one that asks for none. *headers* may hold a name
    several times (a multidict), in any case.
    """
    values = _values(headers)
    if method != "GET":
        raise BadHandshake(405, "method_not_allowed", "a WebSocket is opened by GET", _ALLOW)
    if [item.lower() for item in _list(values["upgrade"])] != ["websocket"]:
        raise BadHandshake(426, "upgrade_required", "Upgrade: websocket is missing", _UPGRADE)
    if "upgrade" not in _tokens(values["connection"]):
        raise BadHandshake(400, "bad_request", "Connection: Upgrade is missing")
    if values["sec-websocket-version"] != [VERSION]:
        known = {**_UPGRADE, "Sec-WebSocket-Version": VERSION}
        detail = f"Sec-WebSocket-Version: {VERSION} is spoken here"
        raise BadHandshake(426, "upgrade_required", detail, known)
    key = _key(values["sec-websocket-key"])
    asked = _list(values["sec-websocket-protocol"])
    subprotocol = next((name for name in asked if name in offered), None)
    return Handshake(_head(key, subprotocol), subprotocol)


_READ: Final = (
    "upgrade",
    "connection",
    "sec-websocket-version",
    "sec-websocket-key",
    "sec-websocket-protocol",
)


def _values(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """The lines of each header that matters, in their order."""
    found: dict[str, list[str]] = {name: [] for name in _READ}
    for name, value in headers.items():
        lines = found.get(name.lower())
        if lines is not None:
            lines.append(value.strip())
    return found


def _list(lines: Sequence[str]) -> list[str]:
    return [item for line in lines for part in line.split(",") if (item := part.strip())]


def _tokens(lines: Sequence[str]) -> set[str]:
    return {item.lower() for item in _list(lines)}


def _key(lines: Sequence[str]) -> bytes:
    """The one key of the request, as it stands."""
    try:
        (key,) = (line.encode("ascii") for line in lines)
        fits = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        fits = False
    if not fits:
        raise BadHandshake(400, "bad_request", "Sec-WebSocket-Key: one, of 16 bytes in base64")
    return key


def _head(key: bytes, subprotocol: str | None) -> bytes:
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n%s\r\n" % (accept, chosen.encode("ascii"))
    )
