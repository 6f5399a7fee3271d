"""The page for everybody: any width, keyboard, forced colours, and what axe finds."""

from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.paging import choose, nothing, profile, upload
from tests.web.pictures import drawn, encoded
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OVER = "document.documentElement.scrollWidth - innerWidth"
NAMES = "h1, .choice-name, .row strong, .name-of"
TORN = """(names) => [...document.querySelectorAll(names)].flatMap((node) => {
    const text = [...node.childNodes].find(({ nodeType }) => nodeType === Node.TEXT_NODE);
    if (!text || !node.getClientRects().length) return [];
    return [...text.data.matchAll(/\\S+/g)].filter(({ 0: word, index }) => {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1;
    }).map(([word]) => word);
})"""
PHOTO_BESIDE = """() => new MutationObserver(() => {
    if (!document.querySelector(".bin, .choose")) return;
    const { height } = document.getElementById("preview").getBoundingClientRect();
    window.heights = [...new Set([...(window.heights ?? []), height])];
}).observe(document.getElementById("panel"), { childList: true })"""
SPILT = """() => [...document.querySelectorAll(".row-text, .choice-text, .bin-text, .card")]
    .filter((node) => node.scrollWidth > node.clientWidth + 1).map(({ className }) => className)"""
SMALL = """() => [...document.querySelectorAll("button, a, label.button, input.search")]
    .filter((node) => node.getClientRects().length)
    .map((node) => [node.id || node.className, node.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 43.5)
    .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""


async def faults(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    found: Any = await page.evaluate(
        "(tags) => axe.run(document, { runOnly: { type: 'tag', values: tags } })", TAGS
    )
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


async def screens(page: Page, url: str) -> Any:
    """One state of the page after the other: start, all kinds, answer, history, error."""
    await page.goto(url)
    await page.locator("#by-hand").wait_for()
    yield "start"
    await page.locator("#by-hand").click()
    await page.locator(".choice[data-category=glass]").wait_for()
    yield "all"
    await page.locator(".choice[data-category=glass]").click()
    await page.locator("[data-tag=broken]").click()
    await expect(page.locator("#told.new")).to_be_visible()
    await expect(page.locator(".conditions")).to_have_attribute("aria-busy", "false")
    yield "answer"
    await page.locator("#to-history").click()
    await page.locator(".row").wait_for()
    yield "history"
    await page.locator(".past .primary").click()
    await page.route("**/scan/classify?*", lambda route: route.fulfill(status=413, json={}))
    await page.set_input_files("#file", upload(b"this is no picture"))
    await page.locator(".error").wait_for()
    yield "error"


@pytest.mark.parametrize("lang", ["ko-KR", "en-US"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(
    browser: Browser, plain_server: Server, lang: str, scheme: str
) -> None:
    """Names, roles, contrast, headings and landmarks are right in every state of the page."""
    found = {}
    async with profile(browser, locale=lang, color_scheme=scheme) as page:
        async for state in screens(page, plain_server.url):
            found[state] = await faults(page)
    assert {state: each for state, each in found.items() if each} == {}


async def test_axe_finds_nothing_while_the_photo_is_unsure(browser: Browser, page_url: str) -> None:
    """The three big buttons, too, on a phone."""
    async with profile(browser, viewport={"width": 390, "height": 844}) as page:
        await page.goto(page_url)
        await page.set_input_files("#file", nothing())
        await page.locator(".choices.few").wait_for()
        assert await faults(page) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
async def test_nothing_is_cut_off_or_too_small_to_tap(
    browser: Browser, plain_server: Server, width: int
) -> None:
    """From 320 to 1920 px nothing spills, no word is torn, and every target has 44 px."""
    size = {"width": width, "height": 800}
    phone = width < 800
    async with profile(
        browser, viewport=size, locale="en-US", has_touch=phone, is_mobile=phone
    ) as page:
        async for state in screens(page, plain_server.url):
            assert await page.evaluate(OVER) <= 0, state
            assert await page.evaluate(TORN, NAMES) == [], state
            assert await page.evaluate(SPILT) == [], state
            assert await page.evaluate(SMALL) == [], state


async def test_the_essentials_of_an_answer_are_on_a_phones_first_screen(
    browser: Browser, page_url: str
) -> None:
    """Photo, bin and the first step are seen without scrolling, at 390 by 844.

    The photo is small at once: nothing below it moves while one reads.
    """
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    async with profile(browser, reduced_motion="no-preference", **phone) as page:
        await page.goto(page_url)
        await page.evaluate(PHOTO_BESIDE)
        await page.set_input_files("#file", upload(encoded(drawn())))
        await page.locator(".bin, .choose").first.wait_for()
        if await page.locator(".choose").count():
            await page.locator(".choice").first.click()
        await page.locator(".bin").wait_for()
        assert await page.evaluate("window.heights") == [60]
        for seen in ("#preview", ".bin h1", ".how li >> nth=0", ".after .primary"):
            box = await page.locator(seen).bounding_box()
            assert box is not None
            assert box["y"] >= 0, seen
            assert box["y"] + box["height"] <= 844, seen


async def test_forced_colours_keep_every_sign(browser: Browser, plain_server: Server) -> None:
    """The bin's mark keeps its colour and gets an outline; a pressed chip differs from others.

    Nothing shines through the buttons that stay below the answer.
    """
    async with profile(browser, forced_colors="active", color_scheme="dark") as page:
        await page.goto(plain_server.url)
        await choose(page, "metal")
        await page.locator("[data-tag=sharp]").click()
        await expect(page.locator("[data-tag=sharp]")).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(".bin h1")).to_contain_text("종량제봉투")
        read = "(node) => [getComputedStyle(node).fill, getComputedStyle(node).stroke]"
        fill, stroke = await page.locator(".bin .mark").evaluate(read)
        assert fill == "rgb(92, 92, 92)"
        assert stroke == "rgb(255, 255, 255)"
        back = "(node) => getComputedStyle(node).backgroundColor"
        pressed = await page.locator("[data-tag=sharp]").evaluate(back)
        assert pressed != await page.locator(".chip[aria-pressed=false]").first.evaluate(back)
        assert await page.locator(".after").evaluate(back) == "rgb(0, 0, 0)"


async def test_the_keyboard_alone_reaches_conditions_history_and_the_start(
    browser_page: Page, plain_server: Server
) -> None:
    """Enter and Space do what taps do, and the focus is where one reads next."""
    page, keyboard = browser_page, browser_page.keyboard
    await page.goto(plain_server.url)
    await page.locator("#by-hand").focus()
    await keyboard.press("Enter")
    await expect(page.locator(".choose h1")).to_be_focused()
    await keyboard.press("Tab")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await keyboard.type("유리")
    await keyboard.press("Tab")
    await expect(page.locator(".choice[data-category=glass]")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.locator(".bin h1")).to_be_focused()
    await page.locator(".chip").first.wait_for()
    await keyboard.press("Tab")
    await expect(page.locator(".question")).to_be_focused()
    await keyboard.press("Tab")
    await expect(page.locator(".chip").first).to_be_focused()
    await keyboard.press("Space")
    await expect(page.locator(".chip").first).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".chip").first).to_be_focused()
    await page.locator("#to-history").focus()
    await keyboard.press("Enter")
    await expect(page.locator(".past h1")).to_be_focused()
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(page.locator(".bin h1")).to_be_focused()
    await page.locator(".after .primary").focus()
    await keyboard.press("Enter")
    await expect(page.locator("#file")).to_be_focused()


async def test_reduced_motion_moves_nothing(browser: Browser, plain_server: Server) -> None:
    """Whoever asks for less motion gets none; everybody else sees the answer come in."""
    running = "document.getAnimations().length"
    for wish, moves in (("reduce", False), ("no-preference", True)):
        async with profile(browser, reduced_motion=wish) as page:
            await page.goto(plain_server.url)
            await page.evaluate(
                f"""() => new MutationObserver(() => {{
                    if (document.querySelector(".bin")) window.moved ||= {running} > 0;
                }}).observe(document.getElementById("panel"), {{ childList: true }})"""
            )
            await choose(page, "glass")
            assert bool(await page.evaluate("window.moved")) is moves
