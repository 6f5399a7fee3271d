"""A client that sees everything: statuses, headers, bodies, and each field of an event stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

JPEG: Final = {"Content-Type": "image/jpeg"}
LONG_S: Final = 20.0  # whatever takes longer will never come


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Message:
    """One block of an event stream. A field that was not in it is None; a bare comment has none."""

    event: str | None = None
    id: str | None = None
    data: str | None = None
    retry: int | None = None
    comments: list[str] = field(default_factory=list)

    def json(self) -> Any:
        assert self.data is not None
        return json.loads(self.data)


def blocks(text: str) -> Iterator[Message]:
    """The blocks of *text*, which ends with an empty line, by the HTML standard."""
    message = Message()
    empty = True
    for line in text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if not empty:
                yield message
            message, empty = Message(), True
            continue
        empty = False
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                message.comments.append(value)
            case "event":
                message.event = value
            case "data":
                message.data = value if message.data is None else f"{message.data}\n{value}"
            case "id" if "\0" not in value:
                message.id = value
            case "retry" if value.isascii() and value.isdigit():
                message.retry = int(value)


class Stream:
    """An open event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.headers = response.headers
        self.status = response.status
        self._messages = self._read()

    async def _read(self) -> AsyncIterator[Message]:
        text = ""
        async for chunk in self.response.content.iter_any():
            text += chunk.decode()
            whole, found, rest = text.rpartition("\n\n")
            if found:
                text = rest
                for message in blocks(whole + found):
                    yield message

    async def next(self) -> Message | None:
        """The next block, comments included; None at the end of the stream."""
        async with asyncio.timeout(LONG_S):
            return await anext(self._messages, None)

    async def until(self, seq: int) -> list[Message]:
        """All blocks up to and including the data event of this number."""
        seen: list[Message] = []
        while not seen or not is_data(seen[-1]) or seen[-1].json()["seq"] < seq:
            message = await self.next()
            assert message is not None, f"the stream ended before event {seq}: {seen}"
            seen.append(message)
        return seen

    async def rest(self) -> list[Message]:
        """All blocks up to the end of the stream."""
        seen: list[Message] = []
        while (message := await self.next()) is not None:
            seen.append(message)
        return seen


def is_data(message: Message) -> bool:
    """Whether `EventSource.onmessage` sees it."""
    return message.event is None and message.data is not None


def data_of(messages: list[Message]) -> list[Any]:
    return [message.json() for message in messages if is_data(message)]


def control(messages: list[Message], name: str) -> list[Message]:
    return [message for message in messages if message.event == f"eco.{name}"]


class Client:
    """Talks to the server at *base*. Paths go out as they are written, unnormalised."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def ask(self, method: str, path: str, **given: Any) -> Answer:
        url = URL(self.base + path, encoded=True)
        async with (
            asyncio.timeout(LONG_S),
            self.session.request(method, url, allow_redirects=False, **given) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **given: Any) -> Answer:
        return await self.ask("GET", path, **given)

    async def post(self, path: str = "/scan/classify", **given: Any) -> Answer:
        return await self.ask("POST", path, **given)

    async def accepted(self, category: str = "glass", **options: Any) -> str:
        """The task id of a scan of this category that was just accepted."""
        answer = await self.post(json={"category": category, **options})
        assert answer.status == 202, answer.body
        task_id = answer.json()["task_id"]
        assert isinstance(task_id, str)
        return task_id

    @asynccontextmanager
    async def stream(
        self, task_id: str, query: str = "", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Stream]:
        url = URL(f"{self.base}/scan/{task_id}/stream{query}", encoded=True)
        async with self.session.get(url, headers=headers) as response:
            yield Stream(response)

    async def events(
        self, task_id: str, query: str = "", headers: Mapping[str, str] | None = None
    ) -> list[Message]:
        """Everything that the stream of a scan says until it ends."""
        async with self.stream(task_id, query, headers) as stream:
            assert stream.status == 200, stream.status
            return await stream.rest()

    async def scanned(self, category: str = "glass", **options: Any) -> tuple[str, list[Message]]:
        """A scan that is over: its task id and all that its stream said."""
        task_id = await self.accepted(category, **options)
        return task_id, await self.events(task_id)

    async def actors(self) -> list[dict[str, Any]]:
        answer = await self.get("/actors")
        assert answer.status == 200
        told: list[dict[str, Any]] = answer.json()["actors"]
        return told


async def say(client: Client, raw: bytes, patience: float = 20.0) -> bytes:
    """What the server answers to these bytes, up to the end of the connection or of the head."""
    address = urlsplit(client.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(raw)
        async with asyncio.timeout(patience):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except ConnectionError:
        return b""
    finally:
        writer.close()
