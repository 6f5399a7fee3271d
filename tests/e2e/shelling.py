"""A server with page files of its own, and a page that its service worker may look after."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.e2e.following import PATIENCE_S, until
from tests.e2e.paging import profile
from tests.e2e.versions import Versions, versions_in
from tests.stock.cutting import Cutter
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
    const names = (await caches.keys()).filter((name) => name.startsWith("eco-shell "));
    for (const name of names) {
        const requests = await (await caches.open(name)).keys();
        kept[name] = requests.map(({ url }) => url).sort();
    }
    return kept;
}"""


TAKEN_OVER = """(old) => new Promise((resolve) => {
    const look = async () => {
        const { installing, waiting, active } = await navigator.serviceWorker.ready;
        const done = !installing && !waiting && active.state === "activated";
        const names = (await caches.keys()).filter((name) => name.startsWith("eco-shell "));
        done && names.at(-1) !== old ? resolve() : setTimeout(look, 5);
    };
    look();
})"""


UPDATE = """async () => {
    const known = await navigator.serviceWorker.ready;
    const before = known.active;
    const look = async () => {
        const { installing, waiting, active } = known;
        if (installing || waiting || active.state !== "activated") return false;
        if (active !== before) return true;
        await known.update().catch(() => {}); // one that had begun before may end as this one
        return false;
    };
    while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 5));
}"""


class Shelled:
    """A running server, the folder of its page's files, and a way to it that can be closed.

    Its page sets `window.mark` to `mark`, which is of this server's start.
    """

    def __init__(self, server: Server, static: Path) -> None:
        self.server = server
        self.mark = "v0"
        self.url = ""
        self._static = static
        self._door = AsyncExitStack()
        self._port = 0

    def change(self) -> None:
        """The next start is another version."""
        path = self._static / "shell.js"
        kept = path.read_text("utf-8").partition("\nwindow.mark")[0]
        self.mark = f"v{int(self.mark[1:]) + 1}"
        path.write_text(f"{kept}\nwindow.mark = '{self.mark}';\n", "utf-8")

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.stop)
        await asyncio.to_thread(self.server.start)

    async def open(self) -> None:
        """The server can be reached."""
        door = Cutter(self.server.port)
        await self._door.enter_async_context(door.opened(self._port))
        self.url = door.url
        self._port = urlsplit(door.url).port or 0

    async def close(self) -> None:
        """Nobody answers, as if the server was killed: whatever was open is reset."""
        await self._door.aclose()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """By an address that no page has seen."""
        self._port = 0
        await self.open()
        try:
            yield
        finally:
            await self.close()


@pytest.fixture(scope="module")
def shelled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelled]:
    folder = tmp_path_factory.mktemp("shelled")
    static = folder / "static"
    shutil.copytree(ROOT / "static", static)
    server = Server(folder / "data", program=SHELLED, env={"ECO_STATIC": str(static)})
    shelled = Shelled(server, static)
    shelled.change()
    server.start()
    yield shelled
    server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def shelled(shelled_server: Shelled) -> AsyncIterator[Shelled]:
    """The server of all tests of a module, at an address of this test alone."""
    async with shelled_server.opened():
        yield shelled_server


@pytest_asyncio.fixture(loop_scope="session")
async def versions(tmp_path: Path) -> AsyncIterator[Versions]:
    """A server of this test alone, which sends the version "old" of the page."""
    async with versions_in(tmp_path) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def app_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of a fresh profile; it notes in `heard` what the shell tells the window."""
    async with profile(browser, service_workers="allow") as page:
        await page.context.add_init_script(LISTEN)
        yield page


async def opened(page: Page, url: str) -> None:
    """Load the page for the first time; returns once its worker looks after it."""
    await page.goto(url)
    await until(page, "navigator.serviceWorker.controller")


async def kept(page: Page) -> dict[str, list[str]]:
    """The addresses in each copy of a shell, the oldest first."""
    told: dict[str, list[str]] = await page.evaluate(KEPT)
    return told


async def taken_over(page: Page, old: str) -> None:
    """Wait until a worker of a newer version than that of the copy *old* is all there is."""
    async with asyncio.timeout(PATIENCE_S):
        await page.evaluate(TAKEN_OVER, old)


async def update(page: Page) -> None:
    """Look for another version, which there is; returns once its worker has taken over."""
    async with asyncio.timeout(PATIENCE_S):
        await page.evaluate(UPDATE)


async def reloaded_past_worker(page: Page) -> None:
    """What a forced reload is: the page comes from the server, and has no worker."""
    session = await page.context.new_cdp_session(page)
    async with page.expect_event("load"):
        await session.send("Page.reload", {"ignoreCache": True})
    await session.detach()
    assert await page.evaluate("navigator.serviceWorker.controller") is None


async def heard(page: Page, name: str) -> None:
    """Wait until the shell has told this."""
    await until(page, f"heard.includes('{name}')")


async def fetched(page: Page, path: str) -> Any:
    """The status of what the page asks for; None when nobody answers."""
    ask = "(path) => fetch(path).then(({ status }) => status, () => null)"
    return await page.evaluate(ask, path)
