"""The composition root: one server, and its supervision tree, top to bottom."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiohttp import web

from eco_actor.config import Config, ConfigError, Unavailable
from eco_actor.delivery.liveness import Liveness
from eco_actor.delivery.observer import Observer
from eco_actor.delivery.streams import Streams
from eco_actor.eventlog.owner import LogOwner
from eco_actor.eventlog.retention import Retention
from eco_actor.inside import Inside
from eco_actor.notify import Notifier
from eco_actor.parts import ROOT
from eco_actor.provision import DataDirectory, keep_of, threads_ended
from eco_actor.routes import add_routes
from eco_actor.runtime import (
    NORMAL,
    ChildSpec,
    DynamicSupervisor,
    Strategy,
    Supervisor,
    System,
    Watchdog,
    child,
)
from eco_actor.scan.counts import Counting
from eco_actor.scan.recovery import Recovery
from eco_actor.scan.retention import ScanRetention
from eco_actor.scan.stages import Stage
from eco_actor.scan.views import Stopped
from eco_actor.scan.vision import Classifier
from eco_actor.scan.workers import pool_spec
from eco_actor.service import LOAD_S, OPEN_S, Sources, service_spec
from eco_actor.web.door import Opener
from eco_actor.web.drain import Drain
from eco_actor.web.operator_token import UnusableToken
from eco_actor.web.plain import PlainStreams
from eco_actor.web.server import HttpServer

T = TypeVar("T")

GONE_S: Final = 1.0
"""Seconds that the end waits for threads; one that blocks for longer is left behind."""


class Eco(Inside):
    """One server; `async with Eco(config) as eco:` runs it without HTTP. It runs once.

    It holds the data directory (see `Config.data_dir`), unless durability is off, and goes on with
    the scans that an earlier process left there. The model is loaded in a thread, unless there is a
    *classifier* or vision is off: `Config.vision` decides whether pictures are looked at at all.
    *stages* replace standard steps or come between them, see `Stage`.

    Making one raises ConfigError or BadStage. The start raises ConfigError (the site file or the
    token cannot be), Unavailable (the directory is in use, or the system fails to give it; a later
    start may work), ModelUnavailable, StoreError, StartFailed for a part of the tree, and Stopped
    when `stop` was called meanwhile; then nothing is left behind. At the end everything is
    given back; unfinished scans are left to the next start. A thread in which a classifier or a
    stage blocks for longer than GONE_S then ends by itself later: there is no way to end it.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        classifier: Classifier | None = None,
        stages: Sequence[Stage] = (),
    ) -> None:
        super().__init__(Config() if config is None else config, classifier, stages)
        self.notifier = Notifier(None)  # of the process, so whoever runs that sets it
        self._told_to_stop: asyncio.Future[None] | None = None
        self._stopped = self._used = False
        self._entered: AbstractAsyncContextManager[System]

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
            child("scan-retention", ScanRetention, self.log, self.volume, keep_of(config)),
            child("counting", Counting, self.log, self.counts),
            # Last: nobody is restarted because of it.
            child("observer", Observer, self.actors, self.vitals),
            child("drain", Drain, self.drained, self.gate, Streams(self.connections, self.gate)),
        ]
        if self.notifier.listens:
            work.append(service_spec(self.notifier, self._told_of()))
        everything = [
            child("store", LogOwner, self.log),
            child("work", Supervisor, work, Strategy.REST_FOR_ONE),
            child(
                "http",
                HttpServer,
                self.address,
                self._routes,
                self.delivery.wheel,
                self.connections,
                self.operator.observer_url,
            ),
        ]
        return child(
            ROOT, Supervisor, everything if http else everything[:-1], Strategy.ONE_FOR_ALL
        )

    def _told_of(self) -> Sources:
        return Sources(
            self.log,
            self.find,
            f"/{ROOT}",
            self.pools,
            self.threads,
            scans=self._dynamic("work", "scans"),
            connections=self.connections,
            draining=lambda: self.drained.draining,
        )

    def _routes(self, app: web.Application) -> Opener:
        return PlainStreams(add_routes(self, app), self.trust)

    # ---- its life

    @asynccontextmanager
    async def running(self, *, http: bool, mounted: bool = False) -> AsyncIterator[System]:
        """Start everything, and stop it in reverse; what is raised is said above.

        *http*: listen at an address of its own. *mounted*: its routes are served by somebody else.
        """
        if self._used:
            raise RuntimeError("an Eco runs once: make another")
        self._used = True
        self._told_to_stop = asyncio.get_running_loop().create_future()
        directory = DataDirectory(self.config)
        try:
            await self._in_thread(self.read)
            await self._in_thread(directory.take)
            self.notifier.starting("the model is loaded", LOAD_S)
            await self._in_thread(self.load)
            self.notifier.starting("the log is opened", OPEN_S)
            if http or mounted:
                await self._in_thread(self._load_token)
            # Before it starts: requests may come before it is all up.
            self._system = System(self.tree(http=http), watchdog=Watchdog())
            async with self._system as system:
                if self._stopped:  # it was told so while it started
                    system.end(NORMAL)
                try:
                    yield system
                finally:
                    self.notifier.stopping()
                    self.views.stop()
        finally:
            watchdog = self._system.watchdog if self._system is not None else None
            self._system = None
            self.threads.shutdown(wait=False, cancel_futures=True)
            try:
                await threads_ended(self.threads, watchdog, GONE_S)
            finally:
                directory.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """What *work* returns or raises; Stopped when `stop` is called before."""
        assert self._told_to_stop is not None
        working = asyncio.get_running_loop().run_in_executor(self.threads, work)
        working.add_done_callback(_seen)
        await asyncio.wait((working, self._told_to_stop), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            raise Stopped("it was told to stop while it started")
        return working.result()

    def _load_token(self) -> None:
        try:
            self.operator.load()
        except UnusableToken as error:
            by_system = isinstance(error.__cause__, OSError)
            raise (Unavailable if by_system else ConfigError)(str(error)) from error

    def stop(self) -> None:
        """Let whoever waits for the end of the running system go on and leave it."""
        self._stopped = True
        if self._told_to_stop is not None and not self._told_to_stop.done():
            self._told_to_stop.set_result(None)
        if self._system is not None:
            self._system.end(NORMAL)

    async def __aenter__(self) -> Self:
        self._entered = self.running(http=False)
        await self._entered.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._entered.__aexit__(kind, error, trace)


def _seen(working: "asyncio.Future[Any]") -> None:
    if not working.cancelled():
        working.exception()  # looked at, should nobody have waited
