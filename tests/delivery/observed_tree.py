"""A tree with an observer in it, in virtual time, and somebody who watches it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.observer import CHANNEL, Observer, Vitals
from eco_actor.eventlog import Event, EventLog
from eco_actor.runtime import (
    Actor,
    DynamicSupervisor,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from tests.fakes import FakeStore

SOON = 0.25
"""Less than the time between two snapshots, and more than one takes."""


class Watcher:
    """Keeps what it is shown, and when."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.times: list[float] = []

    def offer(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())

    @property
    def last(self) -> dict[str, Any]:
        return dict(self.events[-1].data)

    def row(self, path: str) -> dict[str, Any]:
        (row,) = [row for row in self.last["rows"] if row["path"] == path]
        assert isinstance(row, dict)
        return row


class Idler(Actor[str]):
    def handle(self, message: str) -> None:
        if message == "crash":
            raise ValueError("told to")


class World:
    """A tree with an observer, idle actors and connections, and the channel on which it tells."""

    def __init__(self) -> None:
        self.log = EventLog(FakeStore())
        self.channel = LiveChannel(CHANNEL, self.log)
        self.fault: Exception | None = None
        self.looks = 0
        self.system = System(
            child(
                "eco",
                Supervisor,
                [
                    child("idlers", DynamicSupervisor, 10_000),
                    child("connections", DynamicSupervisor, 100),
                    child("one", Idler),
                    child("observer", Observer, self.channel, self.vitals),
                ],
            )
        )

    def vitals(self) -> Vitals | None:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        root = self.system.find("/eco")
        return None if root is None else Vitals(root, 12.5, len(self.system.jobs), 3)

    def cell(self, path: str) -> Cell:
        found = self.system.find(path)
        assert found is not None
        return found

    def dynamic(self, name: str) -> DynamicSupervisor:
        actor = self.cell(f"/eco/{name}").actor
        assert isinstance(actor, DynamicSupervisor)
        return actor

    def idlers(self, count: int) -> None:
        for n in range(count):
            self.dynamic("idlers").start_child_nowait(child(str(n), Idler))

    def watch(self) -> Watcher:
        watcher = Watcher()
        self.log.subscribe(CHANNEL, watcher)
        self.channel.join(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        self.log.unsubscribe(CHANNEL, watcher)
        self.channel.leave(watcher)


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    await world.log.open()
    async with world.system:
        yield world


def timers() -> int:
    """How many timers the loop has that will still fire."""
    loop: Any = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)
