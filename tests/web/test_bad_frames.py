"""What no WebSocket client should send: each has a clear answer, and the server goes on."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from eco_actor.app import Eco
from tests.web.contract_inside import Inside, faultless, until_so
from tests.web.contract_sockets import WsJson, WsMsgpack, ended_with, packed
from tests.web.contract_world import channel, numbers
from tests.ws_bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, masked, unmasked

SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
LIMIT = 128 * 1024


@pytest.fixture
async def world(
    session: aiohttp.ClientSession, make: Callable[..., Eco], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Inside]:
    async with faultless(session, make, caplog) as world:
        yield world


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(TEXT, b"x" * (LIMIT + 1)), 1009),
        (masked(BINARY, b"x" * (LIMIT + 1)), 1009),
        (masked(TEXT, b"x" * LIMIT, fin=False) + masked(CONT, b"x"), 1009),
        (masked(TEXT, b"", fin=False) + masked(CONT, b"x" * 1000, fin=False) * 200, 1009),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + b"1234", 1009),
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + b"1234", (1002, 1009)),
        (unmasked(TEXT, b"{}"), 1002),
        (masked(TEXT, b"{}", reserved=4), 1002),
        (masked(TEXT, b"{}", reserved=2), 1002),
        (masked(TEXT, b"{}", reserved=1), 1002),
        (masked(3, b""), 1002),
        (masked(7, b"x"), 1002),
        (masked(11, b""), 1002),
        (masked(CONT, b"x"), 1002),
        (masked(TEXT, b"{", fin=False) + masked(TEXT, b"}"), 1002),
        (masked(PING, b"x" * 126), 1002),
        (masked(PING, b"x", fin=False), 1002),
        (masked(PONG, b"x", fin=False), 1002),
        (masked(CLOSE, b"\x03"), 1002),
        (closing(999), 1002),
        (closing(1004), 1002),
        (closing(1005), 1002),
        (closing(1006), 1002),
        (closing(1015), 1002),
        (closing(2000), 1002),
        (closing(5000), 1002),
        (closing(1000, b"\xff\xfe"), (1002, 1007)),
        (masked(TEXT, b"\xff\xfe"), 1007),
        (masked(TEXT, b"\xed\xa0\x80"), 1007),
        (masked(TEXT, b"\xff", fin=False), 1007),
        (masked(TEXT, b"not json"), 1007),
        (masked(TEXT, b""), 1007),
        (masked(TEXT, b'{"op":"ping"} x'), 1007),
        (masked(TEXT, b'{"op":"ping","id":NaN}'), 1007),
        (masked(BINARY, b'{"op":"ping"}'), 1003),
        (closing(1000), 1000),
        (closing(4321, b"bye"), 4321),
        (masked(CLOSE, b""), (1000, 1005)),
    ],
)
async def test_a_fault_ends_the_connection_with_its_code(
    world: Inside, sent: bytes, code: int | tuple[int, ...]
) -> None:
    """Protocol errors 1002, no text 1007, too large 1009, the wrong kind 1003; closes: an echo."""
    follower = await world.open(WsJson, channel())
    await follower.connected.send(sent)
    codes = code if isinstance(code, tuple) else (code,)
    assert await ended_with(follower) in codes
    await until_so(lambda: world.connections() == [])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(BINARY, b"\xc1"), 1007),
        (masked(BINARY, b""), 1007),
        (masked(BINARY, b"\x81"), 1007),
        (masked(BINARY, b"\x80\x80"), 1007),
        (masked(BINARY, b"\xdf\xff\xff\xff\xff"), 1007),
        (masked(BINARY, b"\x81\xa1\xff\xc0"), 1007),
        (masked(BINARY, b"\x81\x90\xc0"), 1007),
        (masked(TEXT, b"{}"), 1003),
    ],
)
async def test_what_is_no_msgpack_ends_the_connection(
    world: Inside, sent: bytes, code: int
) -> None:
    """Cut off, reserved, unhashable keys, text that is none: 1007; a text message: 1003."""
    follower = await world.open(WsMsgpack, channel())
    await follower.connected.send(sent)
    assert await ended_with(follower) == code


async def test_a_fault_behind_a_command_leaves_the_command_done(world: Inside) -> None:
    """In one packet: what came before the fault is answered, what comes behind it is not."""
    follower = await world.open(WsJson, headers=world.operator)
    name = channel()
    publish = {"op": "publish", "id": 1, "channel": name, "data": {"n": 1}, "transient": True}
    again = {**publish, "data": {"n": 2}}
    watcher = await world.open(WsJson, name)
    sent = [packed(WsJson, publish), masked(TEXT, b"no json"), packed(WsJson, again)]
    await follower.connected.send(b"".join(sent))
    assert await ended_with(follower) == 1007
    assert follower.replies == [{"op": "published", "id": 1, "cursor": None}]
    await world.numbers(name, 3)
    assert numbers(await watcher.events(2)) == [1, 3]


async def test_a_flood_of_pings_has_as_many_pongs_and_a_bound(world: Inside) -> None:
    """Who does not read its pongs is read from no more."""
    follower = await world.open(WsJson, small=True)
    wire, frame = follower.connected.socket, masked(PING, b"x" * 125) * 50
    sent = idle = 0
    while idle < 20 and sent < 16 * 2**20:
        try:
            sent += wire.send(frame)
            idle = 0
        except BlockingIOError:
            idle += 1
            await world.client.get("/healthz")  # the server has had its turns
    (connection,) = world.connections()
    assert connection.paused
    assert connection.transport.get_write_buffer_size() < 512 * 1024
    assert sent < 16 * 2**20


async def test_bytes_of_a_frame_may_come_one_by_one(world: Inside) -> None:
    """As slowly as they like."""
    follower = await world.open(WsJson)
    for byte in masked(TEXT, b'{"op":"ping","id":7}'):
        await follower.connected.send(bytes([byte]))
    while not follower.replies:
        await follower.more()
    assert follower.replies == [{"op": "pong", "id": 7}]
