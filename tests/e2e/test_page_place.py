"""What the page knows of its place, of its server's comings and goings, and of being installed."""

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.paging import choose
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_the_place_says_of_itself_is_on_the_start(
    browser_page: Page, plain_server: Server
) -> None:
    """Name, title, lead and notice of the site replace the page's own words, also later on.

    What it said is known after a reload, too, when nobody can be asked.
    """
    texts = {"title": "Which bin?", "lead": "Show it.", "notice": "Closed on Sundays."}
    star = {"id": "books", "name": "book box", "color": "#7a4b9d", "shape": "star"}

    async def say(route: Route) -> None:
        bins = [{**star, "here": True}, {**star, "id": "no", "name": "no", "here": False}]
        await route.fulfill(json={"name": "Library", "region": None, "texts": texts, "bins": bins})

    await browser_page.route("**/site?*", say)
    await browser_page.goto(plain_server.url)
    await expect(browser_page.locator("#place")).to_have_text("Library")
    await expect(browser_page.get_by_role("heading", level=1)).to_have_text("Which bin?")
    await expect(browser_page.locator("#start-lead")).to_have_text("Show it.")
    await expect(browser_page.locator("#notice")).to_have_text("Closed on Sundays.")
    await expect(browser_page.locator("#bins li")).to_have_text(["book box"])
    await expect(browser_page.locator("#bins")).to_be_visible()
    await browser_page.locator("#by-hand").click()
    await expect(browser_page.locator(".choose h1")).to_have_text("Which bin?")
    await browser_page.unroute("**/site?*")
    await browser_page.route("**/site?*", lambda route: route.abort())
    await browser_page.reload()
    await expect(browser_page.locator("#place")).to_have_text("Library")
    await expect(browser_page.locator("#start-lead")).to_have_text("Show it.")


async def test_signs_without_names_are_not_shown(browser_page: Page, plain_server: Server) -> None:
    """A place with all bins shows none of them on the start."""
    await browser_page.goto(plain_server.url)
    await expect(browser_page.locator("#bins li")).to_have_count(19)
    await expect(browser_page.locator("#bins")).to_be_hidden()


async def test_a_server_that_is_gone_is_told_and_comes_back_by_itself(
    browser_page: Page, plain_server: Server
) -> None:
    """A banner while nobody answers; a question that failed meanwhile is asked again by itself.

    Then there is one message, not two, and nothing that has to be done.
    """
    await browser_page.goto(plain_server.url)
    await browser_page.locator("#by-hand").click()
    await browser_page.locator(".choice[data-category=glass]").wait_for()
    await browser_page.context.set_offline(True)
    await expect(browser_page.locator("#reach")).to_be_visible()
    await expect(browser_page.locator("#live")).to_contain_text("인터넷에 연결되어 있지 않아요")
    await browser_page.locator(".choice[data-category=glass]").click()
    await expect(browser_page.locator(".error .lead")).to_contain_text("저절로 이어서")
    await expect(browser_page.locator("#reach")).to_be_hidden()
    await expect(browser_page.locator(".error .primary")).to_have_count(0)
    await browser_page.context.set_offline(False)
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    await expect(browser_page.locator("#reach")).to_be_hidden()


async def test_a_question_that_got_no_answer_is_asked_again_by_itself(
    browser_page: Page, plain_server: Server
) -> None:
    """Though the server was never seen to be gone: also what a proxy says instead of it."""
    left = ["abort", "502"]

    async def fail(route: Route) -> None:
        how = left.pop(0) if left else None
        if how is None:
            await route.continue_()
        elif how == "abort":
            await route.abort()
        else:
            await route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    await browser_page.route("**/scan/classify", fail)
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    assert left == []


async def test_the_install_button_is_there_once_the_browser_offers_it(
    browser_page: Page, plain_server: Server
) -> None:
    """Hidden before, gone after the one tap that asks."""
    await browser_page.goto(plain_server.url)
    await expect(browser_page.locator("#install")).to_be_hidden()
    await browser_page.evaluate(
        """() => {
            const prompt = async () => void (window.prompted = true);
            dispatchEvent(new CustomEvent("eco:installable", { detail: { prompt } }));
        }"""
    )
    await browser_page.get_by_role("button", name="설치").click()
    await expect(browser_page.locator("#install")).to_be_hidden()
    assert await browser_page.evaluate("window.prompted")
