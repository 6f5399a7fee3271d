"""Bodies that do not arrive as they should: cut off, too slow, longer or shorter than they say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from eco_actor import routes
from eco_actor.app import Eco
from eco_actor.web.classify import ClassifyRoute
from eco_actor.web.problems import problems
from eco_actor.web.uploads import Pace, read_body
from tests.web.asking import WAYS, Sent, kept
from tests.web.client import Client
from tests.web.held import Running
from tests.web.keyed_scans import scans
from tests.web.pictures import drawn, encoded
from tests.web.serving import Server

PICTURE: Final = encoded(drawn())
SAID: Final = {"category": "glass", "lang": "en"}
LIMIT: Final = 8 * 2**20

each_way = pytest.mark.parametrize("way", WAYS)


def head(sent: Sent, **headers: object) -> bytes:
    """The head of a request; names of headers with underscores."""
    named: Mapping[str, object] = {name.replace("_", "-"): told for name, told in headers.items()}
    lines = [f"{name}: {told}" for name, told in {**sent.headers, **named}.items()]
    start = [f"POST {sent.path} HTTP/1.1", "Host: localhost", *lines]
    return "\r\n".join([*start, "", ""]).encode()


@asynccontextmanager
async def connected(
    client: Client,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to its server."""
    address = urlsplit(client.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


async def status(reader: asyncio.StreamReader) -> int:
    """Of the next answer, of which all is read."""
    answered = await reader.readuntil(b"\r\n\r\n")
    assert b"application/problem+json" in answered or b" 202 " in answered
    length = int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(answered.split(b" ")[1])


@pytest.fixture
async def unharmed(plain: Client, plain_server: Server) -> AsyncIterator[None]:
    """No scan comes of it, and no fault of the server; the next user is served."""
    before, told = len(kept(plain_server)), plain_server.log_text()
    yield
    answer = await plain.post(json={"category": "glass", "realtime": False})
    assert answer.status == 200
    assert len(kept(plain_server)) == before + 1
    after = plain_server.log_text().removeprefix(told)
    assert "Traceback" not in after
    assert "ERROR" not in after


@each_way
@pytest.mark.parametrize("cut", [1, 100, -100, -1])
@pytest.mark.usefixtures("unharmed")
async def test_a_body_that_is_cut_off_starts_nothing(plain: Client, way: str, cut: int) -> None:
    """The connection is closed in the middle, or reset, or only its sending end is."""
    sent = WAYS[way](PICTURE, SAID)
    for end in ("close", "abort", "eof"):
        async with connected(plain) as (reader, writer):
            writer.write(head(sent, Content_Length=len(sent.data)) + sent.data[:cut])
            await writer.drain()
            match end:
                case "close":
                    writer.close()
                    await writer.wait_closed()
                case "abort":
                    writer.transport.abort()
                case "eof":
                    writer.write_eof()
                    answered = await reader.read()
                    assert not answered.startswith(b"HTTP/1.1 2")


@each_way
@pytest.mark.usefixtures("unharmed")
async def test_chunks_that_are_cut_off_start_nothing(plain: Client, way: str) -> None:
    """Also when all of the body was in them, but not its end; a chunk that is none is 400."""
    sent = WAYS[way](PICTURE, SAID)
    chunk = b"%x\r\n%s\r\n" % (len(sent.data), sent.data)
    begin = head(sent, Transfer_Encoding="chunked")
    async with connected(plain) as (reader, writer):
        writer.write(begin + chunk)
        await writer.drain()
        writer.write_eof()
        assert not (await reader.read()).startswith(b"HTTP/1.1 2")
    for wrong in (b"zz\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n", b"\r\n"):
        async with connected(plain) as (reader, writer):
            writer.write(begin + chunk + wrong)
            assert await status(reader) == 400


@each_way
async def test_a_body_may_come_byte_by_byte(plain: Client, way: str) -> None:
    """In chunks of any size, as in one piece."""
    sent = WAYS[way](PICTURE[:500], SAID)

    async def bytes_of() -> AsyncIterator[bytes]:
        for byte in sent.data:
            yield bytes([byte])

    answer = await plain.post(sent.path, data=bytes_of(), headers=sent.headers)
    assert answer.status == 202


@each_way
@pytest.mark.usefixtures("unharmed")
async def test_a_body_shorter_than_its_length_is_waited_for(plain: Client, way: str) -> None:
    """Nothing is taken for the whole of it before that: what is not sent is not there."""
    sent = WAYS[way](PICTURE, SAID)
    async with connected(plain) as (reader, writer):
        writer.write(head(sent, Content_Length=len(sent.data) + 5) + sent.data)
        await writer.drain()
        async with connected(plain) as (other, another):
            another.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in await other.readline()
        assert not reader.at_eof()
        assert not reader._buffer  # type: ignore[attr-defined]  # nothing has been answered


@each_way
async def test_what_is_behind_a_body_is_another_request(plain: Client, way: str) -> None:
    """A body ends where its length says, and the rest of a longer one is no request: 400."""
    sent = WAYS[way](PICTURE, SAID)
    async with connected(plain) as (reader, writer):
        writer.write(head(sent, Content_Length=len(sent.data)) + sent.data)
        assert await status(reader) == 202
        writer.write(b"and more\r\n\r\n")
        assert await status(reader) == 400
        assert await reader.read() == b""
    async with connected(plain) as (reader, writer):
        writer.write((head(sent, Content_Length=len(sent.data)) + sent.data) * 2)
        assert [await status(reader), await status(reader)] == [202, 202]


@pytest.fixture
def hurried(make: Callable[..., Eco], monkeypatch: pytest.MonkeyPatch) -> Eco:
    """Bodies have a fifth of a second to arrive."""
    monkeypatch.setattr(routes, "ClassifyRoute", partial(ClassifyRoute, pace=Pace(seconds=0.2)))
    return make()


@each_way
async def test_a_body_that_takes_too_long_is_refused(
    hurried: Eco, running: Running, way: str
) -> None:
    """408 in time, whether nothing comes any more or a byte now and then; nothing is accepted."""
    sent = WAYS[way](PICTURE, SAID)
    begin = head(sent, Content_Length=len(sent.data))
    async with running(hurried) as client:
        async with connected(client) as (reader, writer):
            writer.write(begin + sent.data[:100])
            assert await status(reader) == 408
        async with connected(client) as (reader, writer):
            writer.write(begin)
            answered = asyncio.ensure_future(status(reader))
            for byte in sent.data:
                writer.write(bytes([byte]))
                if (await asyncio.wait([answered], timeout=0.02))[0]:
                    break
            assert await answered == 408
        assert await scans(hurried) == []
        assert (await sent.to(client)).status == 202


@asynccontextmanager
async def foreign() -> AsyncIterator[Client]:
    """Somebody else's application, with aiohttp's own bounds, that reads bodies as we do."""

    async def length(request: web.Request) -> web.Response:
        told.append(len(await read_body(request, LIMIT)))
        return web.json_response({}, status=202)

    told: list[int] = []
    app = web.Application(middlewares=[problems])
    app.router.add_post("/scan/classify", length)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


async def test_somebody_elses_bound_does_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    """More than aiohttp's megabyte is read, more than ours is not, and who leaves is forgotten.

    There, a client that leaves does not cancel its request.
    """
    async with foreign() as client:
        large = Sent("/scan/classify", bytes(LIMIT), {"Content-Type": "image/jpeg"})
        assert (await large.to(client)).status == 202
        assert (await large._replace(data=bytes(LIMIT + 1)).to(client)).status == 413
        async with connected(client) as (_, writer):
            writer.write(head(large, Content_Length=LIMIT) + bytes(1000))
            await writer.drain()
            writer.transport.abort()
        assert (await large.to(client)).status == 202
    assert caplog.records == []
