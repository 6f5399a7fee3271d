"""What both kinds of supervisors have: children by name, one budget of restarts, and what they can
be asked to do with a child: start, stop, restart and delete it, while they run."""

import asyncio
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eco_actor.runtime.actor import Actor, ChildSpec
from eco_actor.runtime.asking import Failure
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.errors import ActorError, NoSuchChild, StartFailed
from eco_actor.runtime.halting import cut_short
from eco_actor.runtime.mailbox import MailboxSpec
from eco_actor.runtime.restarts import SHUTDOWN, Backoff, Exit, RestartWindow, describe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartChild:
    """Ask: start another child; the answer is its ref. StartFailed says what `init` raised."""

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class StopChild:
    """Ask: stop the child called *name*. It is kept, unless temporary or of a dynamic supervisor.

    The answer is its ref; NoSuchChild. A stopped child comes back when asked to, or with its group:
    also with one whose restart waits for its delay right now.
    """

    name: str


@dataclass(frozen=True, slots=True)
class RestartChild:
    """Ask: start the stopped or ended child called *name* again; the answer is its ref."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Ask: forget the stopped or ended child called *name*. NoSuchChild while it runs."""

    name: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A child's incarnation has ended by itself, or its restart has failed."""

    cell: Cell
    incarnation: int
    reason: Exit


class Parent(Actor[Any]):
    """Holds children in start order and counts their restarts."""

    # Ends of children come as signals, which no bound can lose; this is for requests.
    mailbox = MailboxSpec(64)
    shutdown = None
    interruptible = True  # a child whose init hangs must not hold up a stop from above

    def __init__(self, intensity: int, period: int, backoff: Backoff | None) -> None:
        if backoff is not None and not isinstance(backoff, Backoff):
            raise TypeError(f"backoff is a Backoff, or None, not {backoff!r}")
        self._window = RestartWindow(intensity, period)
        self._backoff = backoff
        self._failures: dict[str, int] = {}  # in a row, by child; with backoff only
        self._started: dict[str, float] = {}  # when each child last did; with backoff only
        self._cells: dict[str, Cell] = {}

    def children(self) -> Iterable[Cell]:
        return self._cells.values()

    def child(self, name: str) -> Cell | None:
        return self._cells.get(name)

    async def terminate(self, reason: Exit) -> None:
        await self._stop_all()

    async def _stop_all(self) -> None:
        """Stop the children, whatever comes in between: nobody else would."""
        while True:
            try:
                await self._stop_children()
                return
            except asyncio.CancelledError:
                if self._life.cancelled:  # its time is over, and with it theirs
                    await cut_short(list(self._cells.values()))
                    raise
                log.warning("%s: a cancellation that nobody asked for", self._life.cell.path)

    async def _stop_children(self) -> None:
        """Stop and bury all children; called again when it was interrupted."""
        raise NotImplementedError

    def _cannot_take(self, message: object) -> Failure:
        error = TypeError(f"a supervisor cannot take a {type(message).__name__}")
        log.warning("%s: %s", self._life.cell.path, error)
        return Failure(error)

    def child_ended(self, cell: Cell, reason: Exit) -> None:
        if (
            self._cells.get(cell.name) is cell
        ):  # not one of an earlier incarnation, given up long ago
            self._life.signal(ChildEnded(cell, cell.incarnation, reason))

    def _new_cell(self, spec: ChildSpec) -> Cell:
        """A cell for another child, not started, and known: a stop in between must find it.

        ValueError for a name that is taken; ActorError where there may be no more.
        """
        here = self._life.cell
        if spec.name in self._cells:
            raise ValueError(f"{here.path} has a child named {spec.name!r} already")
        cell = self._cells[spec.name] = Cell(here.host, here, spec)
        return cell

    async def _start_child(self, spec: ChildSpec) -> object:
        """What `StartChild` is answered with."""
        if not isinstance(spec, ChildSpec):
            return Failure(TypeError(f"a child is started from a ChildSpec, not {spec!r}"))
        try:
            cell = self._new_cell(spec)
        except (ActorError, ValueError) as error:
            return Failure(error)
        try:
            await self._start(cell)
        except Exception as error:
            self._forget(cell)
            return self._start_failed(cell, error)
        return cell

    def _start_failed(self, cell: Cell, error: Exception) -> Failure:
        failed = StartFailed(cell.path, describe(error))
        failed.__cause__ = error
        return Failure(failed)

    def _no_child(self, name: str) -> Failure:
        return Failure(NoSuchChild(self._life.cell.path, f"it has no child named {name!r}"))

    def _try_again(self, cell: Cell, reason: Exit) -> None:
        """A restart has failed: count it, and try again after what others have asked for."""
        again = ChildEnded(cell, cell.incarnation, reason)
        if not self.ref.tell(again).accepted:
            self._life.signal(again)

    def _log_end(self, cell: Cell, reason: Exit) -> None:
        """It is not restarted; an orderly end is no news."""
        if reason.abnormal:
            log.info(
                "%s: ended (%s), not restarted: %s", cell.path, reason, cell.spec.restart.value
            )

    def _may_restart(self, cell: Cell, reason: Exit) -> bool:
        """Count a restart; give up and say who spent the budget when it is one too many."""
        window = self._window
        if window.add(self.now(), cell.name):
            return True
        spent = ", ".join(f"{name} {times}" for name, times in window.spent().items())
        log.error(
            "%s: giving up, more than %d restarts in %d s, spent by %s; the last was %s (%s)",
            self._life.cell.path,
            window.intensity,
            window.period,
            spent,
            cell.name,
            reason,
        )
        self.stop(SHUTDOWN)
        return False

    def _delay(self, cell: Cell) -> float:
        """Seconds to wait before *cell*, which has just failed, is started again."""
        if self._backoff is None:
            return 0.0
        name = cell.name
        ran = self.now() - self._started.get(name, self.now())
        failures = self._backoff.remembered(self._failures.get(name, 0), ran)
        self._failures[name] = failures + 1
        return self._backoff.delay(failures, random.random())

    def _log_restart(self, cell: Cell, reason: Exit, delay: float) -> None:
        after = f" in {delay:.3g} s" if delay else ""
        log.info(
            "%s: restart%s after incarnation %d (%s)", cell.path, after, cell.incarnation, reason
        )

    async def _start(self, cell: Cell) -> None:
        self._started.pop(cell.name, None)
        await cell.start()
        if self._backoff is not None:
            self._started[cell.name] = self.now()

    def _forget(self, cell: Cell) -> None:
        """It will not come back: free its name."""
        cell.bury()
        self._cells.pop(cell.name, None)
        self._failures.pop(cell.name, None)
        self._started.pop(cell.name, None)
