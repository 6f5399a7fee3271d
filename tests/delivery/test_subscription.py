"""The key promise of the rule buffer: everything, once, in order, in bounded memory."""

import asyncio
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from eco_actor.delivery.subscription import BATCH, Subscription
from eco_actor.eventlog import Draft, Durability, Event, EventLog, Resume, SqliteStore, StoreError
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime import MailboxSpec
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeStore

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 12)),
        st.tuples(st.just("elsewhere"), st.integers(1, 3)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
        st.tuples(st.just("reconnect"), st.integers(0, 8)),
    ),
    max_size=25,
)


def draft(n: int, channel: str = "app:a") -> Draft:
    return Draft(channel, {"n": n}, at_ms=1)


class Client:
    """Reads one channel, and comes back with its last cursor when its connection breaks."""

    def __init__(self, log: EventLog, capacity: int) -> None:
        self.log = log
        self.capacity = capacity
        self.got: list[Event] = []
        self.cursor: str | None = None
        self.wakes = 0
        self.connect()

    def connect(self) -> None:
        spec = MailboxSpec[Event](self.capacity)
        self.subscription = Subscription(self.log, "app:a", self.cursor, spec)
        expected = Resume.FRESH if self.cursor is None else Resume.RECOVERED
        assert self.subscription.resume is expected
        self.cursor = str(self.subscription.begins)
        self.subscription.open(self.wake)

    def wake(self) -> None:
        self.wakes += 1

    async def take(self) -> int:
        events = await self.subscription.take()
        assert len(events) <= BATCH
        assert len(self.subscription.mailbox) <= self.capacity
        self.got.extend(events)
        if events:
            self.cursor = str(events[-1].cursor)
        return len(events)

    def reconnect(self, lost: int) -> None:
        """Come back, the last *lost* events having been written to a connection that broke."""
        self.subscription.close()
        if lost and self.got:
            del self.got[-lost:]
            begin = self.log.cursor(0)
            self.cursor = str(self.got[-1].cursor if self.got else begin)
        self.connect()

    async def read_all(self) -> None:
        while await self.take():
            pass


async def play(log: EventLog, capacity: int, kept: int, steps: list[tuple[str, int]]) -> None:
    """Do *steps*, read the rest, and compare with what was published."""
    log._recent = Recent(kept)
    await log.open()
    published = 0
    client = Client(log, capacity)
    for what, n in steps:
        match what:
            case "publish":
                for _ in range(n):
                    published += 1
                    log.append([draft(published)])
            case "elsewhere":
                log.append([draft(0, "app:b") for _ in range(n)])
            case "settle":
                await log.commit([])
            case "take":
                for _ in range(n):
                    await client.take()
            case "turn":
                for _ in range(n):
                    await asyncio.sleep(0)
            case "reconnect":
                client.reconnect(lost=n)
    await log.commit([])
    await client.read_all()
    await log.close()
    assert [event.data["n"] for event in client.got] == list(range(1, published + 1))
    positions = [event.position for event in client.got]
    assert positions == sorted(set(positions))


@seed(1)
@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 4), st.sampled_from([1, 3, 4096]))
def test_every_event_is_handed_out_once_and_in_order(
    steps: list[tuple[str, int]], capacity: int, kept: int
) -> None:
    """Whatever is published, taken, overflowed and resumed in whatever order, in memory."""
    asyncio.run(play(EventLog(SqliteStore(None, Durability.OFF)), capacity, kept, steps))


@seed(2)
@settings(max_examples=25, deadline=None)
@given(STEPS, st.integers(1, 4), st.sampled_from([1, 4096]))
def test_so_it_is_when_readers_are_other_threads(
    steps: list[tuple[str, int]], capacity: int, kept: int
) -> None:
    """The same with a file, whose readers see events before they are offered."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder) / "log.db", Durability.NORMAL)
            await play(EventLog(store), capacity, kept, steps)

    asyncio.run(main())


@seed(3)
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.sampled_from([1, 4, 4096]),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([0.0, 0.3, 2.0]),
)
def test_a_slow_client_of_a_slow_store_misses_nothing(
    seed: int, capacity: int, kept: int, lead: float, read: float
) -> None:
    """Publisher and client at paces of their own, reads that are long under way and see events
    before they are offered: the client is woken for all of them.
    """
    dice = random.Random(seed)

    async def main() -> None:
        store = FakeStore(delay=0.1, lead=lead, read=read)
        log = EventLog(store)
        log._recent = Recent(kept)
        await log.open()
        woken = asyncio.Event()
        subscription = Subscription(log, "app:a", None, MailboxSpec(capacity))
        got: list[int] = []

        async def publish() -> None:
            for n in range(60):
                log.append([draft(n)])
                if dice.random() < 0.3:
                    log.append([draft(n, "app:b")])
                if dice.random() < 0.5:
                    await asyncio.sleep(dice.random())

        async def read_on() -> None:
            while len(got) < 60:
                await woken.wait()
                woken.clear()
                while events := await subscription.take():
                    got.extend(event.data["n"] for event in events)
                    await asyncio.sleep(dice.random() * dice.choice([0, 0, 5]))

        subscription.open(woken.set)
        woken.set()
        async with asyncio.timeout(1000):
            await asyncio.gather(publish(), read_on())
        assert got == list(range(60))

    run_virtual(main())


def test_what_waits_for_a_client_that_does_not_read_is_bounded() -> None:
    """A thousand events later its mailbox holds its capacity; then it reads them all."""

    async def main() -> None:
        log = EventLog(FakeStore())
        await log.open()
        client = Client(log, capacity=7)
        await client.read_all()
        for n in range(1000):
            await log.commit([draft(n)])
        assert len(client.subscription.mailbox) == 7
        await client.read_all()
        assert [event.data["n"] for event in client.got] == list(range(1000))

    run_virtual(main())


def test_a_client_that_keeps_up_is_woken_once_a_gap() -> None:
    """Further events while some wait wake nobody; what is live reads nothing from the store."""

    async def main() -> None:
        store = FakeStore()
        log = EventLog(store)
        await log.open()
        client = Client(log, capacity=10)
        await client.read_all()
        store.reads_fail = True
        client.wakes = 0
        await log.commit([draft(n) for n in range(5)])
        assert client.wakes == 1
        await client.read_all()
        await log.commit([draft(5)])
        assert client.wakes == 2
        await client.read_all()
        assert len(client.got) == 6

    run_virtual(main())


@pytest.mark.parametrize("after", ["rubbish", "other-3"])
def test_an_unknown_cursor_reads_from_the_beginning(after: str) -> None:
    """It is told so, and misses nothing."""

    async def main() -> None:
        log = EventLog(FakeStore())
        await log.open()
        await log.commit([draft(n) for n in range(3)])
        subscription = Subscription(log, "app:a", after, MailboxSpec(4))
        assert subscription.resume is Resume.RESET
        assert subscription.begins == log.cursor(0)
        subscription.open(lambda: None)
        assert [event.data["n"] for event in await subscription.take()] == [0, 1, 2]

    run_virtual(main())


def test_the_cursor_of_a_page_is_good_before_its_event_is_offered() -> None:
    """Whoever read an event that is committed may resume behind it at once."""

    async def main() -> None:
        log = EventLog(FakeStore(lead=1.0))
        await log.open()
        log.append([draft(1)])
        await asyncio.sleep(0.5)
        page = await log.page(["app:a"], 0)
        assert [event.position for event in page.events] == [1]
        assert log.resume(str(page.events[-1].cursor)) == (Resume.RECOVERED, 1)

    run_virtual(main())


def test_a_store_that_cannot_be_read_is_an_error_of_the_take_and_loses_nothing() -> None:
    """StoreError; the next take goes on where the last one stood."""

    async def main() -> None:
        store = FakeStore()
        log = EventLog(store)
        await log.open()
        log._recent = Recent(1)
        await log.commit([draft(n) for n in range(5)])
        client = Client(log, capacity=2)
        store.reads_fail = True
        with pytest.raises(StoreError):
            await client.take()
        await log.commit([draft(5)])
        store.reads_fail = False
        await client.read_all()
        assert [event.data["n"] for event in client.got] == list(range(6))

    run_virtual(main())
