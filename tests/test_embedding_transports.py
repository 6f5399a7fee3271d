"""Streams of a mounted server leave aiohttp whatever they came over: TLS and Unix sockets, too."""

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from aiohttp import WSMsgType

from eco_actor import Config, Eco
from tests.embedded import Host
from tests.web.client import Client, Stream, data_of
from tests.web.handed_over import LOOPS, run_on, until

SECRET: Final = "a-token-of-some-length"
BEARER: Final = {"Authorization": f"Bearer {SECRET}"}

EVENTS: Final = 400
LARGE: Final = "x" * 20_000

NEEDS_OPENSSL: Final = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)
KINDS: Final = ["plain", pytest.param("tls", marks=NEEDS_OPENSSL), "unix"]


@dataclass
class World:
    """A mounted server, who talks to it, and whether TLS is between them."""

    eco: Eco
    client: Client
    session: aiohttp.ClientSession
    kind: str

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Stream]:
        async with self.session.get(f"{self.client.base}{path}") as response:
            assert response.status == 200
            yield Stream(response)

    def connections(self) -> int:
        connections = self.eco.connections()
        assert connections is not None
        return len(connections)


def certified(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody knows."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@asynccontextmanager
async def mounted(kind: str, folder: Path) -> AsyncIterator[World]:
    """A server below /eco that is reached so; at the end nobody is connected to it any more."""
    host = Host()
    config = Config(data_dir=folder, vision=False, operator_token=SECRET)
    eco = await host.mount(config=config)
    tls = await asyncio.to_thread(certified, folder) if kind == "tls" else None
    unix = folder / "socket" if kind == "unix" else None
    async with host.running(tls, unix):
        connector = (
            aiohttp.UnixConnector(str(unix)) if unix else aiohttp.TCPConnector(ssl=tls is None)
        )
        base = f"http{'s' if tls else ''}://localhost" + (f":{host.port}" if host.port else "")
        async with aiohttp.ClientSession(connector=connector) as session:
            world = World(eco, Client(session, f"{base}/eco"), session, kind)
            yield world
        await until(lambda: not world.connections())


Scenario = Callable[[World], Awaitable[None]]


def on_all(scenario: Scenario) -> Callable[..., None]:
    """A test of *scenario* over each kind of connection, on asyncio's loop and on uvloop."""

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("kind", KINDS)
    def test(kind: str, loop: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            async with mounted(kind, tmp_path) as world:
                await scenario(world)

        run_on(loop, main())
        assert not [each for each in caplog.records if each.levelno > logging.WARNING]
        assert not [each for each in caplog.records if each.name == "asyncio"]

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


@on_all
async def test_a_scan_is_followed_to_its_end(world: World) -> None:
    """By event stream, WebSocket and poll: the same five events, and a goodbye."""
    task_id = await world.client.accepted("glass")
    events = data_of(await world.client.events(task_id))
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    polled = await world.client.get(f"/scan/{task_id}/events")
    assert polled.json()["events"] == events
    url = f"{world.client.base}/ws?channel=scan:{task_id}"
    async with world.session.ws_connect(url, autoclose=False) as ws:
        told = [await ws.receive_json() for _ in range(7)]
        assert [message["data"] for message in told[1:6]] == events
        assert (told[0]["op"], told[6]["code"]) == ("subscribed", "complete")
        closed = await ws.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1000)


async def publish(world: World) -> None:
    for number in range(EVENTS):
        event = {"number": number, "text": LARGE}
        answer = await world.client.post("/channels/app:a/events", json=event, headers=BEARER)
        assert answer.status == 202


@on_all
async def test_who_reads_late_misses_nothing(world: World) -> None:
    """Eight megabytes while the client does not read: it falls behind, and gets each, in order."""
    async with world.stream("/stream?channel=app:a") as stream:
        await publish(world)
        seen = await stream.next()
        numbers: list[int] = []
        while len(numbers) < EVENTS:
            message = await stream.next()
            assert message is not None
            if message.event is None and message.data is not None:
                numbers.append(message.json()["data"]["number"])
        assert seen is not None
        assert numbers == list(range(EVENTS))


@on_all
async def test_a_client_that_leaves_is_forgotten(world: World) -> None:
    """Of an event stream and of a WebSocket."""
    async with world.stream("/stream?channel=app:a") as stream:
        await stream.next()
        ws = await world.session.ws_connect(f"{world.client.base}/ws?channel=app:a")
        await ws.receive_json()
        assert world.connections() == 2
    await ws.close()
    await until(lambda: not world.connections())


@on_all
async def test_commands_and_pings_are_answered(world: World) -> None:
    """What a client sends reaches the connection that left aiohttp."""
    async with world.session.ws_connect(f"{world.client.base}/ws", headers=BEARER) as ws:
        await ws.send_json({"op": "subscribe", "id": 1, "channel": "app:a"})
        assert (await ws.receive_json())["op"] == "subscribed"
        await ws.send_json({"op": "publish", "id": 2, "channel": "app:a", "data": {"n": LARGE}})
        told = [await ws.receive_json() for _ in range(2)]
        assert {message["op"] for message in told} == {"published", "event"}
        await ws.send_json({"op": "ping", "id": 3})
        assert await ws.receive_json() == {"op": "pong", "id": 3}
