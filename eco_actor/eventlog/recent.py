"""The newest events in memory, so that following something that happens now costs no disk read.

Pure, bounded in number and in bytes. It knows how far back a channel is complete, and says None
rather than guess.
"""

from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from eco_actor.eventlog.event import Event

CAPACITY: Final = 4096
"""Events kept, all channels together."""

MAX_BYTES: Final = 8 << 20
"""Bytes of their data, as it is packed in the log; as objects it takes several times as much."""

_position: Final = attrgetter("position")


class Recent:
    """The last events that were added: at most `capacity`, and at most `max_bytes` of data.

    A channel that was opened in here, or a position after the oldest event kept, is answered; all
    else has to be read from the store. An event that is larger than the bound is not kept at all.
    """

    def __init__(self, capacity: int = CAPACITY, max_bytes: int = MAX_BYTES) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._size = 0
        self._order: deque[Event] = deque()
        self._channels: dict[str, deque[Event]] = {}
        self._floor: int | None = None  # everything behind this position is here

    def __len__(self) -> int:
        return len(self._order)

    @property
    def size(self) -> int:
        """Bytes of data in the events kept."""
        return self._size

    def add(self, event: Event) -> None:
        """Add the next event; positions only ever rise."""
        if self._floor is None:
            self._floor = event.position - 1
        self._order.append(event)
        self._size += event.size
        kept = self._channels.get(event.channel)
        if kept is None:
            kept = self._channels[event.channel] = deque()
        kept.append(event)
        while len(self._order) > self._capacity or self._size > self._max_bytes:
            self._push_out()

    def _push_out(self) -> None:
        oldest = self._order.popleft()
        self._size -= oldest.size
        self._floor = oldest.position
        kept = self._channels[oldest.channel]
        kept.popleft()
        if not kept:
            del self._channels[oldest.channel]

    def forget(self, channels: Iterable[str]) -> None:
        """Keep nothing of *channels*, which have no events any more."""
        gone = {channel for channel in channels if self._channels.pop(channel, None) is not None}
        if gone:
            self._size -= sum(event.size for event in self._order if event.channel in gone)
            self._order = deque(event for event in self._order if event.channel not in gone)

    def after(self, channels: Iterable[str], position: int) -> list[Event] | None:
        """All events of *channels* behind *position*; None when some may be missing here."""
        above_floor = self._floor is not None and position >= self._floor
        several = dict.fromkeys(channels)
        found: list[Event] = []
        for channel in several:
            kept = self._channels.get(channel)
            if not above_floor and (kept is None or not kept[0].opens):
                return None
            # from the newest back: who follows closely does not pay for what it has seen
            for event in reversed(kept or ()):
                if event.position <= position:
                    break
                found.append(event)
        if len(several) == 1:
            found.reverse()
        else:
            found.sort(key=_position)
        return found
