"""Bounded mailboxes: what happens when one is full is a rule, chosen once, counted always.

Pure: no clock, no loop, no I/O. An actor's mailbox and a client's subscription are this same class,
so the same words and counters hold on both sides.

| rule | mailbox full |
|---|---|
| buffer | refuse (`FULL`); whoever can wait, waits |
| latest | drop the oldest, take the newcomer (`REPLACED`) |
| drop | refuse the newcomer (`DROPPED`) |
| close | refuse and end the owner (`CLOSED`) |
| coalesce | as latest, except that a queued message of the same key gives way (`COALESCED`) |

Conservation, at every instant:
    offered == accepted + refused                (dropped is part of refused)
    accepted == handled + replaced + coalesced + dead + expired + in_hand + depth
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

M = TypeVar("M")


class Overflow(Enum):
    """What a full mailbox does with the next message."""

    BUFFER = "buffer"
    LATEST = "latest"
    DROP = "drop"
    CLOSE = "close"
    COALESCE = "coalesce"


class Outcome(Enum):
    """What became of a message that was offered."""

    ENQUEUED = "enqueued"
    REPLACED = "replaced"
    COALESCED = "coalesced"
    DROPPED = "dropped"
    FULL = "full"
    CLOSED = "closed"
    DEAD = "dead"

    @property
    def accepted(self) -> bool:
        """Whether the message is, or will be, in the mailbox."""
        return self in _ACCEPTED


_ACCEPTED = frozenset({Outcome.ENQUEUED, Outcome.REPLACED, Outcome.COALESCED})

# Looked up once per message, so not through the Enum class (its attribute access is slow).
_ENQUEUED = Outcome.ENQUEUED
_REPLACED = Outcome.REPLACED


@dataclass(frozen=True)  # without slots, which a subscripted generic cannot have in 3.11
class MailboxSpec(Generic[M]):
    """The bound and the rule of a mailbox; building it allocates nothing that a message needs.

    `capacity` counts messages and is at least 1. `key` (coalesce only) names what a newer message
    replaces, None meaning "nothing"; `merge(old, new)` makes the replacement (default: the new).
    """

    capacity: int
    overflow: Overflow = Overflow.BUFFER
    key: Callable[[M], Hashable | None] | None = None
    merge: Callable[[M, M], M] | None = None

    def __post_init__(self) -> None:
        if type(self.capacity) is not int or self.capacity < 1:
            raise ValueError(
                f"a mailbox holds a whole number of messages, at least 1, not {self.capacity!r}"
            )
        if not isinstance(self.overflow, Overflow):
            rules = ", ".join(rule.value for rule in Overflow)
            raise ValueError(f"overflow is one of {rules}, not {self.overflow!r}")
        if (self.overflow is Overflow.COALESCE) != (self.key is not None):
            raise ValueError("a key function belongs to the rule coalesce, which cannot do without")
        if self.merge is not None and self.key is None:
            raise ValueError("a merge function belongs to the rule coalesce")

    def build(self) -> "Mailbox[M]":
        """An empty mailbox of this kind."""
        if self.overflow is Overflow.COALESCE:
            return CoalescingMailbox(self)
        return Mailbox(self)


class Mailbox(Generic[M]):
    """A first-in first-out queue with a bound, an overflow rule and counters.

    The taker says what became of what it took: `take`, then exactly one of `done` or `died`.
    """

    __slots__ = (
        "_high_water",
        "_queue",
        "accepted",
        "capacity",
        "coalesced",
        "dead",
        "dropped",
        "expired",
        "handled",
        "in_hand",
        "overflow",
        "refused",
        "replaced",
        "spec",
    )

    def __init__(self, spec: MailboxSpec[M]) -> None:
        self.spec = spec
        self.capacity = spec.capacity
        self.overflow = spec.overflow
        self._queue: Any = None  # made with the first message: an idle actor has none
        self.accepted = self.handled = self.refused = self.dropped = 0
        self.replaced = self.coalesced = self.dead = self.expired = self.in_hand = 0
        self._high_water = 0

    def __len__(self) -> int:
        return len(self._queue) if self._queue is not None else 0

    def __iter__(self) -> Iterator[M]:
        """The queued messages, oldest first."""
        return iter(self._queue or ())

    @property
    def offered(self) -> int:
        return self.accepted + self.refused

    @property
    def high_water(self) -> int:
        """The greatest depth so far."""
        return max(self._high_water, len(self))

    @property
    def blocked(self) -> bool:
        """Whether whoever can wait has to: full, under the rule buffer."""
        return self.overflow is Overflow.BUFFER and len(self) >= self.capacity

    def offer(self, message: M) -> Outcome:
        """Put *message* in, or do what the rule says; never raises, never waits."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        elif len(queue) >= self.capacity:
            return self._when_full(message)
        queue.append(message)
        self.accepted += 1
        return _ENQUEUED

    def take(self) -> M:
        """Take the oldest message in hand. IndexError when there is none."""
        queue = self._queue
        if not queue:
            raise IndexError("take from an empty mailbox")
        if len(queue) > self._high_water:
            self._high_water = len(queue)
        self.in_hand += 1
        message: M = queue.popleft()
        return message

    def done(self) -> None:
        """The message in hand was handled."""
        self.in_hand -= 1
        self.handled += 1

    def died(self) -> None:
        """The message in hand was lost with its handler."""
        self.in_hand -= 1
        self.dead += 1

    def lapsed(self) -> None:
        """The message in hand was taken too late to be of use."""
        self.in_hand -= 1
        self.expired += 1

    def discard(self) -> list[M]:
        """Empty the mailbox of an owner that is gone; what was queued counts as dead."""
        left = list(self)
        self._queue = None
        self.dead += len(left)
        return left

    def refuse(self) -> None:
        """Count a message that was turned away before it got here: the owner is gone."""
        self.refused += 1

    def _when_full(self, message: M) -> Outcome:
        match self.overflow:
            case Overflow.LATEST:
                self._high_water = self.capacity
                self._queue.popleft()
                self._queue.append(message)
                self.accepted += 1
                self.replaced += 1
                return _REPLACED
            case Overflow.DROP:
                self.refused += 1
                self.dropped += 1
                return Outcome.DROPPED
            case Overflow.CLOSE:
                self.refused += 1
                return Outcome.CLOSED
            case _:
                self.refused += 1
                return Outcome.FULL

    def statistics(self) -> dict[str, int | str]:
        """The counters as `/actors` shows them."""
        return {
            "depth": len(self),
            "high_water": self.high_water,
            "capacity": self.capacity,
            "overflow": self.overflow.value,
            "offered": self.offered,
            "accepted": self.accepted,
            "handled": self.handled,
            "refused": self.refused,
            "dropped": self.dropped,
            "replaced": self.replaced,
            "coalesced": self.coalesced,
            "dead": self.dead,
            "expired": self.expired,
        }


class CoalescingMailbox(Mailbox[M]):
    """The rule coalesce: at most one queued message a key, the newest, at the tail.

    At the tail, not in the place of the old one: a reader that goes by position must never be shown
    a newer message before one that is still queued behind it.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[M]:
        return iter((self._queue or {}).values())

    def offer(self, message: M) -> Outcome:
        if self._queue is None:
            self._queue = OrderedDict()
        queue: OrderedDict[Hashable, M] = self._queue
        key = self._key(message)
        outcome = _ENQUEUED
        if key in queue:
            old = queue.pop(key)
            message = self.spec.merge(old, message) if self.spec.merge else message
            self.coalesced += 1
            outcome = Outcome.COALESCED
        elif len(queue) >= self.capacity:
            self._high_water = self.capacity
            queue.popitem(last=False)
            self.replaced += 1
            outcome = _REPLACED
        queue[key] = message
        self.accepted += 1
        return outcome

    def take(self) -> M:
        queue: OrderedDict[Hashable, M] = self._queue
        if not queue:
            raise IndexError("take from an empty mailbox")
        self._high_water = max(self._high_water, len(queue))
        self.in_hand += 1
        return queue.popitem(last=False)[1]

    def _key(self, message: M) -> Hashable:
        assert self.spec.key is not None  # the spec sees to it
        key = self.spec.key(message)
        return object() if key is None else key
