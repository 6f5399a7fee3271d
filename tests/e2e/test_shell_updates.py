"""A new version of the page: seen at the next load, and told to a page that stays open."""

import pytest
from playwright.async_api import Page, expect

from tests.e2e.following import until
from tests.e2e.shelling import (
    Shelled,
    app_page,
    fetched,
    heard,
    kept,
    opened,
    shelled,
    shelled_server,
    taken_over,
)

__all__ = ["app_page", "shelled", "shelled_server"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

SEEN = "window.mark"


async def begun(page: Page, shelled: Shelled) -> str:
    """The page is open and kept; the name of its cache."""
    await opened(page, shelled.url)
    assert await page.evaluate(SEEN) == shelled.mark
    (name,) = await kept(page)
    return name


async def test_a_new_version_is_seen_at_the_next_load_and_replaces_the_kept_one(
    app_page: Page, shelled: Shelled
) -> None:
    """No copy stands before what the server has; then there is one, which needs no server."""
    old = await begun(app_page, shelled)
    shelled.change()
    await shelled.restart()
    await app_page.reload()
    await until(app_page, f"window.mark === '{shelled.mark}'")
    await taken_over(app_page, old)
    await shelled.close()
    await app_page.reload()
    await until(app_page, f"window.mark === '{shelled.mark}'")


async def test_a_page_that_stays_open_hears_of_a_new_version(
    app_page: Page, shelled: Shelled
) -> None:
    """A kiosk is never closed: it is told when its server comes back as another version."""
    old = await begun(app_page, shelled)
    await shelled.close()
    assert await fetched(app_page, "healthz") is None
    shell = "import('./static/shell.js').then(({ look }) => look())"
    assert await app_page.evaluate(shell) is False
    shelled.change()
    await shelled.restart()
    await shelled.open()
    await heard(app_page, "updated")
    await taken_over(app_page, old)
    assert await app_page.evaluate("heard") == ["offline", "online", "updated"]


async def test_a_page_that_never_sees_its_server_stop_asks_for_a_new_version(
    app_page: Page, shelled: Shelled
) -> None:
    """An upgrade that is done between two looks is found all the same, within minutes."""
    await app_page.clock.install()
    await begun(app_page, shelled)
    shelled.change()
    await shelled.restart()
    await app_page.clock.fast_forward("11:00")
    await heard(app_page, "updated")
    assert await app_page.evaluate("heard") == ["updated"]


async def test_a_restart_of_the_same_version_is_no_update(app_page: Page, shelled: Shelled) -> None:
    """Loaded again after a restart, the page hears nothing and the copy is the same."""
    name = await begun(app_page, shelled)
    await shelled.restart()
    await app_page.reload()
    update = "navigator.serviceWorker.ready.then((known) => known.update()).then(() => true)"
    assert await app_page.evaluate(update)
    assert list(await kept(app_page)) == [name]
    assert await app_page.evaluate("heard") == []


UPDATED = "void (window.here = true, window.dispatchEvent(new Event('eco:updated')))"


async def test_a_station_at_its_start_shows_a_new_version_at_once(
    app_page: Page, shelled: Shelled
) -> None:
    """Nobody is in the middle of something."""
    await app_page.goto(f"{shelled.url}/?kiosk")
    await app_page.locator(".hands .choice").first.wait_for()
    async with app_page.expect_navigation():
        await app_page.evaluate(UPDATED)
    assert await app_page.evaluate("window.here") is None


async def test_a_station_in_use_shows_a_new_version_when_it_is_back_at_its_start(
    app_page: Page, shelled: Shelled
) -> None:
    """It was told while somebody read an answer: that stays, and the next one has the new page."""
    await app_page.goto(f"{shelled.url}/?kiosk")
    await app_page.locator(".hands .choice[data-category=glass]").click()
    await app_page.locator(".bin").wait_for()
    await app_page.evaluate(UPDATED)
    await expect(app_page.locator(".bin")).to_be_visible()
    assert await app_page.evaluate("window.here") is True
    async with app_page.expect_navigation():
        await app_page.locator("#brand").click()
    assert await app_page.evaluate("window.here") is None
    await expect(app_page.locator("#start")).to_be_visible()
