"""The newest events in memory, so that following something that happens now costs no disk read.

Pure, bounded. It knows how far back a channel is complete, and says None rather than guess.
"""

from collections import deque
from typing import Final

from eco_actor.eventlog.event import Event

CAPACITY: Final = 4096
"""Events kept, all channels together; about 6 MB when each carries a whole result."""


class Recent:
    """The last `capacity` events that were added.

    A channel that was opened in here, or a position after the oldest event kept, is answered; all
    else has to be read from the store.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._order: deque[Event] = deque()
        self._channels: dict[str, deque[Event]] = {}
        self._floor: int | None = None  # everything behind this position is here

    def __len__(self) -> int:
        return len(self._order)

    def add(self, event: Event) -> None:
        """Add the next event; positions only ever rise."""
        if self._floor is None:
            self._floor = event.position - 1
        self._order.append(event)
        self._channels.setdefault(event.channel, deque()).append(event)
        if len(self._order) > self._capacity:
            oldest = self._order.popleft()
            self._floor = oldest.position
            kept = self._channels[oldest.channel]
            kept.popleft()
            if not kept:
                del self._channels[oldest.channel]

    def after(self, channel: str, position: int) -> list[Event] | None:
        """All events of *channel* behind *position*; None when some may be missing here."""
        kept = self._channels.get(channel)
        if kept is not None and kept[0].opens:
            return [event for event in kept if event.position > position]
        if self._floor is None or position < self._floor:
            return None
        return [event for event in kept or () if event.position > position]
