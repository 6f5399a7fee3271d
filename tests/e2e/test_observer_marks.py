"""Rows of the observer show who is suspended or traced, and folded rows how many."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.test_observer_page import GROUP, WORKER, opened, own, row, thirty_connections
from tests.web.credentials import SECRET, bearer
from tests.web.serving import Server

__all__ = ["own"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them


async def tell(page: Page, own: Server, deed: str, path: str, **more: int) -> None:
    """What another operator does."""
    body = {"path": path, **more}
    answer = await page.request.post(f"{own.url}/actors/{deed}", data=body, headers=bearer(SECRET))
    assert answer.ok


async def test_a_row_shows_that_its_actor_is_suspended_or_traced(
    browser_page: Page, own: Server
) -> None:
    """To everybody, until it is over; and the filter finds it."""
    await opened(browser_page, f"{own.url}/observer")
    worker = browser_page.locator(row(WORKER))
    traced = worker.locator('[data-badge="traced"]')
    await expect(traced).to_be_hidden()
    await tell(browser_page, own, "suspend", WORKER)
    await tell(browser_page, own, "trace", WORKER, most=5)
    await expect(worker.locator(".c-state")).to_have_text("suspended")
    await expect(worker).to_have_attribute("data-state", "suspended")
    await expect(traced).to_have_text("traced")
    for word in ("suspended", "traced"):
        await browser_page.locator("#filter").fill(word)
        await expect(worker).to_be_visible()
        await expect(browser_page.locator("#rows [role=row]")).to_have_count(5)
    await tell(browser_page, own, "resume", WORKER)
    await tell(browser_page, own, "trace", WORKER, most=0)
    await browser_page.locator("#filter").fill("")
    await expect(worker.locator(".c-state")).to_have_text("running")
    await expect(traced).to_be_hidden()


async def test_a_folded_row_counts_its_suspended_members(browser_page: Page, own: Server) -> None:
    """And shows them first when it is opened."""
    async with thirty_connections(own):
        for name in ("5", "25"):
            await tell(browser_page, own, "suspend", f"/eco/work/connections/{name}")
        await opened(browser_page, f"{own.url}/observer")
        group = browser_page.locator(GROUP)
        await expect(group.locator('[data-badge="suspended"]')).to_have_text("2 suspended")
        await group.click()
        for name in ("5", "25"):
            member = browser_page.locator(row(f"/eco/work/connections/{name}"))
            await expect(member.locator(".c-state")).to_have_text("suspended")


@pytest.mark.parametrize("width", [390, 979])
async def test_where_there_is_no_room_for_states_the_mark_says_it(
    browser: Browser, own: Server, width: int
) -> None:
    """Nothing sticks out of the row either."""
    context = await browser.new_context(viewport={"width": width, "height": 844})
    page = await context.new_page()
    await opened(page, f"{own.url}/observer")
    await tell(page, own, "suspend", WORKER)
    await tell(page, own, "trace", WORKER, most=5)
    worker = page.locator(row(WORKER))
    for name in ("suspended", "traced"):
        badge = worker.locator(f'[data-badge="{name}"]')
        await expect(badge).to_be_visible()
        box = await badge.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    await context.close()
