"""Whole scans through deploy/nginx.conf: held in the middle, cut off, as large as can be."""

import asyncio
import io
import json
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgpack
import pytest

from tests.web.client import JPEG
from tests.web.contract_wire import LONG_S
from tests.web.contract_world import World, go_on, world_of
from tests.web.pictures import drawn, encoded
from tests.web.proxied import NEEDED, NEEDS_HTTP2, Proxy, Through, curl, nginx_before, through_of
from tests.web.serving import GATED, Server

pytestmark = [*NEEDED]

MOST: Final = 8 * 2**20
"""Bytes of a picture that the server takes."""

MOST_BODY: Final = 22 * 2**20
"""Bytes of a body that nginx lets through."""

STEPS: Final = ("vision", "rule", "answer", "reward")


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


@pytest.fixture(scope="module")
def server(gates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With vision; each step waits for its gate."""
    made = Server(
        tmp_path_factory.mktemp("data"),
        vision=True,
        program=GATED,
        env={"ECO_GATES": str(gates)},
    ).start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def proxy(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx_before(server.port, tmp_path_factory.mktemp("nginx")) as made:
        yield made


@pytest.fixture
async def through(proxy: Proxy, gates: Path) -> AsyncIterator[Through]:
    for step in STEPS:
        await asyncio.to_thread((gates / step).unlink, missing_ok=True)
    async with through_of(proxy) as client:
        yield client
    await asyncio.to_thread(go_on, gates)


@pytest.fixture
async def world(session: aiohttp.ClientSession, server: Server) -> AsyncIterator[World]:
    async with world_of(session, server) as world:
        yield world


async def posted(through: Through, body: bytes) -> tuple[int, dict[str, Any]]:
    async with through.post("/scan/classify", data=io.BytesIO(body), headers=JPEG) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        if answer.status >= 400:
            assert answer.headers["Content-Type"].startswith("application/problem+json")
        return answer.status, await answer.json(content_type=None)


async def scan(through: Through) -> str:
    status, told = await posted(through, encoded(drawn()))
    assert status == 202, told
    return str(told["task_id"])


async def event(stream: asyncio.StreamReader | aiohttp.StreamReader) -> tuple[str, Any]:
    """The next event's id and data."""
    last = ""
    async with asyncio.timeout(LONG_S):
        while True:
            line = (await stream.readline()).decode()
            assert line, "the stream ended"
            if line.startswith("id: "):
                last = line.removeprefix("id: ").strip()
            if line.startswith('data: {"') and '"step"' in line:
                return last, json.loads(line.removeprefix("data: "))


async def each_step(
    stream: asyncio.StreamReader | aiohttp.StreamReader, gates: Path, *steps: str
) -> str:
    """Each step is seen before the next may begin; the last id."""
    last = ""
    for step in steps:
        await asyncio.to_thread((gates / step).touch)
        last, told = await event(stream)
        assert (told["step"], told["status"]) == (step, "completed")
    return last


async def test_each_event_is_there_while_the_scan_is_held(through: Through, gates: Path) -> None:
    """By HTTP/1.1: nothing waits for a buffer to be full, or for the end."""
    task_id = await scan(through)
    async with through.get(f"/scan/{task_id}/stream") as response:
        assert "Content-Encoding" not in response.headers
        await event(response.content)
        await each_step(response.content, gates, *STEPS)
        assert "event: eco.bye" in (await response.read()).decode()


@NEEDS_HTTP2
async def test_the_same_by_http_2_and_a_resume_behind_the_cut(
    proxy: Proxy, through: Through, gates: Path
) -> None:
    """The client leaves in the middle, and gets what is behind the last id that it saw."""
    task_id = await scan(through)
    path = f"/scan/{task_id}/stream"
    async with curl(proxy, [path]) as told:
        await event(told)
        last = await each_step(told, gates, "vision", "rule")
    async with curl(proxy, [path], "--header", f"Last-Event-ID: {last}") as told:
        await each_step(told, gates, "answer", "reward")
        assert b"event: eco.bye" in await told.read()
    async with curl(
        proxy, [path], "--header", f"Last-Event-ID: {last}", "--write-out", "%{http_version}\n"
    ) as told:
        assert (await told.read()).decode().endswith("\n2\n")


@pytest.mark.parametrize("packed", [False, True])
async def test_a_web_socket_tells_each_event_while_the_scan_is_held(
    through: Through, gates: Path, packed: bool
) -> None:
    """JSON and msgpack: one message an event, at once."""
    task_id = await scan(through)
    protocol = "eco.v1.msgpack" if packed else "eco.v1.json"
    opened = await through.ws_connect(f"/ws?channel=scan:{task_id}", protocols=[protocol])
    async with opened as ws:

        async def told() -> dict[str, Any]:
            while True:
                data = (await ws.receive(LONG_S)).data
                assert isinstance(data, bytes) == packed
                message = msgpack.unpackb(data) if packed else json.loads(data)
                if "step" in (inner := message.get("data") or {}):
                    return dict(inner)

        assert (await told())["status"] == "processing"
        for step in STEPS:
            await asyncio.to_thread((gates / step).touch)
            assert (await told())["step"] == step


def padded(picture: bytes, size: int) -> bytes:
    """The same JPEG with comments that make it so many bytes."""
    left, parts = size - len(picture), [picture[:2]]
    while left:
        length = min(left, 65_000)
        if 0 < left - length < 4:
            length -= 4
        parts.append(b"\xff\xfe" + struct.pack(">H", length - 2) + bytes(length - 4))
        left -= length
    return b"".join([*parts, picture[2:]])


@pytest.mark.parametrize(
    ("size", "status", "whose"),
    [
        (MOST, 202, None),
        (MOST + 1, 413, str(MOST)),
        (MOST_BODY, 413, str(MOST)),
        (MOST_BODY + 1, 413, "larger than any that is taken"),
    ],
)
async def test_a_body_may_be_as_large_as_the_server_takes(
    through: Through, proxy: Proxy, size: int, status: int, whose: str | None
) -> None:
    """Beyond, the server says so; far beyond, nginx does, in the same form. No byte is on disk."""
    body = await asyncio.to_thread(padded, encoded(drawn()), size)
    assert len(body) == size
    got, told = await posted(through, body)
    assert got == status, told
    if whose is not None:
        assert told["code"] == "too_large"
        assert told["type"] == "urn:eco:problem:too_large"
        assert whose in told["detail"]
    assert "buffered to a temporary file" not in await asyncio.to_thread(
        (proxy.folder / "error.log").read_text
    )


async def test_an_answer_does_not_wait_for_a_body_that_nobody_reads(through: Through) -> None:
    """The server sees a request begin: what cannot be is refused before the rest has come."""
    wait = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield bytes(1000)
        await wait.wait()

    headers = {"Content-Type": "text/plain"}
    async with (
        asyncio.timeout(LONG_S),
        through.post("/scan/classify", data=slowly(), headers=headers) as answer,
    ):
        assert answer.status == 415
        wait.set()


async def test_a_login_through_it_makes_a_cookie_for_tls_alone(
    through: Through, world: World, proxy: Proxy
) -> None:
    """Whatever the client says it came by."""
    token = world.operator["Authorization"].removeprefix("Bearer ")
    lies = {"X-Forwarded-Proto": "http"}
    async with through.post("/login", json={"token": token}, headers=lies) as answer:
        assert answer.status < 300
        cookie = answer.cookies[f"eco_operator_{proxy.port}"]
        assert cookie["secure"] is True
        assert cookie["httponly"] is True
    async with through.get("/drain") as answer:  # which is the operator's
        assert answer.status == 200


async def test_without_tls_everybody_is_sent_to_it(
    session: aiohttp.ClientSession, proxy: Proxy
) -> None:
    """The same path, the method kept."""
    url = f"http://localhost:{proxy.plain_port}/scan/classify?lang=en"
    async with session.post(url, allow_redirects=False) as answer:
        assert answer.status == 308
        assert answer.headers["Location"] == "https://localhost/scan/classify?lang=en"


async def test_figures_are_not_for_others(through: Through) -> None:
    """From this machine they are there, which is all that can be seen here."""
    async with through.get("/metrics") as answer:
        assert answer.status == 200
