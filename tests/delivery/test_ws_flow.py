"""How much a WebSocket client may say, and what holds it up; in virtual time."""

import asyncio
import json

import msgpack
import pytest

from eco_actor.delivery.websocket import CHANNELS, COMMANDS, COMPLETE_S, PUBLISHING, REFUSALS
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import Client, Stage, said, soon, staged
from tests.ws_bytes import BINARY, PING, TEXT, closing, masked

PACKINGS = pytest.mark.parametrize("kind", ["json", "msgpack"])


def test_a_hundred_channels_and_no_more() -> None:
    """The next is refused; one that is left makes room."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect(kind="json")
            for n in range(CHANNELS):
                client.say(op="subscribe", id=n, channel=f"app:{n}")
            await soon()
            assert len(client.opened) == CHANNELS
            answer = await said(client, op="subscribe", id="one more", channel="app:more")
            assert (answer["id"], answer["code"]) == ("one more", "too_many_channels")
            await said(client, op="unsubscribe", id=0, channel="app:5")
            opened = await said(client, op="subscribe", id="now", channel="app:more")
            assert opened["op"] == "subscribed"
            await stage.publish("app:more", 1)
            await soon()
            assert client.numbers() == [1]

    run_virtual(main())


def test_who_goes_on_asking_for_too_many_channels_is_sent_away() -> None:
    """Each is answered, up to a bound; then too_many, 4013."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect(kind="json")
            for n in range(10_000):
                client.say(op="subscribe", id=n, channel=f"app:{n}")
            await soon()
            assert (client.bye.code, client.bye.reconnect) == ("too_many", True)
            assert client.ws.close_code == 4013
            assert len(client.said) == REFUSALS + 1
            assert stage.traffic.websocket.ended["too_many"] == 1
            assert len(stage.log.hub) == 0

    run_virtual(main())


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """What it goes on to say waits in its own socket; then it is answered in order."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            client.transport.stall()
            await stage.publish("app:a", 1)
            await soon()
            for n in range(1000):
                client.say(op="ping", id=n)
            await soon()
            assert not client.transport.reading
            client.transport.allow(None)
            await soon()
            assert [each["id"] for each in client.said] == list(range(1000))
            assert client.transport.reading

    run_virtual(main())


def test_a_publisher_is_read_from_no_faster_than_the_store_writes() -> None:
    """So many of its events wait, and no more; all are answered in the end."""

    async def main() -> None:
        async with staged() as stage:
            stage.store.lead = 1.0
            client = await stage.connect(kind="json", publishes=True)
            for n in range(PUBLISHING + 50):
                client.say(op="publish", id=n, channel="app:a", data={"n": n})
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert not client.transport.reading
            await asyncio.sleep(5)
            assert [each["id"] for each in client.said] == list(range(PUBLISHING + 50))
            assert {each["op"] for each in client.said} == {"published"}

    run_virtual(main())


def test_a_suspended_connection_forgets_no_command() -> None:
    """Its mailbox holds as many reads as are let in, and the wake beside them."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json", overflow="latest")
            client.cell.suspend()
            client.transport.stall(0)
            await stage.publish("app:a", 1)
            await soon()
            client.transport.allow(None)
            await soon()
            for n in range(2 * COMMANDS):
                client.say(op="ping", id=n)
                await asyncio.sleep(0)
            await stage.publish("app:a", 2)
            client.cell.resume()
            await soon()
            assert [each["id"] for each in client.said] == list(range(2 * COMMANDS))
            assert client.numbers()[-1] == 2

    run_virtual(main())


def test_a_client_that_closes_is_answered_and_gone() -> None:
    """Its close comes back with its code."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            client.transport.bring(closing(1000))
            await soon()
            assert client.ws.close_code == 1000
            assert not client.byes
            assert not client.cell.alive
            assert stage.traffic.websocket.ended["gone"] == 1

    run_virtual(main())


def test_who_asked_for_channels_itself_may_ask_for_more_after_the_last_ended() -> None:
    """A moment later it is complete, unless it has subscribed again."""

    async def main() -> None:
        async with staged() as stage:
            clients = [await _follows_scan(stage) for _ in range(2)]
            await stage.publish("scan:a", 2, final=True)
            await asyncio.sleep(COMPLETE_S / 2)
            clients[1].say(op="subscribe", id=2, channel="app:b")
            await asyncio.sleep(COMPLETE_S)
            assert (clients[0].bye.code, clients[0].ws.close_code) == ("complete", 1000)
            assert clients[1].cell.alive
            assert not clients[1].byes
            assert [client.numbers() for client in clients] == [[1, 2], [1, 2]]

    run_virtual(main())


async def _follows_scan(stage: Stage) -> Client:
    if not stage.log.head:
        await stage.publish("scan:a", 1, opens=True)
    client = await stage.connect(kind="json")
    client.say(op="subscribe", id=1, channel="scan:a")
    await soon()
    return client


def test_one_message_may_come_in_many_reads() -> None:
    """And many messages in one."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect(kind="msgpack")
            pings = [masked(BINARY, msgpack.packb({"op": "ping", "id": n})) for n in range(5)]
            for byte in b"".join(pings):
                client.transport.bring(bytes([byte]))
            client.transport.bring(b"".join(pings))
            await soon()
            assert [each["id"] for each in client.said] == [*range(5), *range(5)]
            assert json.dumps(client.said[0]) == '{"op": "pong", "id": 0}'

    run_virtual(main())


@pytest.mark.parametrize("flood", [masked(TEXT, b'{"op":"ping"}'), masked(PING, b"")])
def test_a_flood_of_small_messages_is_read_in_short_turns(flood: bytes) -> None:
    """A read of 20,000 messages: others have the loop in between, and all are answered in the
    end."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            before = stage.traffic.websocket.writes
            client.transport.bring(flood * 20_000)
            assert stage.traffic.websocket.writes - before <= 2
            assert client.transport.reading is False
            rounds = 0
            while not client.transport.reading:
                await asyncio.sleep(0)
                rounds += 1
            assert rounds > 25
            assert not client.cell.actor._heard

    run_virtual(main())


def test_who_does_not_read_its_answers_is_not_answered_further() -> None:
    """What it commands waits unread, and is done once it reads."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            client.transport.stall()
            client.transport.bring(masked(TEXT, b'{"op":"ping","id":7}') * 5_000)
            await asyncio.sleep(1)
            assert client.transport.get_write_buffer_size() < 8 * 1024
            assert client.transport.reading is False

    run_virtual(main())
