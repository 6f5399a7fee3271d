"""The page as a station's screen: `?kiosk`."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.paging import choose, profile
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCREENS = [(1080, 1920), (1280, 800), (1920, 1080)]
SMALL = """(least) => [...document.querySelectorAll("button, a, input, label.button")]
    .filter((node) => node.getClientRects().length && !node.classList.contains("quiet"))
    .map((node) => [node.id || node.className, node.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < least - 0.5)
    .map(([name, box]) => `${name} ${Math.round(box.width)}x${Math.round(box.height)}`)"""
BEYOND = """() => [document.documentElement.scrollWidth - innerWidth,
    document.documentElement.scrollHeight - innerHeight].some((over) => over > 0)"""

LETTERS = "parseFloat(getComputedStyle(document.querySelector('.choice-name')).fontSize)"
SCROLLS = "(node) => node.scrollHeight > node.clientHeight"

TIGHT = """(tiles) => tiles.filter((tile) => {
    const words = document.createRange();
    words.selectNodeContents(tile.querySelector(".choice-name"));
    return tile.getBoundingClientRect().right - words.getBoundingClientRect().right < 8;
}).map((tile) => tile.textContent)"""


async def stand(page: Page, server: Server, query: str = "?kiosk") -> None:
    """A station that nobody uses yet, whose time the test moves."""
    await page.clock.install()
    await page.goto(f"{server.url}/{query}")
    await page.locator(".hands .choice").first.wait_for()


async def answer(page: Page, category: str = "glass") -> None:
    """Without a camera, the things themselves are the start."""
    await page.locator(f".choice[data-category={category}]").click()
    await page.locator(".bin").wait_for()


async def leave(page: Page) -> None:
    """The last touch, after which time passes only as the test says."""
    await page.clock.pause_at(await page.evaluate("Date.now()") + 5_000)
    await page.mouse.click(6, 401)


@pytest.mark.parametrize(("width", "height"), SCREENS)
async def test_a_station_shows_its_camera_at_once_within_the_screen(
    filming: Browser, plain_server: Server, width: int, height: int
) -> None:
    """Live view and a big shutter without a tap; nothing to type, no file, no history, no link.

    The shutter says what it does.
    """
    screen = {"width": width, "height": height}
    async with profile(filming, permissions=["camera"], viewport=screen) as page:
        await page.goto(f"{plain_server.url}/?kiosk")
        await expect(page.locator("[data-camera=live]")).to_be_visible()
        shutter = await page.locator("#shutter").bounding_box()
        assert shutter is not None
        assert min(shutter["width"], shutter["height"]) >= 120
        await expect(page.locator("#shutter .icon")).to_be_visible()
        word = await page.get_by_role("button", name="사진 찍기").locator(".word").bounding_box()
        assert word is not None
        assert word["height"] > 30
        for absent in (".album", ".camera-only", "#to-history", "#install", "a", "input.search"):
            await expect(page.locator(absent).locator("visible=true")).to_have_count(0)
        assert not await page.evaluate(BEYOND)
        assert await page.evaluate(SMALL, 64) == []


@pytest.mark.parametrize(("width", "height"), SCREENS)
async def test_every_target_of_a_station_is_big(
    browser: Browser, plain_server: Server, width: int, height: int
) -> None:
    """All kinds and the answer fit the screen's width, with targets of at least 64 px.

    The kinds fill its height without scrolling, with labels that are read from afar.
    """
    screen = {"width": width, "height": height}
    async with profile(browser, viewport=screen) as page:
        await page.goto(f"{plain_server.url}/?kiosk")
        await expect(page.locator(".hands .choice")).to_have_count(19)
        assert await page.evaluate(LETTERS) >= 22
        assert not await page.locator(".hands").evaluate(SCROLLS)
        last = await page.locator(".hands .choice").last.bounding_box()
        assert last is not None
        assert last["y"] + last["height"] > 0.93 * height
        assert await page.evaluate(SMALL, 64) == []
        await answer(page)
        await expect(page.locator(".chip").first).to_be_visible()
        assert await page.evaluate(SMALL, 64) == []
        assert not await page.evaluate(BEYOND)
        await page.get_by_role("button", name="아닌가요? 직접 고르기").click()
        await expect(page.locator(".choose .choice")).to_have_count(19)
        await expect(page.locator("input.search")).to_have_count(0)
        assert await page.evaluate(SMALL, 64) == []


async def test_nobody_for_a_while_resets_the_station(
    browser_page: Page, plain_server: Server
) -> None:
    """After 45 s it asks, counts ten down, and starts afresh in its own language."""
    await stand(browser_page, plain_server)
    await browser_page.locator(".lang[data-lang=en]").click()
    await answer(browser_page)
    await leave(browser_page)
    await browser_page.clock.run_for(44_900)
    await expect(browser_page.locator("#idle")).to_be_hidden()
    await browser_page.clock.run_for(100)
    await expect(browser_page.get_by_role("dialog", name="Still there?")).to_be_visible()
    await expect(browser_page.locator("#stay")).to_be_focused()
    await expect(browser_page.locator("#idle-text")).to_have_text("Back to the start in 10 s.")
    await browser_page.clock.run_for(3_000)
    await expect(browser_page.locator("#idle-text")).to_have_text("Back to the start in 7 s.")
    await browser_page.clock.run_for(7_000)
    await expect(browser_page.locator("#idle")).to_be_hidden()
    await expect(browser_page.locator("#start")).to_be_visible()
    await expect(browser_page.locator("html")).to_have_attribute("lang", "ko")
    kept = "[...Object.keys(localStorage), sessionStorage.getItem('eco.scan')]"
    assert await browser_page.evaluate(kept) == ["eco.site", None]


async def test_any_touch_stays(browser_page: Page, plain_server: Server) -> None:
    """A touch anywhere, or a key, closes the question and starts the time over."""
    await stand(browser_page, plain_server)
    await answer(browser_page)
    await leave(browser_page)
    for sign in ("touch", "key", "button"):
        await browser_page.clock.run_for(46_000)
        await expect(browser_page.locator("#idle")).to_be_visible()
        if sign == "touch":
            await browser_page.mouse.click(5, 400)
        elif sign == "key":
            await browser_page.keyboard.press("Escape")
        else:
            await browser_page.locator("#stay").click()
        await expect(browser_page.locator("#idle")).to_be_hidden()
        await browser_page.clock.run_for(44_000)
        await expect(browser_page.locator("#idle")).to_be_hidden()
        await expect(browser_page.locator(".bin")).to_be_visible()
        await browser_page.mouse.click(6, 401)


async def test_the_operator_sets_the_seconds(browser_page: Page, plain_server: Server) -> None:
    """`?kiosk=60` waits 60 s."""
    await stand(browser_page, plain_server, "?kiosk=60")
    await answer(browser_page)
    await leave(browser_page)
    await browser_page.clock.run_for(59_900)
    await expect(browser_page.locator("#idle")).to_be_hidden()
    await browser_page.clock.run_for(100)
    await expect(browser_page.locator("#idle")).to_be_visible()


async def test_a_resting_station_asks_nobody(browser_page: Page, plain_server: Server) -> None:
    """On the start there is nothing to reset, however long."""
    await stand(browser_page, plain_server)
    await browser_page.clock.run_for(200_000)
    await expect(browser_page.locator("#idle")).to_be_hidden()
    await expect(browser_page.locator("#start")).to_be_visible()


async def test_a_station_keeps_nothing_of_the_person_before(
    browser_page: Page, plain_server: Server
) -> None:
    """No history, no remembered language, no menu on a long press, nothing to select."""
    await stand(browser_page, plain_server)
    await browser_page.locator(".lang[data-lang=en]").click()
    await answer(browser_page)
    await expect(browser_page.locator("#to-history")).to_be_hidden()
    assert await browser_page.evaluate("Object.keys(localStorage)") == ["eco.site"]
    kept = """(kind) => !document.querySelector("h1").dispatchEvent(
        new Event(kind, { bubbles: true, cancelable: true }))"""
    for kind in ("contextmenu", "selectstart", "dragstart"):
        assert await browser_page.evaluate(kept, kind)


async def test_a_station_without_its_server_gives_no_advice(
    browser_page: Page, plain_server: Server
) -> None:
    """Who stands before it cannot mend it: it says that it goes on by itself, and does."""
    await browser_page.goto(f"{plain_server.url}/?kiosk")
    await browser_page.locator(".hands .choice").first.wait_for()
    await browser_page.context.set_offline(True)
    await browser_page.locator(".choice[data-category=glass]").click()
    await expect(browser_page.locator(".error h1")).to_have_text("잠시 쉬고 있어요")
    await expect(browser_page.locator(".error .lead")).to_contain_text("저절로 이어서")
    await expect(browser_page.locator(".error .button")).to_have_text(["처음으로"])
    await browser_page.context.set_offline(False)
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")


async def test_without_kiosk_nobody_is_asked_whether_they_are_there(
    browser_page: Page, plain_server: Server
) -> None:
    """At home an answer stays."""
    await browser_page.clock.install()
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.clock.run_for(300_000)
    await expect(browser_page.locator("#idle")).to_be_hidden()
    await expect(browser_page.locator(".bin")).to_be_visible()


async def test_a_station_whose_camera_is_off_says_so(
    filming: Browser, plain_server: Server
) -> None:
    """Above everything there is to choose from stands why there is no camera."""
    async with profile(filming) as page:
        await page.goto(f"{plain_server.url}/?kiosk")
        await expect(page.locator(".hands .off")).to_have_text(
            "카메라가 꺼져 있어요. 무엇인지 골라 주세요."
        )


@pytest.mark.parametrize(("width", "height"), SCREENS)
async def test_a_station_keeps_the_way_back_on_screen(
    browser: Browser, plain_server: Server, width: int, height: int
) -> None:
    """In English, too, "Start over" is seen, names fit their tiles, and no steps are squeezed."""
    screen = {"width": width, "height": height}
    async with profile(browser, viewport=screen, locale="en-US") as page:
        await page.goto(f"{plain_server.url}/?kiosk")
        await answer(page)
        await expect(page.locator("#steps")).to_be_hidden()
        assert not await page.evaluate(BEYOND)
        await page.get_by_role("button", name="Choose it yourself").click()
        await page.locator(".choose .choice").first.wait_for()
        await expect(page.get_by_role("button", name="Start over")).to_be_in_viewport(ratio=1)
        assert await page.locator(".choose .choice").evaluate_all(TIGHT) == []
