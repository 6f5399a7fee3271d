"""Streams of a channel without a log: what a client is told, under each rule; virtual time."""

import asyncio
import json
from typing import Any

import pytest

from eco_actor.delivery.connection import RETRY_MS
from eco_actor.delivery.frames import Gap
from eco_actor.delivery.live import LiveSubscription
from eco_actor.delivery.observer import CHANNEL, INTERVAL
from eco_actor.eventlog import Event, Resume
from eco_actor.runtime import MailboxSpec, Overflow, State
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeTransport
from tests.observed import SOON, World, running


def data(sent: bytes) -> list[dict[str, Any]]:
    """The data events among the bytes of a stream."""
    found = []
    for block in sent.decode().split("\n\n"):
        if block.startswith("data: "):
            told = json.loads(block.removeprefix("data: "))
            found.append(told)
    return found


def controls(sent: bytes, name: str) -> list[dict[str, Any]]:
    """The control events of that name."""
    found = []
    for block in sent.decode().split("\n\n"):
        lines = block.split("\n")
        if f"event: eco.{name}" in lines:
            found.append(json.loads(lines[-1].removeprefix("data: ")))
    return found


def test_a_stream_opens_and_then_tells_events_without_a_place() -> None:
    """The opening with the log's cursor and the rule; snapshots have neither id nor cursor."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport()
            world.connect(client, Overflow.LATEST, 1)
            await asyncio.sleep(2 * INTERVAL + SOON)
            opening = (
                f"retry: {RETRY_MS}\n\n"
                'event: eco.open\nid: e-0\ndata: {"cursor":"e-0","resume":"fresh",'
                '"overflow":"latest","capacity":1}\n\n'
                'data: {"channel":"system:actors","cursor":null,"data":{"at":"'
            )
            assert client.sent.startswith(opening.encode())
            told = data(client.sent)
            assert len(told) == 3
            assert {each["channel"] for each in told} == {CHANNEL}
            assert client.sent.count(b"id: ") == 1

    run_virtual(main())


def test_a_watcher_that_does_not_read_holds_up_nobody() -> None:
    """Others get a snapshot a second; the stalled one is ended in the end, and then forgotten."""

    async def main() -> None:
        async with running() as world:
            stalled, good = FakeTransport(stalled=True), FakeTransport()
            ref = world.connect(stalled, Overflow.LATEST, 1)
            world.connect(good, Overflow.LATEST, 1)
            await asyncio.sleep(10 * INTERVAL + SOON)
            assert len(data(good.sent)) == 11
            assert stalled.sent == b""
            assert ref.alive
            await asyncio.sleep(15)
            assert not ref.alive
            assert stalled.aborted
            assert len(world.channel) == 1

    run_virtual(main())


@pytest.mark.parametrize(
    ("overflow", "capacity", "shown", "reason"),
    [
        (Overflow.BUFFER, 2, "oldest", "overflow"),
        (Overflow.DROP, 2, "oldest", "overflow"),
        (Overflow.LATEST, 2, "newest", "overflow"),
        (Overflow.COALESCE, 2, "newest", "coalesced"),
    ],
)
def test_who_was_behind_is_told_what_it_missed(
    overflow: Overflow, capacity: int, shown: str, reason: str
) -> None:
    """The events that its rule kept, and one gap with the number of the others, in its place."""

    async def main() -> None:
        world = World()
        await world.log.open()
        subscription = LiveSubscription(
            world.log,
            world.channel,
            None,
            MailboxSpec(
                capacity,
                overflow,
                (lambda event: event.channel) if overflow is Overflow.COALESCE else None,
            ),
        )
        subscription.open(lambda: None)
        events = [Event.transient(CHANNEL, {"n": n}, 1) for n in range(6)]
        for event in events:
            world.channel.offer(event)
        told: list[Event | Gap] = []
        while items := await subscription.take():
            told += items
        kept = 1 if overflow is Overflow.COALESCE else capacity
        gap = Gap(CHANNEL, subscription.begins, subscription.begins, 6 - kept, reason)
        expected = [gap, *events[-kept:]] if shown == "newest" else [*events[:kept], gap]
        assert told == expected
        world.channel.offer(events[0])
        assert await subscription.take() == [events[0]]

    run_virtual(main())


def test_the_rule_close_ends_the_connection_of_who_is_behind() -> None:
    """It is told slow_consumer as soon as it reads again, and that it may come back."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport(stalled=True)
            ref = world.connect(client, Overflow.CLOSE, 2)
            await asyncio.sleep(2 * INTERVAL + SOON)  # one snapshot in hand, two wait
            assert world.cell(ref.path).state is State.RUNNING
            await asyncio.sleep(INTERVAL)
            assert world.cell(ref.path).state is State.STOPPING
            client.resumed.set()
            await asyncio.sleep(SOON)
            assert not ref.alive
            (bye,) = controls(client.sent, "bye")
            assert (bye["code"], bye["reconnect"]) == ("slow_consumer", True)
            assert client.closed_at is not None
            assert len(world.channel) == 0

    run_virtual(main())


def test_the_rule_close_gives_up_on_who_never_reads() -> None:
    """The bye is best effort: after a moment the connection is dropped."""

    async def main() -> None:
        async with running() as world:
            client = FakeTransport(stalled=True)
            ref = world.connect(client, Overflow.CLOSE, 1)
            await asyncio.sleep(4 * INTERVAL)
            assert not ref.alive
            assert client.aborted

    run_virtual(main())


def test_who_comes_back_goes_on_from_now() -> None:
    """A known cursor is recovered, for nothing was logged; an unknown one is told as a reset."""

    async def main() -> None:
        world = World()
        await world.log.open()
        spec: MailboxSpec[Event] = MailboxSpec(1)
        for after, verdict in (
            (None, Resume.FRESH),
            ("e-0", Resume.RECOVERED),
            ("earliest", Resume.RECOVERED),
            ("x-9", Resume.RESET),
        ):
            subscription = LiveSubscription(world.log, world.channel, after, spec)
            assert subscription.resume is verdict
            assert subscription.begins == world.log.cursor(0)

    run_virtual(main())
