"""What one server is made of, before any of it runs, and how the parts find each other."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from eco_actor.config import Config, ConfigError, Unavailable
from eco_actor.delivery.admission import Gate
from eco_actor.delivery.cohort import Fanout
from eco_actor.delivery.connection import Delivery
from eco_actor.delivery.directory import Directory
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.liveness import Wheel
from eco_actor.delivery.observer import CHANNEL, Vitals
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import EventLog
from eco_actor.provision import decoder, load_classifier, store_of, token_file, trust_of
from eco_actor.runtime import Cell, DynamicSupervisor, State, System
from eco_actor.scan.admission import Admission
from eco_actor.scan.counts import Counts, Tally
from eco_actor.scan.own_stages import arranged, checked_stages, order_of
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.site import Site, SiteError, SiteUnreadable
from eco_actor.scan.stages import Stage, stages
from eco_actor.scan.state import Steps
from eco_actor.scan.views import Views
from eco_actor.scan.vision import Classifier
from eco_actor.scan.volume import Volume
from eco_actor.scan.work_threads import WorkThreads
from eco_actor.scan.workers import Pool
from eco_actor.web.drain import Drained
from eco_actor.web.idempotency import Idempotency
from eco_actor.web.operator import Operator
from eco_actor.web.server import Address

ROOT: Final = "eco"

THREADS: Final = "eco-work"
"""What the names of the threads begin with in which pictures are decoded and stages block."""


class Parts:
    """Made without touching a disk; `read` and `load` do that. ConfigError, BadStage.

    Nothing here may be used by others before `read`, and no scan run before `load`.
    """

    site: Site
    book: RuleBook

    def __init__(
        self, config: Config, classifier: Classifier | None, own: Sequence[Stage] = ()
    ) -> None:
        self.config = config
        self.own = checked_stages(own)
        self.steps = Steps(order_of(self.own), own=bool(self.own))
        self.address = Address(config.host, config.port)
        self.trust = trust_of(config)
        self.operator = Operator(config.operator_token, token_file(config))
        self.log = EventLog(store_of(config))
        self.views = Views(self.log)
        blocked = sum(stage.workers for stage in self.own if stage.blocking)
        self.threads = WorkThreads(config.vision_workers + blocked + 1, THREADS)
        self.pools: dict[str, Pool] = {}
        self.volume = Volume()
        self.counts = Counts()
        self.admission = Admission(
            Pipeline(
                self.log,
                self.pools,
                volume=self.volume,
                steps=self.steps,
                tally=Tally(lambda: self.book),
            ),
            self._dynamic("work", "scans"),
            decoder(vision=config.vision),
            self.threads,
            config.max_decodes,
        )
        self.drained = Drained()
        self.idempotency = Idempotency(self.log, self.log.now_ms)
        self.actors = LiveChannel(CHANNEL, self.log)
        self.connections = self._dynamic("work", "connections")
        self.gate = Gate(config.connect_rate, config.connect_burst, config.connect_burst // 10)
        self.delivery = _delivery(self.log, self.actors, self.gate, self.views)
        self.publisher = Publisher(self.log, self.delivery.directory, self.delivery.traffic)
        self._classifier = classifier
        self._system: System | None = None
        self._begun = time.monotonic()

    def read(self) -> None:
        """Read the rules. Blocks for some milliseconds, the first time. ConfigError,
        Unavailable."""
        if not hasattr(self, "book"):
            site = self.config.site
            try:
                self.site = Site.load(site) if site is not None else Site.none()
            except SiteError as error:
                raise ConfigError(str(error)) from error
            except SiteUnreadable as error:
                raise Unavailable(str(error)) from error
            self.book = self.site.book

    def load(self) -> None:
        """Read what is needed, and make the steps, the first time. Blocks. ModelUnavailable,
        ConfigError, Unavailable."""
        self.read()
        if self.pools:
            return
        vision, classifier = self.config.vision, self._classifier
        if vision and classifier is None and not any(each.name == "vision" for each in self.own):
            classifier = load_classifier()
        if vision:
            import eco_actor.scan.decode  # noqa: F401  # here, where nobody waits for it
        standard = stages(self.book, classifier if vision else None, self.config.vision_workers)
        # A pool can hold every scan that is admitted: work going down is never refused.
        for stage in arranged(standard, self.own):
            self.pools[stage.name] = Pool(stage, capacity=self.config.max_scans)

    # ---- what runs

    def system(self) -> System | None:
        """The running system; None while there is none."""
        return self._system

    def find(self, path: str) -> Cell | None:
        """The living actor at *path*."""
        return self._system.find(path) if self._system is not None else None

    def vitals(self) -> Vitals | None:
        """What is known of the whole; None while it does not run."""
        system = self._system
        root = self.find(f"/{ROOT}")
        if system is None or root is None:
            return None
        uptime_s = time.monotonic() - self._begun
        return Vitals(root, uptime_s, len(system.jobs), system.dead_letters)

    def _dynamic(self, *names: str) -> Callable[[], DynamicSupervisor | None]:
        """Finds a dynamic supervisor, whatever was restarted meanwhile; None while it is down."""
        path = "/".join((ROOT, *names))
        cell: Cell | None = None

        def find() -> DynamicSupervisor | None:
            nonlocal cell
            if cell is None or not cell.alive:
                cell = self.find(path)
            if cell is None or cell.state is not State.RUNNING:
                return None
            return cell.actor if isinstance(cell.actor, DynamicSupervisor) else None

        return find


def _delivery(log: EventLog, actors: LiveChannel, gate: Gate, views: Views) -> Delivery:
    traffic = Traffic()
    directory = Directory(log, {actors.name: actors}, views.gone)
    return Delivery(log, directory, Fanout(log, traffic), Wheel(), traffic, gate)
