"""A photo before it is sent: while it is read, and when there is nothing in it."""

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.e2e.paging import asked, photo, profile, upload
from tests.web.pictures import encoded, gradient
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOLD = """() => {
    const decode = HTMLImageElement.prototype.decode;
    const held = new Promise((go) => { window.go = go; });
    HTMLImageElement.prototype.decode = async function () {
        await held;
        return decode.call(this);
    };
}"""


def shade(light: int, spread: int = 0) -> bytes:
    """A JPEG of one shade; `spread` is how much lighter its right half is."""
    image = Image.new("RGB", (320, 240), (light, light, light))
    image.paste((light + spread,) * 3, (160, 0, 320, 240))
    return encoded(image)


async def test_a_photo_that_is_being_read_is_told_at_once(
    browser_page: Page, plain_server: Server
) -> None:
    """Seen and heard while a big photo is decoded; another one meanwhile is not taken."""
    sent = asked(browser_page)
    await browser_page.goto(plain_server.url)
    await browser_page.evaluate(HOLD)
    await browser_page.set_input_files("#file", upload(photo()))
    await expect(browser_page.locator(".waiting h1")).to_have_text("사진을 읽고 있어요…")
    await expect(browser_page.locator(".waiting h1")).to_be_focused()
    await expect(browser_page.locator("#live")).to_have_text("사진을 읽고 있어요…")
    await expect(browser_page.locator("#start")).to_be_hidden()
    await browser_page.set_input_files("#file", upload(photo(800, 600)))
    await browser_page.evaluate("window.go()")
    await browser_page.locator(".bin, .choose").first.wait_for()
    assert len(sent) == 1


async def test_reading_a_photo_can_be_stopped(browser_page: Page, plain_server: Server) -> None:
    """What is read after that is not sent, and the next photo is taken."""
    sent = asked(browser_page)
    await browser_page.goto(plain_server.url)
    await browser_page.evaluate(HOLD)
    await browser_page.set_input_files("#file", upload(photo()))
    await browser_page.get_by_role("button", name="그만두기").click()
    await expect(browser_page.locator("#start")).to_be_visible()
    await browser_page.evaluate("window.go()")
    await browser_page.set_input_files("#file", upload(photo()))
    await browser_page.locator(".bin, .choose").first.wait_for()
    assert len(sent) == 1


@pytest.mark.parametrize(("light", "words"), [(8, "어둡"), (250, "밝"), (128, "한 가지 색")])
async def test_a_photo_of_one_shade_is_sent_only_when_somebody_says_so(
    browser: Browser, plain_server: Server, light: int, words: str
) -> None:
    """Nothing to be seen: another photo is offered first, and nothing is asked by itself."""
    async with profile(browser) as page:
        sent = asked(page)
        await page.goto(plain_server.url)
        await page.set_input_files("#file", upload(shade(light, 3)))
        await expect(page.locator(".error h1")).to_have_text("아무것도 보이지 않아요")
        await expect(page.locator(".error h1")).to_be_focused()
        await expect(page.locator(".error .lead")).to_contain_text(words)
        await page.get_by_role("button", name="다시 찍기").click()
        await expect(page.locator("#start")).to_be_visible()
        assert sent == []
        await page.set_input_files("#file", upload(shade(light)))
        await page.get_by_role("button", name="그래도 보내기").click()
        await page.locator(".bin, .choose").first.wait_for()
        assert len(sent) == 1


@pytest.mark.parametrize("picture", [shade(8, 30), gradient()])
async def test_a_dim_photo_with_something_in_it_is_sent(
    browser_page: Page, plain_server: Server, picture: bytes
) -> None:
    """Only what is all one shade is held back."""
    await browser_page.goto(plain_server.url)
    async with browser_page.expect_request("**/scan/classify?*"):
        await browser_page.set_input_files("#file", upload(picture))
