"""Channels that are not logged: their events go to whoever watches now, and are then forgotten."""

from collections.abc import Callable

from eco_actor.eventlog import Event, EventLog, Subscriber


class LiveChannel:
    """One such channel. Its publisher hears when there is somebody to publish for.

    Whoever comes is shown the last event at once, if there is a recent one.
    """

    def __init__(self, name: str, log: EventLog) -> None:
        self.name = name
        self.watched: Callable[[], None] = _nobody
        self._log = log
        self._watchers: dict[Subscriber, None] = {}
        self._last: Event | None = None

    def __len__(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def join(self, subscriber: Subscriber, *, replay: bool = True) -> None:
        """*subscriber*, who subscribes to the hub itself, begins to watch; twice is once.

        Without *replay* it is not shown the last event: one who comes again and again has seen it.
        """
        if subscriber not in self._watchers:
            self._watchers[subscriber] = None
            if replay and self._last is not None:
                subscriber.offer(self._last)
        self.watched()

    def leave(self, subscriber: Subscriber) -> None:
        """The reverse; harmless when repeated."""
        self._watchers.pop(subscriber, None)

    def offer(self, event: Event) -> None:
        """Show a transient event to all who watch; never raises, never waits."""
        event.position = self._log.head
        self._last = event
        self._log.hub.offer([event])

    def forget(self) -> None:
        """The last event is out of date."""
        self._last = None


def _nobody() -> None:
    """There is nobody to tell."""
