"""HTTP as aiohttp speaks it, with problems in place of its own few words about what is no request.

What a handler raises is answered by the middleware `problems`. What comes before any handler is
answered here: bytes that are no HTTP, an `Expect` that nobody knows.
"""

import asyncio
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_request import BaseRequest

from eco_actor.web.problems import as_problem, code_of, problem_response

MAX_LINE: Final = 8190
"""Bytes of the target in a request's first line."""

MAX_FIELD: Final = MAX_LINE + 2
"""Bytes of a header. By the limit that was passed aiohttp tells one error from the other."""

TOO_MANY: Final = "Too many headers received"
"""What aiohttp's parser says of more headers than it takes."""


class HttpProtocol(web.RequestHandler):
    """One connection of the server."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The problem, as the last answer of the connection; ConnectionError when one has begun."""
        super().handle_error(request, status, exc, message)  # logs; its answer is not used
        response = _bad_request(exc) if status == 400 else _fault(status)
        response.force_close()
        return response

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        return await super().finish_response(request, as_problem(resp), start_time)


class HttpProtocols:
    """Makes the protocol of each connection of *server*, with the settings that it was given."""

    def __init__(self, server: web.Server, **settings: Any) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._settings = {"max_line_size": MAX_LINE, "max_field_size": MAX_FIELD, **settings}

    def __call__(self) -> HttpProtocol:
        return HttpProtocol(self._server, loop=self._loop, **self._settings)


def _bad_request(error: BaseException | None) -> web.Response:
    """400, or what says it better, for bytes that are no request that can be read."""
    if isinstance(error, LineTooLong) and error.args[1] == MAX_LINE:
        return _of(414, f"the target is longer than {MAX_LINE} bytes")
    if isinstance(error, LineTooLong):
        return _of(431, f"a header is longer than {MAX_FIELD} bytes")
    if isinstance(error, BadHttpMessage) and error.message == TOO_MANY:
        return _of(431, "there are too many headers")
    return problem_response(400, "bad_request", "this is no request of HTTP/1.1 that can be read")


def _of(status: int, detail: str) -> web.Response:
    return problem_response(status, code_of(status), detail)


def _fault(status: int) -> web.Response:
    return problem_response(status, "internal", "a fault of the server; it is in its log")
