"""A client's connection from its opening to its end, over every transport; in virtual time."""

import asyncio
from typing import Any

import pytest

from eco_actor.delivery.connection import RETRY_MS, Connection
from eco_actor.delivery.frames import Bye
from eco_actor.delivery.liveness import HEARTBEAT
from eco_actor.delivery.outlet import FAREWELL
from eco_actor.delivery.subscription import Mode
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import LIVE, draft, soon, staged

KINDS = ["sse", "json", "msgpack"]
CLOSE_CODES = {"complete": 1000, "going_away": 1001, "slow_consumer": 4008}


@pytest.mark.parametrize("kind", ["scan", *KINDS])
def test_after_the_last_event_a_stream_is_complete(kind: str) -> None:
    """A bye that says not to come back, the end, and nothing is left."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("scan:a", 1, opens=True)
            client = await stage.connect("scan:a", kind=kind)
            await soon()
            await stage.publish("scan:a", 2)
            await stage.publish("scan:a", 3, final=True)
            await soon()
            assert client.numbers() == [1, 2, 3]
            bye = client.bye
            assert (bye.code, bye.reconnect, bye.retry_ms) == ("complete", False, RETRY_MS)
            if kind in ("json", "msgpack"):
                assert client.ws.close_code == 1000
            assert client.transport.closed
            assert not client.transport.aborted
            assert not client.cell.alive
            assert (len(stage.log.hub), len(stage.fanout), len(stage.wheel)) == (0, 0, 0)
            assert sum(each.ended["complete"] for _, each in stage.traffic.streams()) == 1

    run_virtual(main())


def test_a_stream_of_what_is_over_is_one_write() -> None:
    """Opening, history and bye; the second write is not waited for."""

    async def main() -> None:
        async with staged() as stage:
            (first, _) = await stage.publish("scan:a", 1, 2, opens=True)
            await stage.publish("scan:a", 3, final=True)
            client = await stage.connect("scan:a", kind="scan", after=str(first.cursor))
            await soon()
            assert client.numbers() == [2, 3]
            assert client.bye.code == "complete"
            assert len(client.transport.writes) == 2

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_is_over_does_not_keep_a_stream_open(kind: str) -> None:
    """Behind the end of one scan already, it ends with the other."""

    async def main() -> None:
        async with staged() as stage:
            await stage.publish("scan:b", 1, opens=True)
            (last,) = await stage.publish("scan:a", 2, final=True, opens=True)
            client = await stage.connect("scan:a", "scan:b", kind=kind, after=str(last.cursor))
            await soon()
            assert client.cell.alive
            await stage.publish("scan:b", 3, final=True)
            await soon()
            assert client.numbers() == [3]
            assert client.bye.code == "complete"

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_an_orderly_stop_says_going_away_to_each_at_a_time_of_its_own(kind: str) -> None:
    """Come back, each after another wait; what was not sent yet the cursor has."""

    async def main() -> None:
        async with staged() as stage:
            clients = [await stage.connect("app:a", kind=kind) for _ in range(20)]
            await stage.publish("app:a", 1)
            stage.connections.stop_children()
            await soon()
            waits = [client.bye.retry_ms for client in clients]
            assert {(each.bye.code, each.bye.reconnect) for each in clients} == {
                ("going_away", True)
            }
            assert len(set(waits)) == len(waits)  # the gate of the stage lets 20 a second in
            if kind != "sse":
                assert {client.ws.close_code for client in clients} == {1001}
            assert (len(stage.fanout), len(stage.log.hub)) == (0, 0)

    run_virtual(main())


def test_last_bytes_have_a_moment_and_then_the_connection_is_cut() -> None:
    """A client that does not read its bye is not waited for; one that does is not cut."""

    async def main() -> None:
        async with staged() as stage:
            stuck, slow = await stage.connect("app:a"), await stage.connect("app:a")
            for client in (stuck, slow):
                client.transport.stall()
            await stage.publish("app:a", 1)
            await soon()
            stage.connections.stop_children()
            await asyncio.sleep(FAREWELL / 2)
            slow.transport.allow(None)
            assert not stuck.transport.aborted
            await asyncio.sleep(FAREWELL)
            assert stuck.transport.aborted
            assert not slow.transport.aborted
            assert (slow.numbers(), slow.bye.code) == ([1], "going_away")
            assert not stuck.cell.alive

    run_virtual(main())


def test_a_killed_connection_is_cut_without_a_word_and_not_restarted() -> None:
    """Nothing is left of it."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a")
            client.cell.kill()
            await soon()
            assert client.transport.aborted
            assert not client.byes
            assert not client.cell.alive
            assert stage.system.find(client.cell.path) is None
            assert (len(stage.fanout), len(stage.log.hub), len(stage.wheel)) == (0, 0, 0)
            assert stage.traffic.sse.ended["error"] == 1

    run_virtual(main())


@pytest.mark.parametrize("stalled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_vanishes_leaves_nothing_behind(kind: str, stalled: bool) -> None:
    """In step or behind: no subscription, no cohort, no place in the wheel."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", "app:b", LIVE, kind=kind)
            if stalled:
                client.transport.stall()
                await stage.publish("app:a", 1, 2, 3)
                await soon()
            client.transport.vanish()
            await soon()
            assert not client.cell.alive
            assert (len(stage.fanout), len(stage.log.hub), len(stage.wheel)) == (0, 0, 0)
            assert (stage.wheel.stuck, len(stage.live)) == (0, 0)
            traffic = stage.traffic.sse if kind == "sse" else stage.traffic.websocket
            assert (traffic.open, traffic.subscribed, traffic.behind) == (0, 0, 0)
            assert traffic.ended["gone"] == 1

    run_virtual(main())


@pytest.mark.parametrize("overflow", ["buffer", "latest"])
def test_a_suspended_connection_goes_on_where_it_was(overflow: str) -> None:
    """Its mailbox fills meanwhile, and the rule speaks."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", overflow=overflow, capacity=3)
            client.transport.stall()
            await stage.publish("app:a", 1)
            await soon()
            client.cell.suspend()
            client.transport.allow(None)
            for n in range(2, 100):
                await stage.publish("app:a", n)
            await soon()
            assert client.numbers() == [1]
            client.cell.resume()
            await soon()
            expected = range(1, 100) if overflow == "buffer" else [1, 97, 98, 99]
            assert client.numbers() == list(expected)
            assert client.subscriptions[0].mode is Mode.IN_STEP

    run_virtual(main())


def test_with_an_interval_there_is_one_delivery_in_each() -> None:
    """The newest, at once after a silence, else when the interval is over."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", overflow="latest", interval_ms=1000)
            await asyncio.sleep(5)
            for n in range(41):
                await stage.publish("app:a", n)
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            numbers = client.numbers()
            assert (numbers[0], numbers[-1]) == (0, 40)
            assert len(numbers) in (5, 6)
            assert sum(gap.dropped for gap in client.gaps) == 41 - len(numbers)
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


def test_an_interval_on_one_channel_does_not_wait_for_another() -> None:
    """In step on the one, it is told of the other in its intervals."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            how = {"overflow": "latest", "interval_ms": 500}
            client.say(op="subscribe", id=1, channel="app:b", **how)
            await soon()
            for n in range(20):
                await stage.publish("app:b", n)
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)
            assert len(client.numbers("app:b")) == 5
            assert client.numbers("app:b")[-1] == 19
            await stage.publish("app:a", 100)
            await soon()
            assert client.numbers("app:a") == [100]

    run_virtual(main())


def test_a_silent_stream_is_shown_to_live_and_a_busy_one_needs_no_sign() -> None:
    """A comment after each 15 s without a byte; events stand for it."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a")
            await asyncio.sleep(4 * HEARTBEAT + 3)
            comments = client.reader.comments
            assert comments in (3, 4)
            for n in range(60):
                await stage.publish("app:a", n)
                await asyncio.sleep(1)
            assert client.reader.comments == comments
            assert stage.traffic.sse.heartbeats == comments

    run_virtual(main())


def test_a_client_that_only_sends_no_more_is_still_served() -> None:
    """Half-closed, it is asked whether it reads, by comments; it gets what comes."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a")
            client.transport.end()
            await asyncio.sleep(5)
            assert client.reader.comments == 3
            await stage.publish("app:a", 1)
            await soon()
            assert client.numbers() == [1]
            assert client.cell.alive
            gone = await stage.connect("app:a")
            gone.transport.end()
            gone.transport.vanish()  # as the reset that answers the comment
            await soon()
            assert not gone.cell.alive

    run_virtual(main())


def test_with_an_interval_several_channels_come_in_order_all_the_same() -> None:
    """One delivery for all of them: an id that a resume would skip is never sent."""

    async def main() -> None:
        async with staged() as stage:
            how: dict[str, Any] = {"overflow": "latest", "interval_ms": 1000}
            client = await stage.connect("app:a", "app:b", **how)
            for n in range(40):
                await stage.publish("app:a" if n % 3 else "app:b", n)
                await asyncio.sleep(0.13 if n % 2 else 0.4)
            await asyncio.sleep(2)
            assert client.sse.ids == sorted(client.sse.ids)
            assert {client.numbers("app:a")[-1], client.numbers("app:b")[-1]} == {38, 39}

    run_virtual(main())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_follows_a_goodbye(kind: str) -> None:
    """Also when there is something to flush in that very moment."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind)
            await stage.publish("app:a", 1)
            await soon()
            stage.log.append([draft("app:a", 2)])
            connection = client.cell.actor
            assert isinstance(connection, Connection)
            connection.end(Bye.GOING_AWAY, 1000)
            await soon()
            assert client.bye.code == "going_away"
            assert client.numbers() == [1]

    run_virtual(main())
