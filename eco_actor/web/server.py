"""The actor that owns the listening socket: last to start, first to stop."""

import errno
import logging
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

from eco_actor.runtime import Actor, DynamicSupervisor, Exit
from eco_actor.web.problems import problems
from eco_actor.web.requests import MAX_BODY

log = logging.getLogger(__name__)


def _without_traceback(record: logging.LogRecord) -> bool:
    """What is not HTTP is the sender's fault: one line of the log, and no error of ours."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r:.200}", ()
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


server_logger.addFilter(_without_traceback)

GRACE_S: Final = 1.5
"""Seconds that requests under way get at a stop, and once more to end when they are cancelled."""

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
        routes: Callable[[web.Application], None],
        connections: Callable[[], DynamicSupervisor | None],
        observer_url: Callable[[str], str],
    ) -> None:
        self._address = address
        self._routes = routes
        self._connections = connections
        self._observer_url = observer_url

    async def init(self) -> None:
        app = web.Application(middlewares=[problems], client_max_size=MAX_BODY)
        self._routes(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=GRACE_S,
            auto_decompress=False,  # a few KB could become gigabytes: see `plain_body`
        )
        await self._runner.setup()
        try:
            self._site = web.TCPSite(self._runner, self._address.host, self._address.port)
            await self._site.start()
        except BaseException as error:
            await self._runner.cleanup()
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                taken = f"port {self._address.port} is taken: --port picks another, 0 a free one"
                raise OSError(taken) from error
            raise
        self._address.port = self._runner.addresses[0][1]
        log.info("observer: %s", self._observer_url(self._address.url_here))
        log.info("listening on %s", self._address.url)

    async def terminate(self, reason: Exit) -> None:
        await self._site.stop()
        connections = self._connections()
        if connections is not None:
            connections.stop_children()
        await self._runner.cleanup()


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
