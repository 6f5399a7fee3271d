"""Connections taken over from aiohttp: whatever client there is, nothing is lost or left behind."""

import asyncio
from functools import partial

import pytest
from aiohttp import web

from eco_actor.web.handover import hand_over
from tests.web.handed_over import (
    HEAD,
    LOOPS,
    Stream,
    World,
    get,
    on_both_loops,
    run_on,
    until,
)
from tests.ws_bytes import BINARY, TEXT, masked, opening

MUCH = 8 * 1024 * 1024
"""Bytes that no socket takes at once."""


@on_both_loops
async def test_what_is_written_reaches_the_client_and_what_it_sends_comes_in(world: World) -> None:
    """aiohttp has forgotten the connection by then, and hears nothing of its end."""
    peer = await world.asked(get("/sse"))
    assert await peer.read(len(HEAD)) == HEAD
    stream = await world.one_stream()
    await until(lambda: world.left_to_aiohttp() == 0)
    stream.transport.write(b"data: 1\n\n")
    assert await peer.read(9) == b"data: 1\n\n"
    await peer.send(b"hello")
    await until(lambda: stream.received == b"hello")
    stream.transport.close()
    assert await peer.read(1) == b""
    peer.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_does_not_cancel_its_handlers_hands_over_as_well(loop: str) -> None:
    """The handler's task then ends by itself, and leaves the transport alone."""

    async def main() -> None:
        async with World.running(handler_cancellation=False) as world:
            peer = await world.asked(get("/sse"))
            assert await peer.read(len(HEAD)) == HEAD
            stream = await world.one_stream()
            await until(lambda: world.left_to_aiohttp() == 0)
            assert not stream.transport.is_closing()
            peer.close()

    run_on(loop, main())


@on_both_loops
async def test_requests_before_the_stream_are_answered_on_the_same_connection(
    world: World,
) -> None:
    """Its timer for idle connections is forgotten with it."""
    peer = await world.connect()
    for _ in range(3):
        await peer.send(get("/plain"))
        assert (await peer.read_until(b"answered")).startswith(b"HTTP/1.1 200")
    await peer.send(get("/sse"))
    assert await peer.read(len(HEAD)) == HEAD
    await until(lambda: world.left_to_aiohttp() == 0)
    peer.close()


async def behind(world: World, first: int, more: int) -> None:
    """*first* plain requests, the stream's, and *more* plain ones, in one piece."""
    peer = await world.asked(get("/plain") * first + get("/sse") + get("/plain") * more)
    for _ in range(first):
        assert (await peer.read_until(b"answered")).startswith(b"HTTP/1.1 200")
    assert await peer.read(len(HEAD)) == HEAD
    stream = await world.one_stream()
    await until(lambda: world.left_to_aiohttp() == 0)
    await peer.send(b"later")
    await until(lambda: stream.received.endswith(b"later"))
    stream.transport.write(b"data: 1\n\n")
    assert await peer.read(9) == b"data: 1\n\n"
    peer.close()
    await until(lambda: not world.streams)
    assert world.made == 1


@on_both_loops
async def test_requests_sent_behind_the_streams_are_dropped(world: World) -> None:
    """However many there are: we still hear what comes then, and the client's end."""
    await behind(world, 0, 40)
    world.made = 0
    await behind(world, 0, 400)
    world.made = 0
    await behind(world, 20, 400)


@on_both_loops
async def test_what_was_read_behind_an_upgrade_comes_in(world: World) -> None:
    """A frame in the packet of the request, and one that was cut in two."""
    frames = masked(TEXT, b"first") + masked(TEXT, b"second")
    for cut in (0, 3, len(frames) - 4, len(frames)):
        peer = await world.asked(opening("/ws") + frames[:cut])
        assert await peer.read(len(HEAD)) == HEAD
        stream = await world.one_stream()
        assert stream.received == frames[:cut]
        await peer.send(frames[cut:])
        await until(lambda stream=stream: stream.received == frames)  # type: ignore[misc]
        peer.close()
        await until(lambda: not world.streams)


@on_both_loops
async def test_much_behind_an_upgrade_comes_in_whole(world: World) -> None:
    """600 KB, more than aiohttp reads before it pauses."""
    frames = b"".join(masked(BINARY, bytes([n]) * 60_000) for n in range(10))
    peer = await world.asked(opening("/ws") + frames)
    stream = await world.one_stream()
    await until(lambda: len(stream.received) >= len(frames))
    assert stream.received == frames
    peer.close()


@on_both_loops
async def test_a_fault_in_what_was_read_behind_ends_that_connection(world: World) -> None:
    """It is told to the loop's handler, as a fault in any other data is."""
    world.deaf = True
    peer = await world.asked(opening("/ws") + masked(TEXT, b"x"))
    await until(lambda: world.made == 1 and not world.streams)
    (fault,) = world.faults
    assert isinstance(fault["exception"], RuntimeError)
    world.faults.clear()
    peer.close()


@on_both_loops
async def test_a_client_that_only_closed_its_own_side_is_still_served(world: World) -> None:
    """The new owner decides, not aiohttp."""
    world.stays_half_open = True
    peer = await world.asked(get("/sse"))
    assert await peer.read(len(HEAD)) == HEAD
    stream = await world.one_stream()
    peer.half_close()
    await until(lambda: world.half_closed == 1)
    stream.transport.write(b"data: 1\n\n")
    assert await peer.read(9) == b"data: 1\n\n"
    stream.transport.close()
    assert await peer.read(1) == b""
    peer.close()


@on_both_loops
async def test_clients_that_ask_and_reset_at_once_leave_nothing(world: World) -> None:
    """Whoever was registered has ended, for all that came before one that is answered."""

    async def ask_and_reset(request: bytes) -> None:
        (await world.asked(request)).reset()

    requests = [get("/sse"), opening("/ws") + masked(TEXT, b"x")] * 100
    await asyncio.gather(*map(ask_and_reset, requests))
    last = await world.asked(get("/plain"))
    await last.read_until(b"answered")
    last.close()


@on_both_loops
async def test_a_client_that_is_gone_before_the_handler_ends_is_not_handed_over(
    world: World,
) -> None:
    """Nothing is made for it, and nothing is raised."""
    closed, reset = [await world.asked(get("/held")) for _ in range(2)]
    await until(lambda: world.held == 2)
    closed.close()
    reset.reset()
    await until(lambda: world.held == 0)
    world.gate.set()
    await until(world.at_rest)
    assert world.made == 0


@on_both_loops
async def test_a_connection_that_is_being_closed_is_not_handed_over(world: World) -> None:
    """Its end has been told to aiohttp, and would not be told again."""

    def abort(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    world.before = abort
    for request in (get("/sse"), opening("/ws")):
        peer = await world.asked(request)
        assert await peer.read(1) == b""
        peer.close()
    await until(world.at_rest)
    assert world.made == 0


@on_both_loops
async def test_a_full_transport_is_handed_over_as_full(world: World) -> None:
    """The new owner is told at the beginning, and hears when there is room."""

    def fill(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.write(b"x" * MUCH)
        assert request.protocol.writing_paused

    world.before = fill
    peer = await world.asked(get("/sse"))
    stream = await world.one_stream()
    assert stream.told_paused
    assert stream.pauses == []
    assert len(await peer.read(MUCH + len(HEAD))) == MUCH + len(HEAD)
    await until(lambda: stream.pauses == [False])
    peer.close()


@on_both_loops
async def test_an_owner_that_writes_much_at_once_is_told_to_pause(world: World) -> None:
    """Once, although aiohttp was still the one to be told when it wrote."""
    world.greeting = b"x" * MUCH
    peer = await world.asked(get("/sse"))
    stream = await world.one_stream()
    assert not stream.told_paused
    await until(lambda: stream.pauses == [True])
    assert len(await peer.read(MUCH + len(HEAD))) == MUCH + len(HEAD)
    await until(lambda: stream.pauses == [True, False])
    peer.close()


@on_both_loops
async def test_an_owner_may_end_the_connection_at_once(world: World) -> None:
    """Also when reading was paused behind many requests: it is told of the end as ever."""
    world.ends_at_once = True
    for request in (get("/sse"), get("/sse") + get("/plain") * 400, opening("/ws")):
        peer = await world.asked(request)
        assert await peer.read(len(HEAD)) == HEAD
        await until(world.at_rest)
        peer.close()
    assert world.made == 3


@on_both_loops
async def test_what_the_maker_raises_is_answered_by_aiohttp(world: World) -> None:
    """The connection is still aiohttp's, which knows what to do."""

    def refuse(transport: asyncio.Transport, paused: bool) -> Stream:
        raise RuntimeError("no room")

    for request in (get("/sse"), opening("/ws")):
        world.before = partial(hand_over, protocol=refuse, upgrade=request != get("/sse"))
        peer = await world.asked(request)
        assert (await peer.read_until(b"\r\n")).startswith(b"HTTP/1.1 500")
        peer.close()
        assert "no room" in world.logged.pop()
