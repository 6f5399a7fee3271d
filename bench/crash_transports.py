"""How a reader of the crash harness is told: from where it is to the next cut, or the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import msgpack

from bench.crash_readers import SCAN, Reader, Transport, position
from bench.crash_server import PATIENCE_S

POLL_S: Final = 5

GONE: Final = 410


def _path(channel: str) -> str:
    task_id = channel.removeprefix(SCAN)
    return f"/scan/{task_id}" if task_id != channel else f"/channels/{quote(channel)}"


async def _drop_gone(reader: Reader) -> None:
    """One of its scans is gone: find out which."""
    before = len(reader.gone)
    for channel in reader.here:
        async with reader.http.get(reader.server.url + _path(channel)) as response:
            if response.status == GONE:
                reader.removed(channel)
    if len(reader.gone) == before:
        reader.wrong.append(f"{reader.here}: said to be gone, and none is")


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
        if response.status == GONE:
            await _drop_gone(reader)
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
                    for channel in reader.here:  # one cursor counts for all
                        reader.reach(channel, fields["id"])
                case None:
                    reader.take(reader.here[0], fields["id"], told)
                case "eco.open":
                    for channel in reader.here:
                        reader.opened(told["resume"], after, channel, told["cursor"])
                case "eco.gap":
                    reader.lost(told)
                    for channel in reader.here:
                        reader.reach(channel, fields["id"])
                case "eco.bye":
                    reader.ended(told)
                case other:
                    reader.wrong.append(f"an event {other}: {told}")


async def scan_sse(reader: Reader) -> None:
    """`/scan/{task_id}/stream`"""
    (channel,) = reader.here
    path = f"{_path(channel)}/stream"
    await _sse(reader, path, [], reader.cursors.get(channel))


async def sse(reader: Reader) -> None:
    """`/stream` of all channels."""
    query = [("channel", channel) for channel in reader.here]
    await _sse(reader, "/stream", query, reader.cursors.get(reader.here[0]))


# ---- WebSocket


async def _socket(
    reader: Reader,
    protocol: str,
    packed: Callable[[Any], str | bytes],
    unpacked: Callable[[Any], Any],
) -> None:
    """One channel is named in the address; several are subscribed to, each from where it is."""
    asked = {channel: reader.cursors.get(channel) for channel in reader.here}
    channels = [*asked]
    by_address = {"channel": channels[0], "after": asked[channels[0]]}
    several = len(channels) > 1
    query = {} if several else {name: text for name, text in by_address.items() if text}
    url = f"{reader.server.url}/ws?{urlencode(query)}"
    try:
        socket = await reader.http.ws_connect(url, protocols=(protocol,))
    except aiohttp.WSServerHandshakeError as error:
        if error.status != GONE:
            raise
        await _drop_gone(reader)
        return
    async with socket:
        for n, (channel, after) in enumerate(asked.items()) if several else ():
            said = packed({"op": "subscribe", "id": n, "channel": channel, "after": after})
            await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return
            _hear(reader, asked, unpacked(message.data))
            if several and reader.has_all:  # it would be waited for, to ask for more
                reader.over.set()
                return


def _hear(reader: Reader, asked: dict[str, str | None], told: dict[str, Any]) -> None:
    """A message of a WebSocket."""
    match told["op"]:
        case "event":
            reader.take(told["channel"], told["cursor"], told["data"])
        case "subscribed":
            channel = told["channel"]
            reader.opened(told["resume"], asked[channel], channel, told["cursor"])
        case "gap":
            reader.lost(told)
            reader.reach(told["channel"], told["to"])
        case "error" if told["code"] == "gone":
            reader.removed([*asked][told["id"]])
        case "bye":
            reader.ended(told)
        case _:
            reader.wrong.append(f"{told}")


async def ws_json(reader: Reader) -> None:
    """`/ws` in text."""
    await _socket(reader, "eco.v1.json", json.dumps, json.loads)


async def ws_msgpack(reader: Reader) -> None:
    """`/ws` in binary."""
    await _socket(reader, "eco.v1.msgpack", msgpack.packb, msgpack.unpackb)


# ---- long polling


async def poll(reader: Reader) -> None:
    """`/scan/{task_id}/events` and `/channels/{channel}/events`, again and again."""
    (channel,) = reader.here
    is_scan = channel.startswith(SCAN)
    wait = 0  # at first, to be told at once where it is
    while not reader.over.is_set():
        after = reader.cursors.get(channel)
        query = {"wait": wait} | ({"after": after} if after else {})
        url = f"{reader.server.url}{_path(channel)}/events?{urlencode(query)}"
        async with asyncio.timeout(PATIENCE_S), reader.http.get(url) as response:
            told = json.loads(await response.read())
        if response.status == GONE:
            reader.removed(channel)
            return
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
