"""Actors for the test kit to be tried on."""

import asyncio
from typing import Any

from eco_actor.runtime import Actor
from eco_actor.runtime.testing import Kit, VirtualTimeLoop


class Echo(Actor[Any]):
    """Tells *to* what it is told, in a while."""

    def __init__(self, to: Any = None) -> None:
        self.to = to

    async def init(self) -> None:
        await asyncio.sleep(0)

    async def handle(self, message: Any) -> Any:
        await asyncio.sleep(0.1)
        if self.to is not None:
            self.to.tell(message)
        return message

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(0)


class Counter(Actor[int]):
    """Adds up, in a plain handler."""

    total = 0

    def handle(self, message: int) -> int:
        self.total += message
        return self.total


def cell(kit: Kit, path: str) -> Any:
    found = kit.system.find(path)
    assert found is not None
    return found


def loop() -> VirtualTimeLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    return running
