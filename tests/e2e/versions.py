"""Versions of the page, any of which a server sends at any moment; it is as ill as a test wants."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from eco_actor.web.pages import PageRoutes
from eco_actor.web.problems import problems
from tests.web.serving import ROOT

PATIENCE: Final = "PATIENCE_MS = 4000"


class Versions:
    """`now` is the mark of the version that is sent; `after_page`: of what follows the next page.

    Each version sets `window.mark`, and `data-mark` of its page. `lacking`: paths for which there
    is 404 all the same; `status`: the answer to everything; `silent`: nothing is answered.
    """

    def __init__(self, folder: Path) -> None:
        self.now = ""
        self.after_page = ""
        self.lacking: set[str] = set()
        self.status = 0
        self.silent = False
        self.url = ""
        self._folder = folder
        self._made: dict[str, PageRoutes] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    def make(self, mark: str, *, patience_ms: int = 4000, worker: str = "") -> None:
        """Another version; its worker waits so long for the server, and ends with this line."""
        static = self._folder / mark
        shutil.copytree(ROOT / "static", static)
        for name, old, new in (
            ("index.html", "<html", f'<html data-mark="{mark}"'),
            ("sw.js", PATIENCE, f"PATIENCE_MS = {patience_ms}"),
        ):
            text = (static / name).read_text("utf-8")
            assert old in text, name
            (static / name).write_text(text.replace(old, new, 1), "utf-8")
        for name, line in (("shell.js", f"window.mark = '{mark}';"), ("sw.js", worker)):
            with (static / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")
        self._made[mark] = PageRoutes(static)
        self.now = self.now or mark

    async def start(self) -> None:
        """On the port of the time before, if there was one."""
        app = web.Application(middlewares=[problems])
        for path in ("/", "/sw.js", "/manifest.webmanifest", "/static/{name}", "/{rest:.*}"):
            app.router.add_get(path, self._respond)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        if self.silent:
            await asyncio.Event().wait()
        if self.status:
            return web.Response(status=self.status)
        if request.path in self.lacking:
            raise web.HTTPNotFound
        pages = self._made[self.now]
        match request.path:
            case "/":
                self.now, self.after_page = self.after_page or self.now, ""
                return await pages.index(request)
            case "/sw.js":
                return await pages.worker(request)
            case "/manifest.webmanifest":
                return await pages.manifest(request)
            case "/healthz":
                return web.Response()
            case path if path.startswith("/static/"):
                return await pages.file(request)
        raise web.HTTPNotFound


@asynccontextmanager
async def versions_in(folder: Path) -> AsyncIterator[Versions]:
    """A server that sends the version "old"."""
    versions = Versions(folder)
    versions.make("old")
    await versions.start()
    try:
        yield versions
    finally:
        await versions.stop()
