"""Below which path the routes are mounted: "" in a server of their own, "/eco" in another's.

Whoever puts an address into an answer or a page asks here.
"""

from typing import Final

from aiohttp import web

ROOT: Final = web.AppKey("ROOT", web.AbstractResource)
"""Whatever is at the root of our routes, wherever that was mounted."""


def mark(app: web.Application) -> None:
    """Remember where *app* is mounted, also if that comes later. It serves something at `/`."""
    (app[ROOT],) = (each for each in app.router.resources() if each.canonical == "/")


def prefix_of(request: web.Request) -> str:
    """What comes before our own part of the request's path: "" or "/eco", without a slash behind.

    As this server sees it: a proxy that takes something away has to say so to its clients itself.
    """
    root = request.config_dict.get(ROOT)
    return root.canonical.rstrip("/") if root is not None else ""
