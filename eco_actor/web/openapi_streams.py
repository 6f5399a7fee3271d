"""The operations that follow scans and channels, and the one that publishes."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from eco_actor.delivery.publisher import MAX_DEPTH, MAX_EVENT
from eco_actor.web.openapi import JSON, Answer, Schema, error
from eco_actor.web.openapi_common import GONE, STORAGE, UNKNOWN_TASK, operation
from eco_actor.web.openapi_scans import KeyHeaders, TaskPath
from eco_actor.web.schemas_streams import (
    Channel,
    ChannelPoll,
    ChannelsQuery,
    OpenChannel,
    PollQuery,
    Published,
    PublishQuery,
    ResumeHeaders,
    RuleQuery,
    ScanPoll,
    SocketQuery,
    SseEvent,
)
from eco_actor.web.streams import HEADERS, SUBPROTOCOLS

TAG: Final = "streams"

LENIENT: Final = " Options that are not known are ignored: polyfills of EventSource add their own."
STRICT: Final = " Options that are not known are refused."

POLLED: Final = (
    "Answered at once when something lies behind the cursor. With `interval_ms`, a poll with a"
    " cursor is answered with the newest, by its rule, when the interval is over since it came, or"
    " its `wait` is; at once all the same with a scan's answer or end."
)

EVENT_STREAM: Final = "text/event-stream"

SSE_HEADERS: Final[dict[str, Schema]] = {
    name: {"const": value} for name, value in HEADERS.items() if name != "Content-Type"
}

STREAM: Final = Answer(
    200,
    "events until the stream ends, or the client goes; too busy: `eco.bye` at once, to come back",
    {EVENT_STREAM: SseEvent},
    headers=SSE_HEADERS,
)
COMPLETE: Final = Answer(204, "there is nothing more to come: do not reconnect")

BAD_CHANNELS: Final = error(
    422, "a bad option or channel", "bad_option", "bad_channel", "too_many_channels"
)
UNKNOWN: Final = error(404, "no such scan or channel", "unknown_task", "unknown_channel")
SLOW: Final = error(409, "more is behind the cursor than the rule close allows", "slow_consumer")
BUSY: Final = error(503, "too many polls wait", "busy")


class ChannelPath(Struct):
    channel: Channel


class OpenChannelPath(Struct):
    channel: OpenChannel


class SocketHeaders(
    Struct,
    rename={
        "upgrade": "Upgrade",
        "connection": "Connection",
        "version": "Sec-WebSocket-Version",
        "key": "Sec-WebSocket-Key",
        "protocol": "Sec-WebSocket-Protocol",
        "last_event_id": "Last-Event-ID",
    },
):
    """An opening handshake (RFC 6455)."""

    upgrade: Annotated[str, Meta(extra_json_schema={"enum": ["websocket"]})]
    connection: Annotated[str, Meta(extra_json_schema={"enum": ["Upgrade"]})]
    version: Annotated[str, Meta(extra_json_schema={"enum": ["13"]})]
    key: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{21}[AQgw]==$")]
    protocol: Annotated[str, Meta(extra_json_schema={"enum": list(SUBPROTOCOLS)})] | None = None
    last_event_id: str | None = None


EVENT: Final[Schema] = {
    "type": "object",
    "description": f"at most {MAX_EVENT} bytes and {MAX_DEPTH} levels; whole numbers of 64 bits",
}

SOCKET_HEADERS: Final[dict[str, Schema]] = {
    "Upgrade": {"const": "websocket"},
    "Connection": {"const": "Upgrade"},
    "Sec-WebSocket-Accept": {"type": "string"},
    "Sec-WebSocket-Protocol": {"enum": list(SUBPROTOCOLS), "x-optional": True},
}

FOLLOWING: Final = (
    operation(
        method="GET",
        path="/scan/{task_id}/stream",
        name="streamScan",
        tag=TAG,
        summary="Follow a scan by Server-Sent Events",
        description="Its events come bare, without an `event:` field; control events are called"
        " `eco.open`, `eco.gap` and `eco.bye`." + LENIENT,
        path_parameters=TaskPath,
        query=RuleQuery,
        headers=ResumeHeaders,
        answers=(
            STREAM,
            COMPLETE,
            error(422, "a bad option", "bad_option"),
            UNKNOWN_TASK,
            GONE,
            STORAGE,
        ),
    ),
    operation(
        method="GET",
        path="/stream",
        name="streamChannels",
        tag=TAG,
        summary="Follow channels by Server-Sent Events",
        description="`data` is always a StreamEnvelope. It ends when all its channels are scans"
        " that are over." + LENIENT,
        query=ChannelsQuery,
        headers=ResumeHeaders,
        answers=(STREAM, COMPLETE, BAD_CHANNELS, UNKNOWN, GONE, STORAGE),
    ),
    operation(
        method="GET",
        path="/ws",
        name="openSocket",
        tag=TAG,
        summary="Follow channels, and publish, over a WebSocket",
        description="`x-messages` has what goes over it: JSON in text messages, or msgpack in"
        " binary ones." + LENIENT,
        query=SocketQuery,
        headers=SocketHeaders,
        answers=(
            Answer(101, "it is open", headers=SOCKET_HEADERS),
            error(400, "no proper handshake", "bad_request"),
            error(
                426,
                "no handshake, or of another version",
                "upgrade_required",
                Upgrade={"const": "websocket"},
            ),
            BAD_CHANNELS,
            UNKNOWN,
            GONE,
            error(503, "too many connections", "busy"),
            STORAGE,
        ),
    ),
    operation(
        method="GET",
        path="/scan/{task_id}/events",
        name="pollScan",
        tag=TAG,
        summary="Follow a scan by long polling",
        description=POLLED + STRICT,
        path_parameters=TaskPath,
        query=PollQuery,
        empty_is_none=True,
        headers=ResumeHeaders,
        answers=(
            Answer(200, "what there is", {JSON: ScanPoll}),
            error(422, "a bad option", "bad_option"),
            UNKNOWN_TASK,
            GONE,
            SLOW,
            BUSY,
            STORAGE,
        ),
    ),
    operation(
        method="GET",
        path="/channels/{channel}/events",
        name="pollChannel",
        tag=TAG,
        summary="Follow a channel by long polling",
        description=POLLED + STRICT,
        path_parameters=ChannelPath,
        query=PollQuery,
        empty_is_none=True,
        headers=ResumeHeaders,
        answers=(
            Answer(200, "what there is", {JSON: ChannelPoll}),
            error(422, "a bad option or channel", "bad_option", "bad_channel"),
            UNKNOWN,
            GONE,
            SLOW,
            BUSY,
            STORAGE,
        ),
    ),
)

PUBLISHING: Final = (
    operation(
        method="POST",
        path="/channels/{channel}/events",
        name="publish",
        tag=TAG,
        summary="Publish an event",
        description="For the operator." + STRICT,
        path_parameters=OpenChannelPath,
        query=PublishQuery,
        headers=KeyHeaders,
        body={JSON: EVENT},
        operator=True,
        answers=(
            Answer(202, "it is as durable as promised, or was shown", {JSON: Published}),
            error(400, "malformed", "bad_json", "bad_body", "bad_idempotency_key"),
            error(403, "only the server writes to it", "not_publishable"),
            error(408, "the body takes too long", "too_slow"),
            error(409, "the first request with this key goes on", "idempotency_key_in_use"),
            error(413, "too large", "too_large"),
            error(415, "a packed body", "unsupported_encoding"),
            error(
                422,
                "a bad option, channel or event, or the key of another request",
                "bad_option",
                "bad_channel",
                "bad_body",
                "idempotency_key_reused",
            ),
            STORAGE,
        ),
    ),
)

STREAM_OPERATIONS: Final = (*FOLLOWING, *PUBLISHING)
