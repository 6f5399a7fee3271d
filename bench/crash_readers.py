"""Clients of the crash harness that follow channels over all transports, through every cut.

A `Reader` notes what it was told. Its transports are functions: each takes it from where it is to
the next cut or the end. After a cut it goes on behind its last cursor, by the next of its
transports if it has several.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import msgpack

from bench.crash_server import PATIENCE_S, Server

CUTS: Final = (aiohttp.ClientError, ConnectionError, TimeoutError)
"""What a client meets whose server is killed, wherever it was."""

POLL_S: Final = 5
SCAN: Final = "scan:"
ENDED: Final = ("failed", "cancelled")


def position(cursor: str) -> int:
    """The place in the log that a cursor names. Clients need not know; the judge does."""
    return int(cursor.rpartition("-")[2], 16)


class Told(NamedTuple):
    """An event as a client got it; `cursor` None where the transport has none for each."""

    channel: str
    cursor: str | None
    data: dict[str, Any]


@dataclass(eq=False)
class Reader:
    """A client that follows *channels* to their end, or until it is told to stop.

    `begins`: the position behind which it was to be told all of a channel, once it knew.
    `ordered`: whether its transports tell of several channels in the order of the log.
    """

    http: aiohttp.ClientSession
    server: Server
    channels: tuple[str, ...]
    transports: "Sequence[Transport]"
    name: str
    ordered: bool = False
    seen: list[Told] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    begins: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    resumes: int = 0
    cut: str = ""  # by what it was cut off last
    life: int = 0  # of the server, the last that it was served in
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _last: set[str] = field(default_factory=set)  # channels of which it has the last event
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.begins = {channel: 0 for channel in self.channels if channel.startswith(SCAN)}

    async def run(self) -> None:
        """Follow, whatever happens to the server."""
        turn = 0
        while not self.over.is_set():
            life = self.server.life
            transport = self.transports[turn % len(self.transports)]
            try:
                await transport(self)
            except CUTS as error:
                self.cut = repr(error)
            if not self.over.is_set():
                turn += 1
                await self.server.again(life)
                self.resumes += bool(self.cursors)

    def take(self, channel: str, cursor: str | None, data: dict[str, Any]) -> None:
        """An event; *cursor* counts for its channel."""
        self.seen.append(Told(channel, cursor, data))
        if data.get("step") == "reward" or data.get("status") in ENDED:
            self._last.add(channel)
        if cursor is not None:
            self.reach(channel, cursor)

    def reach(self, channel: str, cursor: str) -> None:
        """All of *channel* up to here was told."""
        self.cursors[channel] = cursor
        self._moved.set()

    def opened(self, resume: str, asked: str | None, channel: str, cursor: str) -> None:
        """The answer to a subscription that named the cursor *asked*."""
        wanted = "fresh" if asked is None else "recovered"
        if resume != wanted:
            self.wrong.append(f"{channel}: resumed as {resume} behind {asked}")
        self.begins.setdefault(channel, position(cursor))
        self.cursors.setdefault(channel, cursor)
        self.life = self.server.life
        self._moved.set()

    @property
    def has_all(self) -> bool:
        """Whether it was told the last event of each of its channels."""
        return self._last == {*self.channels}

    def lost(self, gap: Any) -> None:
        """A gap: under the rule buffer, and with all history kept, there is none."""
        self.wrong.append(f"a gap: {gap}")

    def ended(self, bye: Any) -> None:
        if bye["code"] == "complete":
            self.over.set()
        elif bye["code"] != "going_away":
            self.wrong.append(f"a goodbye: {bye}")

    async def reaches(self, channel: str, place: int) -> None:
        """Wait until it was told all of *channel* up to this position."""
        while channel not in self.cursors or position(self.cursors[channel]) < place:
            self._moved.clear()
            await self._moved.wait()

    async def joins(self, life: int) -> None:
        """Wait until it is served in this life of the server."""
        while self.life < life:
            self._moved.clear()
            await self._moved.wait()


Transport = Callable[[Reader], Awaitable[None]]


# ---- Server-Sent Events


async def _blocks(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    """The whole blocks of an event stream, fields by name; the rest of a cut one is dropped."""
    text = ""
    async for chunk in response.content.iter_any():
        text += chunk.decode()
        whole, _, text = text.rpartition("\n\n")
        for block in whole.split("\n\n"):
            lines = [line.partition(":") for line in block.split("\n") if line]
            fields = {name: value.removeprefix(" ") for name, _, value in lines if name}
            if fields:
                yield fields


async def _sse(reader: Reader, path: str, query: list[tuple[str, str]], after: str | None) -> None:
    url = f"{reader.server.url}{path}?{urlencode(query)}"
    headers = {} if after is None else {"Last-Event-ID": after}
    several = path == "/stream"
    async with reader.http.get(url, headers=headers) as response:
        if response.status == 204:
            reader.over.set()
            return
        if response.status != 200:
            reader.wrong.append(f"{url}: status {response.status}")
            return
        async for fields in _blocks(response):
            if "data" not in fields:
                continue
            told = json.loads(fields["data"])
            match fields.get("event"):
                case None if several:
                    reader.take(told["channel"], told["cursor"], told["data"])
                    for channel in reader.channels:  # one cursor counts for all
                        reader.reach(channel, fields["id"])
                case None:
                    reader.take(reader.channels[0], fields["id"], told)
                case "eco.open":
                    for channel in reader.channels:
                        reader.opened(told["resume"], after, channel, told["cursor"])
                case "eco.gap":
                    reader.lost(told)
                case "eco.bye":
                    reader.ended(told)
                case other:
                    reader.wrong.append(f"an event {other}: {told}")


async def scan_sse(reader: Reader) -> None:
    """`/scan/{task_id}/stream`"""
    (channel,) = reader.channels
    path = f"/scan/{channel.removeprefix(SCAN)}/stream"
    await _sse(reader, path, [], reader.cursors.get(channel))


async def sse(reader: Reader) -> None:
    """`/stream` of all channels."""
    query = [("channel", channel) for channel in reader.channels]
    await _sse(reader, "/stream", query, reader.cursors.get(reader.channels[0]))


# ---- WebSocket


async def _socket(
    reader: Reader,
    protocol: str,
    packed: Callable[[Any], str | bytes],
    unpacked: Callable[[Any], Any],
) -> None:
    """One channel is named in the address; several are subscribed to, each from where it is."""
    asked = {channel: reader.cursors.get(channel) for channel in reader.channels}
    by_address = {"channel": reader.channels[0], "after": asked[reader.channels[0]]}
    several = len(reader.channels) > 1
    query = {} if several else {name: text for name, text in by_address.items() if text}
    url = f"{reader.server.url}/ws?{urlencode(query)}"
    async with reader.http.ws_connect(url, protocols=(protocol,)) as socket:
        for channel, after in asked.items() if several else ():
            said = packed({"op": "subscribe", "id": 1, "channel": channel, "after": after})
            await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return
            told = unpacked(message.data)
            match told["op"]:
                case "event":
                    reader.take(told["channel"], told["cursor"], told["data"])
                    if several and reader.has_all:  # it would be waited for, to ask for more
                        reader.over.set()
                        return
                case "subscribed":
                    channel = told["channel"]
                    reader.opened(told["resume"], asked[channel], channel, told["cursor"])
                case "gap":
                    reader.lost(told)
                case "bye":
                    reader.ended(told)
                case _:
                    reader.wrong.append(f"{url}: {told}")


async def ws_json(reader: Reader) -> None:
    """`/ws` in text."""
    await _socket(reader, "eco.v1.json", json.dumps, json.loads)


async def ws_msgpack(reader: Reader) -> None:
    """`/ws` in binary."""
    await _socket(reader, "eco.v1.msgpack", msgpack.packb, msgpack.unpackb)


# ---- long polling


async def poll(reader: Reader) -> None:
    """`/scan/{task_id}/events` and `/channels/{channel}/events`, again and again."""
    (channel,) = reader.channels
    is_scan = channel.startswith(SCAN)
    path = f"/scan/{channel.removeprefix(SCAN)}" if is_scan else f"/channels/{quote(channel)}"
    wait = 0  # at first, to be told at once where it is
    while not reader.over.is_set():
        after = reader.cursors.get(channel)
        query = {"wait": wait} | ({"after": after} if after else {})
        url = f"{reader.server.url}{path}/events?{urlencode(query)}"
        async with asyncio.timeout(PATIENCE_S), reader.http.get(url) as response:
            told = json.loads(await response.read())
        if response.status != 200:
            if response.status != 503:
                reader.wrong.append(f"{url}: status {response.status}: {told}")
            return
        if told["gap"] is not None:
            reader.lost(told["gap"])
        if after is None and told["events"] and not is_scan:  # what came since is in it already
            reader.begins.setdefault(channel, position(told["events"][0]["cursor"]) - 1)
        reader.opened(told["resume"], after, channel, told["cursor"])
        for each in told["events"]:
            if is_scan:
                reader.take(channel, None, each)
            else:
                reader.take(channel, each["cursor"], each["data"])
        reader.reach(channel, told["cursor"])
        if told["done"]:
            reader.over.set()
        wait = POLL_S


SCANS: Final[Sequence[Transport]] = (scan_sse, sse, ws_json, ws_msgpack, poll)
CHANNELS: Final[Sequence[Transport]] = (sse, ws_json, ws_msgpack, poll)
