"""The live camera of the page, with a device that shows a test picture."""

import base64
import io

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.e2e.paging import asked, profile
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACKS = """() => {
    window.tracks = [];
    const media = navigator.mediaDevices;
    const get = media.getUserMedia.bind(media);
    media.getUserMedia = async (wanted) => {
        const stream = await get(wanted);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
}"""

READ = """async () => {
    const data = await (await fetch(document.getElementById("preview").src)).blob();
    const bytes = new Uint8Array(await data.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""

SECOND = """() => {
    const media = navigator.mediaDevices;
    const list = media.enumerateDevices.bind(media);
    const one = { kind: "videoinput", deviceId: "second", label: "second", groupId: "" };
    media.enumerateDevices = async () => [...(await list()), one];
}"""

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""

STATES = "window.tracks.map((track) => track.readyState)"


PRESS = """(times) => {
    const canvas = new OffscreenCanvas(32, 24);
    const pen = canvas.getContext("2d");
    pen.drawImage(document.getElementById("video"), 0, 0, 32, 24);
    const { data } = pen.getImageData(0, 0, 32, 24);
    const bright = data.filter((value, at) => at % 4 === 1 && value > 200).length;
    if (bright < 40) return false;
    for (let n = 0; n < times; n++) document.getElementById("shutter").click();
    return true;
}"""


async def press(page: Page, times: int = 1) -> None:
    """Press the shutter while the test picture, an opening wedge, is not all of one shade."""
    await page.wait_for_function(PRESS, arg=times)


async def live(page: Page, url: str) -> None:
    """Open the page and its camera."""
    await page.add_init_script(f"({TRACKS})()")
    await page.goto(url)
    await page.locator("#open-camera").click()
    await expect(page.locator("[data-camera=live]")).to_be_visible()


async def test_the_shutter_sends_what_the_camera_shows(
    filming: Browser, plain_server: Server
) -> None:
    """One tap opens the camera, one on the shutter takes a small JPEG of what is seen."""
    async with profile(filming, permissions=["camera"]) as page:
        await live(page, plain_server.url)
        async with page.expect_request("**/scan/classify?*") as sent:
            await press(page)
        assert (await sent.value).headers["content-type"] == "image/jpeg"


async def test_two_quick_taps_on_the_shutter_are_one_photo(
    filming: Browser, plain_server: Server
) -> None:
    """The second comes while the picture of the first is made, and is none."""
    async with profile(filming, permissions=["camera"]) as page:
        sent = asked(page)
        await live(page, plain_server.url)
        async with page.expect_response("**/scan/classify?*"):
            await press(page, 2)
        await page.locator(".bin, .choose").first.wait_for()
    assert len(sent) == 1


async def test_the_picture_is_cut_as_the_screen_shows_it(filming: Browser, page_url: str) -> None:
    """The photo has the shape of the view and is no larger than the page sends."""
    async with profile(filming, permissions=["camera"], bypass_csp=True) as page:
        await live(page, page_url)
        box = await page.locator("#video").bounding_box()
        await press(page)
        await page.locator(".bin, .choose").first.wait_for()
        image = Image.open(io.BytesIO(base64.b64decode(await page.evaluate(READ))))
    assert box is not None
    assert max(image.size) <= 1024
    assert image.width / image.height == pytest.approx(box["width"] / box["height"], abs=0.02)
    red, green, blue = image.convert("RGB").getpixel((20, 20))  # type: ignore[misc]
    assert green > red + 50
    assert green > blue + 50


async def test_the_camera_is_off_when_nobody_sees_it(
    filming: Browser, plain_server: Server
) -> None:
    """Its tracks end with the photo and while the page is hidden, and it comes back by itself."""
    async with profile(filming, permissions=["camera"]) as page:
        await live(page, plain_server.url)
        await page.evaluate(HIDE, True)
        assert await page.evaluate(STATES) == ["ended"]
        await page.evaluate(HIDE, False)
        await expect(page.locator("[data-camera=live]")).to_be_visible()
        assert await page.evaluate(STATES) == ["ended", "live"]
        await page.locator("#by-hand").click()
        await page.locator(".choose").wait_for()
        assert await page.evaluate(STATES) == ["ended", "ended"]
        await page.locator(".choose .buttons .button").click()
        await expect(page.locator("[data-camera=live]")).to_be_visible()
        await expect(page.locator("#shutter")).to_be_focused()


async def test_a_camera_used_before_opens_by_itself(filming: Browser, plain_server: Server) -> None:
    """Where it is allowed for good, the next visit starts with the live view."""
    async with profile(filming, permissions=["camera"]) as page:
        await live(page, plain_server.url)
        await page.reload()
        await expect(page.locator("[data-camera=live]")).to_be_visible()


async def test_a_refused_camera_leaves_the_file_dialog(
    filming: Browser, plain_server: Server
) -> None:
    """No is remembered over a reload and explained, and a photo can still be chosen."""
    async with profile(filming) as page:
        await page.goto(plain_server.url)
        await page.locator("#open-camera").click()
        for _ in range(2):
            await expect(page.locator("#aim")).to_contain_text("카메라 사용이 차단되어 있어요")
            await expect(page.locator("#open-camera")).to_have_text("카메라 허용 후 다시 켜기")
            await expect(page.locator("#shutter")).to_be_hidden()
            async with page.expect_file_chooser():
                await page.locator(".album").click()
            await page.reload()


async def test_several_cameras_can_be_switched(filming: Browser, plain_server: Server) -> None:
    """The button shows only then, and asks for the next device."""
    async with profile(filming, permissions=["camera"]) as page:
        await live(page, plain_server.url)
        await expect(page.locator("#turn")).to_be_hidden()
        await page.add_init_script(f"({SECOND})()")
        await page.reload()
        await expect(page.locator("[data-camera=live]")).to_be_visible()
        await page.evaluate(
            """() => {
                window.wanted = [];
                const media = navigator.mediaDevices;
                const get = media.getUserMedia.bind(media);
                media.getUserMedia = ({ video }) => {
                    window.wanted.push(video.deviceId?.exact);
                    return get({ video: true });
                };
            }"""
        )
        await page.get_by_role("button", name="카메라 바꾸기").click()
        await page.wait_for_function("window.wanted.length > 0")
        await expect(page.locator("[data-camera=live]")).to_be_visible()
        assert await page.evaluate("window.wanted") == ["second"]


async def test_a_phone_without_a_live_camera_asks_the_phones_own(
    browser: Browser, plain_server: Server
) -> None:
    """Where a page may not film, the button opens the phone's camera by a file field.

    Held sideways, too, it and what else there is to start with are all on the screen.
    """
    async with profile(browser, has_touch=True, is_mobile=True) as page:
        await page.goto(plain_server.url)
        await expect(page.locator("#open-camera")).to_be_hidden()
        await expect(page.locator(".camera-only")).to_be_visible()
        await page.set_viewport_size({"width": 844, "height": 390})
        for button in (".camera-only", ".album", "#by-hand"):
            await expect(page.locator(button)).to_be_in_viewport(ratio=1)
        await expect(page.locator("#camera")).to_have_attribute("capture", "environment")
