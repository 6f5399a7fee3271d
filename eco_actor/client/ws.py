"""Following over WebSocket, told in JSON or in msgpack."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp import WSMsgType

from eco_actor.client.ends import ended, of_answer, of_bye, of_close, of_refusal
from eco_actor.client.http import Http, said
from eco_actor.client.place import Heard, Place
from eco_actor.client.told import Event, Gap, Opened

TEXT: Final = "eco.v1.json"
PACKED: Final = "eco.v1.msgpack"

CLOSE_S: Final = 1.0
"""How long the server's answer to our close is waited for."""

MOST: Final = 8 * 2**20
"""Bytes of a message."""

_NO_WORDS: Final = (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
"""An end without a close frame, whatever code aiohttp gives it."""


class Ws:
    """One connection for all channels, with a cursor each. *packed*: in msgpack, which must be
    installed. ImportError."""

    def __init__(self, http: Http, *, packed: bool = False) -> None:
        self._http = http
        self._protocol = PACKED if packed else TEXT
        self._unpack: Callable[[bytes], Any] | None = None
        self._pack: Callable[[object], bytes] | None = None
        if packed:
            import msgpack

            self._unpack = lambda data: msgpack.unpackb(data, strict_map_key=False)
            self._pack = msgpack.packb

    async def listen(self, place: Place) -> AsyncGenerator[Heard, None]:
        """What is told until the connection ends. While nothing is asked for, nothing is read, and
        pings are not answered: after half a minute the server ends it. Ended."""
        bounds = self._http.bounds
        now = asyncio.get_running_loop().time
        opening = now() + bounds.connect_s
        socket = await self._open(opening)
        try:
            await self._subscribe(socket, place)
            asked = {*place.channels}
            while True:
                until = opening if asked else now() + bounds.ws_silent_s
                late = "connect_timeout" if asked else "silent"
                told = await self._next(socket, until, late)
                if told is None:
                    continue
                heard = _heard(place, told)
                if isinstance(heard, Opened):
                    asked.discard(str(told["channel"]))
                if heard is not None:
                    yield heard
        finally:
            await socket.close()

    async def _open(self, until: float) -> "aiohttp.ClientWebSocketResponse[bool]":
        url = self._http.base + "/ws"
        try:
            async with asyncio.timeout_at(until):
                return await self._http.session.ws_connect(
                    url,
                    protocols=(self._protocol,),
                    headers=self._http.headers({}),
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    autoping=False,
                    max_msg_size=MOST,
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise self._http.nobody() from error
        except TimeoutError as error:
            raise ended("connect_timeout", "the connection did not open") from error
        except aiohttp.WSServerHandshakeError as error:
            if error.status < 300:
                raise ended("not_a_stream", error.message, status=error.status) from error
            headers: Mapping[str, str] = error.headers or {}
            raise of_answer(error.status, headers, b"", self._http.wall()) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ended("unreachable", said(error)) from error

    async def _subscribe(
        self, socket: "aiohttp.ClientWebSocketResponse[bool]", place: Place
    ) -> None:
        if socket.protocol != self._protocol and self._pack is not None:
            raise ended("refused", f"the server does not speak {self._protocol}", said="protocol")
        for number, channel in enumerate(place.channels, 1):
            told: dict[str, Any] = {"op": "subscribe", "id": number, "channel": channel}
            told |= {"after": place.cursors[channel], **place.options()}
            try:
                if self._pack is not None:
                    await socket.send_bytes(self._pack(told))
                else:
                    await socket.send_str(json.dumps(told))
            except (aiohttp.ClientError, OSError) as error:
                raise ended("cut", said(error)) from error

    async def _next(
        self, socket: "aiohttp.ClientWebSocketResponse[bool]", until: float, late: str
    ) -> dict[str, Any] | None:
        """The next message; None for what is no message, but a sign of life. Ended."""
        try:
            async with asyncio.timeout_at(until):
                message = await socket.receive()
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        except TimeoutError as error:
            raise ended(late, "nothing was heard for too long") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ended("cut", said(error)) from error
        if message.type is WSMsgType.CLOSE:
            raise of_close(message.data, str(message.extra or ""))
        if message.type in _NO_WORDS:
            too_long = socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            raise ended("too_long" if too_long else "cut", "the connection ended without a word")
        try:
            if message.type is WSMsgType.TEXT and self._unpack is None:
                told = json.loads(message.data)
            elif message.type is WSMsgType.BINARY and self._unpack is not None:
                told = self._unpack(message.data)
            else:
                return None
        except ValueError as error:
            raise ended("not_a_stream", "a message that is none") from error
        if not isinstance(told, dict):
            raise ended("not_a_stream", "a message that is no map")
        return told


def _heard(place: Place, told: Mapping[str, Any]) -> Heard | None:
    """What a message says; None: something that was not asked for. Ended."""
    try:
        match told.get("op"):
            case "event":
                channel, cursor = told["channel"], told["cursor"]
                place.at(channel, cursor)
                return Event(channel, cursor, told["data"])
            case "gap":
                return Gap.of(told)  # events before its end may still come: the cursor stays
            case "subscribed":
                place.at(told["channel"], told["cursor"])
                return Opened("ws", told["resume"])
            case "error":
                raise of_refusal(told)
            case "bye":
                raise of_bye(told)
    except (ValueError, TypeError, KeyError) as error:
        raise ended("not_a_stream", "a message that is none") from error
    return None
