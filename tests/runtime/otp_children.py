"""The supervisors that are held against the model, and children that obey and keep a diary."""

import asyncio
from collections import Counter
from typing import Any

from eco_actor.runtime import SHUTDOWN, Actor, DynamicSupervisor, Exit, Supervisor


class Notes:
    """What the actors did, and how many of whose next inits fail."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.faults: Counter[str] = Counter()
        self.held: dict[str, asyncio.Task[Any]] = {}


class Worker(Actor[str]):
    def __init__(self, name: str, notes: Notes) -> None:
        self.name, self.notes = name, notes

    async def init(self) -> None:
        failed = self.notes.faults[self.name] > 0
        self.notes.faults[self.name] -= failed
        self.notes.diary.append(f"!{self.name}" if failed else f"+{self.name}")
        if failed:
            raise RuntimeError("no start")

    async def handle(self, message: str) -> None:
        match message:
            case "normal":
                self.stop()
            case "shutdown":
                self.stop(SHUTDOWN)
            case "crash":
                raise ValueError(message)
            case "hold":
                task = asyncio.current_task()
                assert task is not None
                self.notes.held[self.name] = task
                await asyncio.Event().wait()

    async def terminate(self, reason: Exit) -> None:
        self.notes.diary.append(f"-{self.name}")


class Static(Supervisor):
    def __init__(self, notes: Notes, *args: Any) -> None:
        super().__init__(*args)
        self.notes = notes

    async def terminate(self, reason: Exit) -> None:
        self.notes.diary.append("down")
        await super().terminate(reason)


class Dynamic(DynamicSupervisor):
    def __init__(self, notes: Notes, *args: Any) -> None:
        super().__init__(*args)
        self.notes = notes

    async def terminate(self, reason: Exit) -> None:
        self.notes.diary.append("down")
        await super().terminate(reason)
