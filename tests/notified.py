"""A server as its manager sees one, in virtual time, and all that the manager hears."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from eco_actor.eventlog import EventLog
from eco_actor.notify import Notifier
from eco_actor.progress import Progress
from eco_actor.runtime import Actor, DynamicSupervisor, Strategy, Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.options import Options
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.workers import Pool, Work, pool_spec
from eco_actor.service import Service, Sources, Told
from tests.fakes import FakeStore, InlineExecutor

WATCHDOG_S = 30.0
DEADLINE_S = 60.0


class Ear(Notifier):
    """Hears what a manager would; `deaf` refuses, as a socket does that is full."""

    def __init__(self, watchdog_s: float | None = WATCHDOG_S) -> None:
        super().__init__(b"nowhere", watchdog_s)
        self.deaf = False
        self.heard: list[tuple[float, dict[str, str]]] = []

    def _tell(self, *lines: str) -> bool:
        if self.deaf:
            return False
        now = asyncio.get_running_loop().time()
        self.heard.append((now, dict(line.split("=", 1) for line in lines)))
        return True

    def times(self, name: str) -> list[float]:
        return [at for at, told in self.heard if name in told]

    @property
    def statuses(self) -> list[str]:
        return [told["STATUS"] for _, told in self.heard if "STATUS" in told]


class Held(InlineExecutor):
    """One thread: what is handed over while it is held is at it from then on."""

    ended = 0
    since: float | None = None

    @property
    def free(self) -> bool:
        return self.since is None

    @property
    def oldest_s(self) -> float:
        now = asyncio.get_running_loop().time()
        return now - self.since if self.since is not None else 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.held and self.since is None:
            self.since = asyncio.get_running_loop().time()
        self.ended += not self.held
        return super().submit(fn, *args, **kwargs)

    def let_go(self) -> None:
        self.since = None
        super().let_go()


class Mute(Actor[object]):
    """What listens, or whoever waits for the answer of a worker."""

    def handle(self, message: object) -> None:
        """Nothing."""


class Slow(Mute):
    """Takes its time to listen."""

    async def init(self) -> None:
        await asyncio.sleep(3.5)


class Scene:
    """A server as its manager sees it."""

    def __init__(self, ear: Ear, listening: type[Mute]) -> None:
        self.ear = ear
        self.store = FakeStore()
        self.log = EventLog(self.store)
        self.threads = Held()
        self.pool = Pool(Stage("vision", 33, nothing, blocking=True, deadline=DEADLINE_S), 8)
        self.draining = False
        self.told = Told(Progress({"vision": DEADLINE_S}))
        self.listening = listening
        self.system: System

    def _dynamic(self, path: str) -> Callable[[], DynamicSupervisor | None]:
        def find() -> DynamicSupervisor | None:
            cell = self.system.find(path)
            actor = cell.actor if cell is not None else None
            return actor if isinstance(actor, DynamicSupervisor) else None

        return find

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scene"]:
        sources = Sources(
            log=self.log,
            find=lambda path: self.system.find(path),
            root="/eco",
            pools={"vision": self.pool},
            threads=self.threads,
            scans=self._dynamic("/eco/work/scans"),
            connections=self._dynamic("/eco/work/connections"),
            draining=lambda: self.draining,
        )
        work = [
            child("connections", DynamicSupervisor, 10),
            child("pipeline", Supervisor, [pool_spec(self.pool, self.threads)]),
            child("scans", DynamicSupervisor, 10),
            child("notify", Service, self.ear, self.told, sources),
        ]
        parts = [
            child("work", Supervisor, work, Strategy.REST_FOR_ONE),
            child("http", self.listening),
        ]
        await self.log.open()
        self.system = System(child("eco", Supervisor, parts, Strategy.ONE_FOR_ALL))
        async with self.system:
            yield self
        await self.log.close()

    def scan(self) -> None:
        """Work for the worker, from whoever is at /eco/http."""
        given = StageInput("t", Options(), None, None)
        self.pool.tell(Work(given, 1, self.system.at("/eco/http")))


def nothing(given: StageInput) -> Fields:
    return {}


def staged(
    main: Callable[[Scene], Coroutine[Any, Any, None]],
    ear: Ear | None = None,
    listening: type[Mute] = Mute,
    prepare: Callable[[Scene], None] = lambda stage: None,
) -> Ear:
    """Run *main* with a server in virtual time; what its manager heard."""
    heard = ear or Ear()

    async def run() -> None:
        stage = Scene(heard, listening)
        prepare(stage)
        async with stage.running():
            await main(stage)

    run_virtual(run())
    return heard
