"""What goes over the wire as Server-Sent Events: events, control events, comments. Pure.

An event is encoded once and shared by all who are sent it. Data events have no `event:` field, so
that `onmessage` sees them all; control events are named `eco.…`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from eco_actor.eventlog import Cursor, Event

SSE: Final = "sse"
SSE_CHANNEL: Final = "sse channel"

COMMENT: Final = b":\n\n"
"""Says nothing, shows that the connection lives."""

_encode: Final = msgspec.json.Encoder().encode


class Bye(Enum):
    """Why a stream ends, whether coming back makes sense, and what to tell the client."""

    COMPLETE = ("complete", False, "this was the last event")
    GOING_AWAY = ("going_away", True, "the server stops; come back with the cursor")
    SLOW_CONSUMER = (
        "slow_consumer",
        True,
        "the client reads too slowly; come back with the cursor",
    )
    BUSY = ("busy", True, "too many connections; come back later")

    def __init__(self, code: str, reconnect: bool, reason: str) -> None:
        self.code = code
        self.reconnect = reconnect
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that a client is not shown: those behind *begin*, up to and including *end*."""

    channel: str
    begin: Cursor
    end: Cursor
    dropped: int
    reason: str


def sse_event(event: Event) -> bytes:
    """A data event with its cursor as id; made once per event."""
    frame = event.frames.get(SSE)
    if frame is None:
        # JSON has no line breaks of its own, so one data line holds it
        frame = event.frames[SSE] = _id(event.cursor) + b"data: %s\n\n" % _encode(event.data)
    return frame


def sse_channel_event(event: Event) -> bytes:
    """A data event for a client of several channels, which says of which it is."""
    frame = event.frames.get(SSE_CHANNEL)
    if frame is None:
        cursor = str(event.cursor) if event.cursor is not None else None
        told = {"channel": event.channel, "cursor": cursor, "data": event.data}
        frame = event.frames[SSE_CHANNEL] = _id(event.cursor) + b"data: %s\n\n" % _encode(told)
    return frame


def sse_gap(gap: Gap) -> bytes:
    """The control event that tells of a gap; a client that resumes goes on behind it."""
    told = {
        "channel": gap.channel,
        "from": str(gap.begin),
        "to": str(gap.end),
        "dropped": gap.dropped,
        "reason": gap.reason,
    }
    return sse_control("gap", told, gap.end)


def _id(cursor: Cursor | None) -> bytes:
    return b"id: %s\n" % str(cursor).encode() if cursor is not None else b""


def sse_control(name: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
    """A control event called `eco.<name>`."""
    return b"event: eco.%s\n%sdata: %s\n\n" % (name.encode(), _id(cursor), _encode(data))


def sse_retry(retry_ms: int) -> bytes:
    """How long the client is to wait before it reconnects."""
    return b"retry: %d\n\n" % retry_ms


def sse_bye(bye: Bye, retry_ms: int) -> bytes:
    """The last thing a stream says."""
    told = {
        "code": bye.code,
        "reason": bye.reason,
        "reconnect": bye.reconnect,
        "retry_ms": retry_ms,
    }
    return b"retry: %d\n" % retry_ms + sse_control("bye", told)
