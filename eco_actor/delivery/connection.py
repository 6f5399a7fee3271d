"""One client's connection: an actor that tells it of what it subscribes to.

It has no task, and while it is in step no mailbox of its own. What its client does not read waits
in its subscriptions, under their rules; nobody else is held up. `SseConnection` and
`WebSocketConnection` say how it begins, breathes and ends.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.cohort import WRITE, Cohort, Fanout
from eco_actor.delivery.directory import Directory, Found
from eco_actor.delivery.frames import Bye, Format
from eco_actor.delivery.gap import Gap
from eco_actor.delivery.liveness import Wheel
from eco_actor.delivery.merge import accounted, cut, following
from eco_actor.delivery.outlet import Outlet
from eco_actor.delivery.rule import MAX_WAITING, Rule
from eco_actor.delivery.subscription import Mode, Subscription
from eco_actor.delivery.traffic import ERROR, StreamTraffic, Traffic
from eco_actor.eventlog import Event, EventLog, Page
from eco_actor.runtime import NORMAL, OVERFLOW, Exit, ExitKind, Mailbox, MailboxSpec

log = logging.getLogger(__name__)

PAGE: Final = 64
"""Events read from the log at a time: what a client has not read yet is not in memory twice."""

ROUNDS: Final = 8
"""Writes and pages in one turn, before others get theirs."""

RETRY_MS: Final = 2000
"""What a client waits before it reconnects, when nothing is said."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What all connections of one server share."""

    log: EventLog
    directory: Directory
    fanout: Fanout
    wheel: Wheel
    traffic: Traffic
    gate: Gate = field(default_factory=lambda: Gate(2000.0, 12_000))


Wanted = Sequence[tuple[Found, Rule]]
"""Channels to subscribe to at opening: where each begins, and its rule."""


class Signal(Enum):
    WAKE = "there is something to take, or to write to"


@dataclass(frozen=True, slots=True)
class Paged:
    """A page of the log, for those who waited for it."""

    asked: Sequence[Subscription]
    page: Page


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The log could not be read."""

    error: Exception


class Connection(Outlet):
    """Tells one client of what it subscribes to, until its channels or the client end.

    Made for a transport that is its own from then on. Being written to and read from are callbacks
    of the transport; everything else comes as messages.
    """

    __slots__ = (
        "_cohort",
        "_most",
        "_reading",
        "_waits",
        "_woken",
        "delivery",
        "format",
        "subscriptions",
        "wanted",
    )

    mailbox = MailboxSpec(64)
    rhythm: ClassVar[float]  # seconds from one sign of life to the next
    ordered: ClassVar[bool] = True  # whether a cursor counts for all channels together

    def __init__(
        self,
        transport: asyncio.Transport,
        paused: bool,
        delivery: Delivery,
        format: Format,
        traffic: StreamTraffic,
        wanted: Wanted,
    ) -> None:
        super().__init__(transport, paused, delivery.wheel, traffic)
        self.delivery = delivery
        self.format = format
        self.wanted: Wanted = wanted
        self.subscriptions: tuple[Subscription, ...] = ()
        self._cohort: Cohort | None = None
        self._waits: Cohort | None = None  # the one that is to call when it can be joined
        self._woken = False  # a WAKE is on its way
        self._reading = False  # a page is on its way
        self._most = PAGE  # events of the next page

    # ---- what kinds of connections differ in

    def opening(self) -> bytes:
        """What is said first."""
        raise NotImplementedError

    def farewell(self, bye: Bye, retry_ms: int) -> bytes:
        """What is said last."""
        raise NotImplementedError

    def received(self, message: Any) -> None:
        """A message that only this kind of connection knows."""
        raise TypeError(f"a connection cannot take {type(message).__name__}")

    # ---- the actor

    def init(self) -> None:
        try:
            self._begin()
        except BaseException:  # nobody would let go of it: it has not started
            self._leave()
            self.let_go(ERROR)
            raise

    def _begin(self) -> None:
        self.take_over(self.now() + self.rhythm)
        for found, rule in self.wanted:
            self._add(found, rule)
        self.send(self.opening())
        wanted, self.wanted = self.wanted, ()
        for n, (found, _) in enumerate(wanted):
            if found.is_over:
                self._drop(self.subscriptions[n - len(wanted)])
                self.send(self._finish())
        if self.paused or not all(each.is_new for each in self.subscriptions):
            for each in self.subscriptions:
                each.open()
            self._drain()
        elif self.subscriptions:
            self._join(self.subscriptions)

    def _add(self, found: Found, rule: Rule) -> Subscription:
        made = Subscription(self.delivery.log, found, rule, self)
        self.subscriptions = (*self.subscriptions, made)
        self.traffic.resumes[found.place.resume.value] += 1
        return made

    def subscribe(self, found: Found, rule: Rule) -> Subscription:
        """Begin to tell of one more channel."""
        self.fall_behind()
        made = self._add(found, rule)
        if found.is_over:
            self._drop(made)
            self.send(self._finish())
        else:
            made.open()
        self.wake()
        return made

    def unsubscribe(self, channel: str) -> bool:
        """Stop telling of *channel*; False when it was not told of."""
        gone = [each for each in self.subscriptions if each.channel == channel]
        if gone:
            self.fall_behind()
            self._drop(gone[0])
            self.wake()
        return bool(gone)

    def _drop(self, subscription: Subscription) -> None:
        subscription.close()
        self.subscriptions = tuple(each for each in self.subscriptions if each is not subscription)

    def handle(self, message: Any) -> None:
        match message:
            case Signal.WAKE:
                self._woken = False
                self._drain()
            case Paged(asked, page):
                self._reading = False
                self._paged(asked, page)
                self._drain()
            case Unreadable(error):
                log.warning("%s: the log cannot be read: %s", self.ref.path, error)
                self.end(Bye.GOING_AWAY, code=ERROR)
            case _:
                self.received(message)

    def wake(self) -> None:
        if not (self._woken or self.paused or self._ended):
            self._woken = True
            self.ref.tell(Signal.WAKE)

    def room(self) -> int:
        return MAX_WAITING - sum(each.waiting for each in self.subscriptions)

    def too_slow(self) -> None:
        self._ended = self._ended or Bye.SLOW_CONSUMER.code
        self.stop(OVERFLOW)

    def end(self, bye: Bye, retry_ms: int = RETRY_MS, code: str = "") -> None:
        """Say *bye*, and end."""
        if self._ended is None:
            self._ended = code or bye.code
            self._leave()  # nothing comes behind a goodbye
            self.send(self.farewell(bye, retry_ms))
            self.stop()

    def terminate(self, reason: Exit) -> Coroutine[Any, Any, None] | None:
        said = self._ended is not None and reason is NORMAL
        self.let_go(Bye.GOING_AWAY.code if reason.kind is ExitKind.SHUTDOWN else ERROR)
        self._leave()
        for each in self.subscriptions:
            each.close()
        self.subscriptions = ()
        if self.lost:
            return None
        if reason.abnormal and reason.kind is not ExitKind.OVERFLOW:
            self.transport.abort()
            return None
        if reason.kind is ExitKind.OVERFLOW:
            self.send(self.farewell(Bye.SLOW_CONSUMER, RETRY_MS))
        elif not said:
            self.send(self.farewell(Bye.GOING_AWAY, self.delivery.gate.leave_ms(self.now())))
        return self.close()

    # ---- out

    def _drain(self) -> None:
        """Write what there is, as far as the client reads; then be in step."""
        for _ in range(ROUNDS):
            if self.paused or self._ended:
                return
            data = self._collect()
            if data:
                self.send(data)
            elif not self._page():
                if not self._reading:
                    self._rest()
                return
        # In a turn of its own: a message would be handled in this very turn.
        self.start_timer("drain", 0.0, Signal.WAKE)

    def _collect(self) -> bytes:
        """What is to be told next, at most about one write of it."""
        now = self.now()
        parts: list[bytes] = []
        sampled: list[Subscription] = []
        size = 0
        while size < WRITE and self._ended is None:
            subscription = following(self.subscriptions, now, ordered=self.ordered)
            if subscription is None:
                break
            item = subscription.take()
            if subscription.rule.interval:
                sampled.append(subscription)
            if isinstance(item, Gap):
                frame = self._tell_gap(subscription, item)
            else:
                frame = self.format.event(item)
                self.traffic.deliveries += 1
                if item.final:
                    self._drop(subscription)
                    frame += self._finish()
            parts.append(frame)
            size += len(frame)
        # All that was queued is one delivery; and where the order counts, one for all channels.
        for each in self.subscriptions if sampled and self.ordered else sampled:
            each.due = now + each.rule.interval
        return b"".join(parts)

    def _tell_gap(self, subscription: Subscription, gap: Gap) -> bytes:
        self.delivery.traffic.gap(subscription.rule.overflow, gap.reason, gap.dropped)
        known = accounted(self.subscriptions, gap.end.position)
        return self.format.gap(gap, self.delivery.log.cursor(known))

    def _finish(self) -> bytes:
        """A channel has ended; the last words, if it was the last one."""
        if self.subscriptions:
            return b""
        self._ended = Bye.COMPLETE.code
        self.stop()
        return self.farewell(Bye.COMPLETE, RETRY_MS)

    def _page(self) -> bool:
        """Read on in the log where that is next; True when there is something new at once."""
        asked = [each for each in self.subscriptions if each.wants_page]
        if not asked or self._reading:
            return False
        channels = [each.channel for each in asked]
        after = min(each.position for each in asked)
        page = self.delivery.log.page_now(channels, after, self._most)
        if page is not None:
            self._paged(asked, page)
            return True
        self._reading = True
        reading = self.delivery.log.page(channels, after, self._most)
        self.pipe(reading, lambda page: Paged(asked, page), Unreadable)
        return False

    def _paged(self, asked: Sequence[Subscription], page: Page) -> None:
        read = len(page.events)
        page = cut(page, self.delivery.log.head, WRITE)
        kept = len(page.events)  # of large events fewer are read the next time
        self._most = max(1, kept) if kept < read else min(PAGE, 2 * self._most)
        for each in asked:
            if each.mode is not Mode.PAGING:
                continue  # unsubscribed since
            events = [e for e in page.events if e.channel == each.channel]
            if not events and self.delivery.log.forgotten(each.channel):
                self.end(Bye.GOING_AWAY)  # its last event will never come: who asks again is told
                return
            each.page(events, page.upto)

    def shown_mailbox(self) -> Mailbox[Event] | None:
        """That of its subscription, of which the client chose the rule; the fullest of several."""
        made = [each.mailbox for each in self.subscriptions if each.mailbox is not None]
        return max(made, key=len, default=None)

    def details(self) -> Mapping[str, object]:
        """For `/actors`: its subscriptions, each with the counters of its mailbox."""
        state = "stalled" if self.paused else "behind" if self._cohort is None else "in step"
        shown = [
            {
                "channel": each.channel if each.shown else f"{each.channel.partition(':')[0]}:…",
                "mode": each.mode.value,
                "mailbox": each.statistics(*self._in_step_with(each)),
            }
            for each in self.subscriptions
        ]
        return {"client": {"state": state, "format": self.format.name, "subscriptions": shown}}

    def _in_step_with(self, subscription: Subscription) -> tuple[int, int]:
        """Events that the cohort counted for *subscription*, and those that it has not written."""
        cohort, channel = self._cohort, subscription.channel
        if cohort is None or subscription.mode is not Mode.IN_STEP:
            return 0, 0
        pending = sum(event.channel == channel for event in cohort.pending)
        return cohort.counts[channel], pending

    # ---- in step with others

    def _rest(self) -> None:
        """Nothing is left to be told: go on in a cohort, or wait for what is not due yet."""
        plain = [each for each in self.subscriptions if not each.rule.interval]
        sampled = [each for each in self.subscriptions if each.rule.interval and not each.idle]
        if sampled:
            due = min(each.due for each in sampled)
            self.start_timer("interval", max(0.0, due - self.now()), Signal.WAKE)
        if not plain or not all(each.idle for each in plain):
            return
        self._join(plain)

    def _join(self, plain: Sequence[Subscription]) -> None:
        channels = tuple(sorted(each.channel for each in plain))
        cohort = self.delivery.fanout.join(
            self, self.transport.write, self.format, self.traffic, channels
        )
        if self not in cohort.members:
            self._waits = cohort
            for each in plain:
                each.enter(Mode.BEHIND)
            return
        self._cohort, self._waits = cohort, None
        for each in plain:
            each.step_in(cohort.counts[each.channel])

    def fall_behind(self) -> None:
        """Leave the cohort; what it has not written yet goes into the mailboxes."""
        cohort = self._cohort or self._waits
        missed = self._leave()
        if cohort is None:
            return
        channels = {each.channel: each for each in self.subscriptions}
        for each in self.subscriptions:
            if each.mode is Mode.IN_STEP:
                its = [event for event in missed if event.channel == each.channel]
                each.fall_behind(cohort.position, cohort.counts[each.channel] - len(its), its)
        for event in missed:
            if event.channel in channels:
                channels[event.channel].offer(event)

    def _leave(self) -> list[Event]:
        """Be in no cohort any more; returns what it has not got."""
        cohort, self._cohort, self._waits = self._cohort or self._waits, None, None
        return [] if cohort is None else cohort.leave(self)

    def step_in(self) -> None:
        """See `cohort.Member`."""
        self._waits = None
        self._drain()

    def over(self, event: Event) -> None:
        """See `cohort.Member`."""
        self.fall_behind()
        for each in self.subscriptions:
            if each.channel == event.channel:
                self._drop(each)
                self.send(self._finish())
        self.wake()
