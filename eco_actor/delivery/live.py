"""Channels that are not logged: their events go to whoever watches now, and are then forgotten."""

from collections.abc import Callable, Sequence

from eco_actor.delivery.frames import Gap
from eco_actor.eventlog import Event, EventLog, Hub, Subscriber
from eco_actor.runtime import MailboxSpec, Outcome, Overflow


class LiveChannel:
    """One such channel. Its publisher hears when there is somebody to publish for.

    Whoever comes is shown the last event at once, if there is a recent one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.watched: Callable[[], None] = _nobody
        self._hub = Hub()
        self._last: Event | None = None

    def __len__(self) -> int:
        """How many watch."""
        return len(self._hub)

    def subscribe(self, subscriber: Subscriber) -> None:
        self._hub.subscribe(self.name, subscriber)
        if self._last is not None:
            subscriber.offer(self._last)
        self.watched()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The reverse; harmless when repeated."""
        self._hub.unsubscribe(self.name, subscriber)

    def offer(self, event: Event) -> None:
        """Show a transient event to all who watch; never raises, never waits."""
        self._last = event
        self._hub.offer([event])

    def forget(self) -> None:
        """The last event is out of date."""
        self._last = None


class LiveSubscription:
    """A client's bounded mailbox on a live channel, under the rule that the client chose.

    There is no history: a client that comes back goes on from now. What its mailbox had to refuse
    or to drop is told as a gap, in the place where the lost events would have been.
    """

    def __init__(
        self, log: EventLog, channel: LiveChannel, after: str | None, spec: MailboxSpec[Event]
    ) -> None:
        self.channel = channel.name
        self.mailbox = spec.build()
        self.resume, _ = log.resume(after)
        self.begins = log.cursor(log.head)
        self._live = channel
        self._told = 0  # of the events that were lost, how many the client knows of
        self._wake: Callable[[], None] = _nobody

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._live.subscribe(self)

    def close(self) -> None:
        """Stop taking note; harmless when repeated."""
        self._live.unsubscribe(self)
        self._wake = _nobody

    def offer(self, event: Event) -> None:
        outcome = self.mailbox.offer(event)
        if len(self.mailbox) == 1 or outcome is Outcome.CLOSED:
            self._wake()

    async def take(self) -> Sequence[Event | Gap]:
        """The next event, and the gap before it or behind the last; none when there are none now.

        One at a time: what a client has not read yet waits here, shared with all others, and not in
        a buffer of its own.
        """
        items: list[Event | Gap] = []
        mailbox = self.mailbox
        lost = mailbox.refused + mailbox.replaced + mailbox.coalesced - self._told
        lost_is_older = mailbox.overflow in (Overflow.LATEST, Overflow.COALESCE)
        if lost and (lost_is_older or not mailbox):
            reason = "coalesced" if mailbox.overflow is Overflow.COALESCE else "overflow"
            items.append(Gap(self.channel, self.begins, self.begins, lost, reason))
            self._told += lost
        if mailbox:
            items.append(mailbox.take())
            mailbox.done()
        return items


def _nobody() -> None:
    """There is nobody to tell."""
