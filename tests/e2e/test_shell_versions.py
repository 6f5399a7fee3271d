"""Versions of the page are never mixed: a server that changes while a page loads, and worse."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.following import until
from tests.e2e.shelling import app_page, heard, kept, opened, taken_over, versions
from tests.e2e.versions import Versions

__all__ = ["app_page", "versions"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

MARKS = "[document.documentElement.dataset.mark, window.mark]"
TEXT_OF = "(path) => fetch(path).then((answer) => answer.text(), () => null)"
UPDATE = "navigator.serviceWorker.ready.then((known) => known.update()).then(() => 1, () => 0)"
INSTALLING = "navigator.serviceWorker.ready.then((known) => Boolean(known.installing))"
NEVER = "throw new Error('not yet');"  # a worker that cannot be installed


async def test_a_server_that_changes_behind_its_page_gives_it_no_other_script(
    app_page: Page, versions: Versions
) -> None:
    """The page was of the version that is kept, so the rest of it comes from the copy."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    await app_page.reload()
    versions.after_page = "new"
    await app_page.reload()
    assert versions.now == "new"
    assert await app_page.evaluate(MARKS) == ["old", "old"]


async def test_a_page_that_was_there_before_the_worker_is_taken_for_one_of_its_version(
    app_page: Page, versions: Versions
) -> None:
    """A file that it asks for later is of that version, whatever the server has by then."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    versions.now = "new"
    told = await app_page.evaluate(TEXT_OF, "static/shell.js")
    assert "window.mark = 'old'" in told


async def ended_worker(page: Page) -> None:
    """The browser ends the worker, as it does with one that has nothing to do."""
    session = await page.context.new_cdp_session(page)
    await session.send("ServiceWorker.enable")
    await session.send("ServiceWorker.stopAllWorkers")
    await session.detach()


async def test_a_page_of_another_version_gets_no_kept_file(
    app_page: Page, versions: Versions
) -> None:
    """Its worker cannot be installed: it is all of the server's, also after the old one ended."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    versions.now = "new"
    await app_page.reload()
    assert await app_page.evaluate(MARKS) == ["new", "new"]
    await ended_worker(app_page)
    assert "window.mark = 'new'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    versions.lacking.add("/static/shell.js")
    assert await app_page.evaluate(TEXT_OF, "static/shell.js") is None
    versions.lacking.clear()
    versions.now = "old"
    assert await app_page.evaluate(TEXT_OF, "static/shell.js") is None


async def test_a_page_that_still_loads_while_another_worker_takes_over_stays_as_it_is(
    app_page: Page, versions: Versions
) -> None:
    """Each of the next worker's pages gets its own version; the version before stays, no more."""
    versions.make("new")
    versions.make("newer")
    await opened(app_page, versions.url)
    (old,) = await kept(app_page)
    versions.now = "new"
    assert await app_page.evaluate(UPDATE)
    await taken_over(app_page, old)
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    await app_page.reload()
    new = list(await kept(app_page))[-1]
    versions.now = "newer"
    assert await app_page.evaluate(UPDATE)
    await taken_over(app_page, new)
    assert "window.mark = 'new'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    assert len(copies := list(await kept(app_page))) == 2
    assert old not in copies


async def test_a_version_is_kept_whole_or_not_at_all(app_page: Page, versions: Versions) -> None:
    """One of its files cannot be had: the old copy stays, and the new page gets nothing of it."""
    versions.make("new")
    await opened(app_page, versions.url)
    (old,) = await kept(app_page)
    versions.now = "new"
    versions.lacking.add("/static/icon-192.png")
    await app_page.reload()
    assert await app_page.evaluate(MARKS) == ["new", "new"]
    await app_page.evaluate(UPDATE)
    async with asyncio.timeout(20):
        while await app_page.evaluate(INSTALLING):
            pass
    assert list(await kept(app_page)) == [old]
    await versions.stop()
    assert await app_page.evaluate(TEXT_OF, "static/shell.js") is None
    await app_page.reload()
    await until(app_page, "window.mark === 'old'")


async def test_a_kept_page_gets_all_its_files_from_the_copy(
    app_page: Page, versions: Versions
) -> None:
    """Back with another version in mid-load, the server gives the old page no script of it."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    await versions.stop()
    await app_page.reload()
    await until(app_page, "window.mark === 'old'")
    versions.now = "new"
    await versions.start()
    await heard(app_page, "online")
    told = await app_page.evaluate(TEXT_OF, "static/shell.js")
    assert "window.mark = 'old'" in told
