"""A client's place on one channel, and the bounded mailbox that fills while the client lags.

                    cannot be written to             mailbox full, rule buffer
    IN_STEP ───────────────────────────► BEHIND ───────────────────────────────► PAGING
       ▲              nothing left         │ ▲       a page reaches the present    │
       └───────────────────────────────────┘ └─────────────────────────────────────┘

In step it has nothing of its own: its cohort writes what all its members get. Behind, live events
go into its mailbox, under the rule that the client chose. Paging, it takes no note of live events:
the log is the rest of its mailbox. A client that comes with a cursor begins by paging.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol

from eco_actor.delivery.directory import SCAN, Found
from eco_actor.delivery.frames import Format
from eco_actor.delivery.gap import COALESCED, OVERFLOW, RESET, TRIMMED, Gap, Loss
from eco_actor.delivery.rule import SAMPLED, Rule
from eco_actor.delivery.traffic import StreamTraffic
from eco_actor.eventlog import Event, EventLog, Resume
from eco_actor.runtime import Mailbox, Outcome, Overflow
from eco_actor.runtime.rich_mailbox import RichMailbox

FEW: Final = 32
"""Events that a client is offered one by one when it falls behind."""

PACED: Final = frozenset({Overflow.BUFFER, Overflow.CLOSE})
"""Rules under which history is read at the client's pace. Under the others it passes through the
mailbox as live events would, and the rule speaks."""

Place = tuple[int, int]
"""Where something belongs among all that a connection is told: position, then a rank at it."""

EVENT, AFTER = 0, 1


class Mode(Enum):
    IN_STEP = "in step"
    BEHIND = "behind"
    PAGING = "paging"
    CLOSED = "closed"


def missing(found: Found) -> Gap | None:
    """What a client is to be told first: that its place in history is not there any more."""
    if found.place.missing is None:
        return None
    begin, end = found.place.missing
    reason = RESET if found.place.resume is Resume.RESET else TRIMMED
    return Gap(found.channel, begin, end, 0, reason)


class Owner(Protocol):
    """The connection, as its subscriptions see it."""

    format: Format
    traffic: StreamTraffic

    def wake(self) -> None:
        """There is something to take."""

    def too_slow(self) -> None:
        """The rule is to end the connection."""

    def room(self) -> int:
        """Bytes that may still be queued, in all its mailboxes together."""


class Subscription:
    """One channel, for one connection; a subscriber of the hub while it is behind.

    `position`: everything up to there was taken in: told, queued, or noted as lost.
    """

    __slots__ = (
        "_backlog",
        "_log",
        "_owner",
        "channel",
        "due",
        "joined",
        "live",
        "loss",
        "mailbox",
        "mode",
        "passed",
        "position",
        "resume",
        "rule",
    )

    def __init__(self, log: EventLog, found: Found, rule: Rule, owner: Owner) -> None:
        place = found.place
        self.channel = found.channel
        self.live = found.live
        self.rule = rule
        self.resume = place.resume
        self.position = place.position
        self.mode = Mode.CLOSED
        self.mailbox: Mailbox[Event] | None = None
        self.loss: Loss | None = None
        self.passed = 0  # events that it was told of while in step
        self.due = 0.0  # when the next delivery may be, with an interval
        self.joined = 0  # what its cohort had counted when it joined
        self._backlog: deque[Event] | None = None
        self._log = log
        self._owner = owner

    # ---- modes

    def enter(self, mode: Mode) -> None:
        """Change the mode, and with it who is told of live events."""
        if mode is self.mode:
            return
        traffic = self._owner.traffic
        if self.mode is Mode.BEHIND:
            self._log.unsubscribe(self.channel, self)
        traffic.behind += (mode is Mode.BEHIND) - (self.mode is Mode.BEHIND)
        traffic.paging += (mode is Mode.PAGING) - (self.mode is Mode.PAGING)
        traffic.subscribed += (mode is not Mode.CLOSED) - (self.mode is not Mode.CLOSED)
        self.mode = mode
        if mode is Mode.BEHIND:
            self._log.subscribe(self.channel, self)

    def open(self) -> None:
        """Begin: with history, where there is some behind its position."""
        if self.live is not None:
            self.enter(Mode.BEHIND)
            self.live.join(self)
        else:
            self.enter(Mode.PAGING if self.position < self._log.head else Mode.BEHIND)

    @property
    def is_new(self) -> bool:
        """Whether it has not begun, and has nothing to catch up with."""
        if self.mode is not Mode.CLOSED or self.rule.interval or self.live is not None:
            return False
        return self.position == self._log.head  # ahead of it, the next offers are known already

    def step_in(self, counted: int) -> None:
        """Its cohort, which has counted so many events, writes for it from now on."""
        self.joined = counted
        self.enter(Mode.IN_STEP)

    def fall_behind(self, position: int, counted: int, missed: Sequence[Event]) -> None:
        """Out of its cohort, which has written for it up to *position*, and not what it *missed*.

        That will be offered to it; but the log may have all of it, and is the shorter way to many.
        """
        self.position = max(self.position, position)
        self.passed += counted - self.joined
        many = self.rule.overflow is Overflow.BUFFER and len(missed) > FEW
        logged = many and all(event.cursor is not None for event in missed)
        self.enter(Mode.PAGING if logged else Mode.BEHIND)

    def close(self) -> None:
        """Stop taking note; what is queued is given up. Harmless when repeated."""
        self.enter(Mode.CLOSED)
        if self.live is not None:
            self.live.leave(self)
        if self.mailbox is not None:
            self.mailbox.gave_way = None
            self.mailbox.discard()
        self._backlog = None

    @property
    def shown(self) -> bool:
        """Whether its channel may be named to others: who knows that of a scan may follow it."""
        return not self.channel.startswith(f"{SCAN}:")

    @property
    def waiting(self) -> int:
        """Bytes in its mailbox."""
        return self.mailbox.bytes_queued if isinstance(self.mailbox, RichMailbox) else 0

    @property
    def idle(self) -> bool:
        """Whether the client has been told of everything up to the present."""
        if self.mode is not Mode.BEHIND or self.position > self._log.head:
            return False  # a page may be ahead of what was offered
        return self.loss is None and self._head() is None

    # ---- in

    def offer(self, event: Event) -> None:
        """A live event, from the hub."""
        if self.mode is not Mode.BEHIND:
            return  # it was refused one before this: the log has both
        if event.position <= self.position and event.cursor is not None:
            return
        waiting = self._head() is not None
        if self._take_in(event) and event.cursor is not None:
            self.position = event.position
        if not waiting:
            self._owner.wake()

    def page(self, events: list[Event], upto: int) -> None:
        """What the log has behind its position; it is complete up to *upto*."""
        self._note_trimmed()
        for event in events:
            if event.position <= self.position:
                continue
            if self.rule.overflow in PACED:
                if self._backlog is None:
                    self._backlog = deque()
                self._backlog.append(event)
            else:
                self._take_in(event)
        self.position = max(self.position, upto)
        if upto >= self._log.head:  # in this very turn: nothing can be offered in between
            self.enter(Mode.BEHIND)

    def _note_trimmed(self) -> None:
        """What was trimmed since the last page is in no page."""
        gone = self._log.trimmed(self.channel)
        if gone > self.position:
            self._lose(self.position, gone, 0, TRIMMED)
            self.position = gone

    def _take_in(self, event: Event) -> bool:
        """Queue *event* by the rule; False when it has to be read from the log later."""
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.mailbox = self.rule.mailbox(self._owner.format.size).build()
            mailbox.gave_way = self._gave_way
        if isinstance(mailbox, RichMailbox):
            mailbox.max_bytes = max(1, mailbox.bytes_queued + self._owner.room())
        key = event.key if self.rule.overflow is Overflow.COALESCE else None
        old = mailbox.held(key) if key is not None and isinstance(mailbox, RichMailbox) else None
        match mailbox.offer(event):
            case Outcome.COALESCED if isinstance(mailbox, RichMailbox):
                if old is not None and mailbox.held(key) is event:  # else it was joined to the old
                    self._lose_event(old, COALESCED)
            case Outcome.DROPPED:
                self._lose_event(event, OVERFLOW)
            case Outcome.FULL if event.cursor is None:
                self._lose_event(event, OVERFLOW)
            case Outcome.FULL:
                self.position = max(self.position, event.before)  # all before it was offered
                self.enter(Mode.PAGING)
                return False
            case Outcome.CLOSED:
                self._owner.too_slow()
                return False
        return True

    def _gave_way(self, event: Event) -> None:
        self._lose_event(event, OVERFLOW)

    def _lose_event(self, event: Event, reason: str) -> None:
        begin = event.position if event.cursor is None else event.before
        self._lose(begin, event.position, 1, reason)

    def _lose(self, begin: int, end: int, dropped: int, reason: str) -> None:
        if self.loss is None:
            self.loss = Loss(begin, end, dropped, reason)
        else:
            self.loss.add(begin, end, dropped, reason)

    # ---- out

    def _head(self) -> Event | None:
        """The next event, if one is here."""
        if self._backlog:  # it was read before anything that is in the mailbox was published
            return self._backlog[0]
        return self.mailbox.peek() if self.mailbox else None

    def following(self, now: float) -> Place | None:
        """Where its next item belongs; None while there is none, or it is not due at *now*."""
        if self.mode is Mode.PAGING and self.rule.overflow not in PACED:
            return None  # the rule has not had its last word
        if self.rule.interval and now < self.due:
            return None
        head = self._head()
        if self.loss is not None and (head is None or self._before(self.loss, head)):
            return self.loss.begin, AFTER
        return None if head is None else (head.position, EVENT)

    def _before(self, loss: Loss, head: Event) -> bool:
        """Whether what was lost came before *head*."""
        if head.position != loss.begin or head.cursor is not None:
            return head.position > loss.begin
        return self.rule.overflow in SAMPLED  # of one place: what gives way there is older

    @property
    def wants_page(self) -> bool:
        """Whether the log has to be read before anything else of it can be told."""
        if self.mode is not Mode.PAGING:
            return False
        return self.rule.overflow not in PACED or (not self.mailbox and not self._backlog)

    @property
    def accounted(self) -> int | None:
        """The position up to which nothing is left to be told; None: up to the present."""
        places = [self.position] if self.mode is Mode.PAGING else []
        if self.loss is not None:
            places.append(self.loss.begin)
        head = self._head()
        if head is not None:
            places.append(head.position if head.cursor is None else head.before)
        return min(places, default=None)

    def take(self) -> Event | Gap:
        """The next item; there is one, see `following`."""
        head = self._head()
        loss = self.loss
        if loss is not None and (head is None or self._before(loss, head)):
            self.loss = None
            begin, end = self._log.cursor(loss.begin), self._log.cursor(loss.end)
            return Gap(self.channel, begin, end, loss.dropped, loss.reason)
        if self._backlog:
            self.passed += 1
            return self._backlog.popleft()
        assert self.mailbox, "there is nothing to take"
        event = self.mailbox.take()
        self.mailbox.done()
        return event

    def __repr__(self) -> str:
        channel = self.channel if self.shown else f"{SCAN}:…"
        rule = f"{self.rule.overflow.value} {self.rule.capacity}"
        waiting = len(self.mailbox) if self.mailbox is not None else 0
        return f"<Subscription {channel} {rule}, {self.mode.value}, {waiting} waiting>"

    def statistics(self, counted: int = 0, pending: int = 0) -> dict[str, int | str]:
        """The mailbox's counters, as in `/actors`, with what passed it by in step.

        In step, its cohort has *counted* so many events by now, *pending* of them not yet written.
        """
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.rule.mailbox(self._owner.format.size).build()
        told = mailbox.statistics()
        passed = self.passed + (counted - self.joined if self.mode is Mode.IN_STEP else 0)
        more = {"offered": passed, "accepted": passed, "handled": passed - pending}
        for name, number in more.items():
            told[name] = int(told[name]) + number
        told["depth"] = int(told["depth"]) + pending
        return told
