"""A name that is free again belongs to the next child altogether."""

import asyncio
from typing import Any

from eco_actor.runtime import (
    Actor,
    Restart,
    StartChild,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.testing import run_virtual


class Idle(Actor[Any]):
    def handle(self, message: Any) -> None:
        pass


def test_the_end_of_a_namesake_is_no_end_of_the_next() -> None:
    """A temporary child that went down with its group takes nothing with it of the next."""

    async def main() -> None:
        top = child("top", Supervisor, [child("a", Idle)], Strategy.ONE_FOR_ALL, intensity=9)
        async with System(top) as system:
            keeper = system.at("/top")
            await keeper.ask(StartChild(child("x", Idle, restart=Restart.TEMPORARY)), timeout=5)
            system.at("/top/a").kill()
            await asyncio.sleep(1)
            assert system.find("/top/x") is None
            successor = await keeper.ask(StartChild(child("x", Idle)), timeout=5)
            successor.kill()
            await asyncio.sleep(1)
            assert successor.incarnation == 2

    run_virtual(main())
