"""What the delivery path counts about itself: plain whole numbers, for whoever reads them later.

Counting is an addition. Nothing here knows who reads, or how often; a reader takes the numbers as
they are between two turns of the loop. Counters only grow; what goes up and down says so.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from eco_actor.delivery.gap import COALESCED, OVERFLOW, RESET, TRIMMED
from eco_actor.runtime import Overflow

K = TypeVar("K")

SSE: Final = "sse"
WEBSOCKET: Final = "websocket"
POLL: Final = "poll"

TRANSPORTS: Final = (SSE, WEBSOCKET, POLL)

COMPLETE: Final = "complete"
GOING_AWAY: Final = "going_away"
SLOW_CONSUMER: Final = "slow_consumer"
BUSY: Final = "busy"
TOO_MANY: Final = "too_many"
NOT_ALLOWED: Final = "not_allowed"
GONE: Final = "gone"
PROGRESS: Final = "progress"
AGE: Final = "age"
PONG: Final = "pong"
ERROR: Final = "error"

END_CODES: Final = (
    COMPLETE,  # all that it follows is over; of a poll: it was answered
    GOING_AWAY,  # the server drains or stops
    SLOW_CONSUMER,  # the rule `close`
    BUSY,  # no room, found out after it had begun
    TOO_MANY,  # it asked for more than one connection may
    NOT_ALLOWED,  # it did what a client may not
    GONE,  # the client left
    PROGRESS,  # it took no byte for too long
    AGE,  # what waits for it is too old
    PONG,  # it answered no ping
    ERROR,  # a fault, or a code that is none of these
)

RULES: Final = tuple(rule.value for rule in Overflow)
GAP_REASONS: Final = (OVERFLOW, COALESCED, TRIMMED, RESET)
VERDICTS: Final = ("fresh", "recovered", "partial", "reset")


class StreamTraffic:
    """The traffic of one transport. A connection keeps the one of its transport and adds to it.

    `deliveries` are events written to clients, `writes` calls that gave bytes to a socket, `bytes`
    what was in them, heartbeats and control frames included. `behind` and `paging` are gauges:
    the subscriptions that are in that state now, added and taken off as they change; `subscribed`
    is all there are, so the rest is in step.
    """

    __slots__ = (
        "behind",
        "broken",
        "bytes",
        "deliveries",
        "ended",
        "heartbeats",
        "opened",
        "paging",
        "pings",
        "refused_fresh",
        "refused_resuming",
        "resumes",
        "subscribed",
        "writes",
    )

    def __init__(self) -> None:
        self.opened = 0
        self.ended = _zeros(END_CODES)
        self.refused_fresh = 0  # never opened: nobody was let in, or no room
        self.refused_resuming = 0
        self.resumes = _zeros(VERDICTS)  # one a subscription
        self.deliveries = 0
        self.writes = 0
        self.broken = 0  # writes that failed: the transport was closed already
        self.bytes = 0
        self.heartbeats = 0
        self.pings = 0
        self.subscribed = 0
        self.behind = 0
        self.paging = 0

    def end(self, code: str) -> None:
        """A stream that was opened has ended; once for each. An unknown code counts as `error`."""
        self.ended[code if code in self.ended else ERROR] += 1

    def refuse(self, *, resuming: bool) -> None:
        """A stream was turned away before it was opened."""
        if resuming:
            self.refused_resuming += 1
        else:
            self.refused_fresh += 1

    @property
    def open(self) -> int:
        """Streams that are open now."""
        return self.opened - sum(self.ended.values())


class Traffic:
    """All that one server's delivery counts.

    `flushes` are rounds in which what had gathered was given to its subscribers. `polls_waiting`
    is a gauge: polls that wait for something to happen.
    """

    __slots__ = (
        "flushes",
        "gaps",
        "lost",
        "poll",
        "polls_waiting",
        "published_durable",
        "published_transient",
        "sse",
        "websocket",
    )

    def __init__(self) -> None:
        self.sse = StreamTraffic()
        self.websocket = StreamTraffic()
        self.poll = StreamTraffic()
        self.flushes = 0
        self.published_durable = 0
        self.published_transient = 0
        self.polls_waiting = 0
        pairs = [(rule, reason) for rule in RULES for reason in GAP_REASONS]
        self.gaps = _zeros(pairs)
        self.lost = _zeros(pairs)

    def gap(self, rule: Overflow, reason: str, dropped: int) -> None:
        """A client was told of a gap of *dropped* events. KeyError for a reason there is not."""
        self.gaps[rule.value, reason] += 1
        self.lost[rule.value, reason] += dropped

    def streams(self) -> Sequence[tuple[str, StreamTraffic]]:
        """Each transport by its name."""
        return ((SSE, self.sse), (WEBSOCKET, self.websocket), (POLL, self.poll))


def _zeros(keys: Iterable[K]) -> dict[K, int]:
    """All that can be counted, at nought: the set of keys is a bound."""
    return dict.fromkeys(keys, 0)
