"""The page at `/`, used as somebody in front of a kiosk uses it."""

import asyncio
import base64
import io
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.async_api import Browser, ConsoleMessage, FileChooser, Page, Route, expect

from tests.e2e.paging import ENDED, bin_of, photo, profile, upload
from tests.e2e.unsure import play_unsure

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

RECORD_STEPS = """() => {
    window.ticks = [];
    window.said = [];
    new MutationObserver((changes) => {
        for (const { addedNodes } of changes) window.said.push(addedNodes[0]?.textContent);
    }).observe(document.getElementById("live"), { childList: true });
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            const { mark, step } = target.dataset;
            if (mark === "done" || mark === "skipped") window.ticks.push(step);
        }
    }).observe(document.getElementById("steps"),
               { subtree: true, attributes: true, attributeFilter: ["data-mark"] });
}"""

KEEP_BODY = """() => {
    const send = window.fetch;
    window.fetch = (url, options) => {
        if (options.body instanceof Blob) window.sent = options.body;
        return send(url, options);
    };
}"""

READ_BODY = """async () => {
    const bytes = new Uint8Array(await window.sent.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""

DROP = """(encoded) => {
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "bottle.jpg", { type: "image/jpeg" }));
    const fire = (kind) => document.getElementById("drop").dispatchEvent(
        new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
    fire("dragover");
    const veiled = !document.getElementById("veil").hidden;
    fire("drop");
    return veiled;
}"""

PASTE = """(encoded) => {
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "bottle.jpg", { type: "image/jpeg" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


@pytest.mark.parametrize(
    ("lang", "title", "button"),
    [
        ("ko", "무엇을 버리시나요?", "사진 고르기"),
        ("en", "What are you throwing away?", "Choose a photo"),
    ],
)
async def test_the_empty_page_speaks_the_chosen_language_and_remembers_it(
    browser_page: Page, page_url: str, lang: str, title: str, button: str
) -> None:
    """The switch changes every word and the document's language, and a reload keeps them."""
    await browser_page.goto(page_url)
    await browser_page.locator(f".lang[data-lang={lang}]").click()
    await browser_page.reload()
    await expect(browser_page.locator("html")).to_have_attribute("lang", lang)
    await expect(browser_page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(browser_page.locator(".album")).to_have_text(button)


async def test_a_photo_ticks_the_four_steps_in_order_and_shows_its_bin(
    browser_page: Page, page_url: str
) -> None:
    """A chosen photo runs through its steps live and ends with a bin's name in focus.

    Who listens hears the same in the same order.
    """
    await browser_page.goto(page_url)
    await browser_page.evaluate(RECORD_STEPS)
    await browser_page.set_input_files("#file", upload(photo()))
    assert await bin_of(browser_page)
    await expect(browser_page.locator(".bin h1")).to_be_focused()
    await expect(browser_page.locator(ENDED)).to_have_count(4)
    ticks = await browser_page.evaluate("window.ticks")
    assert list(dict.fromkeys(ticks))[:3] == ["vision", "rule", "answer"]
    said = await browser_page.evaluate("window.said")
    assert said[:2] == ["사진을 읽고 있어요…", "사진 단계 완료"]
    await expect(browser_page.locator("#bar")).to_have_attribute("aria-valuenow", "100")


async def test_a_photo_is_sent_small_upright_and_without_exif(
    browser_page: Page, page_url: str
) -> None:
    """What goes out is a JPEG of at most 1024 px, turned as its EXIF said, without any EXIF."""
    await browser_page.goto(page_url)
    await browser_page.evaluate(KEEP_BODY)
    async with browser_page.expect_request("**/scan/classify*") as sent:
        await browser_page.set_input_files("#file", upload(photo(1600, 1200, orientation=6)))
    assert (await sent.value).headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(base64.b64decode(await browser_page.evaluate(READ_BODY))))
    assert image.format == "JPEG"
    assert image.size == (768, 1024)
    assert not image.getexif()


@pytest.mark.parametrize("way", ["drop", "paste"])
async def test_a_dropped_or_pasted_photo_is_scanned(
    browser_page: Page, page_url: str, way: str
) -> None:
    """Dragging a photo onto the page or pasting one does what choosing it does."""
    await browser_page.goto(page_url)
    encoded = base64.b64encode(photo()).decode()
    if way == "drop":
        assert await browser_page.evaluate(DROP, encoded)
        await expect(browser_page.locator("#veil")).to_be_hidden()
    else:
        await browser_page.evaluate(PASTE, encoded)
    assert await bin_of(browser_page)


async def test_an_unsure_answer_offers_three_and_follows_the_choice(
    browser_page: Page, page_url: str
) -> None:
    """An unrecognised photo leads to three buttons, and one of them to its bin."""
    await play_unsure(browser_page)
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", upload(photo()))
    await expect(browser_page.locator(".choice-name")).to_have_text(["유리병", "금속", "종이"])
    await expect(browser_page.locator("[data-step=reward][data-mark=skipped]")).to_be_visible()
    async with browser_page.expect_request("**/scan/classify") as sent:
        await browser_page.get_by_role("button", name="금속").click()
    asked = {"category": "metal", "lang": "ko", "after_scan": "unsure"}
    assert (await sent.value).post_data_json == asked
    await expect(browser_page.locator(".bin h1")).not_to_be_empty()
    await expect(browser_page.locator(".seen")).to_contain_text("직접 고르신 것")


async def test_a_text_file_named_jpg_gets_a_friendly_error_and_another_try(
    browser_page: Page, page_url: str
) -> None:
    """What is no picture ends in an error box, from which a real photo leads on to a bin."""
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", upload(b"this is no picture"))
    await expect(browser_page.locator(".error h1")).to_have_text("사진을 읽을 수 없어요")
    await expect(browser_page.locator(".error p")).to_contain_text("손상되었거나")
    await expect(browser_page.get_by_role("button", name="다시 시도")).to_have_count(0)
    await browser_page.get_by_role("button", name="다른 사진 고르기").click()
    await browser_page.set_input_files("#file", upload(photo()))
    assert await bin_of(browser_page)


async def turned_away(page: Page, *codes: str) -> list[str]:
    """The first scans are answered 503 with these codes; the keys that scans come with."""
    keys: list[str] = []

    async def answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > len(codes):
            await route.continue_()
            return
        code = codes[len(keys) - 1]
        status = 500 if code == "internal" else 503
        body = {"status": status, "code": code, "title": "Failed", "detail": "no more room"}
        await route.fulfill(status=status, headers={"Retry-After": "1"}, json=body)

    await page.route("**/scan/classify?*", answer)
    return keys


async def test_a_busy_server_is_asked_again_by_itself(browser_page: Page, page_url: str) -> None:
    """A 503 with Retry-After counts down and then sends the same photo with the same key."""
    keys = await turned_away(browser_page, "busy")
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", upload(photo()))
    await expect(browser_page.locator("#left")).to_have_text("1초 뒤에 다시 보내요")
    await bin_of(browser_page)
    assert keys[0] == keys[1]


async def test_a_disk_that_takes_nothing_is_no_crowd(browser_page: Page, page_url: str) -> None:
    """A person is told to call somebody, and once that is mended the same photo goes through.

    What only the server's own words name is told in the reader's language first.
    """
    keys = await turned_away(browser_page, "internal", "storage")
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", upload(photo()))
    await expect(browser_page.locator(".error .lead")).to_contain_text("저희 쪽에 문제가 생겼어요")
    await expect(browser_page.locator(".error [lang=en]")).to_have_text("no more room")
    await expect(browser_page.locator("[data-mark=failed]")).to_have_attribute(
        "data-step", "vision"
    )
    await browser_page.get_by_role("button", name="다시 시도").click()
    await expect(browser_page.get_by_text("관리하시는 분께 알려 주세요")).to_be_visible()
    await browser_page.get_by_role("button", name="다시 시도").click()
    await bin_of(browser_page)
    assert len(keys) == 3


async def test_without_a_stream_the_page_asks_for_the_result(
    browser_page: Page, page_url: str
) -> None:
    """A stream that is refused for good does not keep the answer from the user."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503)

    await browser_page.route("**/scan/*/stream*", refuse)
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", upload(photo()))
    assert await bin_of(browser_page)


async def test_the_page_is_usable_with_the_keyboard_alone(
    browser_page: Page, page_url: str
) -> None:
    """Tab and Enter reach the language, the file dialog, the answer and another photo."""
    await play_unsure(browser_page)
    # Listening from the start: a browser only just asked to tell of dialogs may miss one.
    dialog: asyncio.Future[FileChooser] = asyncio.get_running_loop().create_future()
    browser_page.once("filechooser", lambda chooser: dialog.set_result(chooser))
    await browser_page.goto(page_url)
    keyboard = browser_page.keyboard
    await keyboard.press("Tab")
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(browser_page.locator("html")).to_have_attribute("lang", "en")
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await (await asyncio.wait_for(dialog, 20)).set_files(upload(photo()))
    await expect(browser_page.locator(".choose h1")).to_be_focused()
    await keyboard.press("Tab")
    await expect(browser_page.locator(".choice").first).to_be_focused()
    await keyboard.press("Enter")
    await expect(browser_page.locator(".bin h1")).to_be_focused()
    await browser_page.get_by_role("button", name="Another one").focus()
    await keyboard.press("Enter")
    await expect(browser_page.locator("#file")).to_be_focused()


async def test_a_scan_asks_nobody_else_and_leaves_the_console_clean(
    browser: Browser, page_url: str
) -> None:
    """From loading to the answer every request goes to the server and nothing complains."""
    complaints: list[str] = []
    hosts: set[str] = set()

    def listen(said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            complaints.append(said.text)

    async with profile(browser, service_workers="allow") as page:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", listen)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        await page.goto(page_url)
        await page.set_input_files("#file", upload(photo()))
        await bin_of(page)
        await expect(page.locator(ENDED)).to_have_count(4)
    assert complaints == []
    assert hosts - {""} == {urlsplit(page_url).netloc}
