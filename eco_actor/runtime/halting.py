"""How supervisors end the incarnations of their children: ask, wait, cancel, at worst give up."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from eco_actor.runtime.cell import Cell
from eco_actor.runtime.incarnation import State
from eco_actor.runtime.restarts import Exit

log = logging.getLogger(__name__)

ABANDON_AFTER: Final = 1.0
"""Seconds that a cancelled task gets to end; then its cell is given up and the fault is logged."""

CUT_AFTER: Final = ABANDON_AFTER / 2
"""Seconds that the children of a supervisor get whose own time is over: less than it has itself."""

RESTING: Final = frozenset({State.DOWN, State.ENDED, State.DEAD})


async def halt(cells: Sequence[Cell], reason: Exit) -> None:
    """End the incarnations of *cells*, all told at once: ask, wait, kill, at worst give up.

    The time they share is the longest `shutdown` among them. Called by their supervisor alone,
    which is not told of these ends in any other way; afterwards all are DOWN or DEAD.
    """
    waiting: dict[asyncio.Future[None], Cell] = {}
    for cell in cells:
        if cell.state not in RESTING:
            waiting[cell.expect_end()] = cell
            cell.request_exit(reason)
    bounds = [cell.spec.shutdown for cell in waiting.values()]
    timeout = None if None in bounds else max((b for b in bounds if b is not None), default=0)
    await _wait(waiting, timeout)
    for cell in waiting.values():
        log.warning("%s: still busy after %s s, killed", cell.path, cell.spec.shutdown)
        cell.cut_short()
    await _wait(waiting, ABANDON_AFTER)
    for cell in waiting.values():
        log.error("%s: does not end when cancelled, given up", cell.path)
        abandon(cell)


async def cut_short(cells: Sequence[Cell]) -> None:
    """End *cells* now: cancel them all, wait a moment, give up those that are left, bury all."""
    waiting = {cell.expect_end(): cell for cell in cells if cell.state not in RESTING}
    for cell in waiting.values():
        cell.cut_short()
    try:
        await _wait(waiting, CUT_AFTER)
    finally:
        for cell in reversed(cells):
            abandon(cell)
            cell.bury()


def abandon(cell: Cell) -> None:
    """Go on without *cell*, which was cut short, and all below it, whatever they still do."""
    actor = cell.actor
    for below in reversed(list(actor.children()) if actor is not None else ()):
        below.cut_short()
        abandon(below)
        below.bury()
    cell.give_up()


async def _wait(waiting: dict["asyncio.Future[None]", Cell], timeout: float | None) -> None:
    """Wait for all of *waiting* and take out those that are done."""
    if waiting:
        done, _ = await asyncio.wait(waiting, timeout=timeout)
        for ended in done:
            del waiting[ended]
