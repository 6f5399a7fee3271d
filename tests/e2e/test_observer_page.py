"""The page at `/observer`, used as an operator uses it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.web.credentials import SECRET
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all of them

WORKER = "/eco/work/pipeline/rule/1"
PIPELINE = "/eco/work/pipeline"
EVERYBODY = (
    "/eco", "/eco/store", "/eco/work", "/eco/work/connections", PIPELINE, WORKER,
    "/eco/work/scans", "/eco/work/observer", "/eco/http",
)  # fmt: skip

GROUP = '#rows [data-type="group"]'
MEMBERS = '#rows [data-key^="/eco/work/connections/"][data-type="worker"]'
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def own(server: Callable[..., Server]) -> Server:
    """A server of this test alone, whose token is SECRET."""
    return server(env={"ECO_OPERATOR_TOKEN": SECRET})


@pytest.fixture
def observer_url(plain_server: Server) -> str:
    return f"{plain_server.url}/observer"


def row(path: str) -> str:
    """Selects an actor's line."""
    return f'#rows [data-key="{path}"]'


@asynccontextmanager
async def thirty_connections(server: Server) -> AsyncIterator[None]:
    """So many clients watch the tree."""
    port = urlsplit(server.url).port
    held: list[asyncio.StreamWriter] = []
    try:
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            held.append(writer)
            query = f"GET /stream?channel=system:actors HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            writer.write(query.encode())
            await reader.readuntil(b"eco.open")
        yield
    finally:
        for writer in held:
            writer.close()


async def opened(page: Page, url: str) -> None:
    await page.goto(url)
    await page.locator(row("/eco/http")).wait_for()


async def focused(page: Page) -> str | None:
    return await page.evaluate("document.activeElement.getAttribute('data-key')")  # type: ignore[no-any-return]  # an attribute is text


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
    await expect(store.locator(".c-mailbox")).to_contain_text("0/64")
    await expect(store.locator(".c-mailbox")).to_contain_text("buffer")
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
        await expect(line.locator(".c-restarts")).to_have_text("incarnation 2")
        told = browser_page.locator("#ticker li", has=browser_page.get_by_text(path, exact=True))
        await expect(told.last).to_contain_text("incarnation 2")
    await expect(browser_page.locator("#feed")).to_have_text("live")


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
        await expect(details.locator(".attributes")).to_contain_text("_transport")
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
