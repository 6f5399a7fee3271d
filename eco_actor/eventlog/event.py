"""Events, before and after they have a place in the log, and cursors, which name such a place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

EARLIEST: Final = "earliest"

_CURSOR: Final = re.compile(r"([0-9a-zA-Z]{1,16})-([0-9a-f]{1,15})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: "everything up to and including `position`, as of `epoch`".

    Opaque to clients, and the same string on every transport. An epoch ends where history may have
    been reissued, so a position alone would not tell an event from another that took its place.
    """

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position:x}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """The cursor that *text* spells, or None."""
        found = _CURSOR.fullmatch(text)
        return cls(found[1], int(found[2], 16)) if found else None


@dataclass(slots=True)  # not frozen: one is made for each event, and freezing costs more than that
class Draft:
    """An event that wants a place in the log. Not to be changed once made.

    `data` holds what JSON can hold. `at_ms` is by the clock of the log (`EventLog.now_ms`). `opens`
    marks the first event of its channel, `final` the last; `terminal` ones are never dropped. `key`
    names what a newer event of the same key may stand in for. A `transient` one gets no place: it
    is shown to whoever is there, in its turn, and forgotten.
    """

    channel: str
    data: Mapping[str, Any]
    at_ms: int
    opens: bool = False
    terminal: bool = False
    final: bool = False
    key: str | None = None
    transient: bool = False


class Event:
    """An event at its place in the log; immutable, shared by everybody who is shown it.

    `frames` keeps what encoders made of it, by format: an event is encoded once, not per client.
    A transient one has no place, so no cursor; its `position` is that of the last event that was
    shown before it, which tells where it belongs among others. `size` is that of the data in the
    log, in bytes; 0 for a transient one.
    """

    __slots__ = (
        "at_ms",
        "channel",
        "cursor",
        "data",
        "final",
        "frames",
        "key",
        "opens",
        "position",
        "size",
        "terminal",
    )

    def __init__(self, draft: Draft, position: int, epoch: str | None, size: int = 0) -> None:
        self.channel = draft.channel
        self.position = position
        self.cursor = Cursor(epoch, position) if epoch is not None else None
        self.data = draft.data
        self.at_ms = draft.at_ms
        self.opens = draft.opens
        self.terminal = draft.terminal
        self.final = draft.final
        self.key = draft.key
        self.size = size
        self.frames: dict[str, bytes] = {}

    @property
    def transient(self) -> bool:
        """Whether it is in no log: who misses it cannot read it again."""
        return self.cursor is None

    @property
    def before(self) -> int:
        """The position just before it: a cursor there is followed by this event."""
        return self.position - 1

    def __repr__(self) -> str:
        return f"<Event {self.cursor} {self.channel}>"


@dataclass(frozen=True, slots=True)
class Page:
    """Events in position order. `upto`: nothing else of these channels lies up to there.

    `trimmed`: (channel, position) where all up to a position behind the page's beginning is gone.
    """

    events: list[Event]
    upto: int
    trimmed: Sequence[tuple[str, int]] = ()
