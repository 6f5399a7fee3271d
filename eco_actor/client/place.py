"""What is followed, and how far it was read. Pure."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from eco_actor.client.told import Event, Gap, Opened, is_last


@dataclass(frozen=True, slots=True)
class Retry:
    """The stream says how long a first wait may be."""

    milliseconds: int


Heard = Event | Gap | Opened | Retry


class Place:
    """Channels with a cursor each, and the rule under which they are read.

    *after*: a cursor for all, or one for each that is named.
    """

    def __init__(
        self,
        channels: Sequence[str],
        after: str | Mapping[str, str] | None = None,
        *,
        overflow: str | None = None,
        capacity: int | None = None,
        interval_ms: int | None = None,
    ) -> None:
        if not channels:
            raise ValueError("channels: at least one")
        if isinstance(after, Mapping):
            if strange := after.keys() - {*channels}:
                raise ValueError(f"after: {sorted(strange)} are not followed")
            begin: dict[str, str | None] = {name: after.get(name) for name in channels}
        else:
            begin = dict.fromkeys(channels, after)
        self.cursors = begin
        self.overflow = overflow
        self.capacity = capacity
        self.interval_ms = interval_ms
        self._over: set[str] = set()
        self._numbers: dict[str, int] = {}

    @property
    def channels(self) -> list[str]:
        """Those on which there is more to come."""
        return [name for name in self.cursors if name not in self._over]

    @property
    def is_over(self) -> bool:
        return len(self._over) == len(self.cursors)

    @property
    def is_joint(self) -> bool:
        """Whether one cursor says it all."""
        return len({self.cursors[name] for name in self.channels}) <= 1

    @property
    def joint(self) -> str | None:
        """The one cursor; None: there is none yet, or not one alone."""
        cursors = {self.cursors[name] for name in self.channels or self.cursors}
        return cursors.pop() if len(cursors) == 1 else None

    def options(self) -> dict[str, str | int]:
        """Those that were chosen."""
        asked = {
            "overflow": self.overflow,
            "capacity": self.capacity,
            "interval_ms": self.interval_ms,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def query(self) -> list[tuple[str, str]]:
        """The same for a URL."""
        return [(name, str(value)) for name, value in self.options().items()]

    def all_at(self, cursor: str | None) -> None:
        """Everything up to here was told, of all channels. None says nothing."""
        if cursor is not None:
            for name in self.channels:
                self.cursors[name] = cursor

    def at(self, channel: str, cursor: str | None) -> None:
        """Everything up to here was told, of this one. None says nothing."""
        if cursor is not None and channel in self.cursors:
            self.cursors[channel] = cursor

    def over(self, channel: str) -> None:
        """Nothing more comes on it."""
        if channel in self.cursors:
            self._over.add(channel)

    def take(self, event: Event) -> bool:
        """Note an event that is about to be handed over; whether it is to be.

        Not what is told again because the server knew nothing of the cursor (reset): a scan's
        events have numbers. Nor what was on its way from a channel that is not followed.
        """
        if event.channel not in self.cursors or event.channel in self._over:
            return False
        number = event.data.get("seq")
        if type(number) is int and not event.transient and event.channel.startswith("scan:"):
            if number <= self._numbers.get(event.channel, 0):
                return False
            self._numbers[event.channel] = number
        if is_last(event):
            self._over.add(event.channel)
        return True


class Transport(Protocol):
    """One way to be told."""

    def listen(self, place: Place) -> AsyncGenerator[Heard, None]:
        """Behind *place*, which it moves on with what it tells. Ended: the only end."""
