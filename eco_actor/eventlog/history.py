"""How much of each channel is in the log, and which channels hold more than they may. Pure."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from eco_actor.eventlog.event import Event

SCANS: Final = "scan:"
"""What the channels begin with that are never trimmed for their length: a scan is kept whole."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a channel's history may hold: events, bytes of data, age in milliseconds."""

    events: int = 10_000
    size: int = 16 << 20
    age_ms: int = 24 * 60 * 60 * 1000


class Count(NamedTuple):
    """What there is of a channel. `oldest_ms` is the time of the event that is first in the log."""

    channel: str
    events: int
    size: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Excess:
    """What is too much of a channel: so many events, so many bytes, and what is from before a time.

    The first events of the channel go until none of the three is left.
    """

    channel: str
    events: int = 0
    size: int = 0
    before_ms: int = 0

    def take(self, oldest: Iterable[tuple[int, int, int]]) -> tuple[int, int]:
        """How many of the *oldest* events (position, at_ms, bytes) have to go, and their bytes.

        Events go in the order of positions: one with a later time holds back those behind it that
        say an earlier one, until it is old itself or there are too many.
        """
        events = size = 0
        for _, at_ms, length in oldest:
            if events >= self.events and size >= self.size and at_ms >= self.before_ms:
                break
            events += 1
            size += length
        return events, size

    def less(self, events: int, size: int) -> "Excess":
        """What is left of it when so much is gone."""
        return replace(self, events=max(0, self.events - events), size=max(0, self.size - size))


@dataclass(frozen=True, slots=True)
class Trimmed:
    """One step of a trim: `events` of `size` bytes went, everything up to `upto` is gone.

    `upto` is 0 when nothing went. `oldest_ms` is the time of the first event that is left, None
    when none is. More steps follow unless `done`.
    """

    channel: str
    upto: int
    events: int
    size: int
    oldest_ms: int | None
    done: bool


class _History:
    __slots__ = ("events", "oldest_ms", "size")

    def __init__(self, events: int, size: int, oldest_ms: int) -> None:
        self.events = events
        self.size = size
        self.oldest_ms = oldest_ms


class Histories:
    """Counts what is in the log, by channel: events are added as they are offered.

    Counters in memory cost an append two additions. Counting in the database at each look would
    read every event of every channel, and counters kept there a write with every event. The price
    is one pass over the log after a start (`load`); nothing is in excess before it.

    A look costs only what is due: too long channels are noted as they grow, and a heap has each
    channel once, by the time of the event that was its first when it was put there.
    """

    def __init__(self, bounds: Bounds, besides: str = SCANS) -> None:
        self._bounds = bounds
        self._besides = besides
        self._channels: dict[str, _History] = {}
        self._long: dict[str, None] = {}  # may be over a bound in events or bytes
        self._old: list[tuple[int, str]] = []  # each of _channels once
        self.loaded = False

    def __len__(self) -> int:
        """Channels that are counted."""
        return len(self._channels)

    def count(self, channel: str) -> tuple[int, int]:
        """Events and bytes of *channel*; nothing for one that is not counted."""
        history = self._channels.get(channel)
        return (history.events, history.size) if history is not None else (0, 0)

    def load(self, counts: Sequence[Count]) -> None:
        """Add what was in the log before the first `add`."""
        for channel, events, size, oldest_ms in counts:
            history = self._channels.get(channel)
            if history is None:
                history = self._begin(channel, oldest_ms)
            history.oldest_ms = oldest_ms
            self._grow(channel, history, events, size)
        # those that were here already have become older
        self._old = [(history.oldest_ms, name) for name, history in self._channels.items()]
        heapq.heapify(self._old)
        self.loaded = True

    def add(self, event: Event) -> None:
        """Count the next event; not to be called for transient ones."""
        channel = event.channel
        history = self._channels.get(channel)
        if history is None:
            if channel.startswith(self._besides):
                return
            history = self._begin(channel, event.at_ms)
        elif not history.events:
            self._begins_at(channel, history, event.at_ms)
        self._grow(channel, history, 1, event.size)

    def _begin(self, channel: str, oldest_ms: int) -> _History:
        history = self._channels[channel] = _History(0, 0, oldest_ms)
        heapq.heappush(self._old, (oldest_ms, channel))
        return history

    def _grow(self, channel: str, history: _History, events: int, size: int) -> None:
        history.events += events
        history.size += size
        if history.events > self._bounds.events or history.size > self._bounds.size:
            self._long[channel] = None

    def trimmed(self, step: Trimmed) -> None:
        """Take off what went in this step."""
        history = self._channels.get(step.channel)
        if history is None:
            return
        if step.oldest_ms is None:
            history.events = history.size = 0
        else:
            history.events -= step.events
            history.size -= step.size
            self._begins_at(step.channel, history, step.oldest_ms)

    def _begins_at(self, channel: str, history: _History, oldest_ms: int) -> None:
        """Its first event is another one now, which the heap may have too late."""
        if oldest_ms < history.oldest_ms:  # the clock was set back: rare enough to look at all
            self._old = [entry for entry in self._old if entry[1] != channel]
            self._old.append((oldest_ms, channel))
            heapq.heapify(self._old)
        history.oldest_ms = oldest_ms

    def excesses(self, now_ms: int) -> list[Excess]:
        """What is too much, by the clock of the log; empty before `load`."""
        if not self.loaded:
            return []
        before_ms = now_ms - self._bounds.age_ms
        concerned = dict(self._long)
        concerned.update(dict.fromkeys(self._take_old(before_ms)))
        excesses = []
        for channel in concerned:
            history = self._channels.get(channel)
            if history is None:
                self._long.pop(channel, None)
                continue
            events = max(0, history.events - self._bounds.events)
            size = max(0, history.size - self._bounds.size)
            if not events and not size:
                self._long.pop(channel, None)
                if history.oldest_ms >= before_ms:
                    continue
            excesses.append(Excess(channel, events, size, before_ms))
        return excesses

    def _take_old(self, before_ms: int) -> list[str]:
        """The channels whose first event is from before; forgets those that are empty."""
        old: list[str] = []
        again: list[tuple[int, str]] = []
        while self._old and self._old[0][0] < before_ms:
            _, channel = heapq.heappop(self._old)
            history = self._channels[channel]
            if not history.events:
                del self._channels[channel]
                continue
            again.append((history.oldest_ms, channel))
            if history.oldest_ms < before_ms:
                old.append(channel)
        for entry in again:
            heapq.heappush(self._old, entry)
        return old
