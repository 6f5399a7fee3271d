"""How a connection begins: what it is told first, from where it reads, by which verdict."""

import pytest

from eco_actor.delivery.connection import RETRY_MS
from eco_actor.eventlog import Event
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import LIVE, draft, soon, staged
from tests.delivery.wire import Opened

KINDS = ["sse", "json", "msgpack"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_cursor_a_channel_begins_now(kind: str) -> None:
    """What was there is not told; what comes is."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("app:a", 1, 2)
            client = await stage.connect("app:a", kind=kind)
            (opened,) = client.opened
            assert (opened.position, opened.resume) == (2, "fresh")
            await stage.publish("app:a", 3)
            await soon()
            assert client.numbers() == [3]

    run_virtual(main())


def test_an_sse_stream_opens_with_a_retry_and_the_rule() -> None:
    """The head that was given, then `retry:`, then `eco.open` with an id."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", overflow="latest", capacity=3)
            assert client.sse.retry_ms == RETRY_MS
            assert client.sse.ids == [0]
            (opened,) = client.opened
            told = opened.told
            assert told.keys() == {"cursor", "resume", "overflow", "capacity"}
            assert (told["overflow"], told["capacity"]) == ("latest", 3)
            assert client.transport.received.count(b"retry:") == 1

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_cursor_resumes_behind_it(kind: str) -> None:
    """Everything behind it, then what is live, in order and once."""

    async def main() -> None:
        async with staged() as stage:
            events = await stage.publish("app:a", *range(1, 201))
            client = await stage.connect("app:a", kind=kind, after=str(events[49].cursor))
            await soon()
            await stage.publish("app:a", 201, 202)
            await soon()
            assert client.opened[0].resume == "recovered"
            assert client.numbers() == list(range(51, 203))
            assert not client.gaps

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", ["rubbish", "other-3", "earliest"])
def test_an_unknown_cursor_reads_from_the_beginning(kind: str, after: str) -> None:
    """With `reset` and a gap, where `earliest` asked for just that and gets no gap."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("app:a", 1, 2, 3)
            client = await stage.connect("app:a", kind=kind, after=after)
            await soon()
            assert client.numbers() == [1, 2, 3]
            reset = after != "earliest"
            assert client.opened[0].resume == ("reset" if reset else "recovered")
            assert [gap.reason for gap in client.gaps] == ["reset"] * reset
            if reset:
                assert isinstance(client.reader.items[0], Opened)
                assert client.reader.items[1] == client.gaps[0]
                (gap,) = client.gaps
                assert (gap.begin, gap.end, gap.dropped) == (0, 0, 0)

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_cursor_in_what_was_trimmed_is_partial(kind: str) -> None:
    """A gap from the cursor to the last that is gone, then what is left."""

    async def main() -> None:
        async with staged() as stage:
            events = await stage.publish("app:a", *range(1, 11))
            await stage.trim("app:a", 6)
            client = await stage.connect("app:a", kind=kind, after=str(events[1].cursor))
            await soon()
            assert client.opened[0].resume == "partial"
            (gap,) = client.gaps
            assert (gap.begin, gap.end, gap.reason) == (2, 6, "trimmed")
            assert client.numbers() == [7, 8, 9, 10]

    run_virtual(main())


def test_several_channels_are_told_in_the_order_of_positions() -> None:
    """Pages and live events alike, whatever the channel; ids only rise."""

    async def main() -> None:
        async with staged() as stage:
            for n in range(1, 101):
                await stage.publish("app:a" if n % 3 else "app:b", n)
            client = await stage.connect("app:b", "app:a", after="earliest")
            await soon()
            for n in range(101, 121):
                await stage.publish("app:a" if n % 2 else "app:b", n)
            await soon()
            assert client.numbers() == list(range(1, 121))
            assert client.sse.ids == list(range(121))

    run_virtual(main())


def test_the_worst_verdict_of_several_channels_is_told() -> None:
    """One that was trimmed makes it partial, with a gap of that channel alone."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("app:a", 1, 2, 3)
            await stage.publish("app:b", 4, 5)
            await stage.trim("app:a", 2)
            client = await stage.connect("app:b", "app:a", after="earliest")
            await soon()
            assert client.opened[0].resume == "partial"
            assert [(gap.channel, gap.end) for gap in client.gaps] == [("app:a", 2)]
            assert client.numbers() == [3, 4, 5]
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_does_not_even_read_the_opening_misses_nothing(kind: str) -> None:
    """Paused from its first byte on, it is behind at once."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind, room=10)
            for n in range(1, 1001):
                await stage.publish("app:a", n)
            client.transport.allow(None)
            await soon()
            assert client.numbers() == list(range(1, 1001))

    run_virtual(main())


def test_a_live_channel_shows_its_last_event_and_has_no_ids() -> None:
    """A channel without a log: the newest at once, then what comes."""

    async def main() -> None:
        async with staged() as stage:
            stage.live.offer(Event(draft(LIVE, 1, transient=True), 0, None))
            client = await stage.connect(LIVE, overflow="latest")
            await soon()
            stage.live.offer(Event(draft(LIVE, 2, transient=True), 0, None))
            await soon()
            assert client.numbers() == [1, 2]
            assert [each.position for each in client.events] == [None, None]
            assert len(stage.live) == 1
            client.transport.vanish()
            await soon()
            assert len(stage.live) == 0

    run_virtual(main())
