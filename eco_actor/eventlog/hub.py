"""Channel -> subscribers. A channel is data, not an actor: fan-out is a loop that never waits."""

import logging
from collections.abc import Iterable
from typing import Protocol

from eco_actor.eventlog.event import Event

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """Somebody who is shown the events of a channel."""

    def offer(self, event: Event) -> None:
        """Take note of *event* without waiting. Raising ends this subscription, and no other."""


class Hub:
    """Offers each event to the subscribers of its channel, in position order."""

    def __init__(self) -> None:
        self._channels: dict[str, dict[Subscriber, None]] = {}

    def __len__(self) -> int:
        """Subscriptions, all channels together."""
        return sum(map(len, self._channels.values()))

    def __contains__(self, channel: str) -> bool:
        """Whether somebody subscribes to *channel*."""
        return channel in self._channels

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Show *subscriber* what is offered on *channel* from now on; twice is once."""
        self._channels.setdefault(channel, {})[subscriber] = None

    def unsubscribe(self, channel: str, subscriber: Subscriber) -> None:
        """The reverse; harmless when it was not subscribed."""
        subscribers = self._channels.get(channel)
        if subscribers is not None:
            subscribers.pop(subscriber, None)
            if not subscribers:
                del self._channels[channel]

    def offer(self, events: Iterable[Event]) -> None:
        """Show *events* to whoever subscribes to their channels; never raises, never waits."""
        for event in events:
            for subscriber in tuple(self._channels.get(event.channel, ())):
                try:
                    subscriber.offer(event)
                except Exception:
                    log.exception("%s: subscriber %r ended by its own error", event, subscriber)
                    self.unsubscribe(event.channel, subscriber)
