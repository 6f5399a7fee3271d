"""Requests and their answers: each asked again for as long as it makes sense."""

import asyncio
import errno
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from eco_actor.client.ends import End, Ended, ended, of_answer
from eco_actor.client.link import Bounds, Link

ATTEMPTS: Final = 10
"""Tries of a request."""

MOST: Final = 16 * 2**20
"""Bytes of an answer."""

MOST_OF_PROBLEM: Final = 64 * 1024
"""Bytes of the answer to what was refused."""

PLAIN: Final[Mapping[str, str]] = {"Accept-Encoding": "identity"}
"""Packed answers come through proxies later, and a client would have to bound the unpacking."""


@dataclass(frozen=True, slots=True)
class Request:
    """`lasting`: it may be asked again when its answer was lost; all are when they were refused for
    want of room, for then nothing was done."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Ended, when it is none: nobody else may answer in the server's place."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            kind = self.headers.get("Content-Type", "no content type")
            raise ended("not_a_stream", kind, status=self.status) from error


class Http:
    """The server at *base*, in the bounds of *bounds*. `random` gives numbers from 0 to 1, `wall`
    the seconds since 1970."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        token: str | None,
        bounds: Bounds,
        random: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        self.base = base.rstrip("/")
        self.bounds = bounds
        self.random = random
        self.wall = wall
        self._headers = dict(PLAIN)
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**self._headers, **more}

    def nobody(self) -> Ended:
        """To raise when there is no connection in time: who holds an answer back is somebody."""
        url = urlsplit(self.base)
        place = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
        within = f"within {self.bounds.reach_s:g} s"
        return ended("unreachable", f"no connection to {place} {within}")

    async def head(self, request: Request) -> aiohttp.ClientResponse:
        """The answer, of which the body is still to be read. Close it."""
        return await self.session.request(
            request.method,
            self.base + request.path,
            params=list(request.query),
            headers=self.headers(request.headers),
            data=request.body,
            allow_redirects=False,
            timeout=connecting(self.bounds),
        )

    async def once(self, request: Request, seconds: float) -> Answer:
        """The answer to one try, which is a success. Ended."""
        try:
            async with asyncio.timeout(seconds), await self.head(request) as response:
                most = MOST if response.status < 300 else MOST_OF_PROBLEM
                body = await read(response, most)
                answer = Answer(response.status, response.headers, body)
        except aiohttp.ConnectionTimeoutError as error:
            raise self.nobody() from error
        except TimeoutError as error:
            raise ended("connect_timeout", f"no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ended("unreachable", said(error)) from error
        if answer.status >= 300:
            raise of_answer(answer.status, answer.headers, answer.body, self.wall())
        return answer

    async def call(self, request: Request, give_up_s: float | None) -> tuple[int, Any]:
        """Status and JSON of the answer to the last try, which is a success. Problem,
        Unreachable."""
        now = asyncio.get_running_loop().time
        link = Link(now(), self.bounds, self.random, give_up_s, ATTEMPTS)
        while True:
            try:
                answer = await self.once(request, self.bounds.answer_s)
                return answer.status, answer.json()
            except Ended as reason:
                if not (request.lasting or _was_refused(reason.end)):
                    raise reason.end.unreachable() from reason
                wait_s = link.ended(reason.end, now())
                assert wait_s is not None, "no answer is an end"
            await asyncio.sleep(wait_s)


def connecting(bounds: Bounds) -> aiohttp.ClientTimeout:
    """For names, TCP and TLS together. All else is bounded by who asks."""
    return aiohttp.ClientTimeout(total=None, connect=bounds.reach_s)


async def read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. Ended, when it is longer."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            response.close()
            raise ended("too_long", f"an answer of more than {most} bytes", status=response.status)
    return bytes(body)


def _was_refused(end: End) -> bool:
    """Whether it is known that nothing was done."""
    return end.status is not None and (end.status < 500 or end.status == 503)


def said(error: BaseException) -> str:
    """What to tell of an error of aiohttp, some of which are silent, or speak of TLS always."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"no connection to {error.host}:{error.port}: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            why, number = error.os_error, error.os_error.errno
            is_systems = number is not None and number in errno.errorcode
            is_systems = is_systems and not isinstance(why, ssl.SSLError)
            text = os.strerror(number or 0) if is_systems else why.strerror or str(why)
            return f"no connection to {error.host}:{error.port}: {text}"
    return str(error) or type(error).__name__
