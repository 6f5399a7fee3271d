"""Clients in step with others: how they leave, end and come back; in virtual time."""

import asyncio

from eco_actor.delivery.cohort import WRITE
from eco_actor.delivery.subscription import Mode
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import draft, soon, staged


def test_a_client_that_stalls_in_mid_flush_goes_on_where_it_stopped() -> None:
    """What was in no write yet goes into its mailbox; the others have everything meanwhile."""

    async def main() -> None:
        async with staged() as stage:
            good, slow = await stage.connect("app:a"), await stage.connect("app:a")
            slow.transport.stall(100_000)
            await stage.publish("app:a", *range(1, 11), pad=WRITE // 3)
            await soon()
            assert good.numbers() == list(range(1, 11))
            (subscription,) = slow.subscriptions
            behind = subscription.mode
            slow.transport.allow(None)
            await soon()
            assert slow.numbers() == list(range(1, 11))
            assert (behind, subscription.mode) == (Mode.BEHIND, Mode.IN_STEP)
            assert len(stage.fanout) == 1

    run_virtual(main())


def test_a_full_mailbox_in_mid_flush_takes_nothing_behind_what_it_refused() -> None:
    """A terminal event would still find room; told before the refused one, that were lost."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", capacity=2)
            client.transport.stall()
            drafts = [draft("app:a", n, WRITE) for n in range(1, 6)]
            await stage.log.commit([*drafts, draft("app:a", 6, terminal=True)])
            await soon()
            client.transport.allow(None)
            await soon()
            assert client.numbers() == [1, 2, 3, 4, 5, 6]

    run_virtual(main())


def test_two_channels_that_end_in_one_flush_end_the_stream() -> None:
    """Whoever follows both is told complete, behind the last event of each."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("scan:a", 1, opens=True)
            await stage.publish("scan:b", 2, opens=True)
            client = await stage.connect("scan:a", "scan:b")
            await soon()
            ends = [draft("scan:a", 3, final=True), draft("scan:b", 4, final=True)]
            await stage.log.commit(ends)
            await soon()
            assert client.numbers() == [1, 2, 3, 4]
            assert client.bye.code == "complete"
            assert not client.cell.alive

    run_virtual(main())


def test_a_client_that_stalls_at_the_last_event_is_told_complete() -> None:
    """The write of the last event is not all taken: the bye follows it nevertheless."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("scan:a", 1, opens=True)
            client = await stage.connect("scan:a", kind="scan")
            await soon()
            client.transport.stall(10)
            await stage.publish("scan:a", 2, final=True)
            await soon()
            client.transport.allow(None)
            await soon()
            assert client.numbers() == [1, 2]
            assert client.bye.code == "complete"
            assert client.transport.closed
            assert not client.transport.aborted

    run_virtual(main())


def test_a_client_ahead_of_the_offers_is_told_nothing_twice() -> None:
    """Whoever read what is committed and not offered yet resumes behind it."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("app:a", 1, 2)
            stage.log._recent = Recent(1)  # so that pages are read from the store
            stage.store.lead = 1.0
            stage.log.append([draft("app:a", 3), draft("app:a", 4)])
            await asyncio.sleep(0.1)
            paged = await stage.connect("app:a", after="earliest")
            page = await stage.log.page(["app:a"], 0)
            assert len(page.events) == 4
            resumed = await stage.connect("app:a", after=str(page.events[-1].cursor))
            await asyncio.sleep(2.0)
            await stage.publish("app:a", 5)
            await asyncio.sleep(2.0)
            assert resumed.opened[0].resume == "recovered"
            assert paged.numbers() == [1, 2, 3, 4, 5]
            assert resumed.numbers() == [5]

    run_virtual(main())


def test_a_page_ahead_of_the_offers_overtakes_no_other_channel() -> None:
    """One channel is paged and the other is live: an id must not stand for what comes later."""

    async def main() -> None:
        async with staged() as stage:
            stage.log._recent = Recent(1)
            client = await stage.connect("app:a", "app:b", capacity=2)
            client.transport.stall()
            await stage.publish("app:a", 1, 2, 3, 4, 5)
            await soon()
            await stage.publish("app:a", 6, 7, 8)
            await soon()
            modes = [each.mode for each in client.subscriptions]
            assert modes == [Mode.PAGING, Mode.BEHIND]
            await stage.publish("app:c", 0)  # takes the place of the last in memory
            stage.store.lead = 1.0
            stage.log.append([draft("app:b", 9), draft("app:a", 10)])
            await asyncio.sleep(0.1)
            client.transport.allow(None)
            await asyncio.sleep(2.0)
            assert client.numbers() == list(range(1, 11))
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())
