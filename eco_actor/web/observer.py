"""The page at `/observer`: the supervision tree, live. What it shows comes from `/stream`."""

from collections.abc import Callable

from aiohttp import web

from eco_actor.web.files import File
from eco_actor.web.pages import HEADERS, static_dir


class ObserverRoutes:
    """*login* answers a request that brings the operator's token in its query."""

    def __init__(self, login: Callable[[web.Request], web.StreamResponse | None]) -> None:
        self._login = login
        self._page = File.read(static_dir() / "observer.html")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/observer", self.page)

    async def page(self, request: web.Request) -> web.StreamResponse:
        return self._login(request) or self._page.answer(request, HEADERS)
