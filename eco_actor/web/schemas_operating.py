"""What the operator asks for and is told, as types."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from eco_actor.delivery.subscription import Mode
from eco_actor.eventlog import Durability
from eco_actor.runtime import Overflow
from eco_actor.runtime.inspection import MOST_TRACED
from eco_actor.web.operations import MAX_OFFSET, MAX_PAGE
from eco_actor.web.schemas import ActorState, Count, Timestamp, one_of

Incarnation = Annotated[int, Meta(ge=0)]


class Health(Struct):
    status: Annotated[str, one_of(["ok"])]


class Readiness(Struct):
    """The server can work."""

    status: Annotated[str, one_of(["ok"])]
    durability: Annotated[str, one_of(each.value for each in Durability)]


class MailboxCounters(Struct):
    """A mailbox, with what became of all that it was offered; bytes where they are bounded, too."""

    depth: Count
    high_water: Count
    capacity: Count
    overflow: Annotated[str, one_of(each.value for each in Overflow)]
    offered: Count
    accepted: Count
    handled: Count
    refused: Count
    dropped: Count
    replaced: Count
    coalesced: Count
    dead: Count
    expired: Count
    bytes: Count | UnsetType = UNSET
    max_bytes: Count | UnsetType = UNSET


class ShownSubscription(Struct):
    """A channel that a client follows; of a scan's only the kind is shown."""

    channel: str
    mode: Annotated[str, one_of(each.value for each in Mode)]
    mailbox: MailboxCounters


class ShownClient(Struct):
    """The client of a stream."""

    state: Annotated[str, one_of(["stalled", "behind", "in step"])]
    format: str
    subscriptions: list[ShownSubscription]


class ActorSnapshot(Struct):
    """An actor; `suspended` and `traced` are there when it is so, `client` for a stream."""

    path: str
    kind: str
    incarnation: Incarnation
    state: ActorState
    restarts: Count
    last_error: str | None
    mailbox: MailboxCounters
    suspended: bool | UnsetType = UNSET
    traced: bool | UnsetType = UNSET
    client: ShownClient | UnsetType = UNSET


class Actors(Struct):
    """Actors, parents before their children; `total` when a part of them was asked for."""

    actors: list[ActorSnapshot]
    total: Count | UnsetType = UNSET


class ActorsQuery(Struct):
    under: Annotated[str, Meta(description="the path of an actor: it and all below")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] | None = None
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | None = None


class InspectQuery(Struct):
    path: str
    last: Annotated[int, Meta(ge=0, le=MOST_TRACED, description="messages of the trace")] = (
        MOST_TRACED
    )


class TracedMessage(Struct):
    """A message that an actor took; its text is cut."""

    at: Timestamp
    kind: str
    text: str
    ago_s: Annotated[float, Meta(ge=0)]


class TraceState(Struct):
    """The last messages; `most` of them are kept, 0: none."""

    most: Count
    messages: list[TracedMessage]


class InspectedActor(Struct):
    """An actor from the inside: its attributes as text, each cut to a size."""

    path: str
    kind: str
    state: ActorState
    incarnation: Incarnation
    suspended: bool
    attributes: dict[str, str]
    trace: TraceState


class Killed(Struct):
    """The life that was ended."""

    path: str
    incarnation: Incarnation


class DrainState(Struct):
    """Whether streams are told to go; while they are, how many were and how long it takes yet."""

    draining: bool
    connections: Count
    told: Count | UnsetType = UNSET
    over_s: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    left_s: Annotated[float, Meta(ge=0)] | UnsetType = UNSET


class DrainBegun(Struct):
    connections: Count
    over_s: Annotated[float, Meta(ge=0)]


class WhoAmI(Struct):
    """Whether the request is the operator's."""

    operator: bool


class TokenQuery(Struct):
    token: (
        Annotated[str, Meta(description="the operator's token: logs in, and goes on without it")]
        | None
    ) = None


class OpenApiDocument(Struct, rename="camel"):
    """This document."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]
    security: list[Any] | UnsetType = UNSET
    dialect: str | UnsetType = field(name="jsonSchemaDialect", default=UNSET)
