"""Supervisors: they start children in order, restart what ends, and stop in reverse order.

`Supervisor` has a fixed list of children and one of OTP's three strategies. `DynamicSupervisor` has
any number of children of the same kind up to a bound, started while it runs, one for one.

One budget a supervisor (`intensity` restarts in `period` seconds, all children together). When it
is spent the supervisor stops its children and ends with the reason shutdown: what then happens is
its own supervisor's decision.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eco_actor.runtime.actor import Actor, ChildSpec
from eco_actor.runtime.cell import Cell, State
from eco_actor.runtime.errors import ActorDead, StartFailed, TooManyChildren
from eco_actor.runtime.halting import halt
from eco_actor.runtime.mailbox import MailboxSpec
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import (
    SHUTDOWN,
    Exit,
    ExitKind,
    Restart,
    RestartWindow,
    Strategy,
    restart_group,
    should_restart,
)

log = logging.getLogger(__name__)

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class _ChildEnded:
    cell: Cell
    incarnation: int
    reason: Exit


class _Parent(Actor[M]):
    """What both kinds of supervisors have: children by name, and one budget of restarts."""

    mailbox = MailboxSpec(1)  # ends of children come as signals, which no bound can lose
    shutdown = None

    def __init__(self, intensity: int, period: float) -> None:
        self._window = RestartWindow(intensity, period)
        self._cells: dict[str, Cell] = {}

    def children(self) -> Iterable[Cell]:
        return self._cells.values()

    def child(self, name: str) -> Cell | None:
        return self._cells.get(name)


class Supervisor(_Parent[_ChildEnded]):
    """Keeps a fixed list of children running.

    Started left to right, each child's `init` done before the next begins; a failure there stops
    what had started, and the supervisor has not started. Stopped right to left, each within its
    `shutdown`. A restart that fails counts against the budget and is tried again.
    """

    interruptible = True  # a child whose init hangs must not hold up a stop from above

    def __init__(
        self,
        children: Sequence[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
    ) -> None:
        if not isinstance(strategy, Strategy):
            names = ", ".join(known.value for known in Strategy)
            raise ValueError(f"strategy is one of {names}, not {strategy!r}")
        self._specs = _unique(children)
        self._strategy = strategy
        super().__init__(intensity, period)

    async def init(self) -> None:
        for spec in self._specs:
            cell = self._cell.child(spec, self._child_ended)
            self._cells[spec.name] = cell
            try:
                await cell.start()
            except BaseException as error:
                await self._stop_all()
                if isinstance(error, Exception):
                    raise StartFailed(cell.path, f"{type(error).__name__}: {error}") from error
                raise

    def _child_ended(self, cell: Cell, reason: Exit) -> None:
        self._cell.signal(_ChildEnded(cell, cell.incarnation, reason))

    async def handle(self, message: _ChildEnded) -> None:
        cell = message.cell
        if cell.state is not State.DOWN or cell.incarnation != message.incarnation:
            return  # restarted with a sibling meanwhile
        if not should_restart(cell.spec.restart, message.reason):
            self._forget(cell)
            return
        await self._restart(cell, message.reason)

    async def _restart(self, failed: Cell, reason: Exit) -> None:
        """Restart the group of *failed*; a failure counts again, at the child that failed."""
        group = restart_group(self._strategy, list(self._cells), failed.spec.name)
        if not self._may_restart(failed, reason):
            return
        cells = [self._cells[name] for name in group]
        for cell in reversed(cells):
            await halt([cell], SHUTDOWN)
        for cell in cells:
            if cell.spec.restart is Restart.TEMPORARY:
                self._forget(cell)
                continue
            try:
                await cell.start()
            except Exception as error:
                log.warning("%s: restart failed: %s: %s", cell.path, type(error).__name__, error)
                self._child_ended(cell, Exit(ExitKind.CRASHED, error))
                return

    def _forget(self, cell: Cell) -> None:
        cell.bury()
        del self._cells[cell.spec.name]

    def _may_restart(self, cell: Cell, reason: Exit) -> bool:
        window = self._window
        if window.add(self._cell.now()):
            log.info("%s: restarting (%s)", cell.path, reason)
            return True
        log.error(
            "%s: more than %d restarts in %g s, the last of %s (%s): giving up",
            self._cell.path,
            window.intensity,
            window.period,
            cell.path,
            reason,
        )
        self.stop(SHUTDOWN)
        return False

    async def terminate(self, reason: Exit) -> None:
        await self._stop_all()

    async def _stop_all(self) -> None:
        for cell in reversed(list(self._cells.values())):
            await halt([cell], SHUTDOWN)
            cell.bury()


class DynamicSupervisor(_Parent[Any]):
    """Children of one kind, started while it runs, at most `max_children` at a time.

    A child is restarted alone, by its restart type and the common budget; it is forgotten when it
    ends for good. Names are unique among the living.
    """

    def __init__(self, max_children: int, intensity: int = 3, period: float = 5.0) -> None:
        if type(max_children) is not int or max_children < 1:
            raise ValueError(f"max_children is a whole number, at least 1, not {max_children!r}")
        self.max_children = max_children
        super().__init__(intensity, period)

    def __len__(self) -> int:
        return len(self._cells)

    def __contains__(self, name: object) -> bool:
        return name in self._cells

    def start_child_nowait(self, spec: ChildSpec) -> Ref[Any]:
        """Start a child whose `init` is a plain def; it runs when this returns.

        TooManyChildren at the bound, ValueError for a name that is taken, ActorDead while the
        supervisor itself ends, and whatever its init raises: nothing was started then.
        """
        if self._cell.state is not State.RUNNING:
            raise ActorDead(self._cell.path, "it takes no more children, it is ending")
        if len(self._cells) >= self.max_children:
            raise TooManyChildren(self._cell.path, f"{self.max_children} children already")
        if spec.name in self._cells:
            raise ValueError(f"{self._cell.path} has a child named {spec.name!r} already")
        cell = self._cell.child(spec, self._child_ended)
        cell.start_nowait()
        self._cells[spec.name] = cell
        return cell

    def stop_children(self, reason: Exit = SHUTDOWN) -> None:
        """Ask all children to end, at once, without waiting for them."""
        for cell in list(self._cells.values()):
            cell.request_exit(reason)

    def _child_ended(self, cell: Cell, reason: Exit) -> None:
        while should_restart(cell.spec.restart, reason):
            if not self._window.add(self._cell.now()):
                log.error("%s: too many restarts, the last of %s", self._cell.path, cell.path)
                self.stop(SHUTDOWN)
                return
            try:
                cell.start_nowait()
            except Exception as error:
                log.warning("%s: restart failed: %s", cell.path, error)
            else:
                return
        self._cells.pop(cell.spec.name, None)
        cell.bury()

    async def terminate(self, reason: Exit) -> None:
        """All children are told at once and share the time of the slowest."""
        cells = list(self._cells.values())
        await halt(cells, SHUTDOWN)
        for cell in cells:
            cell.bury()
        self._cells.clear()


def _unique(children: Sequence[ChildSpec]) -> Sequence[ChildSpec]:
    seen: set[str] = set()
    for spec in children:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"a supervisor's children are ChildSpecs, not {spec!r}")
        if spec.name in seen:
            raise ValueError(f"two children are named {spec.name!r}")
        seen.add(spec.name)
    return tuple(children)
