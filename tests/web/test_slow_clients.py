"""Clients that do not read: they are ended, and nobody else notices."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.delivery import liveness
from tests.web.contract_clients import Bye, Follower, Sse
from tests.web.contract_inside import Inside, inside, until_so
from tests.web.contract_sockets import STREAMS, WebSocket, WsJson
from tests.web.contract_wire import Wire, head_of
from tests.web.contract_world import World, channel, numbers, until, world_of
from tests.web.credentials import SECRET
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", STREAMS)
MANY = 60


@pytest.fixture
async def world(
    session: aiohttp.ClientSession, make: Callable[..., Eco], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Inside]:
    """A server that looks often, and is not patient."""
    monkeypatch.setattr(liveness, "TICK", 0.02)
    monkeypatch.setattr(liveness, "PATIENCE", 0.3)
    monkeypatch.setattr(liveness, "AGE", 5.0)
    async with inside(session, make) as world:
        yield world


def transport(kind: type[Follower]) -> str:
    return "websocket" if issubclass(kind, WebSocket) else "sse"


@KINDS
async def test_a_reader_that_stops_is_ended_and_can_come_back(
    world: Inside, kind: type[Follower]
) -> None:
    """For want of progress; a reader beside it gets everything meanwhile, itself afterwards."""
    name = channel()
    stalls, reads = await world.open(kind, name, small=True), await world.open(Sse, name)
    begin = reads.cursor
    assert begin is not None
    last = await world.flood(name, MANY)
    assert len(await until(reads, last)) == MANY
    await until_so(lambda: bool(world.ended(transport(kind))))
    assert world.ended(transport(kind)) == {"progress": 1}
    seen = [await stalls.next()]
    while seen[-1] is not None:
        seen.append(await stalls.next())
    assert len(seen) - 1 < MANY
    again = await world.open(kind, name, after=stalls.cursor)
    assert len(seen) - 1 + len(await until(again, last)) == MANY
    assert len(world.connections()) == 2


@KINDS
@pytest.mark.parametrize("size", [1, 512])
async def test_a_reader_that_is_slow_all_the_time_is_ended_too(
    world: Inside, kind: type[Follower], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many bytes for each look at it: a few are nothing, more are not enough."""
    monkeypatch.setattr(liveness, "AGE", 0.5)
    turned = asyncio.Event()
    turn = world.eco.delivery.wheel.turn

    def turn_and_tell(now: float) -> None:
        turn(now)
        turned.set()

    monkeypatch.setattr(world.eco.delivery.wheel, "turn", turn_and_tell)
    name = channel()
    slow, reads = await world.open(kind, name, small=True), await world.open(Sse, name)
    last = await world.flood(name, MANY)
    assert len(await until(reads, last)) == MANY
    while not world.ended(transport(kind)):
        turned.clear()
        await turned.wait()
        await slow.connected.receive(size)
    (code,) = world.ended(transport(kind))
    assert code in ("progress", "age")


@KINDS
async def test_a_write_may_take_so_long_altogether(
    world: Inside, kind: type[Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its age ends it where patience would not."""
    monkeypatch.setattr(liveness, "PATIENCE", 5.0)
    monkeypatch.setattr(liveness, "AGE", 0.3)
    name = channel()
    await world.open(kind, name, small=True)
    await world.flood(name, MANY)
    await until_so(lambda: bool(world.ended(transport(kind))))
    assert world.ended(transport(kind)) == {"age": 1}


@KINDS
async def test_a_reader_that_stalls_and_goes_on_is_not_ended(
    world: Inside, kind: type[Follower]
) -> None:
    """It is looked at while it is stuck, and forgotten when it reads again."""
    name = channel()
    follower = await world.open(kind, name, small=True)
    last = await world.flood(name, 30)
    wheel = world.eco.delivery.wheel
    await until_so(lambda: wheel.stuck == 1)
    assert len(await until(follower, last)) == 30
    await until_so(lambda: wheel.stuck == 0)
    await world.numbers(name, 1)
    assert numbers([await follower.event()]) == [1]
    assert world.ended(transport(kind)) == {}


async def test_a_client_that_only_sends_no_more_still_reads(world: Inside) -> None:
    """Half closed: an event stream goes on to be told; a WebSocket is over."""
    name = channel()
    stream, socket = await world.open(Sse, name), await world.open(WsJson, name)
    stream.connected.half_close()
    socket.connected.half_close()
    await until_so(lambda: world.ended("websocket") == {"gone": 1})
    await world.numbers(name, 1)
    assert numbers([await stream.event()]) == [1]
    await until_so(lambda: stream.parser.comments > 0 or world.ended() != {})
    await world.numbers(name, 2)
    assert numbers([await stream.event()]) == [2]
    assert world.ended() == {}


async def test_a_request_and_the_end_of_sending_in_one_packet_is_served(world: Inside) -> None:
    """As `nc -N` does it."""
    name = channel()
    wire = await Wire.to(world.url)
    try:
        wire.socket.sendall(head_of(world.url, f"/stream?channel={name}", {}))
        wire.half_close()
        status, _, told = await wire.answered()
        assert status == 200
        await world.numbers(name, 1)
        while b'{"n":1}' not in told:
            more = await wire.receive()
            assert more, told
            told += more
    finally:
        wire.close()


@KINDS
async def test_a_reset_in_the_middle_harms_nobody_else(
    world: Inside, kind: type[Follower], caplog: pytest.LogCaptureFixture
) -> None:
    """Stalled or in step: it is gone, and those beside it get everything."""
    name = channel()
    followers = [await world.open(kind, name, small=n == 0) for n in range(3)]
    reads = await world.open(Sse, name)
    followers[1].connected.reset()
    last = await world.flood(name, MANY)
    followers[0].connected.reset()
    assert len(await until(reads, last)) == MANY
    assert len(await until(followers[2], last)) == MANY
    await until_so(lambda: len(world.connections()) == 2)
    ended = world.ended(transport(kind))
    assert set(ended) <= {"gone", "progress"}
    assert sum(ended.values()) == 2
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@KINDS
async def test_what_waits_for_a_stalled_client_is_bounded(
    world: Inside, kind: type[Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mailbox and transport together hold half a mebibyte, whatever capacity was asked for."""
    monkeypatch.setattr(liveness, "PATIENCE", 60.0)
    monkeypatch.setattr(liveness, "AGE", 60.0)
    names = {rule: channel() for rule in ("buffer", "latest", "drop", "coalesce")}
    for rule, name in names.items():
        await world.open(kind, name, overflow=rule, capacity=4096, small=True)
        await world.flood(name, MANY)
    assert len(world.connections()) == 4
    for connection in world.connections():
        (subscription,) = connection.subscriptions
        told = subscription.statistics()
        assert int(told["bytes"]) <= int(told["max_bytes"])
        waiting = connection.transport.get_write_buffer_size() + int(told["bytes"])
        assert waiting <= 512 * 1024
        assert int(told["bytes"]) > 0 or subscription.mode.value == "paging"


@KINDS
async def test_close_says_slow_consumer_to_who_reads_in_time(
    world: Inside, kind: type[Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last word is there behind what was written; then the end."""
    monkeypatch.setattr("eco_actor.delivery.outlet.FAREWELL", 30.0)
    name = channel()
    follower = await world.open(kind, name, overflow="close", capacity=2, small=True)
    await world.flood(name, MANY)
    bye = (await follower.rest())[-1]
    assert isinstance(bye, Bye)
    assert (bye.code, bye.reconnect) == ("slow_consumer", True)
    assert bye.status in (None, 4008)
    await until_so(lambda: world.ended(transport(kind)) == {"slow_consumer": 1})


@contextmanager
def reader(request: bytes, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that sends *request*, says that it has got something, and reads on for ever."""
    code = (
        "import socket,sys\n"
        "s=socket.socket()\n"
        "s.setsockopt(socket.SOL_SOCKET,socket.SO_RCVBUF,32768)\n"
        f"s.connect(('127.0.0.1',{port}))\n"
        f"s.sendall({request!r})\n"
        "s.recv(4096)\n"
        "sys.stdout.write('.')\n"
        "sys.stdout.flush()\n"
        "while s.recv(65536): pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_a_suspended_client_is_ended_while_others_are_told(world: Inside) -> None:
    """Its kernel still acknowledges, itself it does nothing: SIGSTOP."""
    name = channel()
    reads = await world.open(Sse, name)
    request = head_of(world.url, f"/stream?channel={name}", {})
    opened = reader(request, world.eco.address.port)
    process = await asyncio.to_thread(opened.__enter__)
    try:
        process.send_signal(signal.SIGSTOP)
        last = await world.flood(name, MANY)
        assert len(await until(reads, last)) == MANY
        await until_so(lambda: world.ended() == {"progress": 1})
        assert len(world.connections()) == 1
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)


async def test_memory_does_not_grow_with_what_stalled_clients_miss(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Thirty that read nothing: four times as much makes the process no larger."""
    running = await asyncio.to_thread(
        server, options=["--durability", "off"], env={"ECO_OPERATOR_TOKEN": SECRET}
    )
    async with world_of(session, running, SECRET) as world:
        names = [channel() for _ in range(10)]
        for name in names:
            for kind, rule in ((Sse, "latest"), (WsJson, "drop"), (Sse, "buffer")):
                await world.open(kind, name, overflow=rule, capacity=4096, small=True)
        await much(world, names, 10)
        before = await resident(world)
        await much(world, names, 40)
        assert await resident(world) - before < 16 * 2**20
        actors = await world.client.actors()
        streams = [each for each in actors if each["path"].startswith("/eco/work/connections/")]
        assert len(streams) == 30
        for each in streams:
            for told in each["client"]["subscriptions"]:
                assert told["mailbox"]["bytes"] <= told["mailbox"]["max_bytes"]


async def much(world: World, names: list[str], rounds: int) -> None:
    """So many events of 50 KB on each channel."""
    for _ in range(rounds):
        pad = {"pad": "x" * 50_000}
        await asyncio.gather(*(world.publish(name, pad, transient=1) for name in names))


async def resident(world: World) -> float:
    """Bytes of memory that the server has."""
    text = (await world.client.get("/metrics")).body.decode()
    (line,) = [each for each in text.splitlines() if each.startswith("process_resident_memory")]
    return float(line.split()[1])
