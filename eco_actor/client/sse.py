"""Following over Server-Sent Events."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any, Final

import aiohttp

from eco_actor.client.ends import ended, of_answer, of_bye
from eco_actor.client.event_stream import Block, EventStreamParser, TooLong
from eco_actor.client.http import MOST_OF_PROBLEM, Http, Request, read, said
from eco_actor.client.place import Heard, Place, Retry
from eco_actor.client.told import Event, Gap, Opened

_HEADER: Final = re.compile(r"[\x21-\x7e]+")  # what a header can hold unchanged


class Sse:
    """One stream for all channels, with one cursor."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def listen(self, place: Place) -> AsyncGenerator[Heard, None]:
        """What is told until the stream ends. Nothing is read before it is asked for. Ended."""
        now = asyncio.get_running_loop().time
        opening = now() + self._http.bounds.connect_s
        response = await self._open(place, opening)
        try:
            parser = EventStreamParser(place.joint or "")
            spoke = False
            while True:
                until = now() + self._http.bounds.silent_s if spoke else opening
                piece = await _piece(response, until, "silent" if spoke else "connect_timeout")
                for block in parser.feed(piece):
                    spoke = True
                    if (heard := _heard(place, block)) is not None:
                        yield heard
                if parser.retry_ms is not None:
                    yield Retry(parser.retry_ms)
                    parser.retry_ms = None
        except TooLong as error:
            raise ended("too_long", "an event that does not end") from error
        finally:
            response.close()

    async def _open(self, place: Place, until: float) -> aiohttp.ClientResponse:
        """An answer that is a stream. Ended."""
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout_at(until):
                response = await self._http.head(_request(place))
                await self._check(response)
                return response
        except BaseException as error:
            if response is not None:
                response.close()
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise self._http.nobody() from error
            if isinstance(error, TimeoutError):
                raise ended("connect_timeout", "the stream did not open") from error
            if isinstance(error, (aiohttp.ClientError, OSError)):
                raise ended("unreachable", said(error)) from error
            raise

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status == 204:
            raise ended("complete")
        if status != 200:
            body = await read(response, MOST_OF_PROBLEM)
            raise of_answer(status, response.headers, body, self._http.wall())
        if response.content_type != "text/event-stream":
            raise ended("not_a_stream", response.content_type, status=status)


def _request(place: Place) -> Request:
    query = [*(("channel", name) for name in place.channels), *place.query()]
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    cursor = place.joint
    if cursor is not None and _HEADER.fullmatch(cursor):
        headers["Last-Event-ID"] = cursor
    elif cursor is not None:
        query.append(("after", cursor))
    return Request("GET", "/stream", query, headers)


async def _piece(response: aiohttp.ClientResponse, until: float, late: str) -> bytes:
    """What comes next. Ended."""
    try:
        async with asyncio.timeout_at(until):
            piece = await response.content.readany()
    except TimeoutError as error:
        raise ended(late, "nothing was heard for too long") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ended("cut", said(error)) from error
    if not piece:
        raise ended("cut", "the stream ended without a word")
    return piece


def _heard(place: Place, block: Block) -> Heard | None:
    """What a block says; None: something that there will be one day. Ended."""
    heard: Heard | None = None
    try:
        told: Any = json.loads(block.data)
        match block.event:
            case "message":
                heard = Event(told["channel"], told["cursor"], told["data"])
            case "eco.gap":
                heard = Gap.of(told)
            case "eco.open":
                heard = Opened("sse", told["resume"])
            case "eco.bye":
                raise of_bye(told)
    except (ValueError, TypeError, KeyError) as error:
        raise ended("not_a_stream", f"an event that is none: {block.data[:200]}") from error
    place.all_at(block.id or None)
    return heard
