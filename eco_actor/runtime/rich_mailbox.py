"""Mailboxes for which a message is more than one of many: keys, bytes, and last words.

Any combination of three things, each of them set in the `MailboxSpec`:

- **Keys** (coalesce): at most one queued message a key, the newest, at the tail. At the tail, not
  in the place of the old one: a reader that goes by position must never be shown a newer message
  before one that is still queued behind it.
- **A bound in bytes**: the ordinary messages queued have at most `max_bytes` together.
- **Room for terminal messages**: they alone may use the `reserve` beyond `capacity`. The reserve
  bounds them by number, so they do not count against `max_bytes` and never wait for it. A terminal
  message is never replaced or coalesced, and never leaves to make room for another.

What stays queued stays in the order in which it came, of whatever kind it is.

Where the rule makes room (latest, coalesce), the oldest ordinary messages leave until the newcomer
fits. When that could not help, since it is larger than the bound by itself or there are terminal
messages only, it is the newcomer that is dropped, and nothing leaves in vain.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar

from eco_actor.runtime.mailbox import M, Mailbox, MailboxSpec, Outcome, Overflow

Entry = tuple[Any, int, bool]
"""A queued message, its bytes (0 when they do not count), whether it is terminal."""


class RichMailbox(Mailbox[M]):
    """A mailbox with keys, a bound in bytes, a reserve, or any of these together.

    The functions of the spec are asked before anything changes: one that raises, a size that is
    none and a key without a hash are errors of `offer` (and of `fits`), and leave no trace.
    """

    __slots__ = ("_terminals", "bytes_queued", "coalesced", "max_bytes")

    appendable: ClassVar[bool] = False

    def __init__(self, spec: MailboxSpec[M]) -> None:
        super().__init__(spec)
        self.coalesced = 0
        self.bytes_queued = 0
        self.max_bytes = spec.max_bytes
        """The bound in bytes; the owner of several mailboxes may part one bound among them anew
        before each offer. None stays None."""
        self._terminals = 0

    @property
    def quick(self) -> int:
        """Always 0: there is no way past `offer`, which alone knows the bounds."""
        return 0

    @quick.setter
    def quick(self, number: int) -> None:
        if number != 0:
            raise ValueError("this mailbox is not appendable: quick stays 0")

    def __iter__(self) -> Iterator[M]:
        return iter([message for message, _, _ in self.queue.values()] if self.queue else ())

    @property
    def blocked(self) -> bool:
        """Whether whoever can wait has to, under the rule buffer: no slot, or not a byte, is free.

        Said of ordinary messages. A terminal one, or one without bytes, may still fit: see `fits`.
        """
        if self.overflow is not Overflow.BUFFER:
            return False
        most = self.max_bytes
        return len(self.queue) >= self.capacity or (most is not None and self.bytes_queued >= most)

    def fits(self, message: M) -> bool:
        """As in any mailbox; the one of the same key that gives way is not made to leave."""
        _, entry, old = self._placed(message)
        return not self._crowded(entry, old)

    def is_terminal(self, message: M) -> bool:
        return self.spec.terminal is not None and self.spec.terminal(message)

    def never_fits(self, message: M) -> bool:
        spec = self.spec
        if self.max_bytes is None or (spec.terminal is not None and spec.terminal(message)):
            return False
        return self._size(message) > self.max_bytes

    def offer(self, message: M) -> Outcome:
        key, entry, old = self._placed(message)
        left: list[M] = []
        if self._crowded(entry, old):
            self.mark()
            if not self._can_make_room(entry, old):
                return self._refused()
            while self._crowded(entry, old):
                left.append(self._evict_oldest(old))
        if old is not None:
            self.bytes_queued -= old[1]
            del self.queue[key]
            self.coalesced += 1
        if isinstance(self.queue, tuple):  # the one that all share until their first message
            self.queue = OrderedDict()
        self.queue[key] = entry
        self.bytes_queued += entry[1]
        self._terminals += entry[2]
        if self.gave_way is not None:
            for evicted in left:
                self.gave_way(evicted)
        if old is not None:
            return Outcome.COALESCED
        return Outcome.REPLACED if left else Outcome.ENQUEUED

    def peek(self) -> M:
        if not self.queue:
            raise IndexError("peek into an empty mailbox")
        message: M = next(iter(self.queue.values()))[0]
        return message

    def held(self, key: Hashable) -> M | None:
        """The queued message of this key, if there is one."""
        entry = self.queue.get(key) if self.queue else None
        return None if entry is None else entry[0]

    def take(self) -> M:
        if not self.queue:
            raise IndexError("take from an empty mailbox")
        self.mark()
        message: M
        message, size, terminal = self.queue.popitem(last=False)[1]
        self.bytes_queued -= size
        self._terminals -= terminal
        self.in_hand += 1
        return message

    def discard(self) -> list[M]:
        self.bytes_queued = self._terminals = 0
        return super().discard()

    def statistics(self) -> dict[str, int | str]:
        if self.max_bytes is None:
            return super().statistics()
        bounded = {"bytes": self.bytes_queued, "max_bytes": self.max_bytes}
        return {**super().statistics(), **bounded}

    def _placed(self, message: M) -> tuple[Hashable, Entry, Entry | None]:
        """Under which key *message* would be queued, as what, and which one gives way to it."""
        spec = self.spec
        if spec.terminal is not None and spec.terminal(message):
            return object(), (message, 0, True), None
        key = spec.key(message) if spec.key is not None else None
        if key is None:
            return object(), (message, self._size(message), False), None
        hash(key)  # an empty queue would not ask for it
        old: Entry | None = self.queue.get(key) if self.queue else None
        if old is not None and spec.merge is not None:
            message = spec.merge(old[0], message)
        return key, (message, self._size(message), False), old

    def _size(self, message: M) -> int:
        if self.spec.size is None:
            return 0
        size = self.spec.size(message)
        if type(size) is not int or size < 0:
            raise ValueError(f"a size is a whole number of bytes, at least 0, not {size!r}")
        return size

    def _crowded(self, entry: Entry, old: Entry | None) -> bool:
        """Whether there is no room for *entry*, which takes the slot of *old* if there is one."""
        _, size, terminal = entry
        if terminal:
            return len(self.queue) >= self.capacity + self.spec.reserve
        if old is None and len(self.queue) >= self.capacity:
            return True
        freed = 0 if old is None else old[1]
        most = self.max_bytes
        return most is not None and self.bytes_queued - freed + size > most

    def _can_make_room(self, entry: Entry, old: Entry | None) -> bool:
        """Whether the rule lets ordinary messages leave, and that would be enough."""
        if not self.spec.makes_room:
            return False
        _, size, terminal = entry
        if terminal:
            return len(self.queue) > self._terminals
        if old is None and self._terminals >= self.capacity:
            return False
        return self.max_bytes is None or size <= self.max_bytes

    def _evict_oldest(self, spared: Entry | None) -> M:
        """Let the oldest ordinary message go, but *spared*. Terminal ones before it are few."""
        key = next(key for key, entry in self.queue.items() if not (entry[2] or entry is spared))
        message: M
        message, size, _ = self.queue.pop(key)
        self.bytes_queued -= size
        self.replaced += 1
        return message
