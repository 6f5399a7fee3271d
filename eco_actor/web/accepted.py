"""The answer 202 to a publish: thousands of them a second, all but alike, so their head is ready.

A response of aiohttp assembles its headers anew each time, which is a third of what a small request
costs. Here the head is made once a second, for the sake of its date. What is unusual goes the usual
way: a connection that ends, headers that somebody changed, an application with hooks for them.
"""

import time
from email.utils import formatdate
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.web_request import BaseRequest

from eco_actor.web.problems import NO_STORE

_HEADERS: Final = web.StreamResponse(
    headers={"Content-Type": "application/json", **NO_STORE}
).headers


class _Head:
    """The status line and all headers but the length, as of this second."""

    def __init__(self) -> None:
        self._second = -1
        self._made = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            lines = [f"{name}: {value}\r\n" for name, value in _HEADERS.items()]
            lines += [f"Date: {formatdate(second, usegmt=True)}\r\n"]
            lines += [f"Server: {SERVER_SOFTWARE}\r\n", "Content-Length: "]
            self._made = b"HTTP/1.1 202 Accepted\r\n" + "".join(lines).encode()
            self._second = second
        return self._made


_head: Final = _Head()


class Accepted(web.StreamResponse):
    """202 with *content*, which is JSON. For one request, as any response."""

    def __init__(self, content: bytes) -> None:
        super().__init__(status=202, headers=_HEADERS)
        self._content = content
        self._ready = False  # whether it went out with the ready head

    @property
    def prepared(self) -> bool:
        return self._ready or super().prepared

    @property
    def keep_alive(self) -> bool | None:
        return True if self._ready else super().keep_alive

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        if self._ready:
            return None
        if super().prepared or not self._is_plain(request):
            self.content_length = len(self._content)
            return await super().prepare(request)
        self._ready = True
        content = self._content
        await request.writer.write(b"%s%d\r\n\r\n%s" % (_head.now(), len(content), content))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        if not self._ready:
            await super().write_eof(self._content)

    def _is_plain(self, request: BaseRequest) -> bool:
        """Whether nobody has changed the answer, or would, and the connection goes on as usual."""
        return (
            isinstance(request, web.Request)
            and request.version == HttpVersion11
            and request.keep_alive
            and super().keep_alive is None
            and self.status == 202
            and self.headers == _HEADERS
            and not _has_hooks(request)
        )


def _has_hooks(request: web.Request) -> bool:
    for app in request.match_info.apps:  # noqa: SIM110  # three times as fast as any()
        if app.on_response_prepare:
            return True
    return False
