"""Supervisors: they start children in order, restart what ends, and stop in reverse order.

To OTP's rules, plus a delay before restarts where one is wanted. One budget a supervisor:
`intensity` restarts in `period` whole seconds, all children together. When it is spent the
supervisor stops its children and ends with the reason shutdown: what then happens is its own
supervisor's decision.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eco_actor.runtime.actor import ChildSpec
from eco_actor.runtime.asking import Failure
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.errors import NoSuchChild, StartFailed
from eco_actor.runtime.halting import halt
from eco_actor.runtime.parent import (
    ChildEnded,
    DeleteChild,
    Parent,
    RestartChild,
    StartChild,
    StopChild,
)
from eco_actor.runtime.restarts import (
    SHUTDOWN,
    Backoff,
    Exit,
    ExitKind,
    Restart,
    Strategy,
    describe,
    restart_group,
    should_restart,
)
from eco_actor.runtime.states import State

log = logging.getLogger(__name__)

_TIMER: Final = "restart "


@dataclass(frozen=True, slots=True)
class _Due:
    """The delay before the restart of the group of *failed* is over."""

    failed: str


class Supervisor(Parent):
    """Keeps a list of children running.

    Started left to right, each child's `init` done before the next begins; a failure there stops
    what had started, and the supervisor has not started. Stopped right to left, each within its
    `shutdown`. A restart that fails counts against the budget and is tried again.

    With *backoff*, a restart waits: the rest of the group is stopped at once and started after the
    delay; whoever of it ends meanwhile joins the restart that waits, which keeps its time.

    Answers `StartChild`, `StopChild`, `RestartChild` and `DeleteChild`.
    """

    def __init__(
        self,
        children: Sequence[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: int = 5,
        backoff: Backoff | None = None,
    ) -> None:
        if not isinstance(strategy, Strategy):
            names = ", ".join(known.value for known in Strategy)
            raise ValueError(f"strategy is one of {names}, not {strategy!r}")
        super().__init__(intensity, period, backoff)
        self._specs = _unique(children)
        self._strategy = strategy
        self._alone = strategy is Strategy.ONE_FOR_ONE  # nobody is restarted with another
        self._waiting: set[str] = set()  # whose restart waits for its delay
        self._swallowed: dict[str, int] = {}  # incarnations whose end went under with their group's

    async def init(self) -> None:
        for spec in self._specs:
            cell = Cell(self._life.cell.host, self._life.cell, spec)
            self._cells[spec.name] = cell
            try:
                await self._start(cell)
            except BaseException as error:
                await self._stop_all()
                if isinstance(error, Exception):
                    raise StartFailed(cell.path, describe(error)) from error
                raise

    async def handle(self, message: Any) -> object:
        match message:
            case ChildEnded(cell, incarnation, reason):
                known = self._swallowed.get(cell.name) == incarnation
                if cell.state is State.DOWN and cell.incarnation == incarnation and not known:
                    await self._ended(cell, reason)  # else restarted with a sibling meanwhile
            case _Due(failed):
                await self._restart_due(failed)
            case StartChild(spec):
                return await self._start_child(spec)
            case StopChild(name):
                return await self._stop_child(name)
            case RestartChild(name):
                return await self._restart_child(name)
            case DeleteChild(name):
                return self._delete_child(name)
            case _:
                return self._cannot_take(message)
        return None

    # ---- restarts

    async def _ended(self, cell: Cell, reason: Exit) -> None:
        if should_restart(cell.spec.restart, reason):
            await self._restart(cell, reason)
            return
        self._log_end(cell, reason)
        if cell.spec.restart is Restart.TEMPORARY:
            self._forget(cell)
        else:
            cell.retire()

    async def _restart(self, failed: Cell, reason: Exit) -> None:
        if not self._may_restart(failed, reason):
            return
        delay = self._delay(failed)
        self._log_restart(failed, reason, delay)
        group = self._group(failed.name)
        await self._stop_group(group)
        if not delay:
            await self._start_group(group)
            return
        if self._alone or not self._waiting:
            self.start_timer(_TIMER + failed.name, delay, _Due(failed.name))
        self._waiting.add(failed.name)

    async def _restart_due(self, failed: str) -> None:
        """Start the group of *failed*, and of all who joined it."""
        waiting = {failed} if self._alone else set(self._waiting)
        first = next((name for name in self._cells if name in waiting), None)
        self._waiting -= waiting
        if first is not None:
            await self._start_group(self._group(first))

    def _group(self, failed: str) -> list[Cell]:
        names = restart_group(self._strategy, list(self._cells), failed)
        return [self._cells[name] for name in names]

    def _forget(self, cell: Cell) -> None:
        super()._forget(cell)
        self._swallowed.pop(cell.name, None)  # another of this name begins to count anew

    async def _stop_group(self, group: Sequence[Cell]) -> None:
        for cell in reversed(group):
            await halt([cell], SHUTDOWN)
            if self._backoff is None:
                self._swallowed[cell.name] = cell.incarnation
            if cell.spec.restart is Restart.TEMPORARY:
                self._forget(cell)

    async def _start_group(self, group: Sequence[Cell]) -> None:
        """Start all of a group that is down; a failure counts again, at the child that failed."""
        for cell in group:
            if cell.state not in (State.DOWN, State.ENDED):
                continue  # temporary, or it was added while the group waited
            try:
                await self._start(cell)
            except Exception as error:
                log.warning("%s: restart failed: %s", cell.path, describe(error), exc_info=error)
                self._try_again(cell, Exit(ExitKind.CRASHED, error))
                return

    # ---- children at run time

    async def _stop_child(self, name: str) -> object:
        cell = self._cells.get(name)
        if cell is None:
            return self._no_child(name)
        group = self._group(name)
        tried = cell.state is State.DOWN  # its restart has failed, and is to be tried again
        await halt([cell], SHUTDOWN)
        if self._alone:  # a group that waits starts without its first, too
            self._waiting.discard(name)
            self.cancel_timer(_TIMER + name)
        if cell.spec.restart is Restart.TEMPORARY:
            self._forget(cell)
        else:
            cell.retire()
        if tried and not self._alone and not self._waiting:  # those behind it waited for it
            await self._start_group([each for each in group if each.state is State.DOWN])
        return cell

    async def _restart_child(self, name: str) -> object:
        cell = self._cells.get(name)
        if cell is None or cell.state is not State.ENDED:
            return Failure(NoSuchChild(self._life.cell.path, f"no stopped child named {name!r}"))
        try:
            await self._start(cell)
        except Exception as error:
            cell.retire()
            return self._start_failed(cell, error)
        return cell

    def _delete_child(self, name: str) -> object:
        cell = self._cells.get(name)
        if cell is None or cell.state is not State.ENDED:
            return Failure(NoSuchChild(self._life.cell.path, f"no stopped child named {name!r}"))
        if name in self._waiting:
            return Failure(NoSuchChild(cell.path, "its group is about to be restarted"))
        self._forget(cell)
        return cell

    async def _stop_children(self) -> None:
        for cell in reversed(list(self._cells.values())):
            await halt([cell], SHUTDOWN)
            cell.bury()


def _unique(children: Sequence[ChildSpec]) -> Sequence[ChildSpec]:
    if isinstance(children, ChildSpec) or not isinstance(children, Iterable):
        raise TypeError(f"a supervisor's children are a list of ChildSpecs, not {children!r}")
    seen: set[str] = set()
    for spec in children:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"a supervisor's children are ChildSpecs, not {spec!r}")
        if spec.name in seen:
            raise ValueError(f"two children are named {spec.name!r}")
        seen.add(spec.name)
    return tuple(children)
