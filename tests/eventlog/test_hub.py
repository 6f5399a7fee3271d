"""Fan-out: a loop over subscribers that nobody can break."""

from collections.abc import Callable

import pytest

from eco_actor.eventlog import Draft, Event, Hub


def event(position: int, channel: str = "app:a") -> Event:
    return Event(Draft(channel, {}, at_ms=1), position, "e")


class Watcher:
    """Notes what it is shown, then does what it was made to do."""

    def __init__(self, act: Callable[[Event], None] = lambda event: None) -> None:
        self.seen: list[int] = []
        self.act = act

    def offer(self, event: Event) -> None:
        self.seen.append(event.position)
        self.act(event)


def test_each_subscriber_sees_the_events_of_its_channels_in_order() -> None:
    """Nothing of other channels, nothing from before; twice subscribed is once shown."""
    hub, one, both = Hub(), Watcher(), Watcher()
    hub.offer([event(1)])
    hub.subscribe("app:a", one)
    hub.subscribe("app:a", one)
    hub.subscribe("app:a", both)
    hub.subscribe("app:b", both)
    assert len(hub) == 3
    hub.offer([event(2), event(3, "app:b"), event(4)])
    hub.unsubscribe("app:a", one)
    hub.unsubscribe("app:a", one)
    hub.unsubscribe("app:none", one)
    hub.offer([event(5)])
    assert one.seen == [2, 4]
    assert both.seen == [2, 3, 4, 5]
    hub.unsubscribe("app:a", both)
    hub.unsubscribe("app:b", both)
    assert len(hub) == 0


def test_a_subscriber_that_raises_is_ended_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Its own subscription to that channel is over; the others are shown everything."""

    def boom(event: Event) -> None:
        raise ValueError("boom")

    hub, bad = Hub(), Watcher(boom)
    before, after = Watcher(), Watcher()
    for watcher in (before, bad, after):
        hub.subscribe("app:a", watcher)
    hub.offer([event(1), event(2)])
    assert (before.seen, bad.seen, after.seen) == ([1, 2], [1], [1, 2])
    assert len(hub) == 2
    assert "boom" in caplog.text


def test_subscribers_may_come_and_go_while_an_event_is_offered() -> None:
    """Whoever left is shown no later event; whoever came sees the next; the rest see all."""
    hub = Hub()
    late, leaver, stayer = Watcher(), Watcher(), Watcher()

    def act(offered: Event) -> None:
        if offered.position == 1:
            hub.unsubscribe("app:a", leaver)
            hub.unsubscribe("app:a", first)
            hub.subscribe("app:a", late)

    first = Watcher(act)
    for watcher in (first, leaver, stayer):
        hub.subscribe("app:a", watcher)
    hub.offer([event(1), event(2)])
    assert first.seen == [1]
    assert 2 not in leaver.seen
    assert stayer.seen == [1, 2]
    assert late.seen == [2]


def test_the_last_one_may_leave_in_mid_offer() -> None:
    """The channel is forgotten under the hub's feet, and can be subscribed to again."""
    hub = Hub()
    only = Watcher(lambda offered: hub.unsubscribe("app:a", only))
    hub.subscribe("app:a", only)
    hub.offer([event(1), event(2)])
    assert only.seen == [1]
    assert len(hub) == 0
    hub.subscribe("app:a", only)
    hub.offer([event(3)])
    assert only.seen == [1, 3]
