"""What somebody in front of the page does, and what they see."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from PIL import Image, ImageDraw
from playwright.async_api import Browser, FilePayload, Page, Request

from tests.web.pictures import gradient

PATIENCE_MS = 20_000
ENDED = "#steps li:is([data-mark=done], [data-mark=skipped])"


def photo(width: int = 1600, height: int = 1200, orientation: int = 1) -> bytes:
    """A JPEG of something like a green bottle; `orientation` is its EXIF tag."""
    image = Image.new("RGB", (width, height), (222, 216, 204))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((width * 0.4, height * 0.3, width * 0.6, height * 0.9), 40, (40, 110, 70))
    pen.rectangle((width * 0.46, height * 0.1, width * 0.54, height * 0.35), (40, 110, 70))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def upload(data: bytes, name: str = "bottle.jpg") -> FilePayload:
    """A file as the browser's file dialog would hand it over."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def nothing() -> FilePayload:
    """A picture that no classifier is sure about."""
    return {"name": "nothing.png", "mimeType": "image/png", "buffer": gradient()}


async def bin_of(page: Page) -> str:
    """Wait for the bin's name; where the server asks what it is, say the first it offers."""
    await page.locator(".bin, .choose").first.wait_for()
    if await page.locator(".choose").count():
        await page.locator(".choice").first.click()
    return await page.locator(".bin h1").inner_text()


def asked(page: Page) -> list[object]:
    """What the page sends from now on, in order: the JSON, or None for a photo."""
    sent: list[object] = []

    def keep(request: Request) -> None:
        if request.method == "POST":
            is_json = request.headers["content-type"] == "application/json"
            sent.append(request.post_data_json if is_json else None)

    page.on("request", keep)
    return sent


async def choose(page: Page, category: str) -> None:
    """Say what it is without a photo, and wait for its bin."""
    await page.locator("#by-hand").click()
    await page.locator(f".choice[data-category={category}]").click()
    await page.locator(".bin").wait_for()


@asynccontextmanager
async def profile(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """A page of a fresh profile: Korean, 1280 by 800, still, unless the options say otherwise."""
    usual: dict[str, Any] = {
        "locale": "ko-KR",
        "viewport": {"width": 1280, "height": 800},
        "reduced_motion": "reduce",
        "service_workers": "block",
    }
    context = await browser.new_context(**(usual | options))
    context.set_default_timeout(PATIENCE_MS)
    yield await context.new_page()
    async with asyncio.timeout(PATIENCE_MS / 1000):  # or the browser hangs
        await context.close()
