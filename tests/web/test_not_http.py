"""Bytes that are no request, as port scanners and broken clients send them."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.web.client import Client, say
from tests.web.serving import Server

GARBAGE = {
    "nonsense": b"nonsense\r\n\r\n",
    "method": b"BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "target": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    "length": b"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "chunk": b"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: what is sent here shows in its log."""
    shared = Server(tmp_path_factory.mktemp("target")).start()
    yield shared
    shared.stop()


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_what_is_not_http_is_a_bad_request(
    session: aiohttp.ClientSession, target: Server, garbage: str
) -> None:
    """A 4xx or a closed connection, and the next user is served."""
    client = Client(session, target.url)
    answered = await say(client, GARBAGE[garbage])
    assert answered == b"" or answered.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert (await client.get("/healthz")).status == 200


async def test_what_is_not_http_is_not_worth_a_traceback(
    session: aiohttp.ClientSession, target: Server
) -> None:
    """Whoever can reach the port cannot fill the log with tracebacks."""
    client = Client(session, target.url)
    for garbage in GARBAGE.values():
        await say(client, garbage)
    assert (await client.get("/healthz")).status == 200
    assert "Traceback" not in target.log_text()


@pytest.mark.parametrize(("level", "noted"), [("warning", False), ("info", True)])
async def test_what_is_not_http_is_noted_as_information(
    session: aiohttp.ClientSession, tmp_path: Path, level: str, noted: bool
) -> None:
    """Whoever asks for warnings is told nothing of it."""
    server = Server(tmp_path, options=("--log-level", level)).start()
    try:
        client = Client(session, server.url)
        for garbage in GARBAGE.values():
            await say(client, garbage)
        assert (await client.get("/healthz")).status == 200
    finally:
        server.stop()
    assert ("INFO    aiohttp.server: Error handling request" in server.log_text()) is noted
    assert ("aiohttp" in server.log_text()) is noted
