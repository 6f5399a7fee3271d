"""The page at `/`, what it loads from `/static/`, and what lets a browser install and keep it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

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
    """Serves the files that are there at the start, as they are then, by name, and nothing else.

    They stay in memory, so a file that is changed or removed afterwards does not matter before the
    next start. Each answer names the version of the whole in `Eco-Shell`, so that the worker never
    keeps files of two. *folder*: where they are, if not in `static_dir()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        paths = [path for path in (folder or static_dir()).iterdir() if path.is_file()]
        self._files = {path.name: File.read(path) for path in paths}
        manifest, source = self._files[MANIFEST], self._files[WORKER].content
        shell = [name for name in self._files if in_shell(name)]
        kept = {name: self._files[name].content for name in (*shell, PAGE, MANIFEST, WORKER)}
        version = shell_version(kept)
        self._manifest = replace(manifest, content_type="application/manifest+json")
        worker = worker_script(source, version, shell)
        self._worker = File(worker, "text/javascript; charset=utf-8")
        self._headers = {**HEADERS, "Eco-Shell": version}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.index)
        app.router.add_get("/static/{name}", self.file)
        app.router.add_get(f"/{MANIFEST}", self.manifest)
        app.router.add_get(f"/{WORKER}", self.worker)

    async def index(self, request: web.Request) -> web.Response:
        return self._files[PAGE].answer(request, self._headers)

    async def file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return found.answer(request, self._headers)

    async def manifest(self, request: web.Request) -> web.Response:
        return self._manifest.answer(request, self._headers)

    async def worker(self, request: web.Request) -> web.Response:
        """At the root of the mount, because a worker serves what lies beside it and below."""
        return self._worker.answer(request, self._headers)
