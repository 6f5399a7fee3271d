"""The composition root: what the server is made of, and its supervision tree, top to bottom."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from eco_actor.config import Config, ConfigError
from eco_actor.delivery.admission import Gate
from eco_actor.delivery.cohort import Fanout
from eco_actor.delivery.connection import Delivery
from eco_actor.delivery.directory import Directory
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.liveness import Liveness, Wheel
from eco_actor.delivery.observer import CHANNEL, Observer, Vitals
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.streams import Streams
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Durability, EventLog, SqliteStore
from eco_actor.eventlog.owner import LogOwner
from eco_actor.eventlog.retention import Retention
from eco_actor.runtime import (
    NORMAL,
    ChildSpec,
    DynamicSupervisor,
    State,
    Strategy,
    Supervisor,
    System,
    Watchdog,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.scan.admission import Admission
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture, Picture
from eco_actor.scan.recovery import Recovery
from eco_actor.scan.retention import ScanRetention
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.stages import stages
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import TABLES
from eco_actor.scan.views import Views
from eco_actor.scan.vision import Classifier
from eco_actor.scan.volume import Keep, Volume
from eco_actor.scan.workers import Pool, pool_spec
from eco_actor.web.channels import ChannelRoutes
from eco_actor.web.classify import ClassifyRoute
from eco_actor.web.door import Opener
from eco_actor.web.drain import Drain, Drained, DrainRoutes
from eco_actor.web.idempotency import TABLES as ANSWERS
from eco_actor.web.idempotency import Idempotency
from eco_actor.web.inspection import InspectionRoutes
from eco_actor.web.metrics import MetricsRoutes, Sources
from eco_actor.web.observer import ObserverRoutes
from eco_actor.web.opening import Opening
from eco_actor.web.operations import OperationRoutes
from eco_actor.web.operator import Operator
from eco_actor.web.operator_token import UnusableToken
from eco_actor.web.pages import PageRoutes
from eco_actor.web.plain import PlainStreams
from eco_actor.web.polls import PollRoutes
from eco_actor.web.scans import ScanRoutes
from eco_actor.web.server import Address, HttpServer
from eco_actor.web.streams import StreamRoutes
from eco_actor.web.trust import Trust

ROOT: Final = "eco"

THREADS: Final = "eco-work"
"""What the names of the threads begin with in which pictures are decoded and stages block."""


class Eco:
    """The parts of one server and their tree. `running` starts it, with or without HTTP."""

    def __init__(self, config: Config, classifier: Classifier | None) -> None:
        self.config = config
        self.address = Address(config.host, config.port)
        self.trust = _trust(config)
        self.operator = Operator(config.operator_token, _token_file(config))
        self.book = RuleBook.load()
        self.log = EventLog(_store(config))
        self.views = Views(self.log)
        self.threads = ThreadPoolExecutor(config.vision_workers + 1, THREADS)
        # A pool can hold every scan that is admitted: work going down is never refused.
        self.pools = {
            stage.name: Pool(stage, capacity=config.max_scans)
            for stage in stages(self.book, classifier, config.vision_workers)
        }
        self.volume = Volume()
        self.admission = Admission(
            Pipeline(self.log, self.pools, volume=self.volume),
            self._dynamic("work", "scans"),
            _decoder(classifier),
            self.threads,
            config.max_decodes,
        )
        self.drained = Drained()
        self.idempotency = Idempotency(self.log, self.log.now_ms)
        self.has_vision = classifier is not None
        self.actors = LiveChannel(CHANNEL, self.log)
        self._connections = self._dynamic("work", "connections")
        self.gate = Gate(config.connect_rate, config.connect_burst, config.connect_burst // 10)
        self.delivery = _delivery(self.log, self.actors, self.gate, self.views)
        self.publisher = Publisher(self.log, self.delivery.directory, self.delivery.traffic)
        self._begun = time.monotonic()
        self._system: System | None = None
        self._stopped = False

    def tree(self, *, http: bool) -> ChildSpec:
        """Who is started, restarted and stopped with whom."""
        config = self.config
        pools = [pool_spec(pool, self.threads) for pool in self.pools.values()]
        # The scans lean on the pipeline, and recovery picks them up when either was restarted; the
        # clients' connections outlive both.
        work = [
            child("connections", DynamicSupervisor, config.max_connections),
            child("pipeline", Supervisor, pools),
            child("scans", DynamicSupervisor, config.max_scans),
            child("recovery", Recovery, self.log, self.admission, self.views),
            child("liveness", Liveness, self.delivery.wheel),
            child("retention", Retention, self.log, self.log.now_ms),
            child("scan-retention", ScanRetention, self.log, self.volume, _keep(config)),
            # Last: nobody is restarted because of it.
            child("observer", Observer, self.actors, self._vitals),
            child("drain", Drain, self.drained, self.gate, Streams(self._connections, self.gate)),
        ]
        everything = [
            child("store", LogOwner, self.log),
            child("work", Supervisor, work, Strategy.REST_FOR_ONE),
            child(
                "http",
                HttpServer,
                self.address,
                self._routes,
                self.delivery.wheel,
                self._connections,
                self.operator.observer_url,
            ),
        ]
        return child(
            ROOT, Supervisor, everything if http else everything[:-1], Strategy.ONE_FOR_ALL
        )

    @asynccontextmanager
    async def running(self, *, http: bool) -> AsyncIterator[System]:
        """Start everything, and stop it in reverse. ConfigError; StartFailed for a part of it."""
        try:
            if http:
                await self._load_token()
            # Before it starts: requests may come before it is all up.
            self._system = System(self.tree(http=http), watchdog=Watchdog())
            async with self._system as system:
                if self._stopped:  # it was told so while it started
                    system.end(NORMAL)
                yield system
        finally:
            self._system = None
            self.threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Let whoever waits for the end of the running system go on and leave it."""
        self._stopped = True
        if self._system is not None:
            self._system.end(NORMAL)

    async def scan(self, picture: bytes, *, lang: str = "ko") -> ScanState:
        """Scan one picture and wait for its answer. Busy, BadPicture, StoreError."""
        task_id = await self.admission.submit(picture, Options(lang=lang))
        state = await self.views.wait_answer(task_id, timeout=3600)
        assert state is not None, "the stages have deadlines of their own"
        return state

    async def _load_token(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self.threads, self.operator.load)
        except UnusableToken as error:
            raise ConfigError(str(error)) from error

    def _routes(self, app: web.Application) -> Opener:
        self.trust.add_to(app)
        ScanRoutes(self.admission, self.views, self.book).add_to(app)
        ClassifyRoute(
            self.admission,
            self.views,
            self.idempotency,
            vision=self.has_vision,
            sync_wait_s=self.config.sync_wait_s,
        ).add_to(app)
        opening = Opening(self.delivery, self.gate, self._connections)
        StreamRoutes(opening, self.publisher, self.operator, self.trust).add_to(app)
        delivery = self.delivery
        PollRoutes(self.log, delivery.directory, delivery.traffic).add_to(app)
        ChannelRoutes(
            self.log, delivery.directory, self.operator, self.idempotency, delivery.traffic
        ).add_to(app)
        self.operator.add_to(app)
        OperationRoutes(self.log, self._find, f"/{ROOT}", self.operator, self.drained).add_to(app)
        sources = Sources(
            self.delivery.traffic, self.gate, self.drained, self.log, lambda: self._system
        )
        MetricsRoutes(sources).add_to(app)
        DrainRoutes(lambda: self._find(f"/{ROOT}/work/drain"), self.operator).add_to(app)
        InspectionRoutes(self._find, self.operator).add_to(app)
        PageRoutes().add_to(app)
        ObserverRoutes(self.operator.login_by_query).add_to(app)
        return PlainStreams(opening, self.trust)

    def _vitals(self) -> Vitals | None:
        system = self._system
        root = system.find(f"/{ROOT}") if system is not None else None
        if system is None or root is None:
            return None
        uptime_s = time.monotonic() - self._begun
        return Vitals(root, uptime_s, len(system.jobs), system.dead_letters)

    def _find(self, path: str) -> Cell | None:
        return self._system.find(path) if self._system is not None else None

    def _dynamic(self, *names: str) -> Callable[[], DynamicSupervisor | None]:
        """Finds a dynamic supervisor, whatever was restarted meanwhile; None while it is down."""
        path = "/".join((ROOT, *names))
        cell: Cell | None = None

        def find() -> DynamicSupervisor | None:
            nonlocal cell
            if cell is None or not cell.alive:
                cell = self._find(path)
            if cell is None or cell.state is not State.RUNNING:
                return None
            return cell.actor if isinstance(cell.actor, DynamicSupervisor) else None

        return find


def _delivery(log: EventLog, actors: LiveChannel, gate: Gate, views: Views) -> Delivery:
    traffic = Traffic()
    directory = Directory(log, {actors.name: actors}, views.gone)
    return Delivery(log, directory, Fanout(log, traffic), Wheel(), traffic, gate)


def _keep(config: Config) -> Keep:
    age_ms = int(config.keep_scan_hours * 3_600_000)
    return Keep(config.keep_scans, config.keep_scan_mib << 20, age_ms)


def _store(config: Config) -> SqliteStore:
    if config.durability is Durability.OFF:
        return SqliteStore(None, Durability.OFF, [TABLES, ANSWERS])
    return SqliteStore(config.data_dir / "eco.db", config.durability, [TABLES, ANSWERS])


def _token_file(config: Config) -> Path | None:
    return None if config.durability is Durability.OFF else config.data_dir / "operator-token"


def _trust(config: Config) -> Trust:
    try:
        return Trust(config.host, config.allowed_host, config.origin)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _decoder(classifier: Classifier | None) -> Callable[[bytes], Picture]:
    """Decoding needs what only vision needs: a server without it does not load it."""
    if classifier is None:
        return _cannot_look
    from eco_actor.scan.decode import decode

    return decode


def _cannot_look(body: bytes) -> Picture:
    raise BadPicture("this server does not look at pictures")


def load_classifier(config: Config) -> Classifier | None:
    """The vision back end, warm; None when it is off. Blocks for some tenths of a second.

    ModelUnavailable when the model can be neither found nor made.
    """
    if not config.vision:
        return None
    from eco_actor.scan.lite0 import Lite0

    return Lite0.load()


def lock(data_dir: Path) -> Any:
    """Make *data_dir* and keep others out of it until the returned file is closed. ConfigError."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = (data_dir / "lock").open("a+")
    except OSError as error:
        raise ConfigError(f"data directory {data_dir}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise ConfigError(
            f"data directory {data_dir} is in use by another server: --data-dir picks another"
        ) from error
    return held
