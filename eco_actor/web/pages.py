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
    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.index)
        app.router.add_static("/static/", static_dir())
        app.on_response_prepare.append(_static_headers)

    async def index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(static_dir() / "index.html", headers=HEADERS)


async def _static_headers(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith("/static/"):
        response.headers.update(HEADERS)
