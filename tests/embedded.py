"""Somebody else's aiohttp application, and all that could be left behind in a process."""

import asyncio
import gc
import logging
import os
import signal
import ssl
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from eco_actor import Config, Durability, Eco, Verdict, setup
from eco_actor.provision import lock
from tests.web.client import Client

OURS: Final = ("eco-", "store-")
"""What the names of our threads begin with."""

LOOPS_OWN: Final = ("asyncio_", "uvloop_", "MainThread", "ThreadPoolExecutor-")
"""Threads of the loop, which others use as well, and of the tests."""


class Host:
    """An application with routes, a middleware and a page for what is missing of its own."""

    def __init__(self, **settings: Any) -> None:
        self.app = web.Application(middlewares=[self.watch], **settings)
        self.app.router.add_get("/", self.hello)
        self.app.router.add_get("/mine/{name}", self.hello)
        self.app.router.add_post("/mine/{name}", self.hello)
        self.seen: list[tuple[str, int]] = []
        self.lives: list[str] = []
        self.app.cleanup_ctx.append(self._life)
        self.port = 0

    async def mount(self, prefix: str = "/eco", config: Config | None = None, **what: Any) -> Eco:
        """In a thread, because it reads files, and the tests run in the loop."""
        return await asyncio.to_thread(setup, self.app, prefix, config, **what)

    async def hello(self, request: web.Request) -> web.Response:
        return web.Response(text=f"mine: {await request.text()}")

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPNotFound:
            response = web.Response(status=404, text="the host has no such page")
        self.seen.append((request.path, response.status))
        if not response.prepared:
            response.headers["Host-Was-Here"] = "1"
        return response

    async def _life(self, app: web.Application) -> AsyncIterator[None]:
        self.lives.append("begins")
        yield
        self.lives.append("ends")

    @asynccontextmanager
    async def running(
        self, tls: ssl.SSLContext | None = None, unix: Path | None = None
    ) -> AsyncIterator[web.AppRunner]:
        """Served as `web.run_app` would, with its log of accesses."""
        runner = web.AppRunner(self.app, shutdown_timeout=5.0)
        try:
            await runner.setup()
            if unix is not None:
                await web.UnixSite(runner, str(unix)).start()
            else:
                await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
                self.port = runner.addresses[0][1]
            yield runner
        finally:
            await runner.cleanup()

    def client(self, session: aiohttp.ClientSession, prefix: str = "") -> Client:
        return Client(session, f"http://127.0.0.1:{self.port}{prefix}")


def traces() -> dict[str, Any]:
    """What is global to this process or its loop, and whoever is a guest has to leave as it was."""
    loop: Any = asyncio.get_running_loop()
    known = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    return {
        "tasks": {task for task in asyncio.all_tasks() if task is not asyncio.current_task()},
        "threads": {t.name for t in threading.enumerate() if not t.name.startswith(LOOPS_OWN)},
        "files": _files(),
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "loop": (loop.get_exception_handler(), {*getattr(loop, "_signal_handlers", ())}),
        "logging": {
            (each.name, each.level, tuple(each.handlers), tuple(each.filters))
            for each in known
            if isinstance(each, logging.Logger) and (each.handlers or each.filters or each.level)
        },
        "interpreter": (sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "warnings": list(warnings.filters),
    }


async def traces_left(known: Collection[threading.Thread] = ()) -> dict[str, Any]:
    """The same at the end, once threads of ours that said that they are through have ended.

    *known* are those that go on.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(OURS) and thread not in known:
            await asyncio.to_thread(thread.join, 5.0)
    return traces()


def _files() -> dict[str, str]:
    """What is open, but what the loop and the tests have: pipes, epoll."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the folder that was listed
    return found


class Says:
    """A classifier that says the same of everything; an exception is raised."""

    backend = "says"

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict
        self.threads: list[str] = []

    def classify(self, pixels: Any) -> Verdict:
        assert pixels.shape == (240, 320, 3)
        self.threads.append(threading.current_thread().name)
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        told: Verdict = self.verdict
        return told


def memory(**settings: Any) -> Config:
    return Config(durability=Durability.OFF, **settings)


def blind(data_dir: Path, **settings: Any) -> Config:
    return Config(data_dir=data_dir, vision=False, **settings)


async def free(data_dir: Path) -> None:
    """Nobody holds it."""
    (await asyncio.to_thread(lock, data_dir)).close()
