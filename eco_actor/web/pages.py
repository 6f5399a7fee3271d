"""The page at `/` and what it loads from `/static/`."""

from pathlib import Path
from typing import Final

from aiohttp import web

PACKAGE: Final = Path(__file__).resolve().parent.parent
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # ask each time: an update must not meet last week's script
}


def static_dir() -> Path:
    """Where the page's files are: in the installed package, or beside it in a checkout."""
    return next(p for p in (PACKAGE / "static", PACKAGE.parent / "static") if p.is_dir())


class PageRoutes:
    """Serves the files that are there at the start, by name, and nothing else."""

    def __init__(self) -> None:
        self._files = {path.name: path for path in static_dir().iterdir() if path.is_file()}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.index)
        app.router.add_get("/static/{name}", self.file)

    async def index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._files["index.html"], headers=HEADERS)

    async def file(self, request: web.Request) -> web.FileResponse:
        path = self._files.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path, headers=HEADERS)
