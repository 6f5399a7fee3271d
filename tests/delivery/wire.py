"""What a client understands of the bytes that it was sent, written down from the contract."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import msgpack

from tests.ws_bytes import BINARY, CLOSE, PING, PONG, TEXT, close_code


@dataclass(frozen=True)
class Told:
    """An event. `position` is that of its cursor, None without one."""

    channel: str | None
    position: int | None
    data: Any


@dataclass(frozen=True)
class Hole:
    """A gap. `at` is the position of its id, None on a transport without ids."""

    channel: str
    begin: int
    end: int
    dropped: int
    reason: str
    at: int | None


@dataclass(frozen=True)
class Opened:
    """`eco.open`, or what `subscribed` says. `told` is all of it."""

    position: int
    resume: str
    told: dict[str, Any]


@dataclass(frozen=True)
class End:
    """A bye."""

    code: str
    reconnect: bool
    retry_ms: int


@dataclass(frozen=True)
class Said:
    """An answer to a command, but for `subscribed`."""

    told: dict[str, Any]


Item = Told | Hole | Opened | End | Said


def position(cursor: str) -> int:
    return int(cursor.partition("-")[2], 16)


def _hole(told: dict[str, Any], at: int | None) -> Hole:
    begin, end = position(told["from"]), position(told["to"])
    return Hole(told["channel"], begin, end, told["dropped"], told["reason"], at)


class SseReader:
    """Reads a stream by the rules of EventSource; `enveloped` as `/stream` sends events."""

    def __init__(self, *, enveloped: bool) -> None:
        self.items: list[Item] = []
        self.ids: list[int] = []
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_id: str | None = None
        self.head: bytes | None = None
        self._enveloped = enveloped
        self._rest = b""

    def feed(self, data: bytes) -> None:
        self._rest += data
        if self.head is None:
            head, found, rest = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            self.head, self._rest = head, rest
        *blocks, self._rest = self._rest.split(b"\n\n")
        for block in blocks:
            self._block(block.decode())

    def _block(self, block: str) -> None:
        name, told, id = "message", "", None
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "":
                    self.comments += 1
                case "event":
                    name = value
                case "data":
                    told += value
                case "id":
                    id = self.last_id = value
                case "retry":
                    self.retry_ms = int(value)
                case _:
                    raise AssertionError(f"no field of a stream: {line!r}")
        at = None if id is None else position(id)
        if at is not None:
            self.ids.append(at)
        if told:
            self.items.append(self._item(name, json.loads(told), at))

    def _item(self, name: str, told: dict[str, Any], at: int | None) -> Item:
        match name:
            case "message" if self._enveloped:
                cursor = told["cursor"]
                assert (None if cursor is None else position(cursor)) == at
                return Told(told["channel"], at, told["data"])
            case "message":
                return Told(None, at, told)
            case "eco.open":
                assert position(told["cursor"]) == at
                return Opened(position(told["cursor"]), told["resume"], told)
            case "eco.gap":
                return _hole(told, at)
            case "eco.bye":
                assert self.retry_ms == told["retry_ms"]
                return End(told["code"], told["reconnect"], told["retry_ms"])
        raise AssertionError(f"no event of the contract: {name}")


class WsReader:
    """Reads frames of a server, in JSON or msgpack; keeps the last cursor of each channel."""

    def __init__(self, *, packed: bool) -> None:
        self.items: list[Item] = []
        self.comments = 0
        self.head: bytes | None = None
        self.last: dict[str, str] = {}
        self.pings: list[bytes] = []
        self.close_code: int | None = None
        self._packed = packed
        self._rest = b""

    def feed(self, data: bytes) -> None:
        self._rest += data
        if self.head is None:
            head, found, rest = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            self.head, self._rest = head, rest
        while (frame := self._frame()) is not None:
            self._read(*frame)

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._rest
        if len(data) < 2:
            return None
        assert data[0] & 0xF0 == 0x80, "one piece, and no reserved bits"
        begin, length = 2, data[1]
        if length in (126, 127):
            begin, how = (4, "!H") if length == 126 else (10, "!Q")
            if len(data) < begin:
                return None
            (length,) = struct.unpack_from(how, data, 2)
        if len(data) < begin + length:
            return None
        self._rest = data[begin + length :]
        return data[0] & 0x0F, data[begin : begin + length]

    def _read(self, opcode: int, payload: bytes) -> None:
        assert self.close_code is None, "after a close nothing is sent"
        match opcode:
            case 8:
                assert opcode == CLOSE
                self.close_code = close_code(payload)
            case 9:
                assert opcode == PING
                self.pings.append(payload)
            case _:
                if opcode == PONG:
                    return
                assert opcode == (BINARY if self._packed else TEXT)
                told = msgpack.unpackb(payload) if self._packed else json.loads(payload)
                self.items.append(self._item(told))

    def _item(self, told: dict[str, Any]) -> Item:
        match told["op"]:
            case "event":
                cursor = told["cursor"]
                if cursor is not None:
                    self.last[told["channel"]] = cursor
                at = None if cursor is None else position(cursor)
                return Told(told["channel"], at, told["data"])
            case "gap":
                return _hole(told, None)
            case "bye":
                return End(told["code"], told["reconnect"], told["retry_ms"])
            case "subscribed":
                self.last[told["channel"]] = told["cursor"]
                return Opened(position(told["cursor"]), told["resume"], told)
        return Said(told)


Reader = SseReader | WsReader
