"""The page at `/observer`, used as an operator uses it."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.observing import (
    EVERYBODY,
    GROUP,
    MEMBERS,
    PIPELINE,
    WIDER,
    WORKER,
    focused,
    observer_url,
    opened,
    own,
    row,
    thirty_connections,
)
from tests.web.credentials import SECRET
from tests.web.serving import Server

__all__ = ["GROUP", "WORKER", "observer_url", "opened", "own", "row", "thirty_connections"]

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them


async def test_the_page_shows_the_tree(browser_page: Page, observer_url: str) -> None:
    """Every actor in its place, with its state, mailbox and rule; totals; nobody complains."""
    complaints: list[str] = []
    hosts: set[str] = set()
    browser_page.on("pageerror", lambda error: complaints.append(str(error)))
    browser_page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None,
    )
    browser_page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    await opened(browser_page, observer_url)
    for path in EVERYBODY:
        line = browser_page.locator(row(path))
        await expect(line).to_have_attribute("aria-level", str(path.count("/")))
        await expect(line.locator(".c-state")).to_have_text("running")
    store = browser_page.locator(row("/eco/store"))
    await expect(store.locator(".c-mailbox")).to_contain_text("0/1")
    await expect(store.locator(".c-mailbox")).to_contain_text("latest")
    await expect(browser_page.locator("#feed")).to_have_text("live")
    shown = await browser_page.locator("#totals").inner_text()
    for name in ("Actors", "Messages/s", "Restarts", "Dead letters", "Loop lag"):
        assert name in shown
    assert complaints == []
    assert hosts == {urlsplit(observer_url).netloc}


async def test_a_killed_worker_comes_back_before_the_eyes(browser_page: Page, own: Server) -> None:
    """Kill, and the row says incarnation 2, pulses, and the ticker tells it; and once more."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    assert "token" not in browser_page.url
    worker = browser_page.locator(row(WORKER))
    kill = worker.get_by_role("button", name=f"Kill {WORKER}")
    await expect(worker.locator(".c-restarts")).to_have_text("1")
    for incarnation in (2, 3):
        await kill.click()
        told = f"incarnation {incarnation}"
        await expect(worker.locator(".c-restarts")).to_have_text(told)
        await expect(worker.locator(".c-state")).to_have_text("running")
        await expect(worker.locator(".c-error")).to_have_text("killed")
        await expect(browser_page.locator("#ticker li").first).to_contain_text(told)
    await expect(browser_page.locator("#ticker li").first).to_contain_text(WORKER)
    await expect(browser_page.locator("#ticker li")).to_have_count(2)
    assert "pulse" in (await worker.get_attribute("class") or "")
    await expect(worker).to_have_attribute("data-fresh", "")


async def test_a_supervisor_is_killed_on_the_second_press(browser_page: Page, own: Server) -> None:
    """The first press says how many go with it; the second kills, and all of them are new."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    pipeline = browser_page.locator(row(PIPELINE))
    kill = pipeline.get_by_role("button")
    await kill.click()
    await expect(kill).to_have_text("With 8 below?")
    await expect(pipeline.locator(".c-restarts")).to_have_text("1")
    await kill.click()
    await expect(pipeline.locator(".c-restarts")).to_have_text("incarnation 2")
    await expect(browser_page.locator(row(WORKER))).to_be_visible()
    await expect(kill).to_have_text("Kill")


async def test_who_is_no_operator_is_asked_for_the_token(browser_page: Page, own: Server) -> None:
    """The button explains; a wrong token is told as one, the right one opens."""
    await opened(browser_page, f"{own.url}/observer")
    kill = browser_page.locator(row(WORKER)).get_by_role("button")
    await kill.click()
    dialog = browser_page.get_by_role("dialog")
    await expect(dialog).to_contain_text("operator-token")
    await dialog.get_by_label("Token").fill("not-the-token")
    await dialog.get_by_role("button", name="Log in").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("not the operator's token")
    await dialog.get_by_label("Token").fill(SECRET)
    await browser_page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(browser_page.locator("#operator")).to_have_text("Operator")
    await kill.click()
    restarts = browser_page.locator(row(WORKER)).locator(".c-restarts")
    await expect(restarts).to_have_text("incarnation 2")


async def test_the_tree_is_usable_with_the_keyboard_alone(
    browser_page: Page, observer_url: str
) -> None:
    """Arrows move, close and open; Enter shows details; a slash goes to the filter."""
    await opened(browser_page, observer_url)
    keyboard = browser_page.keyboard
    await browser_page.locator(row("/eco")).focus()
    await keyboard.press("ArrowDown")
    assert await focused(browser_page) == "/eco/store"
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowLeft")
    work = browser_page.locator(row("/eco/work"))
    await expect(work).to_have_attribute("aria-expanded", "false")
    await expect(browser_page.locator(row(PIPELINE))).to_have_count(0)
    await keyboard.press("ArrowRight")
    await expect(work).to_have_attribute("aria-expanded", "true")
    await expect(browser_page.locator(row(PIPELINE))).to_be_visible()
    await keyboard.press("ArrowRight")
    assert await focused(browser_page) == "/eco/work/connections"
    await keyboard.press("ArrowLeft")
    await keyboard.press("ArrowLeft")
    assert await focused(browser_page) == "/eco/work"
    await keyboard.press("Enter")
    await expect(browser_page.locator(row("/eco/work details"))).to_contain_text("0 offered")
    await keyboard.press("End")
    assert await focused(browser_page) == "/eco/http"
    uptime = browser_page.locator("#totals dd").last
    before = await uptime.inner_text()
    await expect(uptime).not_to_have_text(before)  # a snapshot came, and the focus stayed
    assert await focused(browser_page) == "/eco/http"
    await keyboard.press("/")
    await expect(browser_page.locator("#filter")).to_be_focused()


async def test_the_filter_keeps_what_fits_and_all_above_it(
    browser_page: Page, observer_url: str
) -> None:
    """By path or kind; without a match it says so."""
    await opened(browser_page, observer_url)
    field = browser_page.locator("#filter")
    lines = browser_page.locator("#rows [role=row]")
    await field.fill("recovery")
    await expect(lines).to_have_count(3)
    await expect(browser_page.locator(row("/eco/work/recovery"))).to_be_visible()
    await field.fill("nobody is called that")
    await expect(lines).to_have_count(0)
    await expect(browser_page.locator("#empty")).to_contain_text("Nothing fits")
    await field.fill("")
    await expect(browser_page.locator(row("/eco/http"))).to_be_visible()


async def test_pause_holds_the_picture_and_resume_catches_up(
    browser_page: Page, own: Server
) -> None:
    """While paused a restart is not shown, which another page shows; afterwards it is."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    other = await browser_page.context.new_page()
    await opened(other, f"{own.url}/observer")
    pause = browser_page.get_by_role("button", name="Pause")
    worker = browser_page.locator(row(WORKER))
    uptime = browser_page.locator("#totals dd").last
    await pause.click()
    before = await uptime.inner_text()
    await worker.get_by_role("button").click()
    await expect(browser_page.locator("#said")).to_contain_text("Killed")
    there = other.locator(row(WORKER)).locator(".c-restarts")
    await expect(there).to_have_text("incarnation 2")
    assert await uptime.inner_text() == before
    await expect(worker.locator(".c-restarts")).to_have_text("1")
    await browser_page.get_by_role("button", name="Resume").click()
    await expect(worker.locator(".c-restarts")).to_have_text("incarnation 2")


async def test_a_server_that_was_killed_is_found_again(browser_page: Page, own: Server) -> None:
    """The page says that the connection is lost, keeps the last picture, and comes back alone."""
    await opened(browser_page, f"{own.url}/observer")
    own.kill()
    await expect(browser_page.locator("#feed")).to_contain_text("connection lost, retrying")
    await expect(browser_page.locator(row(WORKER))).to_be_visible()
    await asyncio.to_thread(own.start)
    await expect(browser_page.locator("#feed")).to_have_text("live")
    await expect(browser_page.locator(row(WORKER))).to_be_visible()


async def test_a_crowd_is_one_row_that_opens(
    browser_page: Page, observer_url: str, plain_server: Server
) -> None:
    """Thirty connections fold; opened, the row shows some, and the rest on demand."""
    async with thirty_connections(plain_server):
        await opened(browser_page, observer_url)
        group = browser_page.locator(GROUP)
        await expect(group).to_contain_text("Connection × 31")
        await group.click()
        await expect(group).to_have_attribute("aria-expanded", "true")
        members = browser_page.locator(MEMBERS)
        more = browser_page.locator("#rows .more-row")
        await expect(members.first).to_be_visible()
        await more.click()
        await expect(members).to_have_count(31)
        await expect(more).to_have_count(0)


@pytest.mark.parametrize("width", [390, 640, 820, 980, 1240, 1920])
async def test_the_page_fits_any_width(browser: Browser, observer_url: str, width: int) -> None:
    """Nothing makes the page scroll sideways, and no part of a row sticks out of it."""
    context = await browser.new_context(viewport={"width": width, "height": 844})
    page = await context.new_page()
    await opened(page, observer_url)
    await page.locator(row(WORKER)).locator(".name-text").click()
    await page.locator(row(f"{WORKER} details")).wait_for()
    assert await page.evaluate(WIDER) == 0
    out = await page.evaluate(
        "Math.max(...Array.from(document.querySelectorAll('#rows .row *'),"
        " (node) => node.getBoundingClientRect().right)) - window.innerWidth"
    )
    assert out <= 0
    await context.close()


async def test_hostile_text_stays_text(browser_page: Page, observer_url: str) -> None:
    """Whatever an actor's last error holds, the page shows it and runs none of it."""
    bad = '<img src=x onerror="window.hurt = 1"><b>\'&amp;'

    async def answer(route: Route) -> None:
        box = dict.fromkeys(
            ("depth", "high_water", "offered", "accepted", "handled", "refused", "dropped",
             "replaced", "coalesced", "dead", "expired"), 0,
        )  # fmt: skip
        line = {
            "path": f"/eco{bad}", "kind": bad, "incarnation": 1, "state": bad, "restarts": 0,
            "last_error": bad, "mailbox": {**box, "capacity": 1, "overflow": bad}, "rate": None,
            "level": 1,
        }  # fmt: skip
        told = {
            "at": "2026-01-01T00:00:00.000Z", "uptime_s": 1, "actors": 1, "jobs": 0,
            "dead_letters": 0, "restarts": 0, "rate": None, "lag_ms": 0, "watchers": 1,
            "recent": [{"at": bad, "path": bad, "incarnation": 2, "reason": bad}], "rows": [line],
        }  # fmt: skip
        body = f"data: {json.dumps({'channel': 'system:actors', 'cursor': None, 'data': told})}\n\n"
        await route.fulfill(content_type="text/event-stream", body=body)

    await browser_page.route("**/stream?*", answer)
    await browser_page.goto(observer_url)
    line = browser_page.locator("#rows .row").first
    await expect(line.locator(".c-error")).to_have_text(bad)
    await line.locator(".name-text").click()
    await expect(browser_page.locator(".error-full")).to_have_text(bad)
    assert await browser_page.evaluate("window.hurt") is None
    assert await browser_page.locator("#rows img, #rows b, #ticker img").count() == 0


async def test_even_the_observer_may_be_killed(browser_page: Page, own: Server) -> None:
    """With all of `work`, connections and observer included: the page comes back and tells it."""
    await opened(browser_page, f"{own.url}/observer?token={SECRET}")
    for path, presses in (("/eco/work/observer", 1), ("/eco/work", 2)):
        line = browser_page.locator(row(path))
        for _ in range(presses):
            await line.get_by_role("button").click()
        # Whoever is told to come back is told when: up to seven seconds later, not all at once.
        await expect(line.locator(".c-restarts")).to_have_text("incarnation 2", timeout=15_000)
        told = browser_page.locator("#ticker li", has=browser_page.get_by_text(path, exact=True))
        await expect(told.last).to_contain_text("incarnation 2")
    await expect(browser_page.locator("#feed")).to_have_text("live")
