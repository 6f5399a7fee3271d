"""A server with page files of its own, and a page that its service worker may look after."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.e2e.following import until
from tests.e2e.paging import PATIENCE_MS
from tests.web.serving import ROOT, Server

SHELLED = (str(Path(__file__).with_name("shelled.py")),)

LISTEN = """
    window.heard = [];
    for (const name of ["offline", "online", "installable", "installed", "updated"]) {
        window.addEventListener(`eco:${name}`, () => heard.push(name));
    }
"""

KEPT = """async () => {
    const kept = {};
    for (const name of await caches.keys()) {
        const requests = await (await caches.open(name)).keys();
        kept[name] = requests.map(({ url }) => url).sort();
    }
    return kept;
}"""


class Shelled:
    """A running server, and the folder of its page's files."""

    def __init__(self, server: Server, static: Path) -> None:
        self.server = server
        self.static = static

    @property
    def url(self) -> str:
        return self.server.url

    def change(self, mark: str, name: str = "shell.js") -> None:
        """From now on this file sets `window.mark` to *mark*."""
        path = self.static / name
        kept = "".join(path.read_text("utf-8").partition("\nwindow.mark")[:1])
        path.write_text(f"{kept}\nwindow.mark = '{mark}';\n", "utf-8")

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.stop)
        await self.start()

    async def kill(self) -> None:
        await asyncio.to_thread(self.server.kill)


def _linked(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in (
        '<link rel="manifest" href="manifest.webmanifest">',
        '<script type="module" src="static/shell.js"></script>',
    ):
        if link not in text:
            text = text.replace("</head>", f"  {link}\n</head>")
    path.write_text(text, "utf-8")


@pytest.fixture
def shelled(server: Callable[..., Server], tmp_path: Path) -> Shelled:
    """A server of this test alone."""
    static = tmp_path / "static"
    shutil.copytree(ROOT / "static", static)
    _linked(static / "index.html")
    return Shelled(server(program=SHELLED, env={"ECO_STATIC": str(static)}), static)


@pytest_asyncio.fixture(loop_scope="module")
async def app_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of a fresh profile; it notes in `heard` what the shell tells the window."""
    context = await browser.new_context(locale="ko-KR", service_workers="allow")
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(LISTEN)
    yield await context.new_page()
    await context.close()


async def opened(page: Page, url: str) -> None:
    """Load the page for the first time; returns once its worker looks after it."""
    await page.goto(url)
    await until(page, "navigator.serviceWorker.controller")


async def kept(page: Page) -> dict[str, list[str]]:
    """The addresses in each cache of the origin."""
    told: dict[str, list[str]] = await page.evaluate(KEPT)
    return told


async def heard(page: Page, name: str) -> None:
    """Wait until the shell has told this."""
    await until(page, f"heard.includes('{name}')")


async def fetched(page: Page, path: str) -> Any:
    """The status of what the page asks for; None when nobody answers."""
    ask = "(path) => fetch(path).then(({ status }) => status, () => null)"
    return await page.evaluate(ask, path)
