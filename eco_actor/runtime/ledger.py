"""Conservation, from both ends: what senders were told against what mailboxes count."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from eco_actor.runtime.cell import Cell
from eco_actor.runtime.mailbox import Outcome
from eco_actor.runtime.states import State
from eco_actor.runtime.system import System


@dataclasses.dataclass
class Told:
    """How many messages senders of one actor were told that it accepted, or did not."""

    accepted: int = 0
    refused: int = 0
    unsure: int = 0  # the sender was cancelled while it waited: perhaps room was made just then
    dead: int = 0  # dead letters


class Ledger:
    """The other half of what mailboxes count: what senders were told, and dead letters.

    While it is open every tell, send and ask of the process is written down, at the doors by which
    messages come into a mailbox. So none can be lost, doubled or invented there unnoticed.
    """

    def __init__(self, note: Callable[[str], None] = lambda line: None) -> None:
        self.told: dict[Cell, Told] = {}
        self._waiting: Counter[str] = Counter()
        self._note = note
        self._replaced: dict[str, Any] = {}

    def open(self) -> None:
        """Begin; one ledger at a time."""
        doors = (
            ("tell", self._offering),
            ("_offer_request", self._offering),
            ("_wait_for_room", self._waiting_for_room),
            ("ask", self._asking),
        )
        for name, written in doors:
            real = getattr(Cell, name)
            assert real.__module__ != __name__, "another ledger is open"
            self._replaced[name] = Cell.__dict__.get(name)
            setattr(Cell, name, written(real))

    def close(self) -> None:
        for name, before in self._replaced.items():
            if before is None:
                delattr(Cell, name)
            else:
                setattr(Cell, name, before)
        self._replaced.clear()

    def dead_letter(self, cell: Cell, message: object, why: str) -> None:
        """For `System.on_dead_letter`."""
        self._entry(cell).dead += 1
        self._note(f"{cell.path} dead letter {_kind(message)}: {why}")

    def waits(self) -> list[str]:
        """Who waits for an answer or for room, in words."""
        return [f"{n} wait for {path}" for path, n in sorted(self._waiting.items()) if n]

    def _entry(self, cell: Cell) -> Told:
        entry = self.told.get(cell)
        if entry is None:  # what was before is none of its business
            mailbox = cell.mailbox
            entry = self.told[cell] = Told(mailbox.accepted, mailbox.refused, 0, mailbox.dead)
        return entry

    def _write(self, cell: Cell, message: object, outcome: Outcome) -> None:
        if outcome.accepted:
            self._entry(cell).accepted += 1
        else:
            self._entry(cell).refused += 1
        self._note(f"{cell.path} {_kind(message)} {outcome.value}")

    def _offering(self, real: Callable[[Cell, Any], Outcome]) -> Callable[[Cell, Any], Outcome]:
        def offer(cell: Cell, message: Any) -> Outcome:
            self._entry(cell)
            outcome = real(cell, message)
            self._write(cell, message, outcome)
            return outcome

        return offer

    def _waiting_for_room(self, real: Any) -> Any:
        async def wait_for_room(cell: Cell, message: Any) -> Outcome:
            self._entry(cell)
            self._waiting[cell.path] += 1
            try:
                outcome: Outcome = await real(cell, message)
            except asyncio.CancelledError:
                self._entry(cell).unsure += 1
                raise
            finally:
                self._waiting[cell.path] -= 1
            self._write(cell, message, outcome)
            return outcome

        return wait_for_room

    def _asking(self, real: Any) -> Any:
        async def ask(cell: Cell, message: Any, timeout: float) -> Any:
            self._waiting[cell.path] += 1
            try:
                return await real(cell, message, timeout)
            finally:
                self._waiting[cell.path] -= 1

        return ask


def _kind(message: object) -> str:
    return type(getattr(message, "message", message)).__name__


def conserved(of: System | Iterable[Cell], ledger: Ledger | None = None) -> None:
    """AssertionError, with the actor and the numbers, when a message is not accounted for.

    Of each actor: no count is negative, at most one message is in hand and none without an
    incarnation, none is queued that is dead, and no bound is passed. With *ledger*: the mailbox
    accounts for as many messages as senders were told that it accepted, has refused as many as they
    were told, and made a dead letter of each that died.
    """
    for cell in of.walk() if isinstance(of, System) else of:
        wrong = [*_inside(cell)]
        told = None if ledger is None else ledger.told.get(cell)
        if told is not None:
            wrong += _outside(cell, told)
        assert not wrong, f"{cell.path}: {'; '.join(wrong)} ({cell.mailbox.statistics()})"


def _inside(cell: Cell) -> Iterable[str]:
    mailbox = cell.mailbox
    for name, count in mailbox.statistics().items():
        if isinstance(count, int) and count < 0:
            yield f"{name} is {count}"
    if mailbox.in_hand not in (0, 1):
        yield f"{mailbox.in_hand} messages are in hand"
    elif mailbox.in_hand and cell.state in (State.DOWN, State.ENDED, State.DEAD):
        yield f"a message is in hand although the actor is {cell.state.value}"
    if mailbox and not cell.alive:
        yield f"{len(mailbox)} messages are queued although the actor is {cell.state.value}"
    if len(mailbox) > mailbox.capacity + mailbox.spec.reserve:
        yield f"{len(mailbox)} messages are queued, more than the {mailbox.capacity} it holds"


def _outside(cell: Cell, told: Told) -> Iterable[str]:
    mailbox = cell.mailbox
    if not told.accepted <= mailbox.accepted <= told.accepted + told.unsure:
        yield (
            f"senders were told that {told.accepted} messages were accepted, "
            f"the mailbox accounts for {mailbox.accepted}"
        )
    if mailbox.refused != told.refused:
        yield (
            f"senders were told that {told.refused} messages were refused, "
            f"the mailbox counts {mailbox.refused}"
        )
    if mailbox.dead != told.dead:
        yield f"{mailbox.dead} messages died, {told.dead} became dead letters"
