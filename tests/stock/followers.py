"""Clients of others' make, each used as its own manual says, with one face for the tests."""

import asyncio
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import httpx
from httpx_sse import aconnect_sse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from tests.web.contract_clients import SseParser

CURL: Final = shutil.which("curl")
PATIENCE_S: Final = 30.0
PIECE: Final = 65536


@dataclass(frozen=True)
class Told:
    """An event as the client's user has it, with what to go on behind."""

    cursor: str
    data: Any


@dataclass(frozen=True)
class Ended:
    """A connection is over: `"cut"`, or for good with the transport's own word for it."""

    how: Literal["cut"] | int


Item = Told | Ended


class Stock(ABC):
    """Follows a stream from its beginning, or from behind `cursor`; `told` is what it was told.

    *path* is the stream's address as server-sent events; a WebSocket takes the scan from it.
    `by_itself`: it comes back by itself when it was cut.
    """

    by_itself: ClassVar[bool] = False
    end: ClassVar[int]  # how it learns that there is no more

    def __init__(self, url: str, path: str) -> None:
        self.url = url
        self.path = path
        self.cursor: str | None = None
        self.told: list[Told] = []
        self._running: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    @property
    def stream(self) -> str:
        return f"{self.url}{self.path}"

    @property
    def socket(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def wanted(self) -> dict[str, str | None]:
        """What a subscription to it says."""
        _, _, task_id, _ = self.path.split("/")
        return {"channel": f"scan:{task_id}", "after": self.cursor}

    @abstractmethod
    def items(self) -> AsyncIterator[Item]:
        """One connection's, or all when it comes back by itself."""

    async def begin(self) -> None:
        """Connect, or again behind the cursor."""
        await self.close()
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for item in self.items():
            self._items.put_nowait(item)

    async def next(self) -> Item:
        assert self._running is not None
        async with asyncio.timeout(PATIENCE_S):
            waiting = asyncio.ensure_future(self._items.get())
            await asyncio.wait({waiting, self._running}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and self._running.done():
                self._running.result()
            item = await waiting
        if isinstance(item, Told):
            self.told.append(item)
        return item

    async def has(self, number: int) -> None:
        """Wait until it was told so much; it was not cut meanwhile."""
        while len(self.told) < number:
            assert isinstance(await self.next(), Told)

    async def cut(self) -> None:
        """Wait until it notices that it was cut, and connect again unless it does so by itself."""
        while (item := await self.next()) != Ended("cut"):
            assert isinstance(item, Told), item
        if not self.by_itself:
            await self.begin()

    async def rest(self) -> Ended:
        """All up to its end, which is for good; a server that is away for a while is none."""
        while True:
            item = await self.next()
            if isinstance(item, Told):
                continue
            if item.how != "cut":
                return item
            if not self.by_itself:
                await self.begin()

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running


@asynccontextmanager
async def program(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running program whose output can be read; it ends with the context."""
    nothing, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=pipe)
    try:
        yield process
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it if it runs, and be there until it is over, even when cancelled."""
    if process.returncode is None:
        process.kill()
    waiting = asyncio.ensure_future(process.wait())
    cancelled = None
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def output(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """What it writes, piece by piece, as it is written."""
    assert process.stdout is not None
    while piece := await process.stdout.read(PIECE):
        yield piece


class Curl(Stock):
    """`curl -N`, again and again until 204; the id of what came last goes into a header."""

    end = 204

    async def items(self) -> AsyncIterator[Item]:
        assert CURL is not None
        resume = ("-H", f"Last-Event-ID: {self.cursor}") if self.cursor else ()
        parser = SseParser()
        said = b""
        async with program(CURL, "-sN", "-D", "-", *resume, self.stream) as process:
            async for piece in output(process):
                head, found, body = (said + piece).partition(b"\r\n\r\n")
                said = head + found
                for block in parser.feed(body):
                    self.cursor = parser.last_event_id
                    if not block.event:
                        yield Told(self.cursor, json.loads(block.data))
        yield Ended(204 if said.startswith(b"HTTP/1.1 204 ") else "cut")


class HttpxSse(Stock):
    """Python's httpx-sse, as curl; a server that is away is a cut as any other."""

    end = 204

    async def items(self) -> AsyncIterator[Item]:
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        try:
            async with (
                httpx.AsyncClient(timeout=PATIENCE_S) as client,
                aconnect_sse(client, "GET", self.stream, headers=headers) as source,
            ):
                if source.response.status_code == 204:
                    yield Ended(204)
                    return
                async for event in source.aiter_sse():
                    self.cursor = event.id
                    if event.event == "message" and event.data:  # blocks without come, too
                        yield Told(event.id, event.json())
        except httpx.TransportError:
            pass
        yield Ended("cut")


class Websockets(Stock):
    """Python's websockets; the cursor goes into the subscription."""

    end = 1000

    async def items(self) -> AsyncIterator[Item]:
        async with connect(self.socket) as socket:
            await socket.send(json.dumps({"op": "subscribe", "id": 1, **self.wanted}))
            try:
                async for message in socket:
                    told = json.loads(message)
                    if told["op"] == "event":
                        self.cursor = told["cursor"]
                        yield Told(told["cursor"], told["data"])
            except ConnectionClosedError:
                yield Ended("cut")
                return
            assert socket.close_code is not None
            yield Ended(socket.close_code)
