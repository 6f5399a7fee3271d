"""A server without a will of its own: what it answers, byte for byte, is up to the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest_asyncio
from aiohttp import WSMsgType, web
from playwright.async_api import Page

from tests.e2e.browsing import Browsers
from tests.web.serving import ROOT

PATIENCE_S: Final = 20.0

BLANK: Final = "<!doctype html><title>eco</title><script type=module src=/eco_page.js></script>"
NAMES: Final = ("eco.js", "eco-link.js", "eco-sse.js", "eco-socket.js", "icon.svg")


class Visit:
    """A request for a stream; its answer is what the test says."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.headers = request.headers
        self.query = request.query
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.answered: asyncio.Future[web.StreamResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self.left = asyncio.Event()  # by the client, or answered

    @property
    def cursor(self) -> str | None:
        """Behind which the client asks to go on."""
        return self.headers.get("Last-Event-ID") or self.query.get("after")

    async def say(self, text: str | bytes) -> None:
        """Bytes of the stream; the first bring its head along."""
        if not self.response.prepared:
            await self.response.prepare(self.request)
        await self.response.write(text.encode() if isinstance(text, str) else text)

    async def open(self, *blocks: str) -> None:
        """Begin like the server does, and say *blocks*."""
        await self.say(event("o", {"cursor": "o", "resume": "fresh"}, "eco.open") + "".join(blocks))

    def answer(self, status: int, headers: dict[str, str] | None = None, **body: Any) -> None:
        """No stream but this, as a problem when there is a *body*."""
        self.end(web.Response(status=status, headers=headers, text=json.dumps(body) or None))

    def end(self, response: web.StreamResponse | None = None) -> None:
        """No more is said, in order."""
        if not self.answered.done():
            self.answered.set_result(response or self.response)

    def cut(self) -> None:
        """The connection is reset."""
        assert self.request.transport is not None
        self.request.transport.abort()


class Socket:
    """A WebSocket handshake; its answer is what the test says."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.socket = web.WebSocketResponse(autoping=True)
        self.refused: asyncio.Future[web.Response | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.left = asyncio.Event()

    async def accept(self) -> None:
        await self.socket.prepare(self.request)
        self.refused.set_result(None)

    def refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.refused.set_result(web.Response(status=status, headers=headers))

    async def hear(self) -> dict[str, Any]:
        """The client's next message."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def subscribed(self, cursor: str = "s") -> dict[str, Any]:
        """Grant the next message, a subscription, which is returned."""
        asked = await self.hear()
        assert asked["op"] == "subscribe", asked
        told = {"id": asked["id"], "channel": asked["channel"], "cursor": cursor}
        await self.say(op="subscribed", resume="fresh", **told)
        return asked

    async def say(self, **told: Any) -> None:
        await self.socket.send_json(told)

    async def tell(self, channel: str, cursor: str | None, data: object) -> None:
        await self.say(op="event", channel=channel, cursor=cursor, data=data)

    def cut(self) -> None:
        assert self.request.transport is not None
        self.request.transport.abort()


class Scripted:
    """The streams and sockets that were asked for, in their order."""

    def __init__(self) -> None:
        self.url = ""
        self.visits: asyncio.Queue[Visit] = asyncio.Queue()
        self.sockets: asyncio.Queue[Socket] = asyncio.Queue()
        self.app = web.Application()
        self.app.router.add_get("/", self._page)
        self.app.router.add_get("/eco_page.js", self._script)
        self.app.router.add_get("/static/{name}", self._script)
        self.app.router.add_get("/scan/{task_id}/stream", self._stream)
        self.app.router.add_get("/stream", self._stream)
        self.app.router.add_get("/ws", self._socket)

    async def visit(self) -> Visit:
        """The next request for a stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.visits.get()

    async def socket(self) -> Socket:
        """The next WebSocket handshake."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.sockets.get()

    async def accepted(self) -> Socket:
        """The next WebSocket, open."""
        socket = await self.socket()
        await socket.accept()
        return socket

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=BLANK, content_type="text/html")

    async def _script(self, request: web.Request) -> web.FileResponse:
        name = request.match_info.get("name")
        if name is None:
            return web.FileResponse(ROOT / "tests" / "e2e" / "eco_page.js")
        if name not in NAMES:
            raise web.HTTPNotFound
        return web.FileResponse(ROOT / "static" / name)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        visit = Visit(request)
        self.visits.put_nowait(visit)
        try:
            return await visit.answered
        finally:
            visit.left.set()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        visit = Socket(request)
        self.sockets.put_nowait(visit)
        try:
            refused = await visit.refused
            if refused is not None:
                return refused
            async for message in visit.socket:
                if message.type is WSMsgType.TEXT:
                    visit.heard.put_nowait(message.json())
            return visit.socket
        finally:
            visit.left.set()


def event(id: str | None, data: object, name: str | None = None) -> str:
    """A block of an event stream."""
    lines = [f"event: {name}\n" if name else "", f"id: {id}\n" if id is not None else ""]
    return "".join(lines) + f"data: {json.dumps(data)}\n\n"


def bye(code: str, *, reconnect: bool, retry_ms: int = 2000) -> str:
    """The last block of a stream."""
    told = {"code": code, "reason": "", "reconnect": reconnect, "retry_ms": retry_ms}
    return f"retry: {retry_ms}\n" + event(None, told, "eco.bye")


@pytest_asyncio.fixture(loop_scope="session")
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    runner = web.AppRunner(script.app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    script.url = f"http://{host}:{port}"
    yield script
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def page(scripted: Scripted, browsers: Browsers) -> AsyncIterator[Page]:
    """A page that has eco.js; in the end nothing may have gone unhandled."""
    page = await browsers.shared_page()
    await page.goto(scripted.url)
    await until(page, "window.ready")
    yield page
    async with asyncio.timeout(PATIENCE_S):  # or the page hangs
        complaints = await page.evaluate("complaints")
    for tab in page.context.pages:
        await (page.goto("about:blank") if tab is page else tab.close())
    assert complaints == []


async def until(page: Page, expression: str) -> None:
    """Wait for the page to find it true."""
    await page.wait_for_function(expression, polling=10)


async def follow(page: Page, options: str = "{}", *, name: str = "a") -> None:
    """Follow the scan `task`; what is seen is `window[name]`."""
    await page.evaluate(f"void (window.{name} = begin('follow', 'task', {options}))")


async def connect(page: Page, channels: list[str], options: str = "{}") -> None:
    """Follow *channels*; what is seen is `window.a`."""
    await page.evaluate(f"void (window.a = begin('connect', {json.dumps(channels)}, {options}))")


async def waits(page: Page, count: int = 1, *, name: str = "a") -> list[int]:
    """All waits so far, once there are *count*."""
    await until(page, f"{name}.waits.length >= {count} && {name}.stream.state === 'waiting'")
    told: list[int] = await page.evaluate(f"{name}.waits")
    assert len(told) == count
    return told


async def advance(page: Page, ms: float) -> None:
    """Virtual time goes by in the page."""
    await page.evaluate(f"clock.advance({ms})")


async def seen(page: Page, expression: str, *, name: str = "a") -> Any:
    """A look at what was told: an expression in `it`."""
    return await page.evaluate(f"((it) => {expression})({name})")
