"""Clients that follow a channel over SSE and come back with their cursor, for `bench.storm`.

Polite ones do as static/eco.js does: what the server says about when to come back wins; without a
word from it they wait anything between nothing and a bound that doubles with each failure. Stubborn
ones come back after the same time, whatever they were told.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

FIRST_S: Final = 1.0
MOST_S: Final = 30.0
CONNECT_S: Final = 10.0
CHANNEL: Final = "app:bench"
NUMBER: Final = re.compile(rb'"n": ?(\d+)')
OPENED, BUSY, UNREACHABLE = "opened", "busy", "unreachable"
"""What becomes of an attempt: a stream, a refusal, no answer."""


@dataclass(slots=True)
class Record:
    """What happened to all clients; times are of the monotonic clock."""

    attempts: list[tuple[float, str]] = field(default_factory=list)
    open: int = 0
    opened_at: list[float] = field(default_factory=list)
    gaps: int = 0
    repeated: int = 0


class Client:
    """Follows the channel until it is closed. *fixed_s* None: polite."""

    def __init__(self, record: Record, port: int, fixed_s: float | None, chance: random.Random):
        self.seen: set[int] = set()
        self.cursor = ""
        self._record = record
        self._port = port
        self._fixed_s = fixed_s
        self._chance = chance
        self._failures = 0
        self._told_s: float | None = None
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._stream: Stream | None = None

    def connect(self) -> None:
        self._attempt = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, stream = await loop.create_connection(
                    lambda: Stream(self, CHANNEL, self.cursor, self._port), "127.0.0.1", self._port
                )
                self._stream = stream
                outcome = await stream.outcome
        except OSError:  # TimeoutError is one
            outcome = UNREACHABLE
            if self._stream is not None:
                self._stream.transport.abort()
                self._stream = None
        self._record.attempts.append((begun, outcome))
        if outcome == OPENED:
            self._failures = 0
            self._record.open += 1
            self._record.opened_at.append(time.monotonic())
        if self._stream is None or self._stream.ended:
            self._ended(outcome)

    def stream_ended(self, opened: bool) -> None:
        """The connection is over; an attempt that is under way says so itself."""
        if self._attempt is not None and self._attempt.done():
            self._ended(OPENED if opened else BUSY)

    def _ended(self, outcome: str) -> None:
        if outcome == OPENED:
            self._record.open -= 1
        self._failures += 1
        self._stream = None
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.wait_s(self._failures), self.connect)

    def wait_s(self, failures: int) -> float:
        """How long to stay away after so many ends without a stream between, with this one."""
        told, self._told_s = self._told_s, None
        if self._fixed_s is not None:
            return self._fixed_s
        if told is not None:
            return told
        bound = min(MOST_S, FIRST_S * float(2 ** min(failures - 1, 10)))
        return self._chance.random() * bound

    def event(self, name: bytes, identity: bytes, data: bytes) -> None:
        """One event of the stream, whole."""
        if identity:
            self.cursor = identity.decode()
        if name == b"eco.bye":
            self._told_s = json.loads(data)["retry_ms"] / 1000
        elif name == b"eco.gap":
            self._record.gaps += 1
        elif not name and (found := NUMBER.search(data)):
            number = int(found[1])
            self._record.repeated += number in self.seen
            self.seen.add(number)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        if self._stream is not None:
            self._stream.transport.abort()


class Stream(asyncio.Protocol):
    """One connection of a client: reads the event stream, as far as this server writes it."""

    def __init__(self, client: Client, channel: str, cursor: str, port: int) -> None:
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.ended = False
        self._client = client
        self._received = bytearray()
        self._in_body = False
        resume = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        self._request = (
            f"GET /stream?channel={channel} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Accept: text/event-stream\r\n{resume}\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._in_body:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self._decide(UNREACHABLE)
                self.transport.abort()
                return
            self._in_body = True
            self._received = rest
        *blocks, self._received = self._received.split(b"\n\n")
        for block in blocks:
            self._block(bytes(block))

    def _block(self, block: bytes) -> None:
        name = identity = data = b""
        for line in block.split(b"\n"):
            key, _, value = line.partition(b": ")
            if key == b"data":
                data = value
            elif key == b"id":
                identity = value
            elif key == b"event":
                name = value
        if name == b"eco.open":
            self._decide(OPENED)
        elif name == b"eco.bye":
            self._decide(BUSY)
        self._client.event(name, identity, data)
        if name == b"eco.bye":
            self.transport.abort()  # nothing follows; what is over need not be closed by the server

    def _decide(self, outcome: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self._decide(UNREACHABLE)
        if not self.outcome.cancelled():
            self._client.stream_ended(self.outcome.result() == OPENED)


class Probe:
    """Publishes events with numbers one after the other, and takes how long each answer took."""

    def __init__(self, port: int, token: str, every_s: float) -> None:
        self.acknowledged: set[int] = set()
        self.answers: list[tuple[float, float]] = []  # when it was posted, and seconds
        self.failed = 0
        self._port = port
        self._token = token
        self._every_s = every_s

    async def run(self) -> None:
        """Until it is cancelled."""
        number = 0
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(self._every_s)
                continue
            try:
                while True:
                    number += 1
                    await self._post(number, reader, writer)
                    await asyncio.sleep(self._every_s)
            except (OSError, EOFError):
                self.failed += 1
            finally:
                writer.close()

    async def _post(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = f'{{"n":{number},"pad":"{"x" * 180}"}}'
        begun = time.monotonic()
        writer.write(
            f"POST /channels/{CHANNEL}/events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        async with asyncio.timeout(CONNECT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.I)
            await reader.readexactly(int(length[1]) if length else 0)
        if head.startswith(b"HTTP/1.1 202"):
            self.acknowledged.add(number)
            self.answers.append((begun, time.monotonic() - begun))
        else:
            self.failed += 1


async def until(condition: Callable[[], Any], limit_s: float) -> bool:
    """Look 50 times a second; False when it did not come true within *limit_s*."""
    over = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > over:
            return False
        await asyncio.sleep(0.02)
    return True
