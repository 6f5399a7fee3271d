"""Who has been silent, and who does not read: looked at once a second, by one actor for all.

A timer for each connection would cost more than the connection. Each is in the slot of the second
in which it is due; those that cannot be written to are looked at every second.
"""

import logging
from collections import deque
from enum import Enum
from typing import Final, Protocol

from eco_actor.runtime import Actor, MailboxSpec

log = logging.getLogger(__name__)

HEARTBEAT: Final = 15.0
"""Seconds of silence after which an SSE client is shown that the connection lives."""

PATIENCE: Final = 20.0
"""Seconds without a byte of progress after which a client that does not read is dropped."""

AGE: Final = 60.0
"""Seconds that one write may take altogether: a client that reads a byte now and then goes, too."""

TICK: Final = 1.0

LOOKS: Final = 256
"""Connections that are looked at in one turn, before others get theirs."""

DUE: Final = -2
"""In the place of a slot: it is due, and will be looked at."""

SLOTS: Final = 64
"""Seconds that the wheel reaches ahead."""


class Beating(Protocol):
    """A connection, as it is looked after here."""

    slot: int
    """Where it is in the wheel; below 0 when nowhere. Only the wheel sets it."""

    def beat(self, now: float) -> float:
        """It is due; returns when to look again."""

    def unsent(self) -> int:
        """Bytes that its client has not acknowledged."""

    def give_up(self, why: str) -> None:
        """Its client does not read: drop it."""


class Stuck:
    """A client that cannot be written to, since when, and how it goes on."""

    __slots__ = ("left", "moved", "since")

    def __init__(self, now: float, left: int) -> None:
        self.since = self.moved = now
        self.left = left

    def verdict(self, now: float, left: int) -> str | None:
        """Why it is to be given up, with *left* bytes unsent: "progress", "age", or None."""
        if left < self.left:
            self.left, self.moved = left, now
        if now - self.moved >= PATIENCE:
            return "progress"
        return "age" if now - self.since >= AGE else None


class Wheel:
    """Connections by the second in which they are due. Times are of the loop's clock."""

    def __init__(self) -> None:
        self._slots: list[dict[Beating, None]] = [{} for _ in range(SLOTS)]
        self._stuck: dict[Beating, Stuck] = {}
        self._turned: int | None = None  # the last second that was looked at
        self._due: deque[Beating] = deque()  # noted, not looked at yet
        self._watched: deque[Beating] = deque()  # the same of those that are stuck

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    @property
    def stuck(self) -> int:
        """How many cannot be written to now."""
        return len(self._stuck)

    def put(self, who: Beating, due: float) -> None:
        """Look at *who* when *due*, which is less than SLOTS seconds away, and not before."""
        if who.slot >= 0:
            self._slots[who.slot].pop(who, None)
        who.slot = int(due) % SLOTS
        self._slots[who.slot][who] = None

    def remove(self, who: Beating) -> None:
        """Nothing more of *who*; harmless when repeated."""
        if who.slot >= 0:
            self._slots[who.slot].pop(who, None)
        who.slot = -1
        self._stuck.pop(who, None)

    def block(self, who: Beating, now: float) -> None:
        """*who* cannot be written to from *now* on."""
        if who not in self._stuck:
            self._stuck[who] = Stuck(now, who.unsent())

    def unblock(self, who: Beating) -> None:
        """It can be again; harmless when it could."""
        self._stuck.pop(who, None)

    def begin(self, now: float) -> None:
        """From now on seconds are looked at; harmless when they were before."""
        if self._turned is None:
            self._turned = int(now) - 1

    def turn(self, now: float) -> None:
        """The second of *now* has come: note all that are due, and all that are stuck."""
        second = int(now)
        last = second - 1 if self._turned is None else self._turned
        self._turned = second
        for each in range(max(last + 1, second - SLOTS + 1), second + 1):
            slot = self._slots[each % SLOTS]
            for who in slot:
                who.slot = DUE
                self._due.append(who)
            slot.clear()
        self._watched.extend(self._stuck)

    def look(self, now: float, most: int = LOOKS) -> bool:
        """Look at *most* of those noted; whether there are more."""
        for _ in range(most):
            if self._due:
                self._look_at_due(self._due.popleft(), now)
            elif self._watched:
                self._look_at_stuck(self._watched.popleft(), now)
            else:
                return False
        return bool(self._due or self._watched)

    def _look_at_due(self, who: Beating, now: float) -> None:
        if who.slot != DUE:
            return  # gone since, or put elsewhere
        who.slot = -1
        try:
            self.put(who, max(who.beat(now), now + TICK))
        except Exception:
            log.exception("%r: a heartbeat failed", who)

    def _look_at_stuck(self, who: Beating, now: float) -> None:
        stuck = self._stuck.get(who)
        if stuck is None:
            return  # it has gone on since
        try:
            why = stuck.verdict(now, who.unsent())
            if why is not None:
                self._stuck.pop(who, None)
                who.give_up(why)
        except Exception:
            log.exception("%r: it cannot be looked at", who)


class Turn(Enum):
    TICK = "a second is over"
    ON = "go on looking"


class Liveness(Actor[Turn]):
    """Turns the wheel, once a second, and looks at some at a time."""

    mailbox = MailboxSpec(2)

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel

    def init(self) -> None:
        self._wheel.begin(self.now())
        self.start_timer("tick", TICK, Turn.TICK)

    def handle(self, message: Turn) -> None:
        if message is Turn.TICK:
            self.start_timer("tick", TICK, Turn.TICK)
            self._wheel.turn(self.now())
        if self._wheel.look(self.now()):
            self.start_timer("on", 0.0, Turn.ON)
