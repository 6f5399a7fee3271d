"""What goes over the wire as Server-Sent Events: events, control events, comments. Pure.

An event is encoded once and shared by all who are sent it. Data events have no `event:` field, so
that `onmessage` sees them all; control events are named `eco.…`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from eco_actor.eventlog import Cursor, Event

SSE: Final = "sse"

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


def sse_event(event: Event) -> bytes:
    """A data event with its cursor as id; made once per event."""
    frame = event.frames.get(SSE)
    if frame is None:
        # JSON has no line breaks of its own, so one data line holds it
        frame = b"id: %s\ndata: %s\n\n" % (str(event.cursor).encode(), _encode(event.data))
        event.frames[SSE] = frame
    return frame


def sse_control(name: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
    """A control event called `eco.<name>`."""
    id_line = b"id: %s\n" % str(cursor).encode() if cursor is not None else b""
    return b"event: eco.%s\n%sdata: %s\n\n" % (name.encode(), id_line, _encode(data))


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
