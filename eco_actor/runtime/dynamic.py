"""A supervisor of many children of one kind, started and ended while it runs."""

import logging
from dataclasses import dataclass
from typing import Any

from eco_actor.runtime.actor import ChildSpec
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.errors import ActorDead, TooManyChildren
from eco_actor.runtime.halting import halt
from eco_actor.runtime.parent import ChildEnded, DeleteChild, Parent, StartChild, StopChild
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import SHUTDOWN, Backoff, Exit, ExitKind, describe, should_restart
from eco_actor.runtime.states import RUNNING, State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Due:
    """The delay before the restart of *name* is over."""

    name: str


class DynamicSupervisor(Parent):
    """Children of one kind, started while it runs, at most `max_children` at a time.

    A child is restarted alone, by its restart type and the common budget; it is forgotten when it
    ends for good. Names are unique among the living. Stopped all at once, within the longest
    `shutdown` among them.

    Answers `StartChild` and `StopChild`; `start_child_nowait` is for who has it at hand.
    """

    def __init__(
        self,
        max_children: int,
        intensity: int = 3,
        period: int = 5,
        backoff: Backoff | None = None,
    ) -> None:
        if type(max_children) is not int or max_children < 1:
            raise ValueError(f"max_children is a whole number, at least 1, not {max_children!r}")
        super().__init__(intensity, period, backoff)
        self.max_children = max_children

    def __len__(self) -> int:
        return len(self._cells)

    def __contains__(self, name: object) -> bool:
        return name in self._cells

    def start_child_nowait(self, spec: ChildSpec) -> Ref[Any]:
        """Start a child whose `init` is a plain def; it runs when this returns.

        TooManyChildren at the bound, ValueError for a name that is taken, ActorDead while the
        supervisor itself ends, and whatever its init raises: nothing was started then.
        """
        cell = self._new_cell(spec)
        try:
            cell.start_nowait()
        except BaseException:
            self._forget(cell)
            raise
        return cell

    def stop_children(self, reason: Exit = SHUTDOWN) -> None:
        """Ask all children to end, at once, without waiting for them."""
        for cell in list(self._cells.values()):
            cell.request_exit(reason)

    async def handle(self, message: Any) -> object:
        match message:
            case ChildEnded(cell, incarnation, reason):
                if cell.state is State.DOWN and cell.incarnation == incarnation:
                    await self._restart(cell, reason)
            case _Due(name):
                if name in self._cells:
                    await self._start_again(self._cells[name])
            case StartChild(spec):
                return await self._start_child(spec)
            case StopChild(name) | DeleteChild(name):
                return await self._stop_child(name)
            case _:
                return self._cannot_take(message)
        return None

    async def _stop_children(self) -> None:
        """All are told at once and share the time of the slowest."""
        cells = list(self._cells.values())
        await halt(cells, SHUTDOWN)
        for cell in cells:
            cell.bury()
        self._cells.clear()

    def child_ended(self, cell: Cell, reason: Exit) -> None:
        if should_restart(cell.spec.restart, reason):
            super().child_ended(cell, reason)
        elif self._cells.get(cell.name) is cell:  # nothing to wait for: its place is free at once
            self._log_end(cell, reason)
            self._forget(cell)

    def _new_cell(self, spec: ChildSpec) -> Cell:
        cell = self._life.cell
        if self._life.state is not RUNNING:
            raise ActorDead(cell.path, "it takes no more children, it is ending")
        if len(self._cells) >= self.max_children:
            raise TooManyChildren(cell.path, f"{self.max_children} children already")
        return super()._new_cell(spec)

    async def _stop_child(self, name: str) -> object:
        cell = self._cells.get(name)
        if cell is None:
            return self._no_child(name)
        self.cancel_timer(name)
        await halt([cell], SHUTDOWN)
        self._forget(cell)
        return cell

    async def _restart(self, cell: Cell, reason: Exit) -> None:
        if not self._may_restart(cell, reason):
            return
        delay = self._delay(cell)
        self._log_restart(cell, reason, delay)
        if delay:
            self.start_timer(cell.name, delay, _Due(cell.name))
        else:
            await self._start_again(cell)

    async def _start_again(self, cell: Cell) -> None:
        if cell.state is not State.DOWN:
            return
        try:
            await self._start(cell)
        except Exception as error:
            log.warning("%s: restart failed: %s", cell.path, describe(error), exc_info=error)
            self._try_again(cell, Exit(ExitKind.CRASHED, error))
