"""Messages of a WebSocket that are no commands: each has an answer, and nothing is half done."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import msgpack
import pytest

from eco_actor.app import Eco
from tests.web.contract_inside import Inside, faultless, until_so
from tests.web.contract_sockets import WebSocket, WsJson, WsMsgpack, ended_with, packed
from tests.ws_bytes import BINARY, TEXT, masked

SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])


@pytest.fixture
async def world(
    session: aiohttp.ClientSession, make: Callable[..., Eco], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Inside]:
    async with faultless(session, make, caplog) as world:
        yield world


@SOCKETS
async def test_what_is_no_command_gets_an_error_and_the_connection_goes_on(
    world: Inside, kind: type[WebSocket]
) -> None:
    """Each by its own, with its id where it has one; the next command is answered."""
    follower = await world.open(kind)
    wrong: list[tuple[Any, str]] = [
        ([], "bad_command"),
        (None, "bad_command"),
        (1, "bad_command"),
        ("ping", "bad_command"),
        ({}, "unknown_op"),
        ({"op": None}, "unknown_op"),
        ({"op": []}, "unknown_op"),
        ({"op": {"op": "ping"}}, "unknown_op"),
        ({"op": "PING"}, "unknown_op"),
        ({"op": "x" * 100_000}, "unknown_op"),
        ({"op": "ping", "more": 1}, "bad_command"),
        ({"op": "ping", "id": 1.5}, "bad_command"),
        ({"op": "ping", "id": []}, "bad_command"),
        ({"op": "ping", "id": {}}, "bad_command"),
        ({"op": "subscribe"}, "bad_command"),
        ({"op": "subscribe", "channel": 1}, "bad_command"),
        ({"op": "subscribe", "channel": None}, "bad_command"),
        ({"op": "subscribe", "channel": "app:x", "after": 1}, "bad_command"),
        ({"op": "subscribe", "channel": "app:x", "capacity": "5"}, "bad_command"),
        ({"op": "subscribe", "channel": "app:x", "capacity": 2**63}, "bad_option"),
        ({"op": "subscribe", "channel": "app:x", "overflow": []}, "bad_command"),
        ({"op": "subscribe", "channel": "app:\u0000"}, "bad_channel"),
        ({"op": "subscribe", "channel": "x" * 100_000}, "bad_channel"),
        ({"op": "unsubscribe", "id": 1, "channel": "app:x"}, "not_subscribed"),
        ({"op": "unsubscribe", "id": 1}, "bad_command"),
        ({"op": "publish", "channel": "app:x", "data": {}}, "operator_only"),
    ]
    for given, code in wrong:
        told = given
        if isinstance(given, dict) and "id" not in given:
            told = {**given, "id": "mine"}
        await follower.connected.send(packed(kind, told))
        while not follower.replies:
            await follower.more()
        reply = follower.replies.pop(0)
        assert (reply["op"], reply["code"]) == ("error", code), str(given)[:60]
        assert isinstance(reply["detail"], str)
        assert len(reply["detail"]) < 1000
        assert reply["id"] in ("mine", 1, None)
        assert (await follower.ask("ping"))["op"] == "pong"
    assert world.connections()[0].subscriptions == ()


@SOCKETS
@pytest.mark.parametrize("identity", [0, -(2**63), 2**63 - 1, "", "x" * 60_000, "한", None])
async def test_any_id_comes_back_as_it_was(
    world: Inside, kind: type[WebSocket], identity: object
) -> None:
    """Huge ones, too."""
    follower = await world.open(kind)
    await follower.say(op="ping", id=identity)
    while not follower.replies:
        await follower.more()
    assert follower.replies == [{"op": "pong", "id": identity}]


@pytest.mark.parametrize(
    "identity", ["9223372036854775808", "-9223372036854775809", "1e400", "true", "1" + "0" * 5000]
)
async def test_an_id_that_is_no_number_of_ours_has_an_answer(world: Inside, identity: str) -> None:
    """An error, a pong or a close, and never a fault."""
    follower = await world.open(WsJson)
    await follower.connected.send(masked(TEXT, f'{{"op":"ping","id":{identity}}}'.encode()))
    while not follower.replies and not follower.waiting:
        await follower.more()
    if follower.waiting:
        assert await ended_with(follower) == 1007
    else:
        assert follower.replies[0]["op"] in ("pong", "error")


@SOCKETS
@pytest.mark.parametrize("depth", [100, 400, 600, 1100, 5000, 50_000])
async def test_what_is_nested_deep_has_an_answer(
    world: Inside, kind: type[WebSocket], depth: int
) -> None:
    """An error for the command, or a close for a message that cannot be read at all."""
    follower = await world.open(kind, headers=world.operator)
    if kind is WsJson:
        deep = b"[" * depth + b"]" * depth
        head = b'{"op":"publish","id":1,"channel":"app:x","data":{"x":'
        sent = masked(TEXT, head + deep + b"}}")
    else:
        head = bytes(msgpack.packb({"op": "publish", "id": 1, "channel": "app:x", "data": 0}))
        sent = masked(BINARY, head[:-1] + b"\x81\xa1x" + b"\x91" * depth + b"\xc0")
    await follower.connected.send(sent)
    while not follower.replies and not follower.waiting:
        await follower.more()
    if follower.waiting:
        assert depth > 400
        assert await ended_with(follower) == 1007
    else:
        assert follower.replies[0]["op"] == ("published" if depth == 100 else "error")


@SOCKETS
async def test_ten_thousand_subscriptions_are_too_many(
    world: Inside, kind: type[WebSocket]
) -> None:
    """A hundred are taken, some more refused by name, and then the connection is ended: 4013."""
    follower = await world.open(kind)
    sent = b"".join(
        packed(kind, {"op": "subscribe", "id": n, "channel": f"app:{n}"}) for n in range(10_000)
    )
    sending = asyncio.create_task(follower.connected.send(sent))
    assert await ended_with(follower) == 4013
    sending.cancel()
    with suppress(asyncio.CancelledError, ConnectionError):
        await sending
    taken = [each["id"] for each in follower.replies if each["op"] == "subscribed"]
    refused = [each for each in follower.replies if each["op"] == "error"]
    assert taken == list(range(100))
    assert {each["code"] for each in refused} == {"too_many_channels"}
    assert follower.last is not None
    assert (follower.last.code, follower.last.reconnect) == ("too_many", True)
    await until_so(lambda: world.ended("websocket") == {"too_many": 1})
    assert len(world.eco.log.hub) == 0
