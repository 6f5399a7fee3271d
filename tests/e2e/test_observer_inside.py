"""The page at `/observer`: an operator looks into actors, and suspends them."""

import pytest
from playwright.async_api import Page, expect

from tests.e2e.observing import (
    GROUP,
    MEMBERS,
    PIPELINE,
    WIDER,
    WORKER,
    focused,
    opened,
    own,
    row,
    thirty_connections,
)
from tests.web.credentials import SECRET
from tests.web.serving import Server

__all__ = ["own"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them


async def scan(page: Page) -> str:
    """The task id of a scan that was just accepted."""
    answer = await page.request.post(
        f"{page.url.rpartition('/')[0]}/scan/classify", data={"category": "glass"}
    )
    return str((await answer.json())["task_id"])


async def test_an_operator_looks_into_an_actor(browser_page: Page, own: Server) -> None:
    """With the keyboard: its attributes, its messages while it is traced, and back to its row."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    worker, details = (browser_page.locator(row(key)) for key in (WORKER, f"{WORKER} details"))
    await worker.focus()
    await browser_page.keyboard.press("i")
    held = details.locator(".attributes tr")
    await expect(held.filter(has_text="mailbox")).to_contain_text("MailboxSpec(capacity=256")
    await expect(details).not_to_contain_text("_life")
    messages = details.locator(".messages li")
    await expect(details.locator(".taken")).to_be_hidden()
    await details.get_by_role("button", name="Trace").click()
    await expect(details.locator(".taken")).to_contain_text("taken none")
    for task_id in (await scan(browser_page), await scan(browser_page)):
        await expect(messages.filter(has_text=task_id)).to_contain_text("Work")
    first = await messages.last.inner_text()
    await expect(messages.last).not_to_have_text(first)  # it grows older
    await expect(messages).to_have_count(2)
    await details.get_by_role("button", name="Stop trace").click()
    await expect(details.locator(".taken")).to_be_hidden()
    await expect(details.get_by_role("button", name="Trace", exact=True)).to_be_focused()
    await browser_page.keyboard.press("Escape")
    assert await focused(browser_page) == WORKER


async def test_only_what_is_open_is_asked_for(browser_page: Page, own: Server) -> None:
    """Each second while an actor is inspected; neither before nor after."""
    asked: list[str] = []
    browser_page.on("request", lambda sent: asked.append(sent.url))

    def looks() -> int:
        return sum("/actors/inspect" in url for url in asked)

    async def snapshots(number: int) -> None:
        uptime = browser_page.locator("#totals dd").last
        for _ in range(number):
            await expect(uptime).not_to_have_text(await uptime.inner_text())

    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    worker = browser_page.locator(row(WORKER))
    await worker.locator(".name-text").click()
    await snapshots(2)
    assert looks() == 0
    details = browser_page.locator(row(f"{WORKER} details"))
    await details.get_by_role("button", name="Inspect").click()
    await snapshots(3)
    assert 2 <= looks() <= 6
    await worker.locator(".name-text").click()
    await expect(details).to_have_count(0)
    before = looks()
    await snapshots(2)
    assert looks() == before


async def test_who_is_suspended_is_seen_and_resumed(browser_page: Page, own: Server) -> None:
    """The button suspends; scans wait and are shown waiting; the same button lets them go on."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    worker, details = (browser_page.locator(row(key)) for key in (WORKER, f"{WORKER} details"))
    await worker.locator(".name-text").click()
    await details.get_by_role("button", name="Suspend").click()
    await expect(browser_page.locator("#said")).to_contain_text("until somebody resumes it")
    await scan(browser_page)
    await expect(worker.locator(".c-mailbox")).to_contain_text("1/256")
    await expect(details).to_contain_text("takes nothing until it is resumed; 1 message waits")
    await details.get_by_role("button", name="Resume").click()
    await expect(worker.locator(".c-mailbox")).to_contain_text("0/256")
    await expect(details.get_by_role("button", name="Suspend")).to_be_visible()
    await expect(details).not_to_contain_text("takes nothing")


async def test_a_refusal_is_told_in_the_details(browser_page: Page, own: Server) -> None:
    """Why the server cannot be suspended; supervisors are not even offered it."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    http = browser_page.locator(row("/eco/http details"))
    await browser_page.locator(row("/eco/http")).locator(".name-text").click()
    await http.get_by_role("button", name="Suspend").click()
    await expect(http.get_by_role("status")).to_contain_text("cannot be suspended")
    await browser_page.locator(row(PIPELINE)).locator(".name-text").click()
    pipeline = browser_page.locator(row(f"{PIPELINE} details"))
    await expect(pipeline.get_by_role("button", name="Inspect")).to_be_visible()
    await expect(pipeline.get_by_role("button", name="Suspend")).to_be_hidden()


async def test_who_is_no_operator_sees_how_to_become_one(browser_page: Page, own: Server) -> None:
    """No look inside but a hint; after the login the buttons are there at once."""
    await opened(browser_page, f"{own.url}/observer")
    await browser_page.locator(row(WORKER)).locator(".name-text").click()
    details = browser_page.locator(row(f"{WORKER} details"))
    await expect(details.get_by_role("button", name="Inspect")).to_be_hidden()
    await expect(details.locator(".inspect-hint")).to_contain_text("An operator can look inside")
    await details.get_by_role("button", name="Log in").click()
    await browser_page.get_by_role("dialog").get_by_label("Token").fill(SECRET)
    await browser_page.keyboard.press("Enter")
    await details.get_by_role("button", name="Inspect").click()
    await expect(details.locator(".attributes")).to_contain_text("pool")
    await expect(details.locator(".inspect-hint")).to_be_hidden()


async def test_a_member_of_a_crowd_is_looked_into(browser_page: Page, own: Server) -> None:
    """The group has no inside, each of its members has."""
    async with thirty_connections(own):
        await opened(browser_page, f"{own.url}/observer?token={SECRET}")
        group = browser_page.locator(GROUP)
        await group.focus()
        await browser_page.keyboard.press("Enter")
        inside = browser_page.locator("#rows .details .inspect")
        await expect(inside).to_be_hidden()
        await browser_page.keyboard.press("ArrowRight")
        await browser_page.locator("#rows .more-row").click()
        await expect(browser_page.locator(MEMBERS)).to_have_count(31)
        path = "/eco/work/connections/9"
        await browser_page.locator(row(path)).focus()
        await browser_page.keyboard.press("i")
        details = browser_page.locator(row(f"{path} details"))
        await expect(details.locator(".attributes")).to_contain_text("transport")
        await details.get_by_role("button", name="Suspend").click()
        await details.get_by_role("button", name="Resume").click()
        await expect(details.get_by_role("button", name="Suspend")).to_be_visible()


async def test_hostile_state_stays_text(browser_page: Page, own: Server) -> None:
    """Whatever an actor holds or was told, the page shows it and runs none of it."""
    bad = '<img src=x onerror="window.hurt = 1"><b>\'&amp;' + "x" * 150
    told = {
        "path": WORKER, "kind": bad, "state": bad, "incarnation": 1, "suspended": False,
        "attributes": {bad: bad, "__proto__": bad},
        "trace": {"most": 5, "messages": [
            {"at": bad, "kind": bad, "text": bad, "ago_s": n} for n in (2, 1)
        ]},
    }  # fmt: skip
    await browser_page.route("**/actors/inspect?*", lambda route: route.fulfill(json=told))
    await browser_page.set_viewport_size({"width": 390, "height": 844})
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    await browser_page.locator(row(WORKER)).focus()
    await browser_page.keyboard.press("i")
    await expect(browser_page.locator(".attributes td")).to_have_text([bad, bad])
    await expect(browser_page.locator(".messages code")).to_have_text([bad, bad])
    assert await browser_page.evaluate("window.hurt") is None
    assert await browser_page.locator("#rows img, #rows b").count() == 0
    assert await browser_page.evaluate(WIDER) == 0
