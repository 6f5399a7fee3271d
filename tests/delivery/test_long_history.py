"""A history of more events than are read at a time: all of it, then what is live, in order."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from eco_actor.delivery.connection import Connection
from eco_actor.delivery.frames import sse_event
from eco_actor.delivery.subscription import BATCH, Subscription
from eco_actor.eventlog import Draft, Event, EventLog
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime import DynamicSupervisor, MailboxSpec, Restart, Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeStore, FakeTransport

LENGTHS = [1, BATCH - 1, BATCH, BATCH + 1, 200, 1000]
STREAMS = 20

in_memory_and_not = pytest.mark.parametrize("kept", [4096, 1])


def draft(n: int, *, final: bool = False) -> Draft:
    return Draft("scan:x", {"n": n}, at_ms=1, opens=n == 1, terminal=final, final=final)


async def history(length: int, kept: int) -> EventLog:
    """A log of so many events, of which *kept* can be read without the store."""
    log = EventLog(FakeStore())
    await log.open()
    log._recent = Recent(kept)
    for n in range(1, length + 1):
        log.append([draft(n)])
    await log.commit([])
    return log


def numbers(events: list[Event]) -> list[int]:
    return [event.data["n"] for event in events]


@in_memory_and_not
@pytest.mark.parametrize("length", LENGTHS)
def test_all_of_a_history_is_taken_and_then_what_is_live(length: int, kept: int) -> None:
    """Whoever takes until there is nothing has everything, and is woken for the next event."""
    assert (BATCH, LENGTHS[1:4]) == (64, [63, 64, 65])

    async def main() -> None:
        log = await history(length, kept)
        woken = asyncio.Event()
        subscription = Subscription(log, "scan:x", None, MailboxSpec(256))
        subscription.open(woken.set)
        got: list[Event] = []
        while events := await subscription.take():
            assert len(events) <= BATCH
            got.extend(events)
        assert numbers(got) == list(range(1, length + 1))
        for n in range(length + 1, length + 4):
            woken.clear()
            await log.commit([draft(n)])
            assert woken.is_set()
            assert numbers(list(await subscription.take())) == [n]
        assert await subscription.take() == []
        subscription.close()

    run_virtual(main())


@in_memory_and_not
@pytest.mark.parametrize("capacity", [1, 256])
@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_published_while_a_history_is_read_comes_behind_it(
    length: int, capacity: int, kept: int
) -> None:
    """One more event after each batch: everything once, in order, with any capacity."""

    async def main() -> None:
        log = await history(length, kept)
        subscription = Subscription(log, "scan:x", None, MailboxSpec(capacity))
        subscription.open(lambda: None)
        got: list[Event] = []
        published = length
        while events := await subscription.take():
            got.extend(events)
            if published < length + 20:
                published += 1
                await log.commit([draft(published)])
        assert published == length + 20
        assert numbers(got) == list(range(1, published + 1))

    run_virtual(main())


@in_memory_and_not
@pytest.mark.parametrize("length", [200, 1000])
def test_a_client_that_comes_back_gets_the_rest_of_a_long_history(length: int, kept: int) -> None:
    """From its cursor on, more than one batch behind."""

    async def main() -> None:
        log = await history(length, kept)
        subscription = Subscription(log, "scan:x", str(log.cursor(50)), MailboxSpec(4))
        subscription.open(lambda: None)
        got: list[Event] = []
        while events := await subscription.take():
            got.extend(events)
        assert numbers(got) == list(range(51, length + 1))

    run_virtual(main())


def connect(system: System, log: EventLog, transport: FakeTransport, name: str) -> Any:
    cell = system.find("/eco/connections")
    assert cell is not None
    assert isinstance(cell.actor, DynamicSupervisor)
    subscription = Subscription(log, "scan:x", None, MailboxSpec(4))
    spec = child(name, Connection, transport, subscription, restart=Restart.TEMPORARY)
    ref = cell.actor.start_child_nowait(spec)
    return weakref.ref(subscription), weakref.ref(system.find(ref.path).actor)  # type: ignore[union-attr]


def tree() -> System:
    return System(child("eco", Supervisor, [child("connections", DynamicSupervisor, 99)]))


@in_memory_and_not
@pytest.mark.parametrize("length", LENGTHS)
def test_a_connection_writes_all_of_a_history_and_what_is_live(length: int, kept: int) -> None:
    """Up to the last event of the channel, at which it ends."""

    async def main() -> None:
        log = await history(length, kept)
        async with tree() as system:
            transport = FakeTransport()
            connect(system, log, transport, "one")
            await asyncio.sleep(5)
            assert transport.sent.count(b'data: {"n":') == length
            await log.commit([draft(length + 1)])
            await log.commit([draft(length + 2, final=True)])
            await asyncio.sleep(5)
            assert isinstance(log.store, FakeStore)
            assert b"".join(map(sse_event, log.store.events)) in transport.sent
            assert transport.closed_at is not None

    run_virtual(main())


def test_nothing_keeps_a_connection_that_has_ended() -> None:
    """Its memory is given back at its end, without the collector of cycles."""

    async def main() -> None:
        log = await history(100, 4096)
        await log.commit([draft(101, final=True)])
        async with tree() as system:
            gc.collect()
            gc.disable()
            try:
                seen: list[weakref.ref[Any]] = []
                for n in range(STREAMS):
                    transport = FakeTransport()
                    seen.extend(connect(system, log, transport, str(n)))
                    await asyncio.sleep(5)
                    assert transport.closed_at is not None
                assert len(seen) == 2 * STREAMS
                assert [each() for each in seen if each() is not None] == []
            finally:
                gc.enable()

    run_virtual(main())
