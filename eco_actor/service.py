"""What the service manager is told while the server runs: ready, how it is, and that it lives.

It is told that it lives only while the loop comes round, which is when this actor has its turn, and
the threads that look at pictures get on (see progress.py). Trouble of the storage is no reason to
be killed: it is told, what can be read is served, and the trouble may end by itself. Only the one
trouble that a restart ends, and nothing else, is: the manager is left to see to that.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from eco_actor.eventlog import EventLog
from eco_actor.eventlog.readiness import obstacle
from eco_actor.notify import Notifier
from eco_actor.progress import Hand, Progress, Threads
from eco_actor.runtime import (
    Actor,
    Cell,
    ChildSpec,
    DynamicSupervisor,
    MailboxSpec,
    State,
    child,
)
from eco_actor.scan.model_cache import CONVERSION_TIMEOUT_S
from eco_actor.scan.workers import Pool

LOOK_S: Final = 1.0
"""Seconds from one look to the next, or a quarter of the manager's patience if that is less."""

BEATS: Final = 4
"""Signs of life in the time after which the manager would act."""

NUMBERS_S: Final = 2.0
"""Seconds from one status to the next when only numbers have changed; also between two jobs that
see whether the threads live, where nobody watches."""

LOAD_S: Final = CONVERSION_TIMEOUT_S + 60.0
"""Seconds that loading the model may take, which has to be made at the very first start."""

OPEN_S: Final = 300.0
"""Seconds that opening the log may take: it is read whole after an unclean end, or brought forward
from an older version."""


class Jobs(Protocol):
    """The threads of all blocking work; see `WorkThreads`."""

    @property
    def ended(self) -> int: ...
    @property
    def free(self) -> bool: ...
    @property
    def oldest_s(self) -> float: ...

    def submit(self, work: Callable[[], None], /) -> "Future[None]":
        """Have it done. RuntimeError after the end."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look. `find` finds a living actor by its path, all of which begin with *root*."""

    log: EventLog
    find: Callable[[str], Cell | None]
    root: str
    pools: Mapping[str, Pool]
    threads: Jobs
    scans: Callable[[], DynamicSupervisor | None]
    connections: Callable[[], DynamicSupervisor | None]
    draining: Callable[[], bool]


@dataclass(slots=True)
class Told:
    """What lasts over restarts of the actor: nothing is begun anew because it fails."""

    progress: Progress
    beat_at: float | None = None
    probe: "Future[None] | None" = None
    health: str = ""
    text: str = ""
    status_at: float = 0.0


class Look(Enum):
    DUE = "it is time to look"


@dataclass(frozen=True, slots=True)
class Answered:
    """What stands in the way of being ready; None: nothing."""

    obstacle: str | None = field(repr=False)


class Service(Actor[Look | Answered]):
    """Tells *notifier*: that it lives as often as the manager wants to hear it, if it is so."""

    mailbox = MailboxSpec(4)

    def __init__(self, notifier: Notifier, told: Told, sources: Sources) -> None:
        self._notifier = notifier
        self._told = told
        self._from = sources
        patience = notifier.watchdog_s
        self._beat_s = patience / BEATS if patience is not None else NUMBERS_S
        self._look_s = min(LOOK_S, self._beat_s)
        self._asking = False
        self._obstacle: str | None = "it has not been looked at yet"

    def init(self) -> None:
        self.start_timer("look", 0.0, Look.DUE)

    def handle(self, message: Look | Answered) -> None:
        if isinstance(message, Answered):
            self._asking, self._obstacle = False, message.obstacle
            self._become_ready(self.now())
            return
        self.start_timer("look", self._look_s, Look.DUE)
        now = self.now()
        if not self._notifier.is_ready:
            self._ask()
            self._become_ready(now)
            return
        stuck = self._stuck(now)
        self._tell_status(now, *self._health(stuck))
        if stuck is None and not self._from.log.needs_restart:
            self._beat(now)

    # ---- ready

    def _become_ready(self, now: float) -> None:
        why = "it does not listen yet" if not self._listens() else self._obstacle
        if why is not None:
            self._tell_status(now, "not ready", why)
            return
        text = self._text("ready")
        if self._notifier.ready(text):
            self._told.health, self._told.text, self._told.status_at = "ready", text, now
            self._beat(now)

    def _ask(self) -> None:
        if not self._asking and self._listens():
            self._asking = True
            self.pipe(obstacle(self._from.log), Answered, lambda error: Answered(repr(error)))

    def _listens(self) -> bool:
        cell = self._from.find(f"{self._from.root}/http")
        return cell is not None and cell.state is State.RUNNING

    # ---- how it is

    def _health(self, stuck: str | None) -> tuple[str, str | None]:
        trouble = self._from.log.trouble
        if stuck is not None:
            return "stuck", stuck
        if trouble is not None:
            return "nothing can be written", trouble
        return "draining" if self._from.draining() else "ready", None

    def _tell_status(self, now: float, health: str, why: str | None) -> None:
        """At once when *health* is another, else now and then when anything is."""
        told = self._told
        text = self._text(health if why is None else f"{health}: {why}")
        due = text != told.text and now - told.status_at >= NUMBERS_S
        if (health != told.health or due) and self._notifier.status(text):
            told.health, told.text, told.status_at = health, text, now

    def _text(self, how: str) -> str:
        scans, connections = self._from.scans(), self._from.connections()
        number = len(scans) if scans is not None else 0
        streams = len(connections) if connections is not None else 0
        return f"{how}; {number} scans under way, {streams} streams"

    # ---- signs of life

    def _stuck(self, now: float) -> str | None:
        hands = list(self._hands())
        threads, probe = self._from.threads, self._told.probe
        seen = Threads(
            ended=threads.ended,
            oldest_s=threads.oldest_s,
            free=threads.free,
            answered=probe is None or probe.done(),
        )
        excused = self._from.log.trouble is not None  # a worker's mark may wait for the storage
        return self._told.progress.stuck(now, hands, seen, excused=excused)

    def _hands(self) -> Iterator[Hand]:
        for name, pool in self._from.pools.items():
            top = self._from.find(f"{self._from.root}/work/pipeline/{name}")
            if top is None or not pool.stage.blocking:
                continue
            for cell in top.children:
                box = cell.mailbox
                left = len(box) + box.in_hand
                busy = left > 0 and cell.state is State.RUNNING and not cell.suspended
                yield Hand(name, f"{name}/{cell.name}", busy, box.accepted - left)

    def _beat(self, now: float) -> None:
        told = self._told
        if told.beat_at is not None and now - told.beat_at < self._beat_s:
            return
        told.beat_at = now
        if self._notifier.watchdog_s is not None:
            self._notifier.beat()
        if told.probe is None or told.probe.done():
            told.probe = self._from.threads.submit(_nothing)


def service_spec(notifier: Notifier, sources: Sources) -> ChildSpec:
    """The actor that tells *notifier*, once the pools are all there."""
    stages = [pool.stage for pool in sources.pools.values()]
    deadlines = {stage.name: stage.deadline for stage in stages if stage.blocking}
    return child("notify", Service, notifier, Told(Progress(deadlines)), sources)


def _nothing() -> None:
    """A job that is over as soon as a thread takes it."""
