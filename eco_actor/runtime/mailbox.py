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

A bound in bytes, room reserved for terminal messages, and keys: see `rich_mailbox.py`.

Conservation, at every instant:
    offered == accepted + refused                (dropped is part of refused)
    accepted == handled + replaced + coalesced + dead + expired + in_hand + depth
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, Generic, TypeVar

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

_ENQUEUED: Final = Outcome.ENQUEUED  # once a message, and the attributes of an Enum are slow
_NO_QUEUE: Final = ()  # shared by all mailboxes that have nothing: an idle actor owns no deque


@dataclass(frozen=True)  # without slots, which a subscripted generic cannot have in 3.11
class MailboxSpec(Generic[M]):
    """The bounds and the rule of a mailbox.

    `capacity` counts messages and is at least 1. `key` (coalesce only) names what a newer message
    replaces, None meaning "nothing"; `merge(old, new)` makes the replacement (default: the new).
    `max_bytes` bounds the sum of `size(message)`, too. `reserve` is the room beyond `capacity` for
    messages that are `terminal(message)`: the last word, which must get through.
    The functions are pure, and fast: they are called at every offer.
    """

    capacity: int
    overflow: Overflow = Overflow.BUFFER
    key: Callable[[M], Hashable | None] | None = None
    merge: Callable[[M, M], M] | None = None
    max_bytes: int | None = None
    size: Callable[[M], int] | None = None
    reserve: int = 0
    terminal: Callable[[M], bool] | None = None

    plain: bool = field(init=False, repr=False, compare=False)
    """Whether a message is one of many: no keys, no bytes, no reserve."""

    makes_room: bool = field(init=False, repr=False, compare=False)
    """Whether queued messages give way to newer ones."""

    def __post_init__(self) -> None:
        if not isinstance(self.overflow, Overflow):
            rules = ", ".join(rule.value for rule in Overflow)
            raise ValueError(f"overflow is one of {rules}, not {self.overflow!r}")
        for name, number, least in (
            ("capacity", self.capacity, 1),
            ("reserve", self.reserve, 0),
            ("max_bytes", 1 if self.max_bytes is None else self.max_bytes, 1),
        ):
            if type(number) is not int or number < least:  # type(): True is no number of anything
                raise ValueError(f"{name} is a whole number, at least {least}, not {number!r}")
        for name in ("key", "merge", "size", "terminal"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise TypeError(f"{name} is a function of a message, not {function!r}")
        if (self.overflow is Overflow.COALESCE) != (self.key is not None):
            raise ValueError("a key function belongs to the rule coalesce, which cannot do without")
        if self.merge is not None and self.key is None:
            raise ValueError("a merge function belongs to the rule coalesce")
        if (self.max_bytes is None) != (self.size is None):
            raise ValueError("max_bytes and size come together: a bound, and what counts for it")
        if (self.reserve == 0) != (self.terminal is None):
            raise ValueError("reserve and terminal come together: the room, and who it is for")
        plain = self.key is None and self.size is None and self.terminal is None
        object.__setattr__(self, "plain", plain)
        makes_room = self.overflow in (Overflow.LATEST, Overflow.COALESCE)
        object.__setattr__(self, "makes_room", makes_room)

    def build(self) -> "Mailbox[M]":
        """An empty mailbox of this kind."""
        if self.plain:
            return Mailbox(self)
        from eco_actor.runtime.rich_mailbox import RichMailbox  # it is a Mailbox, so not above

        return RichMailbox(self)


class Mailbox(Generic[M]):
    """A first-in first-out queue with a bound, an overflow rule and counters.

    The taker says what became of what it took: `take`, then exactly one of `done`, `died` and
    `lapsed`.

    The owner of an `appendable` mailbox may let others past the methods while it is awake:

    - It sets `quick` to `capacity`, and back to 0 before it sleeps. Whoever sees
      `len(queue) < quick` appends to `queue` itself: that is all that an accepted message costs.
      `queue` must be a deque by then, which it is from the first `offer` to the `discard`.
    - It takes with `queue.popleft()`, keeps `in_hand` at 1 while it holds a message, counts
      `handled` itself, and calls `mark` once a turn, before it takes the first.
    - Asleep, it may put `()` back in the place of an empty deque.

    `gave_way`, where the owner sets it, is shown each message that made room for a newer one, when
    the newer one is in.
    """

    __slots__ = (
        "capacity",
        "dead",
        "dropped",
        "expired",
        "gave_way",
        "handled",
        "in_hand",
        "peak",
        "queue",
        "quick",
        "refused",
        "replaced",
        "spec",
    )

    appendable: ClassVar[bool] = True
    """Whether an owner may set `quick`: room is a matter of the number queued alone."""

    coalesced: int = 0  # here always

    def __init__(self, spec: MailboxSpec[M]) -> None:
        self.spec = spec
        self.capacity = spec.capacity
        self.queue: Any = _NO_QUEUE
        self.quick = 0
        self.gave_way: Callable[[M], None] | None = None
        self.handled = self.refused = self.dropped = self.replaced = 0
        self.dead = self.expired = self.in_hand = self.peak = 0

    def __len__(self) -> int:
        return len(self.queue)

    def __iter__(self) -> Iterator[M]:
        """The queued messages, oldest first."""
        return iter(self.queue)

    @property
    def overflow(self) -> Overflow:
        return self.spec.overflow

    @property
    def accepted(self) -> int:
        """How many messages were let in, counted on the way out: the sum of what became of them.

        That makes the law of conservation no tautology, but half of it: the senders hold the other
        half. Nothing leaves without being counted as exactly one of these, and every sender was
        told whether its message got in; so a message that is lost, doubled or counted twice
        parts this sum from the number of accepting outcomes, which is what the tests compare.
        """
        out = self.handled + self.replaced + self.coalesced + self.dead + self.expired
        return out + self.in_hand + len(self.queue)

    @property
    def offered(self) -> int:
        return self.accepted + self.refused

    @property
    def high_water(self) -> int:
        """The greatest depth that was seen: at a take, at a mark, when full, and now."""
        return max(self.peak, len(self.queue))

    @property
    def blocked(self) -> bool:
        """Whether whoever can wait has to: full, under the rule buffer."""
        return self.overflow is Overflow.BUFFER and len(self.queue) >= self.capacity

    def fits(self, message: M) -> bool:
        """Whether *message* would be let in now, with none refused or made to leave for it."""
        return len(self.queue) < self.capacity

    def is_terminal(self, message: M) -> bool:
        """Whether *message* is one of those for which there is room in reserve."""
        return False

    def never_fits(self, message: M) -> bool:
        """Whether waiting for room is in vain: *message* alone is more than the bound in bytes."""
        return False

    def offer(self, message: M) -> Outcome:
        """Put *message* in, or do what the rule says; never waits."""
        queue = self.queue
        if queue is _NO_QUEUE:
            queue = self.queue = deque()
        elif len(queue) >= self.capacity:
            return self._when_full(message)
        queue.append(message)
        return _ENQUEUED

    def peek(self) -> M:
        """The oldest message, which stays queued. IndexError when there is none."""
        oldest: M = self.queue[0]
        return oldest

    def take(self) -> M:
        """Take the oldest message in hand. IndexError when there is none."""
        queue = self.queue
        if not queue:
            raise IndexError("take from an empty mailbox")
        if len(queue) > self.peak:
            self.peak = len(queue)
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
        self.mark()
        self.queue = _NO_QUEUE
        self.quick = 0
        self.dead += len(left)
        return left

    def refuse(self) -> None:
        """Count a message that was turned away before it got here: the owner is gone."""
        self.refused += 1

    def mark(self) -> None:
        """Take note of the depth, for an owner that takes without `take`."""
        if len(self.queue) > self.peak:
            self.peak = len(self.queue)

    def _when_full(self, message: M) -> Outcome:
        self.mark()
        if self.overflow is not Overflow.LATEST:
            return self._refused()
        gone = self.queue.popleft()
        self.queue.append(message)
        self.replaced += 1
        if self.gave_way is not None:
            self.gave_way(gone)
        return Outcome.REPLACED

    def _refused(self) -> Outcome:
        self.refused += 1
        match self.overflow:
            case Overflow.BUFFER:
                return Outcome.FULL
            case Overflow.CLOSE:
                return Outcome.CLOSED
            case _:
                self.dropped += 1
                return Outcome.DROPPED

    def statistics(self) -> dict[str, int | str]:
        """The counters as `/actors` shows them."""
        counts = ("offered", "accepted", "handled", "refused", "dropped", "replaced", "coalesced")
        return {
            "depth": len(self.queue),
            "high_water": self.high_water,
            "capacity": self.capacity,
            "overflow": self.overflow.value,
            **{name: getattr(self, name) for name in (*counts, "dead", "expired")},
        }
