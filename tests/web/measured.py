"""A small system whose figures are told, and a server that tells them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from prometheus_client import Metric

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import EventLog
from eco_actor.runtime import (
    Actor,
    Cell,
    DynamicSupervisor,
    Restart,
    Supervisor,
    System,
    Watchdog,
    child,
)
from eco_actor.web.drain import Drained
from eco_actor.web.metrics import MetricsRoutes, Sources, figures
from eco_actor.web.problems import problems
from tests.fakes import FakeStore
from tests.web.client import Answer, Client

Labels = tuple[tuple[str, str], ...]
Told = dict[tuple[str, Labels], float]


class Idler(Actor[str]):
    def handle(self, message: str) -> None:
        """It does nothing."""


class Crowd(DynamicSupervisor):
    """Tells how often somebody looked at its children."""

    looked = 0

    def children(self) -> Iterable[Cell]:
        type(self).looked += 1
        return super().children()


class World:
    def __init__(self) -> None:
        self.log = EventLog(FakeStore())
        work = [child("one", Idler), child("crowd", Crowd, 20_000)]
        spec = child("eco", Supervisor, [child("work", Supervisor, work)])
        self.system: System | None = System(spec, watchdog=Watchdog())
        self.sources = Sources(Traffic(), Gate(10, 10, 2), Drained(), self.log, lambda: self.system)

    def cell(self, path: str) -> Cell:
        assert self.system is not None
        return self.system.at(path)

    def crowd(self, count: int) -> None:
        crowd = self.cell("/eco/work/crowd").actor
        assert isinstance(crowd, Crowd)
        for n in range(count):
            crowd.start_child_nowait(child(str(n), Idler, restart=Restart.TEMPORARY))

    def told(self) -> Told:
        return samples(figures(self.sources))


def samples(families: Iterable[Metric]) -> Told:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@asynccontextmanager
async def measured() -> AsyncIterator[World]:
    world = World()
    await world.log.open()
    assert world.system is not None
    async with world.system:
        yield world


@asynccontextmanager
async def serving(session: aiohttp.ClientSession, world: World) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[problems])
    MetricsRoutes(world.sources).add_to(app)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def scraped(client: Client, **headers: str) -> Answer:
    answer = await client.get("/metrics", headers=headers)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer
