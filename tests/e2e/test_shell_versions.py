"""Versions of the page are never mixed: a server that changes while a page loads, and worse."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.e2e.following import PATIENCE_S, until
from tests.e2e.shelling import (
    app_page,
    heard,
    kept,
    opened,
    reloaded_past_worker,
    update,
    versions,
)
from tests.e2e.versions import Versions

__all__ = ["app_page", "versions"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

MARKS = "[document.documentElement.dataset.mark, window.mark]"
TEXT_OF = "(path) => fetch(path).then((answer) => answer.text(), () => null)"
UPDATE = "navigator.serviceWorker.ready.then((known) => known.update()).then(() => 1, () => 0)"
INSTALLING = "navigator.serviceWorker.ready.then((known) => Boolean(known.installing))"
MANY_NOTES = """async (count) => {
    const names = await caches.keys();
    const notes = await caches.open(names.find((name) => name.startsWith("eco-pages ")));
    const note = (each) => notes.put(`./?client=${each}`, new Response("none"));
    await Promise.all(Array.from({ length: count }, (_, each) => note(each)));
    return (await notes.keys()).length;
}"""
UNREADABLE = "caches.match = () => Promise.reject(new Error('disk'));"
NEVER = "throw new Error('not yet');"  # a worker that cannot be installed


async def tried(page: Page) -> None:
    """Look for another version, whose worker cannot be installed; returns once it has ended."""
    assert await page.evaluate(UPDATE)
    async with asyncio.timeout(PATIENCE_S):
        while await page.evaluate(INSTALLING):
            pass


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
    await update(app_page)
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    await app_page.reload()
    versions.now = "newer"
    await update(app_page)
    assert "window.mark = 'new'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    assert len(copies := list(await kept(app_page))) == 2
    assert old not in copies


HALF = """async (name) => {
    const half = await caches.open(name);
    await half.put("./", new Response("half"));
}"""


async def test_after_a_rollback_the_version_before_is_the_one_that_ran_before(
    app_page: Page, versions: Versions
) -> None:
    """Old, new, old again, newer: old stays, not what was copied last, nor what never ran.

    An old one that cannot be had again does not take its first copy with it.
    """
    for mark in ("new", "newer"):
        versions.make(mark)
    await opened(app_page, versions.url)
    (old,) = await kept(app_page)
    versions.now = "new"
    await update(app_page)
    versions.now = "old"
    versions.lacking.add("/static/icon-192.png")
    await tried(app_page)
    versions.now = "new"
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    versions.now = "old"
    versions.lacking.clear()
    await update(app_page)
    half = f"{old}-half"
    await app_page.evaluate(HALF, half)
    versions.now = "newer"
    await update(app_page)
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")
    copies = list(await kept(app_page))
    assert len(copies) == 2
    assert half not in copies


async def test_a_page_that_was_loaded_past_the_worker_is_left_to_its_server(
    app_page: Page, versions: Versions
) -> None:
    """Nobody knows its version: the next worker gives it no file of its own, and it is told."""
    versions.make("new")
    await opened(app_page, versions.url)
    await reloaded_past_worker(app_page)
    versions.now = "new"
    await update(app_page)
    await heard(app_page, "updated")
    versions.now = "old"
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")


async def test_a_version_is_kept_whole_or_not_at_all(app_page: Page, versions: Versions) -> None:
    """One of its files cannot be had: the old copy stays, and the new page gets nothing of it."""
    versions.make("new")
    await opened(app_page, versions.url)
    (old,) = await kept(app_page)
    versions.now = "new"
    versions.lacking.add("/static/icon-192.png")
    await app_page.reload()
    assert await app_page.evaluate(MARKS) == ["new", "new"]
    await tried(app_page)
    async with asyncio.timeout(PATIENCE_S):
        while list(await kept(app_page)) != [old]:  # the browser may try once more by itself
            pass
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


async def test_closed_pages_are_forgotten_and_open_ones_are_not(
    app_page: Page, versions: Versions
) -> None:
    """A page stays open while more load than are remembered: its files are still its own."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    notes = await app_page.evaluate(MANY_NOTES, 150)
    assert notes > 150
    other = await app_page.context.new_page()
    await other.goto(versions.url)
    assert await app_page.evaluate(MANY_NOTES, 0) == 100 + 2  # the open page, and what runs
    versions.now = "new"
    assert "window.mark = 'old'" in await app_page.evaluate(TEXT_OF, "static/shell.js")


async def test_a_full_disk_keeps_no_page_from_loading(app_page: Page, versions: Versions) -> None:
    """Its version cannot be written down: the copy comes all the same, and the server's page."""
    versions.make("new", worker=NEVER)
    await opened(app_page, versions.url)
    session = await app_page.context.new_cdp_session(app_page)
    full = {"origin": versions.url, "quotaSize": 1}
    await session.send("Storage.overrideQuotaForOrigin", full)
    await versions.stop()
    await app_page.reload()
    await until(app_page, "window.mark === 'old'")
    versions.now = "new"
    await versions.start()
    await app_page.reload()
    assert await app_page.evaluate(MARKS) == ["new", "new"]


async def test_a_disk_that_cannot_be_read_leaves_the_page_to_its_server(
    app_page: Page, versions: Versions
) -> None:
    """As if there were no worker, and without an error."""
    versions.make("unread", worker=UNREADABLE)
    versions.now = "unread"
    await opened(app_page, versions.url)
    await app_page.reload()
    assert await app_page.evaluate("navigator.serviceWorker.controller") is not None
    assert await app_page.evaluate(MARKS) == ["unread", "unread"]
