"""Reading history at the client's pace, and going live behind it; in virtual time."""

import asyncio

import pytest

from eco_actor.delivery.rule import MAX_WAITING
from eco_actor.delivery.subscription import Mode
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import soon, staged
from tests.delivery.stalling import go_on, ranges, stalled

RULES = ["buffer", "latest", "drop", "close", "coalesce"]
KINDS = ["sse", "json", "msgpack"]

RULES = ["buffer", "latest", "drop", "close", "coalesce"]


@pytest.mark.parametrize("pad", [0, 50_000])
def test_under_buffer_a_thousand_events_later_little_is_in_memory(pad: int) -> None:
    """The mailbox holds its capacity and the log is the rest of it; then the client has all."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "buffer", 7)
            last = 1000 if not pad else 60
            for n in range(2, last):
                await stage.publish("app:a", n, pad=pad)
            (subscription,) = client.subscriptions
            assert subscription.mode is Mode.PAGING
            assert subscription.mailbox is not None
            assert len(subscription.mailbox) <= 7
            for _ in range(20):
                client.transport.allow(20_000)
                await soon()
                waiting = sum(event.size for event in subscription._backlog or ())
                assert waiting <= MAX_WAITING
            await go_on(client)
            assert client.numbers() == list(range(last))
            assert not client.gaps

    run_virtual(main())


def test_what_is_trimmed_while_a_client_pages_is_a_gap() -> None:
    """In its place, with the exact range; what is left follows."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "buffer", 2)
            await stage.publish("app:a", *range(2, 200))
            await stage.trim("app:a", 50)
            await go_on(client)
            assert ranges(client.gaps) == [(4, 50, 0, "trimmed")]
            assert client.numbers() == [0, 1, 2, 3, *range(50, 200)]
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


@pytest.mark.parametrize("kept", [1, 4096])
@pytest.mark.parametrize("read", [0.0, 0.01])
@pytest.mark.parametrize("overflow", RULES)
def test_going_live_behind_a_history_loses_and_repeats_nothing(
    overflow: str, kept: int, read: float
) -> None:
    """Events are published all the while it is read, from memory or from the store."""

    async def main() -> None:
        async with staged() as stage:
            stage.log._recent = Recent(kept)
            stage.store.read = read
            await stage.publish("app:a", *range(300))
            client = await stage.connect(
                "app:a", after="earliest", overflow=overflow, capacity=4096
            )
            for n in range(300, 400):
                await stage.publish("app:a", n)
                await asyncio.sleep(0.0005)
            await soon()
            await asyncio.sleep(1)
            assert client.numbers() == list(range(400))
            assert client.subscriptions[0].mode is Mode.IN_STEP

    run_virtual(main())


@pytest.mark.parametrize("overflow", RULES)
def test_a_live_channel_does_not_overtake_one_whose_history_is_read(overflow: str) -> None:
    """Where the rule holds the history back until all is read, it holds the rest back, too."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("app:a", *range(1, 51), pad=2000)
            await stage.publish("app:b", 51)
            await stage.trim("app:b", 1)  # so that this one begins with what is live
            client = await stage.connect(
                "app:a", "app:b", after="earliest", overflow=overflow, capacity=4096, room=1
            )
            modes = [each.mode for each in client.subscriptions]
            assert modes == [Mode.PAGING, Mode.BEHIND]
            await stage.publish("app:b", 52)
            await stage.publish("app:a", *range(53, 103), pad=2000)
            await go_on(client)
            assert client.numbers() == [*range(1, 51), *range(52, 103)]
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


def test_an_unreadable_store_ends_the_stream_and_loses_nothing() -> None:
    """A bye that says come back; the cursor is good then."""

    async def main() -> None:
        async with staged() as stage:
            stage.log._recent = Recent(1)
            await stage.publish("app:a", 1, 2, 3)
            stage.store.reads_fail = True
            client = await stage.connect("app:a", after="earliest")
            await soon()
            assert (client.bye.code, client.bye.reconnect) == ("going_away", True)
            stage.store.reads_fail = False
            again = await stage.connect("app:a", after=client.sse.last_id)
            await soon()
            assert again.numbers() == [1, 2, 3]

    run_virtual(main())


def test_a_gap_behind_another_channels_event_does_not_take_ids_back() -> None:
    """A channel that begins to page has accounted for all before the event that it refused."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", "app:b", capacity=2)
            client.transport.stall()
            await stage.publish("app:a", 1)
            await soon()
            await stage.publish("app:a", 2)
            stage.show("app:b", 3, 4, 5)
            await stage.publish("app:b", 6)
            await go_on(client)
            assert client.numbers() == [1, 2, 3, 4, 6]
            assert ranges(client.gaps) == [(2, 2, 1, "overflow")]
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())
