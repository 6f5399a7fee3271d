"""The actor that owns the listening socket: last to start, first to stop."""

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

from eco_actor.delivery.liveness import Wheel
from eco_actor.runtime import Actor, DynamicSupervisor, Exit
from eco_actor.web.door import Doors, Opener
from eco_actor.web.listening import BACKLOG, listening_sockets
from eco_actor.web.problems import problems
from eco_actor.web.protocol import HttpProtocols
from eco_actor.web.uploads import MAX_BODY

log = logging.getLogger(__name__)


class _WithoutTraceback(logging.Filter):
    """What is not HTTP is the sender's fault: one line of the log at INFO, and no error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r:.200}", ()
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            return server_logger.isEnabledFor(logging.INFO)  # it was asked for an ERROR
        return True


KEEPALIVE_S: Final = 75.0
"""Seconds that a connection may be idle between requests, or take over the head of one."""

GRACE_S: Final = 1.5
"""Seconds that requests under way get at a stop, and once more to end when they are cancelled."""

REFUSED: Final = {
    errno.EADDRINUSE: "is taken: --port picks another, 0 a free one",
    errno.EACCES: "may not be used by this user: --port picks another, those from 1024 on are free",
}
"""What is said about a port that cannot be had."""

ANY_ADDRESS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""What means all addresses of the machine, and one to go to instead."""


class HttpServer(Actor[Any]):
    """Serves *routes* at *address* while it lives; its port is the real one once it runs.

    `observer_url` makes the observer's address of the server's.

    At its end it stops listening, tells every stream to end, and gives requests `GRACE_S`.
    """

    shutdown = 2 * GRACE_S + 1.0

    def __init__(
        self,
        address: "Address",
        routes: Callable[[web.Application], Opener],
        wheel: Wheel,
        connections: Callable[[], DynamicSupervisor | None],
        observer_url: Callable[[str], str],
    ) -> None:
        self._address = address
        self._routes = routes
        self._wheel = wheel
        self._servers: list[asyncio.Server] = []
        self._connections = connections
        self._observer_url = observer_url
        self._without_traceback = _WithoutTraceback()

    async def init(self) -> None:
        app = web.Application(middlewares=[problems], client_max_size=MAX_BODY)
        opener = self._routes(app)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=GRACE_S)
        await self._runner.setup()
        assert self._runner.server is not None
        protocols = HttpProtocols(
            self._runner.server,
            access_log=None,
            auto_decompress=False,  # a few KB could become gigabytes: see `plain_body`
            keepalive_timeout=KEEPALIVE_S,
            tcp_keepalive=False,  # the listening sockets have it set for all
        )
        self._doors = Doors(self._wheel, opener, protocols)
        server_logger.addFilter(self._without_traceback)
        try:
            await self._listen()
        except BaseException as error:
            await self._shut()
            if isinstance(error, OSError) and error.errno in REFUSED:
                raise OSError(f"port {self._address.port} {REFUSED[error.errno]}") from error
            raise
        self._address.port = self._servers[0].sockets[0].getsockname()[1]
        log.info("observer: %s", self._observer_url(self._address.url_here))
        log.info("listening on %s", self._address.url)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in await listening_sockets(self._address.host, self._address.port):
            server = await loop.create_server(self._doors, sock=sock, backlog=BACKLOG)
            self._servers.append(server)

    async def terminate(self, reason: Exit) -> None:
        for server in self._servers:
            server.close()
        connections = self._connections()
        if connections is not None:
            connections.stop_children()
        await self._shut()

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        self._doors.close()
        try:
            await self._runner.cleanup()
        finally:
            server_logger.removeFilter(self._without_traceback)


class Address:
    """Where the server listens. Port 0 becomes the one that was picked, and stays it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        return self._url(self.host)

    @property
    def url_here(self) -> str:
        """For a browser on this machine."""
        return self._url(ANY_ADDRESS.get(self.host, self.host))

    def _url(self, host: str) -> str:
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
