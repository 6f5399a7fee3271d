"""The page with real photographs, a real classifier and a server that dies."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.web.pictures import drawn, encoded, gradient
from tests.web.serving import GATED, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

DONE = "#steps li[data-mark=done]"


@pytest.mark.parametrize(
    ("material", "bin_name", "seen"),
    [("glass", "유리", "유리"), ("cardboard", "종이", "골판지"), ("metal", "캔", "캔")],
)
async def test_a_photograph_goes_through_the_four_steps_to_its_bin(
    browser_page: Page, page_url: str, photos: Path, material: str, bin_name: str, seen: str
) -> None:
    """A TrashNet photo ends with what it is, its bin, its steps and a reward."""
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", photos / material / f"{material}101.jpg")
    await expect(browser_page.locator(".bin h1")).to_contain_text(bin_name)
    await expect(browser_page.locator(".seen")).to_contain_text(seen)
    await expect(browser_page.locator(DONE)).to_have_count(4)
    await expect(browser_page.locator(".how li").first).not_to_be_empty()
    await expect(browser_page.locator(".reward .points")).to_contain_text("점")
    await expect(browser_page.locator("#bar")).to_have_attribute("aria-valuenow", "100")


async def test_a_picture_of_nothing_asks_what_it_is(browser_page: Page, page_url: str) -> None:
    """What is no material: three buttons, all others behind a fourth, and no bin."""
    await browser_page.goto(page_url)
    await browser_page.set_input_files(
        "#file", {"name": "nothing.png", "mimeType": "image/png", "buffer": gradient()}
    )
    await expect(browser_page.locator(".choice")).to_have_count(3)
    await expect(browser_page.locator(".bin")).to_have_count(0)
    await expect(browser_page.locator("[data-step=reward][data-mark=skipped]")).to_be_visible()
    await browser_page.locator(".choice").first.click()
    await expect(browser_page.locator(".bin h1")).not_to_be_empty()
    await expect(browser_page.locator(DONE)).to_have_count(4)


async def test_the_page_gets_its_answer_though_the_server_dies_meanwhile(
    browser_page: Page, server: Callable[..., Server], tmp_path: Path
) -> None:
    """Killed while it looks at the photo, started again: the answer comes by itself."""
    running = server(vision=True, program=GATED, env={"ECO_GATES": str(tmp_path)})
    await browser_page.goto(running.url)
    async with browser_page.expect_response("**/stream"):
        await browser_page.set_input_files(
            "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encoded(drawn())}
        )
    await expect(browser_page.locator("#bar")).to_have_attribute("aria-valuenow", "10")
    await asyncio.to_thread(running.kill)
    await expect(browser_page.locator("#link")).to_be_visible()
    for step in ("vision", "rule", "answer", "reward"):
        (tmp_path / step).touch()
    await asyncio.to_thread(running.start)
    await expect(browser_page.locator(".bin h1")).not_to_be_empty()
    await expect(browser_page.locator(DONE)).to_have_count(4)
    await expect(browser_page.locator("#link")).to_be_hidden()


async def test_a_server_without_vision_lets_the_user_choose(
    browser_page: Page, plain_server: Server
) -> None:
    """A photo that cannot be looked at leads to all kinds there are, and one of them to its bin."""
    await browser_page.goto(plain_server.url)
    await browser_page.set_input_files(
        "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encoded(drawn())}
    )
    await expect(browser_page.locator(".choice")).to_have_count(19)
    await browser_page.locator(".choice[data-category=battery]").click()
    await expect(browser_page.locator(".bin h1")).not_to_be_empty()
