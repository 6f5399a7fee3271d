"""The shell of a server that is mounted in somebody else's application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Error, Page

from eco_actor import Config
from tests.e2e.following import until
from tests.e2e.shelling import app_page, kept, opened
from tests.embedded import Host

__all__ = ["app_page"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them


@asynccontextmanager
async def mounted(folder: Path, *prefixes: str) -> AsyncIterator[str]:
    """The address of an application that has a server below each of these."""
    host = Host()
    for prefix in prefixes:
        config = Config(data_dir=folder / prefix.strip("/"), vision=False)
        await host.mount(prefix, config)
    async with host.running():
        yield f"http://127.0.0.1:{host.port}"


async def test_below_a_prefix_the_worker_looks_after_nothing_else(
    app_page: Page, tmp_path: Path
) -> None:
    """Its scope is the mount: without the server its page is there, and the host's is not."""
    async with mounted(tmp_path, "/eco") as url:
        await opened(app_page, f"{url}/eco/")
        scope = "navigator.serviceWorker.ready.then(({ scope }) => scope)"
        assert await app_page.evaluate(scope) == f"{url}/eco/"
        ((name, addresses),) = (await kept(app_page)).items()
        assert f"{url}/eco/" in name
        assert all(address.startswith(f"{url}/eco/") for address in addresses)
        assert f"{url}/eco/manifest.webmanifest" in addresses
        await app_page.goto(url)
        assert "mine" in await app_page.inner_text("body")
        await app_page.goto("about:blank")
    await app_page.goto(f"{url}/eco/")
    await until(app_page, "document.querySelector('h1').offsetParent")
    with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
        await app_page.goto(url)


async def test_two_mounts_of_one_origin_keep_their_own(app_page: Page, tmp_path: Path) -> None:
    """One's worker leaves the other's copy alone."""
    async with mounted(tmp_path, "/a", "/b") as url:
        for prefix in ("/a/", "/b/"):
            await opened(app_page, f"{url}{prefix}")
        async with asyncio.timeout(20):
            while len(names := await kept(app_page)) < 2:
                pass
        assert sorted(name.split()[1] for name in names) == [f"{url}/a/", f"{url}/b/"]
        await app_page.goto("about:blank")
    for prefix in ("/a/", "/b/"):
        await app_page.goto(f"{url}{prefix}")
        await until(app_page, "document.querySelector('h1').offsetParent")
