"""Who stays, comes back, is gone: every restart type, way to end, and strategy, in a table."""

import asyncio
from typing import Final

import pytest

from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    Restart,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual

TABLE: Final = """
restart type   b ends by        one_for_one            one_for_all            rest_for_one
                                a      b       c       a      b       c       a      b       c
permanent      normal           stays  again   stays   again  again   again   stays  again   again
permanent      shutdown         stays  again   stays   again  again   again   stays  again   again
permanent      crash            stays  again   stays   again  again   again   stays  again   again
permanent      kill             stays  again   stays   again  again   again   stays  again   again
permanent      stray_cancel     stays  again   stays   again  again   again   stays  again   again
transient      normal           stays  kept    stays   stays  kept    stays   stays  kept    stays
transient      shutdown         stays  kept    stays   stays  kept    stays   stays  kept    stays
transient      crash            stays  again   stays   again  again   again   stays  again   again
transient      kill             stays  again   stays   again  again   again   stays  again   again
transient      stray_cancel     stays  again   stays   again  again   again   stays  again   again
temporary      normal           stays  gone    stays   stays  gone    stays   stays  gone    stays
temporary      shutdown         stays  gone    stays   stays  gone    stays   stays  gone    stays
temporary      crash            stays  gone    stays   stays  gone    stays   stays  gone    stays
temporary      kill             stays  gone    stays   stays  gone    stays   stays  gone    stays
temporary      stray_cancel     stays  gone    stays   stays  gone    stays   stays  gone    stays
"""
"""a and c are permanent. stays: the first incarnation runs on; again: a second one runs; kept: it
is dead, but its spec stands, and it comes back with its group; gone: the supervisor forgot it."""

STRATEGIES: Final = (Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE)
CELLS: Final = [
    (restart, end, strategy, tuple(fates[column : column + 3]))
    for restart, end, *fates in (row.split() for row in TABLE.strip().splitlines()[2:])
    for strategy, column in zip(STRATEGIES, (0, 3, 6), strict=True)
]


class Obedient(Actor[str]):
    """Ends in the way it is told to; `held` is the task of a handler that waits for ever."""

    held: asyncio.Task[None] | None = None

    async def handle(self, message: str) -> None:
        match message:
            case "normal":
                self.stop()
            case "shutdown":
                self.stop(SHUTDOWN)
            case "crash":
                raise ValueError(message)
            case "hold":
                self.held = asyncio.current_task()
                await asyncio.Event().wait()


async def end(cell: Cell, how: str) -> None:
    match how:
        case "kill":
            cell.kill()
        case "stray_cancel":
            cell.tell("hold")
            await asyncio.sleep(0.1)
            assert isinstance(cell.actor, Obedient)
            assert cell.actor.held is not None
            cell.actor.held.cancel()
        case _:
            cell.tell(how)
    await asyncio.sleep(0.1)


def fate(system: System, cell: Cell) -> str:
    if cell.alive:
        assert cell.state.value == "running"
        assert system.find(cell.path) is cell
        return {1: "stays", 2: "again"}[cell.incarnation]
    parent = system.find("/top")
    assert parent is not None
    assert parent.actor is not None
    return "kept" if cell in list(parent.actor.children()) else "gone"


@pytest.mark.parametrize(("restart", "how", "strategy", "fates"), CELLS)
def test_restart_type_way_to_end_and_strategy_decide_together(
    restart: str, how: str, strategy: Strategy, fates: tuple[str, str, str]
) -> None:
    """Each cell of the table: what becomes of b, which ends, and of its neighbours a and c."""
    specs = [
        child("a", Obedient),
        child("b", Obedient, restart=Restart(restart)),
        child("c", Obedient),
    ]

    async def main() -> tuple[str, ...]:
        async with System(child("top", Supervisor, specs, strategy)) as system:
            cells = [system.find(f"/top/{name}") for name in "abc"]
            assert cells[1] is not None
            await end(cells[1], how)
            return tuple(fate(system, cell) for cell in cells if cell is not None)

    assert run_virtual(main()) == fates
