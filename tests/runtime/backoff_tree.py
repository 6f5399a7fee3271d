"""A tree of workers that write down when each starts and ends."""

import asyncio
from typing import Any

from eco_actor.runtime import Actor, Backoff, ChildSpec, Strategy, Supervisor, System, child
from eco_actor.runtime.cell import Cell

Diary = list[Any]
ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def now() -> float:
    return asyncio.get_running_loop().time()


class Worker(Actor[Any]):
    """Crashes when told; writes down when it starts and ends. `faults`: seconds before an init
    fails, one for each of those after the first.
    """

    def __init__(self, name: str, diary: Diary, faults: list[float] | None = None) -> None:
        self.name, self.diary, self.faults = name, diary, faults if faults is not None else []

    async def init(self) -> None:
        self.diary.append((f"+{self.name}", now()))
        if self.faults and self._life.cell.incarnation > 1:
            await asyncio.sleep(self.faults.pop(0))
            raise RuntimeError("no start")

    def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("boom")
        return message

    def terminate(self, reason: Any) -> None:
        self.diary.append((f"-{self.name}", now()))


def workers(diary: Diary, names: str = "abc", **options: Any) -> list[ChildSpec]:
    return [child(name, Worker, name, diary, **options) for name in names]


def tree(
    diary: Diary, backoff: Backoff, strategy: Strategy = ONE, names: str = "abc", **options: Any
) -> System:
    options.setdefault("intensity", 100)
    return System(
        child("top", Supervisor, workers(diary, names), strategy, backoff=backoff, **options)
    )


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def starts(diary: Diary, name: str = "a") -> list[float]:
    return [when for what, when in diary if what == f"+{name}"]
