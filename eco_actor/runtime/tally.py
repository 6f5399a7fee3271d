"""One row of a snapshot: an actor, or a tally of several that are alike. Pure."""

from enum import Enum
from typing import Any, Final, Protocol

from eco_actor.runtime.mailbox import Mailbox

MEMBERS: Final = 5
"""Actors that a tally shows in full."""

ERROR_CHARS: Final = 500
"""Characters of a last error that a row keeps."""

MIXED: Final = "mixed"
"""The kind, or the rule, of actors that have several."""

_SELDOM: Final = ("coalesced", "dead", "expired", "in_hand")
_COUNTERS: Final = ("depth", "handled", "refused", "dropped", "replaced", *_SELDOM)
_ENDS: Final = ("handled", "replaced", "coalesced", "dead", "expired")

Row = dict[str, Any]


class Seen(Protocol):
    """What a row reads of an actor."""

    @property
    def path(self) -> str: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def state(self) -> Enum: ...
    @property
    def suspended(self) -> bool: ...
    @property
    def is_traced(self) -> bool: ...
    @property
    def shown_mailbox(self) -> Mailbox[Any]: ...

    def snapshot(self) -> Row:
        """It as `/actors` shows it."""


class Place:
    """A row to be, and the places of the rows below it."""

    __slots__ = ("below", "kind", "kinds", "rate", "seen")

    def __init__(self, kind: str, seen: Seen | None, rate: float | None = None) -> None:
        self.kind = kind
        self.seen = seen  # None for a tally, and above the root
        self.rate = rate  # messages a second, None while it is unknown
        self.below: list[Place] = []
        self.kinds: dict[str, int | Tally] = {}  # of `below`: how many, or in which tally

    @property
    def path(self) -> str:
        return self.seen.path if self.seen is not None else ""

    def row(self) -> Row:
        assert self.seen is not None, "what is above the root is no row"
        error = self.seen.last_error
        if error is not None and len(error) > ERROR_CHARS:
            error = error[: ERROR_CHARS - 1] + "…"
        return {**self.seen.snapshot(), "last_error": error, "rate": self.rate}


class Tally(Place):
    """Several actors in one row: sums, extremes, and those worth a look."""

    __slots__ = (
        "_path",
        "_spec",
        "_state",
        "_tops",
        "capacity",
        "depth_max",
        "high_water",
        "members",
        "overflow",
        "restarts",
        "states",
        "sums",
        "suspended",
        "traced",
    )

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(kind, None)
        self._path = path
        self.members = 0
        self.states: dict[str, int] = {}
        self.restarts = 0
        self.suspended = 0
        self.traced = 0
        self.sums = dict.fromkeys(_COUNTERS, 0)
        self.depth_max = 0
        self.high_water = 0
        self.capacity: int | None = None
        self.overflow: str | None = None
        self._spec: object = None  # the last that was looked at: mostly, all are the same
        self._state: tuple[object, str] = (None, "")  # likewise, and its name
        self._tops = tuple(_Top() for _ in range(6))

    @property
    def path(self) -> str:
        return self._path

    def add(self, kind: str, seen: Seen, rate: float | None) -> None:
        """Count an actor in. Called for each of thousands: most of what it reads is 0."""
        mailbox = seen.shown_mailbox
        depth, handled, refused = len(mailbox), mailbox.handled, mailbox.refused
        replaced, restarts = mailbox.replaced, seen.incarnation - 1
        sums = self.sums
        sums["handled"] += handled
        if depth:
            sums["depth"] += depth
            self.depth_max = max(self.depth_max, depth)
        if refused:
            sums["refused"] += refused
            sums["dropped"] += mailbox.dropped
        if replaced:
            sums["replaced"] += replaced
        for name in _SELDOM:
            if value := getattr(mailbox, name):
                sums[name] += value
        if (high_water := mailbox.high_water) > self.high_water:
            self.high_water = high_water
        if mailbox.spec is not self._spec:
            self._spec = mailbox.spec
            self._bound(mailbox.capacity, mailbox.overflow.value)
        state, name = self._state
        if seen.state is not state:
            name = seen.state.value
            self._state = (seen.state, name)
        self.states[name] = self.states.get(name, 0) + 1
        self.members += 1
        if rate is not None:
            self.rate = (self.rate or 0.0) + rate
        suspended, traced = seen.suspended, seen.is_traced
        self.suspended += suspended
        self.traced += traced
        if restarts > 0:
            self.restarts += restarts
        elif not (suspended or traced or depth or refused or replaced or rate or seen.last_error):
            return  # as nearly all of them: nothing about it is worth a look
        failed = 1 if seen.last_error else 0
        worth = (2 * suspended + traced, depth, refused + replaced, restarts, failed, rate or 0.0)
        self._rank(Place(kind, seen, rate), worth)

    def _rank(self, place: Place, worth: tuple[float, ...]) -> None:
        for value, top in zip(worth, self._tops, strict=True):
            if value > top.floor:
                top.put(value, place)

    def _bound(self, capacity: int | None, overflow: str | None) -> None:
        """One of the members has these bounds; to be called before that one is counted."""
        if not self.members:
            self.capacity, self.overflow = capacity, overflow
        if capacity != self.capacity:
            self.capacity = None
        if overflow != self.overflow:
            self.overflow = MIXED

    def add_place(self, place: Place) -> None:
        """Count in what stands at *place*, without what is below it."""
        if isinstance(place, Tally):
            self._add_tally(place)
        elif place.seen is not None:
            self.add(place.kind, place.seen, place.rate)

    def _add_tally(self, other: "Tally") -> None:
        for name, value in other.sums.items():
            self.sums[name] += value
        for state, count in other.states.items():
            self.states[state] = self.states.get(state, 0) + count
        self.depth_max = max(self.depth_max, other.depth_max)
        self.high_water = max(self.high_water, other.high_water)
        self._bound(other.capacity, other.overflow)
        self._spec = None
        self.restarts += other.restarts
        self.suspended += other.suspended
        self.traced += other.traced
        if other.rate is not None:
            self.rate = (self.rate or 0.0) + other.rate
        self.members += other.members
        for mine, others in zip(self._tops, other._tops, strict=True):
            for worth, place in others.places:
                if worth > mine.floor:
                    mine.put(worth, place)

    def interesting(self) -> list[Place]:
        """Who is suspended or traced; then the deepest, the one that lost most, and so on in turn.

        Until there are enough.
        """
        chosen = {place.path: place for _, place in self._tops[0].places}
        for rank in range(MEMBERS):
            for top in self._tops:
                if rank < len(top.places) and len(chosen) < MEMBERS:
                    place = top.places[rank][1]
                    chosen.setdefault(place.path, place)
        return list(chosen.values())

    def row(self) -> Row:
        sums = dict(self.sums)
        # By the law that every mailbox keeps in its own counters, and so in their sums.
        sums["accepted"] = sums.pop("in_hand") + sums["depth"] + sum(sums[name] for name in _ENDS)
        sums["offered"] = sums["accepted"] + sums["refused"]
        bounds = {"capacity": self.capacity, "overflow": self.overflow}
        extremes = {"depth_max": self.depth_max, "high_water": self.high_water}
        marks = {"suspended": self.suspended, "traced": self.traced}
        return {
            "path": self.path,
            "kind": self.kind,
            "count": self.members,
            "states": self.states,
            "restarts": self.restarts,
            "mailbox": {**sums, **extremes, **bounds},
            **{name: count for name, count in marks.items() if count},
            "rate": self.rate,
            "members": [place.row() for place in self.interesting()],
        }


class _Top:
    """The few with the greatest values above 0."""

    __slots__ = ("floor", "places")

    def __init__(self) -> None:
        self.floor = 0.0
        self.places: list[tuple[float, Place]] = []

    def put(self, value: float, place: Place) -> None:
        """For a *value* above the floor."""
        self.places.append((value, place))
        self.places.sort(key=lambda each: -each[0])  # stable: of equals the first came first
        del self.places[MEMBERS:]
        if len(self.places) == MEMBERS:
            self.floor = self.places[-1][0]
