"""What one long poll is told of the events behind its cursor, under the rule that it chose. Pure.

    buffer    the first `limit`; the rest is behind the cursor of the answer
    latest    the newest `capacity`, and a gap for what came before them
    coalesce  of each key the newest, and at most the newest `capacity` of these
    drop      the first `capacity`, and a gap for all that came after them
    close     as buffer; more than `capacity` behind the cursor are refused

Terminal events are told whatever the rule. Nothing is lost without a gap: what lies behind the
cursor is in the answer, in its gap, or behind the answer's cursor.

With an interval an answer is held back until that is over, and the log is not read into it before.
The server keeps nothing of a client between two polls: who comes with a cursor is taken to have
been answered just now.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from eco_actor.delivery.frames import Format
from eco_actor.delivery.gap import COALESCED, OVERFLOW, RESET, TRIMMED, Gap, Loss
from eco_actor.delivery.rule import MAX_WAITING, RESERVE, SAMPLED, Refused, Rule, merged
from eco_actor.eventlog import EARLIEST, Cursor, Event, Place, Resume
from eco_actor.runtime import Overflow

LIMIT: Final = 100
"""Events in an answer, under the rule buffer, when the client does not say."""

MAX_LIMIT: Final = 1000

_json: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. `cursor` is where the next poll goes on; `final`: the channel's last event is in
    it."""

    events: list[Event]
    gap: Gap | None
    cursor: Cursor
    final: bool


def held_back(rule: Rule, place: Place, after: str | None, wait: float) -> float:
    """Seconds, from the arrival of a poll with the cursor *after*, for which its answer is held
    back under *rule*, unless it has something `urgent`; never more than it wants to *wait*."""
    if after in (None, EARLIEST) or place.resume is Resume.RESET:
        return 0.0  # it was not answered before
    return min(rule.interval, wait)


def urgent(event: Event) -> bool:
    """Whether no interval holds *event* back."""
    return event.terminal or event.final


class Answer:
    """Takes in the events behind *place*, in order, and becomes what the poll is told.

    It holds at most `capacity` or `limit` events, MAX_WAITING bytes by *size* (one event may have
    more), and RESERVE terminal ones beyond: where these end, it is `full`.

    `position`: everything up to there is accounted for. `behind`: how many events there were.
    """

    __slots__ = (
        "_bytes",
        "_channel",
        "_dropping",
        "_kept",
        "_limit",
        "_loss",
        "_rule",
        "_size",
        "_spared",
        "_window",
        "behind",
        "final",
        "full",
        "position",
    )

    def __init__(
        self, channel: str, place: Place, rule: Rule, limit: int, size: Callable[[Event], int]
    ) -> None:
        self.position = place.position
        self.behind = 0
        self.full = False
        self.final = False
        self._channel = channel
        self._rule = rule
        self._limit = limit
        self._size = size
        self._bytes = 0
        self._spared = 0  # terminal events for which there was no room
        self._dropping = False
        self._kept: list[Event] = []
        self._window: OrderedDict[Hashable, Event] = OrderedDict()  # what may still give way
        self._loss: Loss | None = None
        if place.missing is not None:
            begin, end = place.missing
            reason = RESET if place.resume is Resume.RESET else TRIMMED
            self._lose(begin.position, end.position, 0, reason)

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._kept or self._window or self._loss)

    @property
    def enough(self) -> bool:
        """Whether it is of no use to read on."""
        if self._rule.overflow is Overflow.CLOSE:
            return self.behind > self._rule.capacity
        return self.full

    def add(self, event: Event) -> None:
        """The next event behind the cursor; one that was taken in before is ignored."""
        if event.position <= self.position and not event.transient:
            return
        self.behind += 1
        if self.full:
            return
        overflow = self._rule.overflow
        if overflow in SAMPLED:
            taken = self._sample(event)
        elif overflow is Overflow.DROP:
            taken = self._keep_or_drop(event)
        else:
            taken = self._keep(event)
        if not taken:
            self.full = True
            return
        self.position = max(self.position, event.position)
        self.final = self.final or event.final

    def trimmed(self, upto: int) -> None:
        """The log has lost all up to the position *upto*, in the middle of the reading."""
        if upto > self.position and not self.full:
            self._lose(self.position, upto, 0, TRIMMED)
            self.position = upto

    def reaches(self, upto: int) -> None:
        """Nothing else of the channel lies up to the position *upto*."""
        if not self.full:
            self.position = max(self.position, upto)

    def give(self, other: "Answer", before: int | None = None) -> None:
        """Let *other* have what it holds of positions below *before*; without one, all of it, and
        what was lost with it."""
        for event in [*self._kept, *self._window.values()]:
            if before is not None and event.position >= before:
                return
            if self._kept:
                del self._kept[0]
            else:
                self._window.popitem(last=False)
            self._bytes -= self._size(event)
            other.add(event)
        loss = self._loss
        if before is None and loss is not None and not other.full:
            other._lose(loss.begin, loss.end, loss.dropped, loss.reason)
            self._loss = None

    def told(self, cursor: Callable[[int], Cursor]) -> Told:
        """The answer; *cursor* names positions. Refused `slow_consumer` under the rule close."""
        rule = self._rule
        if rule.overflow is Overflow.CLOSE and self.behind > rule.capacity:
            detail = (
                f"more than {rule.capacity} events lie behind the cursor, and the rule is close"
            )
            raise Refused("slow_consumer", detail)
        gap, loss = None, self._loss
        if loss is not None:
            begin, end = cursor(loss.begin), cursor(loss.end)
            gap = Gap(self._channel, begin, end, loss.dropped, loss.reason)
        return Told([*self._kept, *self._window.values()], gap, cursor(self.position), self.final)

    # ---- rules

    def _keep(self, event: Event) -> bool:
        size = self._size(event)
        if len(self._kept) >= self._limit or (self._kept and self._bytes + size > MAX_WAITING):
            return False
        self._kept.append(event)
        self._bytes += size
        return True

    def _keep_or_drop(self, event: Event) -> bool:
        if self._spared >= RESERVE:
            return False
        size = self._size(event)
        fits = len(self._kept) < self._rule.capacity and self._bytes + size <= MAX_WAITING
        if not self._dropping and (fits or not self._kept):
            self._kept.append(event)
            self._bytes += size
        elif event.terminal:
            self._kept.append(event)
            self._spared += 1
        else:
            self._dropping = True  # the first ones were told: what follows is all in the gap
            self._forget(event, OVERFLOW)
        return True

    def _sample(self, event: Event) -> bool:
        if self._spared >= RESERVE:
            return False
        window = self._window
        coalesces = self._rule.overflow is Overflow.COALESCE
        keyed = coalesces and event.key is not None and not event.terminal
        key: Hashable = event.key if keyed else object()
        old = window.pop(key, None)
        if old is not None:
            self._bytes -= self._size(old)
            whole = merged(old, event)
            if whole is event:
                self._forget(old, COALESCED)
            event = whole
        window[key] = event
        self._bytes += self._size(event)
        reason = COALESCED if coalesces else OVERFLOW
        while len(window) > self._rule.capacity or (self._bytes > MAX_WAITING and len(window) > 1):
            oldest = window.popitem(last=False)[1]
            self._bytes -= self._size(oldest)
            if oldest.terminal:
                self._kept.append(oldest)
                self._spared += 1
            else:
                self._forget(oldest, reason)
        return True

    def _forget(self, event: Event, reason: str) -> None:
        begin = event.position if event.transient else event.position - 1
        self._lose(begin, event.position, 1, reason)

    def _lose(self, begin: int, end: int, dropped: int, reason: str) -> None:
        if self._loss is None:
            self._loss = Loss(begin, end, dropped, reason)
        else:
            self._loss.add(begin, end, dropped, reason)


class PollFormat(Format):
    """Events as they stand in the answer to a poll: as JSON, bare or each with its cursor."""

    __slots__ = ("_bare",)

    def __init__(self, name: str, *, bare: bool) -> None:
        super().__init__(name)
        self._bare = bare

    def _encode(self, event: Event) -> bytes:
        if self._bare:
            return _json(event.data)
        cursor = str(event.cursor) if event.cursor is not None else None
        return _json({"cursor": cursor, "data": event.data})

    def gap(self, gap: Gap, known: Cursor) -> bytes:
        told: dict[str, Any] = {"channel": gap.channel, "from": str(gap.begin), "to": str(gap.end)}
        return _json({**told, "dropped": gap.dropped, "reason": gap.reason})

    def size(self, event: Event) -> int:
        """Bytes, about: what is not told in the end need not be encoded to be counted."""
        return super().size(event) if event.transient else event.size

    def answer(self, told: Told, resume: Resume, *, done: bool) -> bytes:
        """The body of the answer."""
        gap = b"null" if told.gap is None else self.gap(told.gap, told.cursor)
        return b'{"events":[%s],"cursor":"%s","resume":"%s","gap":%s,"done":%s}' % (
            b",".join(map(self.event, told.events)),
            str(told.cursor).encode(),
            resume.value.encode(),
            gap,
            b"true" if done else b"false",
        )


POLL_SCAN: Final = PollFormat("poll scan", bare=True)
POLL_CHANNEL: Final = PollFormat("poll", bare=False)
