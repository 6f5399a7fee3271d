"""A server inside another aiohttp application, below a path of it."""

import logging
import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from aiohttp import web
from aiohttp.web_urldispatcher import PrefixedSubAppResource

from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.routes import add_routes
from eco_actor.scan.stages import Stage
from eco_actor.scan.vision import Classifier
from eco_actor.web.problems import NO_STORE, problems

log = logging.getLogger(__name__)

_PREFIX: Final = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)*")


def setup(
    app: web.Application,
    prefix: str = "/eco",
    config: Config | None = None,
    classifier: Classifier | None = None,
    stages: Sequence[Stage] = (),
) -> Eco:
    """Serve everything below *prefix* of *app*; the server starts and stops with the application.

    To be called before *app* starts, best before the loop: it reads some small files. *prefix* is
    "" or "/" for the root, where routes of *app* win. A second server goes to another prefix and
    another data directory.
    ValueError for a prefix that cannot be; ConfigError and BadStage as of `Eco`, and what that
    raises at its start ends the start of *app*, with nothing left behind.

    The middlewares of *app* see our requests, too; ours see no others. Streams leave aiohttp once
    they are routed, so what middlewares and signals of *app* add to an answer is not on them; they
    are told to go when *app* shuts down, before it waits for its requests.

    Of *config*, `port` means nothing, and `host` only a name: *app* listens, and `insecure` is not
    asked for. Whoever reaches *app* reaches this. What is checked is what clients call it: besides
    loopback names and `host`, each public name of *app* has to be in `allowed_host`, or it is
    answered 421; `origin` lists other sites whose pages may use it. Operator calls take
    `operator_token`, or the token in the file operator-token of the data directory; it is not
    logged.

    What belongs to the process is left to *app*: signals, logging, `sys.setswitchinterval`. Where
    the loop is busy, 0.0005 there keeps the thread that writes from starving.
    """
    prefix = prefix.rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"prefix is a path as /eco, of letters, digits and ._~-, not {prefix!r}")
    eco = Eco(config, classifier=classifier, stages=stages)
    eco.read()
    ours = web.Application(middlewares=[problems])
    add_routes(eco, ours)
    if prefix:
        ours.router.add_get("", _to_slash)
        app.add_subapp(prefix, ours)
    else:
        # aiohttp has no name for this: add_subapp takes no empty prefix, and add_domain goes first.
        app._add_subapp(partial(_AtRoot, ours), ours)
    app.on_shutdown.append(partial(_tell_streams, eco))
    # Of *app*, not of *ours*: when another part of *app* fails to start, aiohttp ends only these.
    app.cleanup_ctx.append(partial(_run, eco, prefix))
    return eco


async def _run(eco: Eco, prefix: str, app: web.Application) -> AsyncIterator[None]:
    async with eco.running(http=False, mounted=True):
        log.info("mounted at %s/", prefix)
        yield


async def _tell_streams(eco: Eco, app: web.Application) -> None:
    eco.gate.closed = True
    connections = eco.connections()
    if connections is not None:
        connections.stop_children()


async def _to_slash(request: web.Request) -> web.Response:
    """The addresses in the pages are relative to the mount, so they need its slash."""
    there = request.rel_url.with_path(f"{request.rel_url.raw_path}/", encoded=True, keep_query=True)
    return web.Response(status=302, headers={**NO_STORE, "Location": str(there)})


class _AtRoot(PrefixedSubAppResource):
    """Our routes among those of the application itself, and behind them."""

    def __init__(self, ours: web.Application) -> None:
        web.AbstractResource.__init__(self)
        self._prefix = ""
        self._app = ours

    async def resolve(self, request: web.Request) -> Any:
        found, methods = await super().resolve(request)
        if found is not None and isinstance(found.http_exception, web.HTTPNotFound):
            return None, methods
        return found, methods
