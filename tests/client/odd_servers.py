"""Servers that are none of ours: one that says what the test wants, and a proxy that holds back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

PROBLEM: Final = "application/problem+json"


@asynccontextmanager
async def serving(handler: "Handler | Sayings") -> AsyncIterator[str]:
    """Answers every request with what *handler* says; its URL."""
    app = web.Application(client_max_size=2**24)
    answer = handler.answer if isinstance(handler, Sayings) else handler
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Sayings:
    """Answers with one saying after the other, the last for ever. Remembers what was `asked`."""

    def __init__(self, *sayings: Handler) -> None:
        self._sayings = list(sayings)
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        say = self._sayings.pop(0) if len(self._sayings) > 1 else self._sayings[0]
        return await say(request)


def saying(status: int, text: str = "", kind: str = PROBLEM, **headers: str) -> Handler:
    """An answer, whatever was asked. Names of headers with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind, headers=named)

    return answer


def streaming(*pieces: str) -> Handler:
    """The beginning of an event stream, of which no more comes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode())
        await asyncio.Event().wait()
        return response

    return answer


def holding(upstream: str, session: aiohttp.ClientSession, *, head: bool) -> Handler:
    """A proxy that lets an answer through once it is whole; its *head*, perhaps, before."""

    async def answer(request: web.Request) -> web.StreamResponse:
        url = upstream + request.raw_path
        body = await request.read()
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "connection", "content-length", "transfer-encoding")
        }
        async with session.request(request.method, url, headers=kept, data=body) as found:
            headers = {"Content-Type": found.headers.get("Content-Type", "text/plain")}
            response = web.StreamResponse(status=found.status, headers=headers)
            if head:
                await response.prepare(request)
            whole = await found.read()
        if not head:
            await response.prepare(request)
        await response.write(whole)
        return response

    return answer
