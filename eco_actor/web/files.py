"""Files as answers, whose errors are problems as all others."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from eco_actor.web.problems import code_of, problem_response


class _Refusing(web.StreamResponse):
    """Comes behind `FileResponse`, which has decided by then whether there is a file to send.

    Where there is none, it sends a problem in its place: 404, 412 for a condition that does not
    hold, 416 for a range that the file does not have.
    """

    _problem: bytes | None = None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        if self.status >= 400 and not self.prepared:
            phrase = HTTPStatus(self.status).phrase
            told = problem_response(self.status, code_of(self.status), phrase)
            body = told.body
            assert isinstance(body, bytes)
            self.headers.update(told.headers)
            self.content_length = len(body)
            self._problem = b"" if request.method == "HEAD" else body
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data or self._problem or b"")


class File(web.FileResponse, _Refusing):
    """A file, or a range of it."""
