"""What a client may say over a WebSocket, and each answer of the contract; in virtual time."""

from typing import Any

import pytest

from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import said, soon, staged
from tests.ws_bytes import BINARY, TEXT, masked

PACKINGS = pytest.mark.parametrize("kind", ["json", "msgpack"])


@PACKINGS
def test_subscribe_is_answered_and_events_follow(kind: str) -> None:
    """With the cursor from which it reads, and the verdict; then live ones."""

    async def main() -> None:
        async with staged() as stage:
            events = await stage.publish("app:a", 1, 2, 3)
            client = await stage.connect(kind=kind)
            client.say(op="subscribe", id=7, channel="app:a", after=str(events[0].cursor))
            await soon()
            await stage.publish("app:a", 4)
            await soon()
            assert client.opened[0].told == {
                "op": "subscribed",
                "id": 7,
                "channel": "app:a",
                "cursor": str(events[0].cursor),
                "resume": "recovered",
            }
            assert client.reader.items[0] is client.opened[0]
            assert client.numbers() == [2, 3, 4]

    run_virtual(main())


@PACKINGS
def test_unsubscribe_stops_one_channel(kind: str) -> None:
    """What was published before is told before the answer or not at all; others go on."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", "app:b", kind=kind)
            await stage.publish("app:a", 1)
            await soon()
            told = await said(client, op="unsubscribe", id="x", channel="app:a")
            assert told == {"op": "unsubscribed", "id": "x", "channel": "app:a"}
            await stage.publish("app:a", 2)
            await stage.publish("app:b", 3)
            await soon()
            assert client.numbers() == [1, 3]
            again = await said(client, op="unsubscribe", channel="app:a")
            assert (again["op"], again["code"]) == ("error", "not_subscribed")

    run_virtual(main())


@PACKINGS
def test_ping_is_answered_with_its_id(kind: str) -> None:
    """Of any kind that an id may have."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect(kind=kind)
            for id in (1, "a", None):
                assert await said(client, op="ping", id=id) == {"op": "pong", "id": id}

    run_virtual(main())


@PACKINGS
def test_a_publisher_is_answered_with_the_cursor(kind: str) -> None:
    """Of the event as it is told to all; null for a transient one."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind, publishes=True)
            client.say(op="publish", id=1, channel="app:a", data={"n": 1})
            await soon()
            client.say(op="publish", id=2, channel="app:a", data={"n": 2}, transient=True)
            await soon()
            (first, second) = client.said
            assert client.numbers() == [1, 2]
            assert first == {"op": "published", "id": 1, "cursor": client.ws.last["app:a"]}
            assert second == {"op": "published", "id": 2, "cursor": None}
            assert [event.position for event in client.events] == [1, None]

    run_virtual(main())


BAD: list[tuple[dict[str, Any], str]] = [
    ({"op": "dance"}, "unknown_op"),
    ({}, "unknown_op"),
    ({"op": ["x"]}, "unknown_op"),
    ({"op": "subscribe"}, "bad_command"),
    ({"op": "subscribe", "channel": 5}, "bad_command"),
    ({"op": "subscribe", "channel": "app:b", "colour": "red"}, "bad_command"),
    ({"op": "subscribe", "channel": "app:a"}, "already_subscribed"),
    ({"op": "subscribe", "channel": "app:b", "overflow": "spill"}, "bad_option"),
    ({"op": "subscribe", "channel": "app:b", "capacity": 0}, "bad_option"),
    ({"op": "subscribe", "channel": "app:b", "capacity": 4097}, "bad_option"),
    ({"op": "subscribe", "channel": "app:b", "interval_ms": 100}, "bad_option"),
    ({"op": "subscribe", "channel": "no channel"}, "bad_channel"),
    ({"op": "subscribe", "channel": "scan:unknown"}, "unknown_task"),
    ({"op": "subscribe", "channel": "system:other"}, "unknown_channel"),
    ({"op": "unsubscribe", "channel": "app:z"}, "not_subscribed"),
    ({"op": "publish", "channel": "app:a", "data": {}}, "operator_only"),
    ({"op": "publish", "channel": "app:a", "data": [1]}, "bad_command"),
]


@PACKINGS
@pytest.mark.parametrize(("told", "code"), BAD, ids=lambda each: str(each)[:50])
def test_what_is_wrong_is_told_and_the_connection_kept(
    kind: str, told: dict[str, Any], code: str
) -> None:
    """With the id of the command, and a stable code."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind)
            answer = await said(client, **told, id=9)
            assert (answer["op"], answer["id"], answer["code"]) == ("error", 9, code)
            assert answer["detail"]
            assert answer.keys() == {"op", "id", "code", "detail"}
            await stage.publish("app:a", 1)
            await soon()
            assert client.numbers() == [1]

    run_virtual(main())


@pytest.mark.parametrize(
    ("kind", "opcode", "payload", "code"),
    [
        ("json", TEXT, b"not JSON", 1007),
        ("json", TEXT, b"[" * 100_000, 1007),
        ("json", TEXT, b"\xff\xfe", 1007),
        ("json", BINARY, b"{}", 1003),
        ("msgpack", TEXT, b"{}", 1003),
        ("msgpack", BINARY, b"\xc1", 1007),
        ("msgpack", BINARY, b"\x81\xa2op", 1007),
        ("json", TEXT, b" " * (128 * 1024 + 1), 1009),
    ],
)
def test_what_is_no_message_closes_the_connection(
    kind: str, opcode: int, payload: bytes, code: int
) -> None:
    """With the code that the standard has for it."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind)
            client.transport.bring(masked(opcode, payload))
            await soon()
            assert client.ws.close_code == code
            assert client.transport.closed
            assert not client.cell.alive
            assert (len(stage.fanout), len(stage.log.hub)) == (0, 0)

    run_virtual(main())


@pytest.mark.parametrize("payload", [b"[]", b"5", b"null", b'"subscribe"'])
def test_json_that_is_no_command_is_an_error(payload: bytes) -> None:
    """The connection is kept."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect(kind="json")
            client.transport.bring(masked(TEXT, payload))
            await soon()
            assert [each["code"] for each in client.said] == ["bad_command"]
            assert client.cell.alive

    run_virtual(main())


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("json", b'{"op":"ping","id":"\\ud800"}'),
        ("json", b'{"op":"ping","id":1e400}'),
        ("json", b"[" * 1000 + b"]" * 1000),
        ("msgpack", b"\x82\xa2id\x01\xa2op" + b"\x91" * 900 + b"\x01"),
    ],
)
def test_what_is_a_message_but_none_for_us_keeps_the_connection(kind: str, payload: bytes) -> None:
    """An error that says so, and it goes on."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind=kind)
            client.transport.bring(masked(BINARY if kind == "msgpack" else TEXT, payload))
            await soon()
            assert client.ws.close_code is None
            assert (await said(client, op="ping", id=5))["op"] == "pong"

    run_virtual(main())
