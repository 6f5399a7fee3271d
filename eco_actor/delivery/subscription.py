"""A client's place in the log, and the bounded mailbox between its pace and that of the publishers.

Live events go into the mailbox. When it is full, the rule buffer stops taking them: the client is
given what is queued, then pages from the log at its own pace, then live events again. So memory is
bounded and nothing is lost; the log is the rest of the mailbox.

    LIVE ──mailbox full──► PAGING ──page reaches all that was offered──► LIVE
"""

from collections.abc import Callable, Sequence

from eco_actor.eventlog import Event, EventLog
from eco_actor.runtime import Mailbox, MailboxSpec, Outcome

BATCH = 64
"""Events given to the client at a time: what it has not read yet is not in memory twice."""


class Subscription:
    """Reads *channel* behind *after*, first from the log, then live; a `Subscriber` of the hub.

    `wake` is called, without waiting, when there is something to take and there was nothing before.
    """

    def __init__(
        self, log: EventLog, channel: str, after: str | None, spec: MailboxSpec[Event]
    ) -> None:
        self.channel = channel
        self.mailbox: Mailbox[Event] = spec.build()
        self.resume, self._position = log.resume(after)
        self.begins = log.cursor(self._position)
        self._log = log
        self._offered = 0  # the last position that was offered while paging
        self._live = False
        self._wake: Callable[[], None] = _nobody

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to take note of live events."""
        self._wake = wake
        self._log.subscribe(self.channel, self)
        self._offered = self._log.head  # the log is read at least up to here before it goes live

    def close(self) -> None:
        """Stop taking note; harmless when repeated."""
        self._log.unsubscribe(self.channel, self)
        self._wake = _nobody

    def offer(self, event: Event) -> None:
        """A live event, from the hub."""
        if event.position <= self._position:
            return  # a page had it
        if self._live and self.mailbox.offer(event) is not Outcome.FULL:
            self._position = event.position
            if len(self.mailbox) == 1:
                self._wake()
            return
        self._live = False
        self._offered = event.position
        self._wake()

    async def take(self) -> Sequence[Event]:
        """The next events, in order; none when there are none now. StoreError."""
        events: list[Event] = []
        while self.mailbox and len(events) < BATCH:
            events.append(self.mailbox.take())
            self.mailbox.done()
        while not events and not self._live:
            page = await self._log.page([self.channel], self._position, BATCH)
            events = page.events
            if events:
                self._position = events[-1].position
            # In this very turn: nothing can be offered between the look and the change.
            self._live = page.upto >= self._offered
        return events


def _nobody() -> None:
    """Wakes nobody: the subscription is not open."""
