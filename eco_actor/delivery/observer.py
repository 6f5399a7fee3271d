"""The publisher of `system:actors`: a snapshot of the tree about once a second, while watched.

It does nothing while nobody watches: no timer, no walk. A walk goes in slices, each a turn of its
own, with the loop in between, so that a tree of any size holds nobody up. A row is then as old as
its slice; what moved meanwhile may be missing once, and is never there twice.
"""

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from eco_actor.delivery.frames import SSE_CHANNEL
from eco_actor.delivery.live import LiveChannel
from eco_actor.eventlog import Draft, Event
from eco_actor.runtime import Actor, MailboxSpec, Overflow, State
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.fold import Folding
from eco_actor.runtime.inspection import kind_of
from eco_actor.runtime.tally import Place

log = logging.getLogger(__name__)

CHANNEL: Final = "system:actors"

INTERVAL: Final = 1.0
"""Seconds from the beginning of a snapshot to that of the next."""

REST: Final = 0.25
"""Seconds between the end of a snapshot and the next, at least: very large trees come rarer."""

RECOVERY: Final = 30.0
"""Seconds without snapshots after one that failed."""

SLICE: Final = 250
"""Actors that are looked at in one turn."""

RECENT: Final = 20
"""Restarts that a snapshot tells of."""

REMEMBERED: Final = 20_000
"""Actors whose counters are kept from one snapshot to the next."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the observer is shown of the system: its root, and figures that no actor has."""

    root: Cell
    uptime_s: float
    jobs: int
    dead_letters: int


class Look(Enum):
    WATCHED = "somebody has begun to watch"
    TICK = "it is time for the next snapshot"
    ON = "go on with the walk"


class Rates:
    """Messages a second since the walk before; at most *most* actors are remembered."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._before: dict[Hashable, int] = {}
        self._now: dict[Hashable, int] = {}
        self._seconds = 0.0
        self._at: float | None = None

    def begin(self, now: float) -> None:
        """A new walk begins."""
        self._before, self._now = self._now, {}
        self._seconds = now - self._at if self._at is not None else 0.0
        self._at = now

    def read(self, who: Hashable, handled: int) -> float | None:
        """The rate of *who*, which has *handled* so many by now; None when it is not known."""
        if len(self._now) < self._most:
            self._now[who] = handled
        if self._seconds <= 0.0:
            return None
        before = self._before.get(who)
        if before is None:
            if len(self._before) >= self._most:
                return None  # it may not be new, only not remembered
            before = 0
        if handled == before:
            return 0.0
        return round((handled - before) / self._seconds, 3)


class Memory:
    """What has to be known of the snapshots before: counters, and who had been restarted."""

    def __init__(self) -> None:
        self.rates = Rates()
        self._restarted: dict[Cell, int] | None = None
        self._now: dict[Cell, int] = {}

    def begin(self, now: float) -> None:
        self.rates.begin(now)
        self._now = {}

    def end(self) -> None:
        self._restarted = self._now

    def came_back(self, cell: Cell) -> bool:
        """Whether *cell* was restarted since the walk before this one."""
        if len(self._now) >= REMEMBERED:
            return False
        self._now[cell] = cell.incarnation
        known = self._restarted
        return known is not None and known.get(cell, 1) < cell.incarnation


class Walk:
    """One walk over the tree, some actors at a time."""

    def __init__(self, root: Cell, memory: Memory) -> None:
        self.folding = Folding()
        self.restarted: list[Cell] = []
        self._memory = memory
        self._waiting: list[tuple[Place, Iterator[Cell]]] = [(self.folding.top, iter([root]))]

    def step(self, most: int = SLICE) -> bool:
        """Look at *most* more actors; whether all have been seen."""
        folding, memory, waiting = self.folding, self._memory, self._waiting
        while waiting and most:
            parent, cells = waiting[-1]
            cell = next(cells, None)
            if cell is None:
                waiting.pop()
                continue
            if not cell.alive and cell.state is State.DEAD:
                continue  # since its parent was looked at
            most -= 1
            rate = memory.rates.read(cell, cell.mailbox.handled)
            place = folding.add(parent, kind_of(cell.spec), cell, rate)
            if cell.incarnation > 1 and memory.came_back(cell):
                self.restarted.append(cell)
            actor = cell.actor
            children = list(actor.children()) if actor is not None else ()
            if children:  # as they are now: the next slice comes later
                waiting.append((place, iter(children)))
        return not waiting


class Observer(Actor[Look]):
    """Publishes snapshots on *channel* while somebody watches it.

    *vitals* finds the system, or nothing while there is none. A fault in looking is logged and the
    next snapshot comes later: nobody else is worth restarting for it.
    """

    # Each look waits at most once, so three places hold all that a tell can bring.
    mailbox = MailboxSpec(3, Overflow.COALESCE, key=lambda look: look)

    def __init__(self, channel: LiveChannel, vitals: Callable[[], Vitals | None]) -> None:
        self._channel = channel
        self._vitals = vitals
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._memory = Memory()
        self._walk: Walk | None = None
        self._awake = False
        self._begun = 0.0
        self._due: float | None = None
        self._lag = 0.0

    def init(self) -> None:
        self._channel.watched = self._watched
        self._channel.forget()  # what an earlier incarnation saw may be long ago
        if self._channel:
            self._watched()  # they came while another incarnation was here

    def _watched(self) -> None:
        self.ref.tell(Look.WATCHED)

    def handle(self, message: Look) -> None:
        try:
            match message:
                case Look.WATCHED if not self._awake:
                    self._begin()
                case Look.TICK:
                    self._tick()
                case Look.ON:
                    self._go_on()
        except Exception:
            log.exception("%s: a snapshot failed; the next one comes later", self.ref.path)
            self._walk = None
            self._next_in(RECOVERY)

    def _tick(self) -> None:
        if self._due is not None:
            self._lag = max(0.0, self.now() - self._due)
        if self._channel:
            self._begin()
        else:
            self._sleep()

    def _sleep(self) -> None:
        self._awake = False
        self._due = None
        self._lag = 0.0
        self._channel.forget()
        self._memory = Memory()

    def _begin(self) -> None:
        self._awake = True
        self._begun = self.now()
        vitals = self._vitals()
        if vitals is None:
            self._next_in(INTERVAL)
            return
        self._memory.begin(self._begun)
        self._walk = Walk(vitals.root, self._memory)
        self._go_on()

    def _go_on(self) -> None:
        walk = self._walk
        if walk is None:
            return
        if not walk.step():
            # A timer of no time, and no tell: a message would be handled in this very turn.
            self.start_timer("slice", 0.0, Look.ON)
            return
        self._walk = None
        self._memory.end()
        self._publish(walk)
        self._next_in(max(REST, self._begun + INTERVAL - self.now()))

    def _next_in(self, seconds: float) -> None:
        self._due = self.now() + seconds
        self.start_timer("tick", seconds, Look.TICK)

    def _publish(self, walk: Walk) -> None:
        vitals = self._vitals()
        if vitals is None:
            return
        at = datetime.now(UTC)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._recent.extend(
            {
                "at": stamp,
                "path": cell.path,
                "incarnation": cell.incarnation,
                "reason": str(cell.last_exit),
            }
            for cell in walk.restarted[-RECENT:]
        )
        folding = walk.folding
        snapshot = {
            "at": stamp,
            "uptime_s": round(vitals.uptime_s, 3),
            "actors": folding.actors,
            "jobs": vitals.jobs,
            "dead_letters": vitals.dead_letters,
            "restarts": folding.restarts,
            "rate": folding.rate,
            "lag_ms": round(self._lag * 1000, 2),
            "watchers": len(self._channel),
            "recent": list(self._recent),
            "rows": folding.rows(),
        }
        name = self._channel.name
        draft = Draft(name, snapshot, int(at.timestamp() * 1000), key=name, transient=True)
        event = Event(draft, 0, None)
        SSE_CHANNEL.event(event)  # once for all; and should it fail, it fails here
        self._channel.offer(event)
