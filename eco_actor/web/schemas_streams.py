"""Events of channels, streams and polls as types, and what is asked for with them."""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from eco_actor.delivery.commands import Command, Id
from eco_actor.delivery.directory import NAME, OPEN_KINDS
from eco_actor.delivery.frames import Bye
from eco_actor.delivery.gap import COALESCED, OVERFLOW, RESET, TRIMMED
from eco_actor.delivery.poll import LIMIT, MAX_LIMIT
from eco_actor.delivery.publisher import MAX_KEY
from eco_actor.delivery.rule import CAPACITY, MAX_CAPACITY, MAX_INTERVAL_MS
from eco_actor.delivery.websocket import CHANNELS
from eco_actor.eventlog import Resume
from eco_actor.runtime import Overflow
from eco_actor.web.polls import MAX_WAIT_S, WAIT_S
from eco_actor.web.schemas import Count, Cursor, ScanEvent, TransientEvent, one_of

Channel = Annotated[str, Meta(pattern=f"^{NAME.pattern}$", description="kind:name")]
OpenChannel = Annotated[
    str,
    Meta(
        pattern=f"^({'|'.join(sorted(OPEN_KINDS))}):[A-Za-z0-9_.-]{{1,128}}$",
        description="one that is open to publishers",
    ),
]
Verdict = Annotated[str, one_of(verdict.value for verdict in Resume)]
OverflowRule = Annotated[str, one_of(rule.value for rule in Overflow)]
ByeCode = Annotated[str, one_of(bye.code for bye in Bye)]
GapReason = Annotated[str, one_of([OVERFLOW, COALESCED, TRIMMED, RESET])]


class Gap(Struct):
    """Events that are not told: those behind the cursor `from`, up to the one of `to`."""

    channel: Channel
    begin: Cursor = field(name="from")
    end: Cursor = field(name="to")
    dropped: Count
    reason: GapReason


class ChannelEvent(Struct):
    """An event of a channel; without a cursor it is transient."""

    cursor: Cursor | None
    data: dict[str, Any]


class ScanPoll(Struct):
    """What lies behind the cursor of a poll. `done`: nothing more will come."""

    events: list[ScanEvent]
    cursor: Cursor
    resume: Verdict
    gap: Gap | None
    done: bool


class ChannelPoll(Struct):
    """What lies behind the cursor of a poll. `done`: nothing more will come."""

    events: list[ChannelEvent]
    cursor: Cursor
    resume: Verdict
    gap: Gap | None
    done: bool


class Published(Struct):
    """An event that was published; the cursor is null when it is transient."""

    cursor: Cursor | None


# ---- what is asked for


class RuleQuery(Struct):
    """What is to become of events while the client does not read."""

    after: (
        Annotated[
            str, Meta(description="the cursor behind which to resume; `earliest`: all history")
        ]
        | None
    ) = None
    overflow: Annotated[
        OverflowRule, Meta(description="what a full mailbox does with the next event")
    ] = Overflow.BUFFER.value
    capacity: (
        Annotated[
            int,
            Meta(ge=1, le=MAX_CAPACITY, description=f"events; default {CAPACITY}, for `latest` 1"),
        ]
        | None
    ) = None
    interval_ms: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_INTERVAL_MS,
                description="at most one delivery per interval; with `latest` and `coalesce` only",
            ),
        ]
        | None
    ) = None


class PollQuery(RuleQuery):
    """The options of a poll; others are refused."""

    wait: Annotated[
        float,
        Meta(ge=0, le=MAX_WAIT_S, description="seconds to wait for the first event"),
    ] = WAIT_S
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="events, under the rule buffer")] = (
        LIMIT
    )


class ChannelsQuery(RuleQuery, kw_only=True):
    """The options of a stream of channels."""

    channel: Annotated[list[Channel], Meta(min_length=1, max_length=CHANNELS)]


class SocketQuery(RuleQuery, kw_only=True):
    """What a WebSocket subscribes to at its opening."""

    channel: Annotated[list[Channel], Meta(max_length=CHANNELS)] | None = None


class ResumeHeaders(Struct, rename={"last_event_id": "Last-Event-ID"}):
    """Where a client was: it wins over `after`."""

    last_event_id: Annotated[str, Meta(description="the cursor behind which to resume")] | None = (
        None
    )


class PublishQuery(Struct):
    """The options of a publish; others are refused."""

    transient: Annotated[
        Literal["0", "1"], Meta(description="1: not logged, delivered at most once")
    ] = "0"
    key: (
        Annotated[
            str,
            Meta(min_length=1, max_length=MAX_KEY, description="what `coalesce` may replace"),
        ]
        | None
    ) = None


# ---- what streams say


class StreamEnvelope(Struct):
    """What `data:` of an event of `/stream` holds."""

    channel: Channel
    cursor: Cursor | None
    data: dict[str, Any]


class StreamOpen(Struct):
    """What `data:` of the event `eco.open` holds."""

    cursor: Cursor
    resume: Verdict
    overflow: OverflowRule
    capacity: int


class StreamBye(Struct):
    """What `data:` of the event `eco.bye` holds: why the stream ends, whether to come back."""

    code: ByeCode
    reason: str
    reconnect: bool
    retry_ms: Count


CONTROL: Final = ("eco.open", "eco.gap", "eco.bye")


class SseEvent(Struct):
    """An event of a stream. `data` is JSON: without `event` an event of the scan or channel, else
    what its schema says: StreamOpen, Gap, StreamBye."""

    data: Annotated[str, Meta(extra_json_schema={"contentMediaType": "application/json"})]
    event: Annotated[str, one_of(CONTROL)] | UnsetType = UNSET
    id: Annotated[str, Meta(description="the cursor")] | UnsetType = UNSET
    retry: Annotated[int, Meta(description="milliseconds")] | UnsetType = UNSET


class Subscribed(Struct, tag_field="op", tag="subscribed"):
    id: Id
    channel: Channel
    cursor: Cursor
    resume: Verdict


class Unsubscribed(Struct, tag_field="op", tag="unsubscribed"):
    id: Id
    channel: Channel


class SocketPublished(Struct, tag_field="op", tag="published"):
    id: Id
    cursor: Cursor | None


class Pong(Struct, tag_field="op", tag="pong"):
    id: Id


class SocketError(Struct, tag_field="op", tag="error"):
    id: Id
    code: str
    detail: str


class SocketEvent(Struct, tag_field="op", tag="event"):
    channel: Channel
    cursor: Cursor | None
    data: dict[str, Any]


class SocketGap(Gap, tag_field="op", tag="gap"):
    """A gap, as over the other transports."""


class SocketBye(StreamBye, tag_field="op", tag="bye"):
    """Why the connection ends, and whether to come back."""


SocketMessage = (
    Subscribed
    | Unsubscribed
    | SocketPublished
    | Pong
    | SocketError
    | SocketEvent
    | SocketGap
    | SocketBye
)

SAID: Final = (StreamOpen, StreamBye, StreamEnvelope, TransientEvent, Gap)
"""What streams say, besides the events of scans."""

MESSAGES: Final[dict[str, Any]] = {"client": Command, "server": SocketMessage}
"""What goes over a WebSocket."""
