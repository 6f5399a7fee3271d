"""What goes over the wire: events, control events and answers, as SSE or in WebSocket frames. Pure.

A `Format` encodes an event once, for all who are sent it. In SSE data events have no `event:`
field, so that `onmessage` sees them all; control events are named `eco.…`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgpack
import msgspec

from eco_actor.delivery.gap import Gap
from eco_actor.delivery.ws_frames import BINARY, TEXT, frame
from eco_actor.eventlog import Cursor, Event

COMMENT: Final = b":\n\n"
"""Says nothing, shows that the connection lives."""

_json: Final = msgspec.json.Encoder().encode


class Bye(Enum):
    """Why a stream ends, whether coming back makes sense, and what to tell the client."""

    COMPLETE = ("complete", False, 1000, "this was the last event")
    GOING_AWAY = ("going_away", True, 1001, "the server goes away; come back with the cursor")
    NOT_ALLOWED = ("not_allowed", False, 1008, "this is not allowed")
    SLOW_CONSUMER = ("slow_consumer", True, 4008, "you read too slowly; come back with the cursor")
    TOO_MANY = ("too_many", True, 4013, "too much was asked for; come back later")
    BUSY = ("busy", True, 1013, "no more connections for now; come back later")

    def __init__(self, code: str, reconnect: bool, close_code: int, reason: str) -> None:
        self.code = code
        self.reconnect = reconnect
        self.close_code = close_code  # of a WebSocket
        self.reason = reason

    def told(self, retry_ms: int) -> dict[str, Any]:
        """As it goes over the wire."""
        return {
            "code": self.code,
            "reason": self.reason,
            "reconnect": self.reconnect,
            "retry_ms": retry_ms,
        }


class Format(ABC):
    """How one kind of connection is told of events, which keep what they became under `name`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def event(self, event: Event) -> bytes:
        """The frame of an event; made once."""
        made = event.frames.get(self.name)
        if made is None:
            made = event.frames[self.name] = self._encode(event)
        return made

    def size(self, event: Event) -> int:
        """Bytes on the wire."""
        return len(self.event(event))

    @abstractmethod
    def _encode(self, event: Event) -> bytes: ...

    @abstractmethod
    def gap(self, gap: Gap, known: Cursor) -> bytes:
        """Tell of a gap to a client to whom everything up to *known* is accounted for."""


class _SseScan(Format):
    """A scan's events, bare."""

    def _encode(self, event: Event) -> bytes:
        # JSON has no line breaks of its own, so one data line holds it
        return _id(event.cursor) + b"data: %s\n\n" % _json(event.data)

    def gap(self, gap: Gap, known: Cursor) -> bytes:
        return sse_control("gap", _range(gap), known)


class _SseChannel(_SseScan):
    """Events of several channels: each says of which it is."""

    def _encode(self, event: Event) -> bytes:
        return _id(event.cursor) + b"data: %s\n\n" % _json(_envelope(event))


class MessageFormat(Format):
    """Events, and everything else, as messages of a WebSocket."""

    def _encode(self, event: Event) -> bytes:
        return self.message({"op": "event", **_envelope(event)})

    def gap(self, gap: Gap, known: Cursor) -> bytes:
        return self.message({"op": "gap", **_range(gap)})

    @abstractmethod
    def message(self, told: Mapping[str, Any]) -> bytes:
        """One message, framed."""


class _WsJson(MessageFormat):
    def message(self, told: Mapping[str, Any]) -> bytes:
        return frame(TEXT, _json(told))


class _WsMsgpack(MessageFormat):
    def message(self, told: Mapping[str, Any]) -> bytes:
        return frame(BINARY, msgpack.packb(told))


SSE_SCAN: Final = _SseScan("sse")
SSE_CHANNEL: Final = _SseChannel("sse channel")
WS_JSON: Final = _WsJson("ws json")
WS_MSGPACK: Final = _WsMsgpack("ws msgpack")


def _envelope(event: Event) -> dict[str, Any]:
    cursor = str(event.cursor) if event.cursor is not None else None
    return {"channel": event.channel, "cursor": cursor, "data": event.data}


def _range(gap: Gap) -> dict[str, Any]:
    return {
        "channel": gap.channel,
        "from": str(gap.begin),
        "to": str(gap.end),
        "dropped": gap.dropped,
        "reason": gap.reason,
    }


def _id(cursor: Cursor | None) -> bytes:
    return b"id: %s\n" % str(cursor).encode() if cursor is not None else b""


def sse_control(name: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
    """A control event called `eco.<name>`."""
    return b"event: eco.%s\n%sdata: %s\n\n" % (name.encode(), _id(cursor), _json(data))


def sse_retry(retry_ms: int) -> bytes:
    """How long the client is to wait before it reconnects."""
    return b"retry: %d\n\n" % retry_ms


def sse_bye(bye: Bye, retry_ms: int) -> bytes:
    """The last thing a stream says."""
    return b"retry: %d\n" % retry_ms + sse_control("bye", bye.told(retry_ms))
