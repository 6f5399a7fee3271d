"""The WebSocket and the long poll with the face of `contract_clients`."""

import itertools
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlencode

import msgpack
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.web.contract_clients import (
    Bye,
    Declined,
    Follower,
    RoutedSse,
    ScanSse,
    Sse,
    Told,
    bye,
    lost,
)
from tests.web.contract_wire import Wire, head_of
from tests.ws_bytes import BINARY, TEXT, masked

CODES: Final = {
    "complete": 1000,
    "going_away": 1001,
    "not_allowed": 1008,
    "slow_consumer": 4008,
    "too_many": 4013,
}


class WebSocket(Follower):
    """`/ws`; what it subscribes to is in the address. `replies` are answers to commands."""

    ordered = False
    subprotocol: ClassVar[str]

    @abstractmethod
    def packed(self, told: Any) -> bytes: ...

    @abstractmethod
    def unpacked(self, frame: Frame) -> Any: ...

    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None:
        named = [("channel", channel) for channel in self.channels]
        await self.connect([*named, *chosen.items()], headers, small)
        if self.channels:
            await self.subscribed()

    async def connect(
        self, query: Sequence[tuple[str, object]], headers: Mapping[str, str], small: bool
    ) -> None:
        self.replies: list[Any] = []
        self.pings: list[bytes] = []
        self.last: Bye | None = None
        self.numbers = itertools.count(1)
        uri = f"ws{self.url.removeprefix('http')}/ws?{urlencode(query)}"
        offered = [Subprotocol(self.subprotocol)]
        self.protocol = ClientProtocol(parse_uri(uri), subprotocols=offered, max_size=None)
        request = self.protocol.connect()
        for name, value in headers.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        self.protocol.send_request(request)
        self.wire = await Wire.to(self.url, small=small)
        self.response: Response | None = None
        await self.flush()
        while self.response is None:
            await self.more()
        if self.response.status_code != 101:
            told = {name.lower(): value for name, value in self.response.headers.raw_items()}
            raise Declined(self.response.status_code, told, self.response.body or b"")
        assert self.protocol.subprotocol == self.subprotocol

    async def subscribed(self) -> None:
        """Until the answer for each channel is there."""
        left = set(self.channels)
        while left:
            while not self.replies:
                await self.more()
            told = self.replies.pop(0)
            assert told["op"] == "subscribed", told
            left.discard(told["channel"])

    async def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                await self.connected.send(data)

    async def more(self) -> None:
        data = await self.connected.receive()
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        for each in self.protocol.events_received():
            if isinstance(each, Response):
                self.response = each
            else:
                assert isinstance(each, Frame)
                self._read(each)
        if self.protocol.close_rcvd is None:
            await self.flush()
        if not data:
            self.waiting.append(None)

    def _read(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self.pings.append(bytes(frame.data))
        elif frame.opcode is Opcode.CLOSE:
            code = self.protocol.close_rcvd.code if self.protocol.close_rcvd else None
            if self.last is not None:
                assert CODES[self.last.code] == code
                self.waiting.append(Bye(**{**vars(self.last), "status": code}))
            else:
                self.waiting.append(Bye("", False, None, code))
        elif frame.opcode is not Opcode.PONG:
            self._message(self.unpacked(frame))

    def _message(self, told: Any) -> None:
        match told["op"]:
            case "event":
                assert told.keys() == {"op", "channel", "cursor", "data"}
                self.waiting.append(Told(told["channel"], told["cursor"], told["data"]))
                self.cursor = told["cursor"] or self.cursor
            case "gap":
                self.waiting.append(lost(told))
            case "bye":
                self.last = bye(told)
            case "subscribed":
                self.cursor, self.verdict = told["cursor"], told["resume"]
                self.replies.append(told)
            case _:
                self.replies.append(told)

    async def say(self, **told: Any) -> None:
        """Send a command."""
        frame = self.packed(told)
        if isinstance(self, WsJson):
            self.protocol.send_text(frame)
        else:
            self.protocol.send_binary(frame)
        await self.flush()

    async def ask(self, op: str, **told: Any) -> Any:
        """Send a command, and wait for its answer; what else comes waits."""
        number = next(self.numbers)
        await self.say(op=op, id=number, **told)
        while True:
            for reply in self.replies:
                if reply.get("id") == number:
                    self.replies.remove(reply)
                    return reply
            assert not (self.waiting and self.waiting[-1] is None), "it has ended"
            await self.more()


class WsJson(WebSocket):
    subprotocol = "eco.v1.json"

    def packed(self, told: Any) -> bytes:
        return json.dumps(told).encode()

    def unpacked(self, frame: Frame) -> Any:
        assert frame.opcode is Opcode.TEXT
        return json.loads(bytes(frame.data))


class WsMsgpack(WebSocket):
    """It subscribes by commands, and its cookie makes its handshake go through aiohttp."""

    subprotocol = "eco.v1.msgpack"

    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None:
        await self.connect([], {"Cookie": "a=b", **headers}, small)
        for channel in self.channels:
            numbers = {k: v for k, v in chosen.items() if k in ("capacity", "interval_ms")}
            await self.say(op="subscribe", id=0, channel=channel, **{**chosen, **numbers})
        while len(self.replies) < len(self.channels):
            await self.more()
        for told in self.replies:
            if told["op"] == "error":
                raise Declined(0, {}, json.dumps(told).encode())
        await self.subscribed()

    def packed(self, told: Any) -> bytes:
        packed = msgpack.packb(told)
        assert isinstance(packed, bytes)
        return packed

    def unpacked(self, frame: Frame) -> Any:
        assert frame.opcode is Opcode.BINARY
        return msgpack.unpackb(bytes(frame.data))


class Poll(Follower):
    """`/scan/{task_id}/events` and `/channels/{channel}/events`: asks again and again."""

    many = False
    ordered = False

    async def begin(
        self, chosen: Mapping[str, object], headers: Mapping[str, str], small: bool
    ) -> None:
        self.chosen = dict(chosen)
        self.headers = headers
        self.done = False
        told = await self.poll(0)
        self.verdict = told["resume"]

    async def more(self) -> None:
        if self.done:
            self.waiting.append(Bye("complete", False, None))
            return
        try:
            await self.poll(10)
        except Declined as error:
            if error.status != 409:
                raise
            self.waiting.append(Bye(error.code, True, None))

    async def poll(self, wait: int) -> Any:
        (channel,) = self.channels
        kind, _, name = channel.partition(":")
        is_scan = kind == "scan"
        path = f"/scan/{quote(name)}/events" if is_scan else f"/channels/{quote(channel)}/events"
        if self.cursor is not None:
            self.chosen["after"] = self.cursor
        asked = {**self.chosen, "wait": wait}
        self.wire = wire = await Wire.to(self.url)
        head = {"Connection": "close", **self.headers}
        await wire.send(head_of(self.url, f"{path}?{urlencode(asked)}", head))
        status, headers, rest = await wire.answered()
        body = await wire.body(headers, rest)
        wire.close()
        if status != 200:
            raise Declined(status, headers, body)
        told = json.loads(body)
        assert told.keys() == {"events", "cursor", "resume", "gap", "done"}
        if told["gap"] is not None:
            self.waiting.append(lost(told["gap"]))
        for event in told["events"]:
            if is_scan:
                self.waiting.append(Told(channel, None, event))
            else:
                self.waiting.append(Told(channel, event["cursor"], event["data"]))
        self.cursor, self.done = told["cursor"], told["done"]
        return told


STREAMS: Final[list[type[Follower]]] = [Sse, WsJson, WsMsgpack]
CHANNELS: Final[list[type[Follower]]] = [*STREAMS, RoutedSse, Poll]
SCANS: Final[list[type[Follower]]] = [ScanSse, *CHANNELS]


def packed(kind: type[WebSocket], told: Any) -> bytes:
    """A command in a frame."""
    if kind is WsJson:
        return masked(TEXT, json.dumps(told).encode())
    return masked(BINARY, bytes(msgpack.packb(told)))


async def ended_with(follower: WebSocket) -> int | None:
    """The code of the close that the server sends; everything before it is ignored."""
    while True:
        item = await follower.next()
        if isinstance(item, Bye):
            return item.status
        assert item is not None, "it ended without a close"
