"""The page at `/`, what it loads from `/static/`, and what lets a browser install and keep it."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import ETag, web

from eco_actor.web.files import File

PACKAGE: Final = Path(__file__).resolve().parent.parent
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "worker-src 'self'",
        "manifest-src 'self'",
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

PAGE: Final = "index.html"
MANIFEST: Final = "manifest.webmanifest"
WORKER: Final = "sw.js"

SHELL_KINDS: Final = frozenset({".css", ".js", ".svg", ".woff2"})


def static_dir() -> Path:
    """Where the page's files are: in the installed package, or beside it in a checkout."""
    return next(p for p in (PACKAGE / "static", PACKAGE.parent / "static") if p.is_dir())


def in_shell(name: str) -> bool:
    """Whether a file of this name is for the page; the observer's and pictures for readers are not.

    The page itself, the manifest and the worker are not meant: they have addresses of their own.
    """
    if name.startswith("observer") or name == WORKER:
        return False
    kind = Path(name).suffix
    return kind in SHELL_KINDS or (kind == ".png" and name.startswith("icon"))


def shell_version(files: Mapping[str, bytes]) -> str:
    """Differs when a file, a name or what is sent with them does."""
    digest = hashlib.blake2b(repr(sorted(HEADERS.items())).encode(), digest_size=12)
    for name, content in sorted(files.items()):
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def worker_script(source: bytes, version: str, names: Iterable[str]) -> bytes:
    """The worker with what it keeps: addresses relative to where the page is mounted."""
    files = [MANIFEST, *(f"static/{name}" for name in sorted(names))]
    shell = msgspec.json.encode({"version": version, "files": files})
    return b"const SHELL = " + shell + b";\n" + source


class PageRoutes:
    """Serves the files that are there at the start, by name, and nothing else.

    Each answer names the version of the whole in `Eco-Shell`, that of the start, so that the worker
    never keeps files of two.
    """

    def __init__(self) -> None:
        self._files = {path.name: path for path in static_dir().iterdir() if path.is_file()}
        shell = [name for name in self._files if in_shell(name)]
        kept = {name: self._files[name].read_bytes() for name in (*shell, PAGE, MANIFEST, WORKER)}
        self._version = shell_version(kept)
        self._worker = worker_script(kept[WORKER], self._version, shell)
        self._headers = {**HEADERS, "Eco-Shell": self._version}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.index)
        app.router.add_get("/static/{name}", self.file)
        app.router.add_get(f"/{MANIFEST}", self.manifest)
        app.router.add_get(f"/{WORKER}", self.worker)

    async def index(self, request: web.Request) -> web.FileResponse:
        return File(self._files[PAGE], headers=self._headers)

    async def file(self, request: web.Request) -> web.FileResponse:
        path = self._files.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return File(path, headers=self._headers)

    async def manifest(self, request: web.Request) -> web.FileResponse:
        headers = {**self._headers, "Content-Type": "application/manifest+json"}
        return File(self._files[MANIFEST], headers=headers)

    async def worker(self, request: web.Request) -> web.Response:
        """At the root of the mount, because a worker serves what lies beside it and below."""
        tag = ETag(self._version)
        if request.if_none_match is not None and tag in request.if_none_match:
            response = web.Response(status=304, headers=self._headers)
        else:
            response = web.Response(
                body=self._worker, content_type="text/javascript", charset="utf-8"
            )
            response.headers.update(self._headers)
        response.etag = tag
        return response
