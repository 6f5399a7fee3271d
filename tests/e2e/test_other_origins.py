"""What a page of another site can make its reader's browser send here, by Chromium's own doing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, Response

from tests.client.between import Proxy
from tests.e2e.browsing import EVIL
from tests.e2e.paging import PATIENCE_MS
from tests.web.asking import kept
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

FORM = """([to, type, fields]) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: to, enctype: type });
    for (const [name, value] of Object.entries(fields)) {
        form.append(Object.assign(document.createElement("input"), { name, value }));
    }
    document.body.append(form);
    form.submit();
}"""

SANDBOX = """([to, script]) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `<body><script>(${script})(${JSON.stringify(to)})</script>`;
    document.body.append(frame);
}"""

FETCH = """async ([to, body, type, credentials]) => {
    const headers = { "Content-Type": type };
    const options = { method: "POST", mode: "no-cors", credentials, headers, body };
    return (await fetch(to, options)).type;
}"""

SOCKET = """(to) => new Promise((resolve) => {
    const socket = new WebSocket(to);
    socket.onopen = () => resolve("open");
    socket.onclose = () => resolve("closed");
})"""

SOURCE = """(to) => new Promise((resolve) => {
    const source = new EventSource(to);
    source.onopen = () => resolve("open");
    source.onerror = () => resolve(source.readyState === EventSource.CLOSED ? "closed" : "again");
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evil() -> AsyncIterator[str]:
    """Where the page of the other site is."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<title>evil</title><body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://{EVIL}:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def refused(response: Response) -> dict[str, Any]:
    """It was sent from another origin, and is 403."""
    told: dict[str, Any] = json.loads(await response.body())
    assert (response.status, told["code"]) == (403, "cross_origin"), told
    return told


FIELDS = {
    "text/plain": {'{"category":"glass","user_input":"': '"}'},
    "multipart/form-data": {"category": "glass"},
    "application/x-www-form-urlencoded": {"category": "glass"},
}


@pytest.mark.parametrize("enctype", FIELDS)
async def test_a_form_of_another_site_is_refused(
    browser_page: Page, plain_server: Server, evil: str, enctype: str
) -> None:
    """Sent without asking, as forms are; the server says 403, and has accepted nothing."""
    before = await asyncio.to_thread(kept, plain_server)
    for path in ("/scan/classify", "/login", "/channels/app:x/events"):
        await browser_page.goto(evil)
        url = plain_server.url + path
        async with browser_page.expect_response(url) as answered:
            await browser_page.evaluate(FORM, [url, enctype, FIELDS[enctype]])
        response = await answered.value
        await refused(response)
        headers = await response.request.all_headers()
        assert headers["origin"] == evil.removesuffix("/")
        assert headers["sec-fetch-site"] == "cross-site"
        assert headers["content-type"].split(";")[0] == enctype
    assert await asyncio.to_thread(kept, plain_server) == before


async def test_a_script_of_another_site_is_refused(
    browser_page: Page, plain_server: Server, evil: str
) -> None:
    """What it may send blindly is 403; what it has to ask for first is never sent."""
    before = await asyncio.to_thread(kept, plain_server)
    await browser_page.goto(evil)
    url = f"{plain_server.url}/scan/classify"
    for credentials in ("include", "omit"):
        asked = [url, '{"category":"glass"}', "text/plain", credentials]
        async with browser_page.expect_response(url) as answered:
            assert await browser_page.evaluate(FETCH, asked) == "opaque"
        assert (await answered.value).status == 403
    sent: list[str] = []
    browser_page.on("request", lambda request: sent.append(request.method))
    with pytest.raises(Exception, match="Failed to fetch"):
        await browser_page.evaluate(
            "(to) => fetch(to, { method: 'POST', body: '{}',"
            " headers: { 'Content-Type': 'application/json' } })",
            url,
        )
    async with browser_page.expect_response(url) as answered:
        assert await browser_page.evaluate("(to) => navigator.sendBeacon(to, 'x')", url)
    assert (await answered.value).status == 403
    assert await asyncio.to_thread(kept, plain_server) == before


async def test_a_page_without_an_origin_is_refused(
    browser_page: Page, plain_server: Server, evil: str
) -> None:
    """A sandboxed frame sends `Origin: null`, which is nobody.

    Read on the way: the browser's own tools do not see all requests of a frame of this kind.
    """
    way = Proxy(plain_server.url, lambda: None)
    async with asyncio.timeout(PATIENCE_MS / 1000), way.running():
        await browser_page.goto(evil)
        given = [f"{way.url}/scan/classify", "text/plain", FIELDS["text/plain"]]
        await browser_page.evaluate(SANDBOX, [given, FORM])
        while not any(said.endswith(b"}") for said in way.said):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (said,) = (each for each in way.said if each)
        head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body)["code"] == "cross_origin"
    assert "'null'" in json.loads(body)["detail"]


async def test_no_stream_is_read_by_another_site(
    browser_page: Page, plain_server: Server, evil: str
) -> None:
    """A WebSocket is refused at its handshake; what an EventSource got it cannot read."""
    await browser_page.goto(evil)
    host = plain_server.url.removeprefix("http://")
    assert await browser_page.evaluate(SOCKET, f"ws://{host}/ws?channel=app:x") == "closed"
    assert await browser_page.evaluate(SOURCE, f"http://{host}/stream?channel=app:x") == "closed"
    with pytest.raises(Exception, match="Failed to fetch"):
        await browser_page.evaluate("(to) => fetch(to)", f"http://{host}/scan/categories")
    await browser_page.goto(plain_server.url)  # where both are allowed
    assert await browser_page.evaluate(SOCKET, f"ws://{host}/ws?channel=app:x") == "open"
    assert await browser_page.evaluate(SOURCE, f"http://{host}/stream?channel=app:x") == "open"


async def test_a_name_that_was_rebound_is_another_server(
    browser_page: Page, plain_server: Server
) -> None:
    """Under the other site's name the server is of the page's own origin, and answers 421."""
    there = f"http://{EVIL}:{plain_server.port}"
    for path in ("/", "/scan/categories", "/observer", "/stream?channel=app:x"):
        response = await browser_page.goto(there + path)
        assert response is not None
        assert response.status == 421
        assert json.loads(await response.body())["code"] == "wrong_host"
    assert await browser_page.evaluate(SOCKET, f"ws://{EVIL}:{plain_server.port}/ws") == "closed"
