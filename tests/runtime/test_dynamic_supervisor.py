"""Dynamic supervisors: a bound, names that are free again, and a stop of all at once."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import Actor, DynamicSupervisor, Ref, Restart, System, TooManyChildren, child
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual


def ref_of(system: System) -> DynamicSupervisor:
    cell = system.find("/top")
    assert isinstance(cell, Cell)
    assert isinstance(cell.actor, DynamicSupervisor)
    return cell.actor


def test_dynamic_children_are_bounded_named_and_forgotten() -> None:
    """A name can be used again after its bearer's end; the bound refuses, and says so."""

    class Plain(Actor[str]):
        def handle(self, message: str) -> None:
            if message == "crash":
                raise ValueError(message)
            self.stop()

    async def main() -> None:
        async with System(child("top", DynamicSupervisor, 2)) as system:
            top = ref_of(system)
            first = top.start_child_nowait(child("x", Plain, restart=Restart.TEMPORARY))
            with pytest.raises(ValueError, match="named 'x' already"):
                top.start_child_nowait(child("x", Plain))
            second = top.start_child_nowait(child("y", Plain, restart=Restart.TRANSIENT))
            with pytest.raises(TooManyChildren):
                top.start_child_nowait(child("z", Plain))
            first.tell("crash")
            second.tell("crash")
            await asyncio.sleep(1)
            assert (first.alive, second.alive, len(top)) == (False, True, 1)
            top.start_child_nowait(child("x", Plain))
            second.tell("end")
            await asyncio.sleep(1)
            assert (second.alive, len(top)) == (False, 1)

    run_virtual(main())


def test_dynamic_children_stop_together() -> None:
    """A hundred slow children take the time of one."""

    class Lingering(Actor[str]):
        def handle(self, message: str) -> None: ...

        async def terminate(self, reason: Any) -> None:
            await asyncio.sleep(3)

    async def main() -> None:
        async with System(child("top", DynamicSupervisor, 100)) as system:
            top = ref_of(system)
            refs: list[Ref[Any]] = [
                top.start_child_nowait(child(str(n), Lingering)) for n in range(100)
            ]
        assert asyncio.get_running_loop().time() < 4
        assert not any(ref.alive for ref in refs)

    run_virtual(main())
