"""Behind nginx, with TLS and HTTP/2: streams share a connection and come through at once."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.contract_wire import LONG_S
from tests.web.contract_world import World, channel, world_of
from tests.web.serving import Server

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
STREAMS = 20

CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format told '$connection $server_protocol $status $request_uri';
    access_log {dir}/access.log told;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    map $http_upgrade $wanted {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name localhost;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $wanted;
        }}
    }}
}}
"""


def has_http2() -> bool:
    if shutil.which("curl") is None:
        return False
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return "HTTP2" in told.stdout


pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


@dataclass(frozen=True)
class Proxy:
    """An nginx in front of the shared server."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"


@pytest.fixture(scope="module")
def proxy(plain_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    assert NGINX is not None
    folder = tmp_path_factory.mktemp("nginx")
    listening = socket.create_server(("127.0.0.1", 0))  # it inherits this, so the port is its own
    made = Proxy(folder, listening.getsockname()[1])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", made.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    user = "user root;" if os.getuid() == 0 else ""
    config = CONFIG.format(dir=folder, port=made.port, upstream=plain_server.url, user=user)
    (folder / "nginx.conf").write_text(config)
    process = subprocess.Popen(
        [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=[listening.fileno()], env={**os.environ, "NGINX": f"{listening.fileno()};"},
    )  # fmt: skip
    listening.close()
    try:
        while not (folder / "pid").exists():
            assert process.poll() is None, (folder / "error.log").read_text()
        yield made
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


class Through:
    """A client that gets to the server through nginx, by HTTP/1.1 over TLS."""

    def __init__(self, session: aiohttp.ClientSession, trusted: ssl.SSLContext) -> None:
        self.get = partial(session.get, ssl=trusted)
        self.post = partial(session.post, ssl=trusted)
        self.ws_connect = partial(session.ws_connect, ssl=trusted)


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Through]:
    trusted = ssl.create_default_context()
    await asyncio.to_thread(trusted.load_verify_locations, proxy.certificate)
    async with aiohttp.ClientSession(proxy.url) as session:
        yield Through(session, trusted)


@asynccontextmanager
async def curl(proxy: Proxy, paths: list[str]) -> AsyncIterator[asyncio.StreamReader]:
    """What curl is told on all *paths*, which it asks for at the same time over HTTP/2."""
    options = ["--silent", "--no-buffer", "--http2", "--cacert", str(proxy.certificate)]
    options += ["--parallel", "--parallel-max", "50"]
    urls = [f"{proxy.url}{path}" for path in paths]
    process = await asyncio.create_subprocess_exec(
        "curl", *options, *urls, stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def events(told: asyncio.StreamReader, number: int) -> list[Any]:
    """The data of so many events, whatever their streams."""
    found: list[Any] = []
    async with asyncio.timeout(LONG_S):
        while len(found) < number:
            line = await told.readline()
            assert line, f"the end came after {len(found)}"
            if line.startswith(b'data: {"channel"'):
                found.append(json.loads(line.removeprefix(b"data: ")))
    return found


async def opened(told: asyncio.StreamReader, number: int) -> None:
    """Until so many streams are open."""
    async with asyncio.timeout(LONG_S):
        while number:
            number -= (await told.readline()) == b"event: eco.open\n"


@pytest.mark.skipif(not has_http2(), reason="curl does not know HTTP/2")
async def test_twenty_streams_share_one_connection_and_nothing_is_held_back(
    world: World, proxy: Proxy
) -> None:
    """Each event is there before the next is published, on all of them."""
    names = [channel() for _ in range(STREAMS)]
    async with curl(proxy, [f"/stream?channel={name}" for name in names]) as told:
        await opened(told, STREAMS)
        for n in range(3):
            for name in names:
                cursor = await world.publish(name, {"n": n})
                (event,) = await events(told, 1)
                assert event == {"channel": name, "cursor": cursor, "data": {"n": n}}
        await asyncio.gather(*(world.publish(name, {"n": 3}) for name in names))
        assert {each["channel"] for each in await events(told, STREAMS)} == {*names}
    lines = await logged(proxy, names)
    assert len({line.split()[0] for line in lines}) == 1
    assert {line.split()[1] for line in lines} == {"HTTP/2.0"}


async def logged(proxy: Proxy, names: list[str]) -> list[str]:
    """What nginx wrote about the requests for *names*, once they are all over."""
    async with asyncio.timeout(LONG_S):
        while True:
            text = await asyncio.to_thread((proxy.folder / "access.log").read_text)
            lines = [each for each in text.splitlines() if any(name in each for name in names)]
            if len(lines) == len(names):
                return lines


async def test_streams_that_are_left_leave_nothing_behind(world: World, through: Through) -> None:
    """nginx closes its connection when the client leaves; the server lets go of it."""

    async def open_streams() -> int:
        actors = await world.client.actors()
        return sum(each["path"].startswith("/eco/work/connections/") for each in actors)

    before = await open_streams()
    name = channel()
    for _ in range(5):
        async with through.get(f"/stream?channel={name}") as response:
            assert response.status == 200
            await response.content.readline()
            assert await open_streams() > before
            response.close()
    async with asyncio.timeout(LONG_S):
        while await open_streams() > before:
            await world.publish(name, {})  # a write finds out at the latest


async def test_a_scan_comes_through_to_its_end(through: Through) -> None:
    """Posted and followed through nginx: all five events, the last word, 204 behind them."""
    async with through.post("/scan/classify", json={"category": "glass"}) as answer:
        assert answer.status == 202
        task_id = (await answer.json())["task_id"]
    async with through.get(f"/scan/{task_id}/stream") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        text = (await response.read()).decode()
    assert text.count("\nid: ") == 6
    assert "event: eco.bye" in text
    last = text.rpartition("\nid: ")[2].partition("\n")[0]
    async with through.get(f"/scan/{task_id}/stream", headers={"Last-Event-ID": last}) as response:
        assert response.status == 204


@pytest.mark.parametrize("subprotocol", ["eco.v1.json", "eco.v1.msgpack"])
async def test_a_web_socket_upgrades_through_it(
    world: World, proxy: Proxy, through: Through, subprotocol: str
) -> None:
    """Commands are answered, events come, and a page from behind it is of its own origin."""
    name = channel()
    opened = await through.ws_connect(
        f"/ws?channel={name}", protocols=[subprotocol], headers={"Origin": proxy.url}
    )
    async with opened as ws:
        assert ws.protocol == subprotocol
        assert "subscribed" in str((await ws.receive(LONG_S)).data)
        await world.publish(name, {"n": "here"})
        assert "here" in str((await ws.receive(LONG_S)).data)
        if subprotocol == "eco.v1.json":
            await ws.send_json({"op": "ping", "id": 1})
            assert (await ws.receive_json(timeout=LONG_S)) == {"op": "pong", "id": 1}


async def test_a_page_of_another_site_does_not_get_through(
    through: Through,
) -> None:
    """403 at the handshake, as without a proxy."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await through.ws_connect("/ws", headers={"Origin": "https://elsewhere.example"})
    assert refused.value.status == 403


async def test_polls_and_publishing_come_through(world: World, through: Through) -> None:
    """A poll that waits is answered as soon as something is published."""
    name = channel()
    async with through.get(f"/channels/{name}/events?wait=0") as answer:
        cursor = (await answer.json())["cursor"]
    waiting = asyncio.create_task(_poll(through, f"/channels/{name}/events?after={cursor}&wait=20"))
    async with through.post(
        f"/channels/{name}/events", json={"n": 1}, headers=world.operator
    ) as answer:
        assert answer.status == 202
    assert [each["data"] for each in (await waiting)["events"]] == [{"n": 1}]


async def _poll(through: Through, path: str) -> Any:
    async with through.get(path) as answer:
        return await answer.json()
