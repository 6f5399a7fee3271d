"""Actors that watch and register as they are told."""

import asyncio
from typing import Any

from eco_actor.runtime import Actor, Down, Failure, NameTaken, Strategy, Supervisor, System, child
from eco_actor.runtime.cell import Cell


class Doer(Actor[Any]):
    """Does what it is told; `heard` has the ends it hears of, over all its incarnations."""

    def __init__(self, heard: list[Down] | None = None, called: str | None = None) -> None:
        self.heard: list[Down] = [] if heard is None else heard
        self.called = called

    def init(self) -> None:
        if self.called is not None:
            self.register(self.called)

    def handle(self, message: Any) -> Any:
        if isinstance(message, Down):
            self.heard.append(message)
            return None
        try:
            return message(self)
        except NameTaken as error:
            return Failure(error)


class SlowEnd(Doer):
    """The same; its end takes a second."""

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(1)


def tree(*specs: Any, strategy: Strategy = Strategy.ONE_FOR_ONE) -> System:
    return System(child("top", Supervisor, specs, strategy))


def at(system: System, name: str) -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


async def do(cell: Cell, deed: Any) -> Any:
    return await cell.ask(deed, timeout=10)


def crash(me: Any) -> None:
    raise ValueError("boom")


def stop(me: Any) -> None:
    me.stop()
