"""What the judge of the simulation keeps books on: messages, incarnations, actors."""

from collections import deque
from typing import NamedTuple

from eco_actor.runtime.cell import Cell


class Note:
    """A message: what to do with it, and what became of it."""

    __slots__ = (
        "barred",
        "begun",
        "done",
        "id",
        "key",
        "lost",
        "order",
        "ring",
        "size",
        "terminal",
        "waited",
    )

    def __init__(self, order: str, *, waited: bool = False) -> None:
        self.id = 0  # given when it is offered
        self.order = order
        self.waited = waited  # it came by `send`, which has a queue of its own
        self.ring: tuple[Seat, ...] = ()  # whom to ask, and what to have them ask
        self.key: int | None = None
        self.size = 1
        self.terminal = False
        self.begun = False
        self.done = False
        self.lost = False
        self.barred = False  # its sender was told that it is certainly not handled


class Wait(NamedTuple):
    """An ask, or a send that waits for room (then without a deadline)."""

    to: "Seat"
    note: Note
    deadline: float


class Life:
    """One incarnation, as seen from its hooks."""

    __slots__ = (
        "budget",
        "deaf",
        "due",
        "hook",
        "last_place",
        "loose",
        "number",
        "over",
        "piped",
        "pipes",
        "seat",
        "spared",
        "suspended",
        "told",
        "up",
        "waits",
        "watching",
        "waves",
    )

    def __init__(self, seat: "Seat", number: int) -> None:
        self.seat = seat
        self.number = number
        self.up = False  # its init has succeeded
        self.over = False
        self.told = False  # to end: it must not begin with another message
        self.suspended = False
        self.deaf = False  # to a cancellation, or slow to end after it: it may be given up
        self.hook = "init"  # what runs
        self.waits: Wait | None = None  # what its handler waits for
        self.pipes = 0  # operations under way
        self.piped = 0  # results it has not handled yet
        self.watching: dict[Seat, int] = {}  # the last words it may still hear
        self.due: dict[Seat, deque[int]] = {}  # the ends it has not heard of yet
        self.loose: dict[Seat, None] = {}  # no longer watched; a late word may come
        # a supervisor's, without backoff: intensity, period, and whether children restart alone
        self.budget: tuple[int, int, bool] | None = None
        self.waves: deque[int] = deque()  # the seconds of its last restarts
        self.spared = 0  # children it was asked to start again
        self.last_place = 1 << 30

    def __str__(self) -> str:
        return f"{self.seat.path}#{self.number}"

    @property
    def idle(self) -> bool:
        return self.up and not self.over and not self.hook and not self.suspended


class Seat:
    """One actor through its incarnations: the ledger of its mailbox."""

    __slots__ = (
        "accepted",
        "booked",
        "cell",
        "count",
        "dead",
        "ended_at",
        "handled",
        "last",
        "life",
        "path",
        "pending",
        "refused",
        "slack",
        "watchers",
    )

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.path = cell.path
        self.count = 0
        self.life: Life | None = None
        self.booked = True  # all that is sent to it is; else it is a supervisor
        self.accepted = self.refused = self.handled = self.dead = 0
        self.pending = 0  # senders that wait
        self.slack = 0  # senders that gave up waiting: theirs may or may not have got in
        self.last = {False: 0, True: 0}
        self.ended_at = -1.0
        self.watchers: dict[Life, None] = {}
