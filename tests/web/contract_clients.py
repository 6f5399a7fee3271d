"""One client a transport, all with the same face, each on a socket that is read only when asked.

So a client can stall, leave in mid-stream and come back, on another transport too.
"""

import codecs
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from tests.web.contract_wire import Wire, head_of


@dataclass(frozen=True)
class Told:
    """An event. Its cursor is None when it is transient."""

    channel: str
    cursor: str | None
    data: Any


@dataclass(frozen=True)
class Lost:
    """A gap."""

    channel: str
    begin: str
    end: str
    dropped: int
    reason: str


@dataclass(frozen=True)
class Bye:
    """The last word. `status` is what the transport itself ended with, where it has such a code."""

    code: str
    reconnect: bool
    retry_ms: int | None
    status: int | None = None


Item = Told | Lost | Bye | None
"""None: it ended without a word."""


class Declined(Exception):
    """It was not opened."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"{status}: {body[:300]!r}")
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self) -> Any:
        """The code of the problem; None when there is none."""
        return json.loads(self.body)["code"] if self.body else None


class Follower(ABC):
    """Follows channels. `cursor` is where it would go on; `verdict` how it was taken up."""

    many: ClassVar[bool] = True  # whether one connection follows several channels
    ordered: ClassVar[bool] = True  # whether gaps come in the order of positions

    def __init__(self, url: str, channels: Sequence[str]) -> None:
        self.url = url
        self.channels = channels
        self.cursor: str | None = None
        self.verdict: str | None = None
        self.waiting: deque[Item] = deque()
        self.wire: Wire | None = None

    @property
    def connected(self) -> Wire:
        """Its socket."""
        assert self.wire is not None, "it is not connected"
        return self.wire

    @abstractmethod
    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None: ...

    @abstractmethod
    async def more(self) -> None:
        """Read, so that something waits."""

    async def next(self) -> Item:
        while not self.waiting:
            await self.more()
        return self.waiting.popleft()

    async def event(self) -> Told:
        """The next item, which is an event."""
        item = await self.next()
        assert isinstance(item, Told), item
        return item

    async def events(self, number: int) -> list[Told]:
        return [await self.event() for _ in range(number)]

    async def rest(self) -> list[Item]:
        """All up to the end, which is the last."""
        seen: list[Item] = []
        while True:
            seen.append(await self.next())
            if seen[-1] is None or isinstance(seen[-1], Bye):
                return seen

    def close(self) -> None:
        """Leave. Harmless when repeated."""
        if self.wire is not None:
            self.wire.close()


@dataclass
class Dispatched:
    """What an EventSource makes of a block."""

    event: str
    data: str
    has_id: bool


class SseParser:
    """An event stream, by the HTML standard; comments are counted."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._clear()

    def _clear(self) -> None:
        self._event, self._data, self._id = "", list[str](), False

    def feed(self, data: bytes) -> Iterator[Dispatched]:
        self._text += self._decode(data)
        ready, _, self._text = self._text.rpartition("\n")  # the server never writes a bare CR
        for line in ready.split("\n") if _ else ():
            assert "\r" not in line
            if line:
                self._field(line)
                continue
            if self._data:
                yield Dispatched(self._event, "\n".join(self._data), self._id)
            self._clear()

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments += 1
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_event_id, self._id = value, True
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)


class Sse(Follower):
    """`/stream`."""

    def path(self, chosen: Mapping[str, object]) -> str:
        named = [("channel", channel) for channel in self.channels]
        return f"/stream?{urlencode([*named, *chosen.items()])}"

    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None:
        self.parser = SseParser()
        self.opening: Any = None
        self.wire = wire = await Wire.to(self.url, small=small)
        await wire.send(head_of(self.url, self.path(chosen), headers))
        status, self.headers, rest = await wire.answered()
        if status != 200:
            body = await wire.body(self.headers, rest) if status != 204 else rest
            raise Declined(status, self.headers, body)
        self._read(rest)
        while self.opening is None and not self.waiting:
            data = await wire.receive(512)
            if not data:
                self.waiting.append(None)
            self._read(data)

    async def more(self) -> None:
        data = await self.connected.receive()
        if data:
            self._read(data)
        else:
            self.waiting.append(None)

    def _read(self, data: bytes) -> None:
        for each in self.parser.feed(data):
            told = json.loads(each.data)
            match each.event:
                case "":
                    self.waiting.append(self.told(told, each))
                case "eco.open":
                    assert each.has_id
                    assert self.parser.last_event_id == told["cursor"]
                    self.opening, self.verdict = told, told["resume"]
                case "eco.gap":
                    assert each.has_id
                    self.waiting.append(lost(told))
                case "eco.bye":
                    assert self.parser.retry == told["retry_ms"]
                    self.waiting.append(bye(told))
                case other:
                    raise AssertionError(f"an event {other}")
            self.cursor = self.parser.last_event_id

    def told(self, told: Any, each: Dispatched) -> Told:
        assert told.keys() == {"channel", "cursor", "data"}
        assert each.has_id == (told["cursor"] is not None)
        assert told["cursor"] in (None, self.parser.last_event_id)
        return Told(told["channel"], told["cursor"], told["data"])


class RoutedSse(Sse):
    """The same, by a request that is not plain, so that it takes the way through aiohttp."""

    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None:
        await super().begin(chosen, {**headers, "Content-Length": "0"}, small)


class ScanSse(Sse):
    """`/scan/{task_id}/stream`."""

    many = False

    def path(self, chosen: Mapping[str, object]) -> str:
        (channel,) = self.channels
        task_id = quote(channel.removeprefix("scan:"), safe="")
        return f"/scan/{task_id}/stream?{urlencode(chosen)}"

    def told(self, told: Any, each: Dispatched) -> Told:
        assert each.has_id == ("seq" in told)
        return Told(self.channels[0], self.parser.last_event_id if each.has_id else None, told)


def lost(told: Any) -> Lost:
    assert {"channel", "from", "to", "dropped", "reason"} <= told.keys()
    return Lost(told["channel"], told["from"], told["to"], told["dropped"], told["reason"])


def bye(told: Any, status: int | None = None) -> Bye:
    assert {"code", "reason", "reconnect", "retry_ms"} <= told.keys()
    return Bye(told["code"], told["reconnect"], told["retry_ms"], status)
