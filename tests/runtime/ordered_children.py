"""Children that are started and stopped by order, while their supervisor runs."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import Actor, ChildSpec, DynamicSupervisor, Ref, Supervisor, System, child
from eco_actor.runtime.cell import Cell


class Worker(Actor[Any]):
    """Obeys; `faults` says of the next inits how long they take, a negative one fails then."""

    def __init__(self, faults: list[float] | None = None) -> None:
        self.faults = [] if faults is None else faults

    def init(self) -> Any:
        if self.faults and self.faults.pop(0) < 0:
            raise RuntimeError("no start")

    def handle(self, message: Any) -> Any:
        match message:
            case "crash":
                raise ValueError("boom")
            case "stop":
                self.stop()
            case "refs":
                self.handed_out: list[Ref[Any]] = [self.ref]
        return message


class SlowStart(Worker):
    """The same with an init that awaits."""

    async def init(self) -> None:
        took = abs(self.faults[0]) if self.faults else 0.1
        await asyncio.sleep(took)
        super().init()


def supervisor(kind: str, children: tuple[ChildSpec, ...] = (), **options: Any) -> System:
    if kind == "fixed":
        return System(child("top", Supervisor, children, **options))
    assert not children
    return System(child("top", DynamicSupervisor, 3, **options))


def at(system: System, name: str = "") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


async def order(system: System, message: object, timeout: float = 60) -> Any:
    return await at(system).ask(message, timeout)


def now() -> float:
    return asyncio.get_running_loop().time()


BOTH = pytest.mark.parametrize("kind", ["fixed", "dynamic"])
EITHER_INIT = pytest.mark.parametrize("actor", [Worker, SlowStart])
