"""What must hold in every world of the simulation, and the ledger it is held against.

The judge hears from two sides that know nothing of each other: the senders (what they were told
became of each message) and the actors (what they were given, and when they lived). Whatever does
not fit together is a violation. It looks at nothing of the runtime but its public face.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.simulation_book import Life, Note, Seat
from eco_actor.runtime import Outcome, Overflow, State, System
from eco_actor.runtime.cell import Cell

WHEN_FULL = {
    Overflow.BUFFER: {Outcome.FULL},
    Overflow.LATEST: {Outcome.REPLACED, Outcome.DROPPED},
    Overflow.DROP: {Outcome.DROPPED},
    Overflow.CLOSE: {Outcome.CLOSED},
    Overflow.COALESCE: {Outcome.REPLACED, Outcome.COALESCED, Outcome.DROPPED},
}


class Judge:
    def __init__(self, clock: Callable[[], float], met: Callable[[Seat], None]) -> None:
        self.now = clock
        self._met = met
        self.active: dict[Seat, None] = {}  # without those who are dead, and in order
        self.seats: dict[Cell, Seat] = {}
        self.touched: dict[Seat, None] = {}
        self.names: dict[str, Life] = {}
        self.violations: list[str] = []
        self.stops: list[Life] = []
        self.checks = self.restarts = self.messages = self.pipes = 0
        self._hash = hashlib.blake2b(digest_size=8)

    def note(self, what: str) -> None:
        """A part of the trace."""
        self._hash.update(f"{self.now():.4f} {what}\n".encode())

    @property
    def trace(self) -> str:
        return self._hash.hexdigest()

    def broken(self, what: str) -> None:
        self.violations.append(f"at {self.now():.4f} s: {what}")

    def seat(self, cell: Any) -> Seat:
        found = self.seats.get(cell)
        if found is None:
            found = self.seats[cell] = Seat(cell)
        return found

    # ---- incarnations

    def begins(self, cell: Any) -> Life:
        """A factory's product is about to run its init."""
        seat = self.seat(cell)
        self.active[seat] = None
        if not seat.count:
            self._met(seat)
        self.checks += 2
        if seat.life is not None and not self.gone(seat.life):
            self.broken(f"an incarnation begins while {seat.life} has not ended")
        if cell.incarnation <= seat.count:
            self.broken(f"{seat.path}: incarnation {cell.incarnation} comes after {seat.count}")
        seat.count = cell.incarnation
        life = seat.life = Life(seat, cell.incarnation)
        self.note(f"{life} begins")
        if life.number > 1:
            self._again(seat)
        return life

    def _again(self, seat: Seat) -> None:
        """A child begins again: its supervisor keeps to its budget.

        Counted is a restart that took no time, so that it is known when it was decided; of a group,
        the first that begins. What cannot be told apart is not counted.
        """
        self.restarts += 1
        parent = seat.cell.parent
        keeper = None if parent is None else self.seat(parent).life
        if parent is None or parent.actor is None or keeper is None or keeper.budget is None:
            return
        intensity, period, alone = keeper.budget
        cells = list(parent.actor.children())
        place = cells.index(seat.cell)
        new = alone or place <= keeper.last_place
        keeper.last_place = place
        down = [self.seat(cell) for cell in cells if cell.state is State.DOWN]
        if not new or any(each.ended_at != self.now() for each in (seat, *down)):
            return
        second = int(self.now())
        waves = keeper.waves
        waves.append(second)
        while waves[0] < second - period:
            waves.popleft()
        self.checks += 1
        if len(waves) - keeper.spared > intensity:
            self.broken(f"{keeper}: {len(waves)} restarts in {period} s, it may have {intensity}")

    def outlived(self, keeper: Life, cell: Cell) -> None:
        """A supervisor has ended; this child must have, too."""
        seat = self.seat(cell)
        self.checks += 1
        if not self.gone(seat.life):
            self.broken(f"{seat.life} outlives its supervisor {keeper}")

    def started(self, life: Life) -> None:
        life.up, life.hook = True, ""
        self.note(f"{life} runs")

    def ending(self, life: Life, reason: object) -> None:
        self.checks += 2
        if not life.up or life.over:
            self.broken(f"{life}: terminate without a successful init, or a second time")
        if life.hook:
            self.broken(f"{life}: terminate while its {life.hook} runs")
        life.hook = "terminate"
        life.told = True
        self.note(f"{life} ends {reason}")

    def ends(self, life: Life) -> None:
        """Its last hook is over."""
        if life.over:
            return
        seat = life.seat
        life.over, life.hook = True, ""
        seat.ended_at = self.now()
        self.note(f"{life} is over")
        if life.up:
            self.stops.append(life)
        self.touched[seat] = None
        for watched in life.watching:
            watched.watchers.pop(life, None)
        if life.up:
            for watcher in seat.watchers:
                watcher.due.setdefault(seat, deque()).append(life.number)

    def gone(self, life: Life | None) -> bool:
        """Whether it is over, or was given up: of that nobody but its next hook would tell."""
        if life is None or life.over:
            return True
        cell = life.seat.cell
        if life.deaf and (cell.incarnation != life.number or cell.actor is None):
            self.ends(life)
        return life.over

    # ---- messages

    def takes(self, life: Life, note: Note) -> None:
        """A handler begins with a message."""
        seat = life.seat
        self.messages += 1
        self.checks += 4
        self.touched[seat] = None
        self._may_handle(life, f"message {note.id}")
        if note.begun or note.barred or note.lost:
            was = "begun" if note.begun else "lost" if note.lost else "said to be unhandled"
            self.broken(f"{life} is given message {note.id}, which was {was} before")
        if note.id <= seat.last[note.waited]:
            self.broken(f"{life}: message {note.id} after {seat.last[note.waited]}")
        seat.last[note.waited] = note.id
        note.begun = True
        life.hook = "handle"
        self.note(f"{life} {note.order} {note.id}")

    def handled(self, life: Life, note: Note) -> None:
        note.done = True
        if not note.lost:  # else it was given up long ago
            life.seat.handled += 1
            self.touched[life.seat] = None
            life.hook = ""

    def signalled(self, life: Life, what: str) -> None:
        self.checks += 1
        self._may_handle(life, what)
        self.note(f"{life} {what}")

    def _may_handle(self, life: Life, what: str) -> None:
        if life.seat.life is not life or not life.up or life.over:
            self.broken(f"{life} is given {what}, and does not live")
        elif life.told:
            self.broken(f"{life} is given {what} after it was told to end")
        elif life.hook:
            self.broken(f"{life} is given {what} while its {life.hook} runs")
        elif life.suspended:
            self.broken(f"{life} is given {what} while it is suspended")

    def dead_letter(self, cell: Any, message: Any) -> None:
        """The runtime says that nobody will handle *message*."""
        if not isinstance(message, Note):
            return
        seat = self.seat(cell)
        self.checks += 1
        if message.lost:
            self.broken(f"{seat.path}: message {message.id} is a dead letter twice")
        message.lost = True
        seat.dead += 1
        self.touched[seat] = None
        self.note(f"{seat.path} loses {message.id}")

    def told(self, seat: Seat, outcome: Outcome) -> None:
        """A sender was told what became of its message."""
        self.checks += 1
        self.touched[seat] = None
        if outcome.accepted:
            seat.accepted += 1
        else:
            seat.refused += 1
        if outcome is Outcome.CLOSED and seat.life is not None:
            seat.life.told = True
        if outcome is not Outcome.ENQUEUED:
            expected = WHEN_FULL[seat.cell.mailbox.overflow]
            if (outcome is Outcome.DEAD) == seat.cell.alive or not (
                outcome in expected or outcome is Outcome.DEAD
            ):
                self.broken(f"{seat.path} (alive: {seat.cell.alive}) answers {outcome}")
        self.note(f"{seat.path} {outcome.value}")

    # ---- what is looked at after each step

    def audit(self) -> None:
        """The mailboxes that something has happened to since the last time."""
        for seat in self.touched:
            if seat.booked:
                self._audit(seat)
        self.touched.clear()

    def _audit(self, seat: Seat) -> None:
        box = seat.cell.mailbox
        self.checks += 5
        accepted = box.accepted
        most = seat.accepted + seat.pending + seat.slack
        if not seat.accepted <= accepted <= most:
            self.broken(
                f"{seat.path}: its senders know of {seat.accepted} accepted messages"
                f" (and {most - seat.accepted} perhaps), its mailbox of {accepted}"
            )
        if (box.refused, box.handled, box.dead) != (seat.refused, seat.handled, seat.dead):
            ours = f"{seat.refused}, {seat.handled}, {seat.dead} by the ledger"
            its = f"{box.refused}, {box.handled}, {box.dead} by the mailbox"
            self.broken(f"{seat.path}: refused, handled, dead are {ours}, {its}")
        spec = box.spec
        if max(len(box), box.high_water) > spec.capacity + spec.reserve:
            self.broken(f"{seat.path}: {box.high_water} messages in room for {spec.capacity}")
        if spec.max_bytes is not None and box.statistics()["bytes"] > spec.max_bytes:  # type: ignore[operator]
            self.broken(f"{seat.path}: more than {spec.max_bytes} bytes")
        if not 0 <= box.in_hand <= 1:
            self.broken(f"{seat.path}: {box.in_hand} messages in hand")

    def audit_calm(self) -> None:
        """Nothing is left to happen at this instant: nobody may have been forgotten."""
        for seat in tuple(self.active):
            life = seat.life
            self.checks += 3
            if not seat.cell.alive:
                if seat.pending or len(seat.cell.mailbox):
                    self.broken(f"{seat.path} is dead; senders or messages still wait for it")
                del self.active[seat]
            if life is None or not life.idle:
                continue
            if life.told:
                self.broken(f"{life} was told to end and does nothing")
            if len(seat.cell.mailbox) or seat.pending:
                self.broken(f"{life} sleeps while messages or senders wait")
            if life.piped:
                self.broken(f"{life} never heard of {life.piped} operations that are over")
            for watched, due in life.due.items():
                if due and watched not in life.loose:
                    self.broken(f"{life} never heard of the ends {list(due)} of {watched.path}")
            for watched in life.watching:
                if not watched.cell.alive:
                    self.broken(f"{life} never heard of the death of {watched.path}")
            if life.budget is not None and seat.cell.actor is not None:
                for cell in seat.cell.actor.children():
                    if cell.state is State.DOWN:
                        self.broken(f"{life} forgot to restart {cell.path}")

    def audit_end(self, system: System, under_way: int) -> None:
        """The system has stopped, and time would have to pass for anything to happen."""
        self.checks += 4 + len(self.seats)
        if len(system.jobs) or len(system.names) or self.pipes or under_way:
            self.broken(
                f"left: {len(system.jobs)} jobs, {len(system.names)} names, {self.pipes}"
                f" operations, {under_way} asks and sends"
            )
        for seat in self.seats.values():
            life, box = seat.life, seat.cell.mailbox
            if life is not None and life.up and not self.gone(life):
                self.broken(f"{life} outlives its system")
            if seat.cell.alive or len(box) or box.in_hand:
                left = f"{len(box)} queued, {box.in_hand} in hand, alive: {seat.cell.alive}"
                self.broken(f"{seat.path} is left with {left}")
            if seat.booked:
                self._audit(seat)
