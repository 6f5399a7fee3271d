"""How supervisors end the incarnations of their children: ask, wait, cancel, at worst give up."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from eco_actor.runtime.cell import Cell
from eco_actor.runtime.jobs import ABANDON_AFTER
from eco_actor.runtime.restarts import Exit
from eco_actor.runtime.states import State

log = logging.getLogger(__name__)

CUT_AFTER: Final = ABANDON_AFTER / 2
"""Seconds that the children of a supervisor get whose own time is over: less than it has itself."""

RESTING: Final = frozenset({State.DOWN, State.ENDED, State.DEAD})


async def halt(cells: Sequence[Cell], reason: Exit) -> None:
    """End the incarnations of *cells*, all told at once: ask, wait, kill, at worst give up.

    The time they share is the longest `shutdown` among them; those without one take the time they
    take, and hold up nobody else. Called by their supervisor alone, which is not told of these ends
    in any other way; afterwards all are DOWN or DEAD.
    """
    waiting: dict[asyncio.Future[None], Cell] = {}
    unbounded: dict[asyncio.Future[None], Cell] = {}
    longest = 0.0
    for cell in cells:
        if cell.state in RESTING:
            continue
        bound = cell.shutdown
        (unbounded if bound is None else waiting)[cell.expect_end()] = cell
        longest = max(longest, bound or 0.0)
        cell.request_exit(reason)
    await _wait(waiting, longest)
    for cell in waiting.values():
        log.warning("%s: still busy after %s s, killed", cell.path, cell.shutdown)
        cell.cut_short()
    await _wait(waiting, ABANDON_AFTER)
    for cell in waiting.values():
        log.error("%s: does not end when cancelled, given up", cell.path)
        abandon(cell)
    await _wait(unbounded, None)


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
    for below in reversed(list(cell.children)):
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
