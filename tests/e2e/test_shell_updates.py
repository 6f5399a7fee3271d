"""A new version of the page: seen at the next load, kept as a whole, never mixed with another."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.following import until
from tests.e2e.shelling import Shelled, app_page, fetched, heard, kept, opened, shelled

__all__ = ["app_page", "shelled"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all of them

ONLY_ANOTHER = """(name) => new Promise((resolve) => {
    const look = async () => {
        const names = await caches.keys();
        names.length === 1 && names[0] !== name ? resolve(names[0]) : setTimeout(look, 5);
    };
    look();
})"""

MARK_IN = "(path) => fetch(path).then((answer) => answer.text(), () => null)"


async def begun(page: Page, shelled: Shelled, mark: str) -> str:
    """The page with this mark is open and kept; the name of its cache."""
    shelled.change(mark)
    await shelled.restart()
    await opened(page, shelled.url)
    (name,) = await kept(page)
    return name


async def test_a_changed_file_is_seen_at_the_next_load(app_page: Page, shelled: Shelled) -> None:
    """The network comes first: no copy stands before what the server has."""
    await begun(app_page, shelled, "old")
    assert await app_page.evaluate("mark") == "old"
    shelled.change("new")
    await app_page.reload()
    await until(app_page, "window.mark === 'new'")


async def test_a_new_version_replaces_the_kept_one(app_page: Page, shelled: Shelled) -> None:
    """After the next load there is one cache: the new files come without a server."""
    old = await begun(app_page, shelled, "old")
    shelled.change("new")
    await shelled.restart()
    await app_page.reload()
    async with asyncio.timeout(20):
        assert await app_page.evaluate(ONLY_ANOTHER, old)
    await shelled.kill()
    await app_page.reload()
    await until(app_page, "window.mark === 'new'")


async def test_a_page_that_stays_open_hears_of_a_new_version(
    app_page: Page, shelled: Shelled
) -> None:
    """A kiosk is never closed: it is told when its server comes back as another version."""
    old = await begun(app_page, shelled, "old")
    await shelled.kill()
    assert await fetched(app_page, "healthz") is None
    shell = "import('./static/shell.js').then(({ look }) => look())"
    assert await app_page.evaluate(shell) is False
    shelled.change("new")
    await shelled.start()
    await heard(app_page, "updated")
    async with asyncio.timeout(20):
        assert await app_page.evaluate(ONLY_ANOTHER, old)
    assert await app_page.evaluate("heard") == ["offline", "online", "updated"]


async def test_a_restart_of_the_same_version_is_no_update(app_page: Page, shelled: Shelled) -> None:
    """Loaded again after a restart, the page hears nothing and the copy is the same."""
    name = await begun(app_page, shelled, "same")
    await shelled.restart()
    await app_page.reload()
    update = "navigator.serviceWorker.ready.then((known) => known.update()).then(() => true)"
    assert await app_page.evaluate(update)
    assert list(await kept(app_page)) == [name]
    assert await app_page.evaluate("heard") == []


async def test_a_version_is_kept_whole_or_not_at_all(app_page: Page, shelled: Shelled) -> None:
    """One of its files cannot be had: the old copy stays, and the new page gets nothing of it."""
    old = await begun(app_page, shelled, "old")
    shelled.change("new")
    await shelled.restart()
    (shelled.static / "icon-192.png").unlink()  # the server believes that it is there
    await app_page.reload()
    assert await app_page.evaluate("mark") == "new"
    update = "navigator.serviceWorker.ready.then((known) => known.update()).then(() => 1, () => 0)"
    await app_page.evaluate(update)
    installing = "navigator.serviceWorker.ready.then((known) => known.installing)"
    await until_null(app_page, installing)
    assert list(await kept(app_page)) == [old]
    await shelled.kill()
    assert await app_page.evaluate(MARK_IN, "static/shell.js") is None
    await app_page.reload()
    await until(app_page, "window.mark === 'old'")


async def test_a_kept_page_gets_all_its_files_from_the_copy(
    app_page: Page, shelled: Shelled
) -> None:
    """Back with another version in mid-load, the server gives the old page no script of it."""
    await begun(app_page, shelled, "old")
    await shelled.kill()
    await app_page.reload()
    await until(app_page, "window.mark === 'old'")
    shelled.change("new")
    worker = shelled.static / "sw.js"  # the new one must not take over before the end of this
    worker.write_text(f"{worker.read_text('utf-8')}\nthrow new Error('not yet');\n", "utf-8")
    await shelled.start()
    await heard(app_page, "online")
    told = await app_page.evaluate(MARK_IN, "static/shell.js")
    assert "window.mark = 'old'" in told


async def until_null(page: Page, promised: str) -> None:
    """Wait until the promise that the page makes of it is for nothing."""
    async with asyncio.timeout(20):
        while await page.evaluate(f"{promised}.then(Boolean)"):
            pass
