"""What the page keeps: this device's history, and the scan that runs, over a reload."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, expect

from tests.e2e.paging import choose, profile, upload
from tests.web.pictures import drawn, encoded
from tests.web.serving import GATED, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

DONE = "#steps li[data-mark=done]"
HISTORY = "JSON.parse(localStorage.getItem('eco.history') ?? 'null')"


async def again(page: Page) -> None:
    """Back to the start."""
    await page.locator(".after .primary").click()
    await page.locator("#start").wait_for()


async def kept(page: Page) -> Any:
    """The history as it is stored."""
    return await page.evaluate(HISTORY)


async def test_answers_and_points_are_kept_on_this_device(
    browser_page: Page, page_url: str, photos: Path
) -> None:
    """After a photo and a choice the history has both, newest first, with the photo and points."""
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", photos / "glass" / "glass101.jpg")
    await expect(browser_page.locator(".reward .points")).to_be_visible()
    await again(browser_page)
    await choose(browser_page, "metal")
    await expect(browser_page.locator(DONE)).to_have_count(4)
    await browser_page.reload()  # from the storage, not from this page
    await browser_page.locator("#to-history").click()
    await expect(browser_page.locator(".past h1")).to_be_focused()
    await expect(browser_page.locator(".row strong")).to_have_text(["캔·고철", "유리병"])
    await expect(browser_page.locator(".row").last.locator("img")).to_be_visible()
    points = [each["points"] for each in (await kept(browser_page))["entries"]]
    await expect(browser_page.locator(".total")).to_contain_text(f"{sum(filter(None, points))}점")
    thumb = (await kept(browser_page))["entries"][1]["thumb"]
    size = await browser_page.evaluate(
        "async (src) => { const i = new Image(); i.src = src; await i.decode(); return i.width; }",
        thumb,
    )
    assert size == 96


async def test_a_kept_answer_opens_again_and_takes_conditions(
    browser_page: Page, plain_server: Server
) -> None:
    """It shows its bin and when; a tapped condition replaces it and counts no points twice.

    Asked for in the other language, it keeps the focus, though the button that did it is gone.
    """
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await expect(browser_page.locator(DONE)).to_have_count(4)
    before = await kept(browser_page)
    await again(browser_page)
    await browser_page.locator("#to-history").click()
    await browser_page.locator(".row").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    await expect(browser_page.locator(".of")).to_contain_text("에 받은 답이에요")
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("불연성 마대")
    await browser_page.get_by_role("button", name="기록으로").click()
    await expect(browser_page.locator(".row-bin")).to_have_text(["불연성 마대"])
    await expect(browser_page.locator(".row .thumb svg")).to_be_visible()
    assert (await kept(browser_page))["points"] == before["points"]
    await browser_page.locator(".row").click()
    await browser_page.locator(".lang[data-lang=en]").click()
    await browser_page.get_by_role("button", name="Show this in English").press("Enter")
    await expect(browser_page.locator(".bin h1")).to_have_text("incombustible waste sack")
    await expect(browser_page.locator(".bin h1")).to_be_focused()


async def test_twenty_answers_are_kept_at_most(browser_page: Page, plain_server: Server) -> None:
    """The twenty-first takes the place of the oldest; the points stay."""
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await expect(browser_page.locator(DONE)).to_have_count(4)
    await browser_page.evaluate(
        f"""() => {{
            const kept = {HISTORY};
            const [one] = kept.entries;
            kept.entries = Array.from({{ length: 20 }}, (_, n) => ({{ ...one, id: `old-${{n}}` }}));
            kept.points = 500;
            localStorage.setItem("eco.history", JSON.stringify(kept));
        }}"""
    )
    await again(browser_page)
    await choose(browser_page, "paper")
    await expect(browser_page.locator(DONE)).to_have_count(4)
    now = await kept(browser_page)
    assert len(now["entries"]) == 20
    assert now["entries"][0]["name"] == "종이"
    assert now["entries"][-1]["id"] == "old-18"
    assert now["points"] == 500 + (now["entries"][0]["points"] or 0)


async def test_clearing_asks_once_more_and_leaves_nothing(
    browser_page: Page, plain_server: Server
) -> None:
    """Keep keeps; clear takes answers and points away."""
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await again(browser_page)
    await browser_page.locator("#to-history").click()
    await browser_page.get_by_role("button", name="모두 지우기").click()
    await expect(browser_page.get_by_role("button", name="그대로 두기")).to_be_focused()
    await browser_page.keyboard.press("Enter")
    await expect(browser_page.locator(".row")).to_have_count(1)
    await browser_page.get_by_role("button", name="모두 지우기").click()
    await browser_page.get_by_role("button", name="지우기", exact=True).click()
    await expect(browser_page.locator(".past")).to_contain_text("아직 기록이 없어요.")
    await expect(browser_page.locator(".past h1")).to_be_focused()
    assert await kept(browser_page) is None


async def test_without_a_server_the_page_still_shows_the_history(
    browser: Browser, plain_server: Server
) -> None:
    """Opened again while nobody answers: a banner, and the answers of before."""
    async with profile(browser, service_workers="allow") as page:
        await page.goto(plain_server.url)
        await page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        await choose(page, "glass")
        await expect(page.locator(DONE)).to_have_count(4)
        await again(page)
        await page.context.set_offline(True)
        await page.reload()
        await expect(page.locator("#reach")).to_contain_text("지난 기록은 그대로 있어요")
        await page.locator("#to-history").click()
        await page.locator(".row").click()
        await expect(page.locator(".bin h1")).to_have_text("유리병 수거함")


@pytest.mark.parametrize("rubbish", ["{", '{"entries":5}', '{"entries":[null,{"id":1}]}'])
async def test_a_history_that_cannot_be_read_is_none(
    browser_page: Page, plain_server: Server, rubbish: str
) -> None:
    """Whatever stands in the storage, the page works and goes on from nothing."""
    await browser_page.goto(plain_server.url)
    await browser_page.evaluate("(text) => localStorage.setItem('eco.history', text)", rubbish)
    await browser_page.reload()
    await expect(browser_page.locator("#to-history")).to_be_hidden()
    await choose(browser_page, "glass")
    await expect(browser_page.locator("#to-history")).to_be_visible()


async def test_the_browsers_back_leaves_the_answer_and_not_the_page(
    browser_page: Page, plain_server: Server
) -> None:
    """Back from an answer is the start; after starting anew by a button it is the page before."""
    await browser_page.goto("about:blank")
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.go_back()
    await expect(browser_page.locator("#start")).to_be_visible()
    await choose(browser_page, "metal")
    await again(browser_page)
    await browser_page.go_back()
    assert browser_page.url == "about:blank"


async def test_a_reload_in_mid_scan_goes_on_with_the_same_scan(
    browser_page: Page, server: Callable[..., Server], tmp_path: Path
) -> None:
    """The photo is still there, no second scan is sent, and the answer comes.

    What is said above goes along with the steps.
    """
    running = server(vision=True, program=GATED, env={"ECO_GATES": str(tmp_path)})
    posts: list[str] = []

    def count(sent: Request) -> None:
        if sent.method == "POST":
            posts.append(sent.url)

    browser_page.on("request", count)
    await browser_page.goto(running.url)
    async with browser_page.expect_response("**/stream"):
        await browser_page.set_input_files("#file", upload(encoded(drawn())))
    await expect(browser_page.locator("#bar")).to_have_attribute("aria-valuenow", "10")
    await browser_page.reload()
    await expect(browser_page.locator("#bar")).to_have_attribute("aria-valuenow", "10")
    width = "document.getElementById('preview').naturalWidth"
    await browser_page.wait_for_function(f"{width} === 320")
    await expect(browser_page.locator(".waiting h1")).to_have_text("사진을 살펴보고 있어요")
    (tmp_path / "vision").touch()
    await expect(browser_page.locator(".waiting h1")).to_have_text("규칙을 찾고 있어요")
    for step in ("rule", "answer", "reward"):
        (tmp_path / step).touch()
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    await expect(browser_page.locator(DONE)).to_have_count(4)
    assert len(posts) == 1
    await browser_page.reload()  # the answer outlives one, too, and is not counted again
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    assert len((await kept(browser_page))["entries"]) == 1


async def test_a_reload_before_the_server_answered_sends_the_photo_with_the_same_key(
    browser_page: Page, page_url: str
) -> None:
    """Whether the first try arrived or not, there is one scan."""
    keys: list[str] = []

    async def drop_first(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            await route.continue_()

    await browser_page.route("**/scan/classify?*", drop_first)
    await browser_page.goto(page_url)
    async with browser_page.expect_request("**/scan/classify?*"):
        await browser_page.set_input_files("#file", upload(encoded(drawn())))
    await browser_page.wait_for_function("sessionStorage.getItem('eco.scan') !== null")
    await browser_page.reload()
    await expect(browser_page.locator(".bin, .choose").first).to_be_visible()
    assert keys[0] == keys[1]


async def test_a_scan_that_the_server_has_forgotten_leads_to_the_start(
    browser_page: Page, plain_server: Server
) -> None:
    """A tab that comes back after a long time is an empty page, not an error."""
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.evaluate(
        """() => {
            const kept = JSON.parse(sessionStorage.getItem("eco.scan"));
            const text = JSON.stringify(kept).replaceAll(kept.task.task_id, "A".repeat(34));
            sessionStorage.setItem("eco.scan", text);
        }"""
    )
    await browser_page.reload()
    await expect(browser_page.locator("#start")).to_be_visible()
    await expect(browser_page.locator(".error")).to_have_count(0)
