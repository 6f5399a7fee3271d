"""The page as an app: kept by its service worker for when the server does not answer."""

import pytest
from playwright.async_api import Page, Response, expect

from tests.e2e.following import until
from tests.e2e.shelling import (
    Shelled,
    app_page,
    fetched,
    heard,
    kept,
    opened,
    shelled,
    shelled_server,
    versions,
)
from tests.e2e.versions import Versions

__all__ = ["app_page", "shelled", "shelled_server", "versions"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all of them

SCAN = """async () => {
    const body = JSON.stringify({ category: "glass" });
    const headers = { "Content-Type": "application/json" };
    const { stream_url, result_url } = await (
        await fetch("scan/classify", { method: "POST", body, headers })
    ).json();
    const source = new EventSource(stream_url);
    const seen = [];
    await new Promise((resolve) => {
        source.onmessage = ({ data }) => seen.push(JSON.parse(data).seq) === 5 && resolve();
    });
    source.close();
    await (await fetch(result_url)).json();
    await (await fetch("scan/categories")).json();
    await (await fetch("metrics")).text();
    return seen;
}"""

NO_LONG_TIMERS = """
    const { setTimeout } = window;
    window.setTimeout = (act, ms, ...rest) => (ms < 15_000 ? setTimeout(act, ms, ...rest) : 0);
"""

WHOLE = "document.querySelector('h1').offsetParent && window.mark"


async def test_the_shell_is_kept_and_nothing_else(app_page: Page, shelled: Shelled) -> None:
    """The worker's scope is the page; its cache has the page's files, after a scan as before."""
    await opened(app_page, shelled.url)
    scope = "navigator.serviceWorker.ready.then(({ scope }) => scope)"
    assert await app_page.evaluate(scope) == f"{shelled.url}/"
    before = await kept(app_page)
    (addresses,) = before.values()
    names = {address.removeprefix(f"{shelled.url}/") for address in addresses}
    assert {"", "manifest.webmanifest", "static/app.js", "static/style.css"} <= names
    others = names - {"", "manifest.webmanifest"}
    assert all(name.startswith("static/") for name in others)
    assert not [name for name in names if "observer" in name or "screenshot" in name]
    assert await app_page.evaluate(SCAN) == [1, 2, 3, 4, 5]
    assert await kept(app_page) == before


async def test_no_answer_of_the_server_passes_through_the_worker(
    app_page: Page, shelled: Shelled
) -> None:
    """Scans, their streams and figures come straight from the server; only the shell does not."""
    await opened(app_page, shelled.url)
    through: dict[bool, set[str]] = {True: set(), False: set()}

    def note(response: Response) -> None:
        path = response.url.removeprefix(shelled.url).removeprefix("/").partition("/")[0]
        through[response.from_service_worker].add(path)

    app_page.on("response", note)
    await app_page.reload()
    await app_page.evaluate(SCAN)
    assert await fetched(app_page, "observer") == 200
    assert {"", "static"} <= through[True] <= {"", "static", "manifest.webmanifest"}
    assert {"scan", "metrics", "observer"} <= through[False]


async def test_without_its_server_the_page_comes_all_the_same(
    app_page: Page, shelled: Shelled
) -> None:
    """Stopped and reloaded: all of it is there, and says so; started again, it works as it is."""
    await opened(app_page, shelled.url)
    await shelled.close()
    failed: list[str] = []
    app_page.on("requestfailed", lambda sent: failed.append(sent.url))
    await app_page.reload()
    await until(app_page, WHOLE)
    await heard(app_page, "offline")
    assert [url for url in failed if "/static/" in url] == []
    await shelled.open()
    await heard(app_page, "online")
    assert await app_page.evaluate("heard") == ["offline", "online"]
    assert await app_page.evaluate(SCAN) == [1, 2, 3, 4, 5]


async def test_an_open_page_notices_that_its_server_is_gone(
    app_page: Page, shelled: Shelled
) -> None:
    """A request that nobody answers is reason enough to look; nothing is told while all is well."""
    await app_page.add_init_script(NO_LONG_TIMERS)
    await opened(app_page, shelled.url)
    assert await fetched(app_page, "scan/categories") == 200
    assert await app_page.evaluate("heard") == []
    await shelled.close()
    assert await fetched(app_page, "scan/categories") is None
    await heard(app_page, "offline")
    await shelled.open()
    await heard(app_page, "online")


async def test_what_the_browser_thinks_of_its_network_is_no_news_of_the_server(
    app_page: Page, shelled: Shelled
) -> None:
    """Its offline event alone tells nothing: the server answers."""
    await opened(app_page, shelled.url)
    looks = app_page.expect_response("**/healthz")
    async with looks as looked:
        await app_page.evaluate("void window.dispatchEvent(new Event('offline'))")
    assert (await looked.value).status == 200
    shell = "import('./static/shell.js').then(({ look }) => look())"
    assert await app_page.evaluate(shell) is True
    assert await app_page.evaluate("heard") == []


async def test_the_page_is_kept_whatever_its_query(app_page: Page, shelled: Shelled) -> None:
    """A kiosk that starts before its server has a page, too."""
    await opened(app_page, f"{shelled.url}/")
    await shelled.close()
    for query in ("", "?kiosk", "?kiosk&lang=en"):
        await app_page.goto("about:blank")
        await app_page.goto(f"{shelled.url}/{query}")
        await until(app_page, WHOLE)
        assert await app_page.evaluate("location.search") == query


async def test_a_proxy_without_a_server_behind_it_is_no_answer(
    app_page: Page, versions: Versions
) -> None:
    """502 for everything: the kept page comes, and knows."""
    await opened(app_page, versions.url)
    versions.status = 502
    await app_page.reload()
    await until(app_page, WHOLE)
    await heard(app_page, "offline")


async def test_a_server_that_hangs_is_not_waited_for(app_page: Page, versions: Versions) -> None:
    """Connected but never answered: after the worker's patience the kept page comes."""
    versions.make("impatient", patience_ms=300)
    versions.now = "impatient"
    await opened(app_page, versions.url)
    versions.silent = True
    await app_page.reload(wait_until="commit")
    await until(app_page, WHOLE)


async def test_the_observer_is_no_part_of_it(app_page: Page, shelled: Shelled) -> None:
    """Without a server there is no observer: the browser says so itself."""
    await opened(app_page, shelled.url)
    await shelled.close()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        await app_page.goto(f"{shelled.url}/observer")


async def test_the_offer_to_install_is_passed_on(app_page: Page, shelled: Shelled) -> None:
    """The browser's own bar is held back; the page asks when its user wants it."""
    await opened(app_page, shelled.url)
    offered = """async () => {
        const offer = new Event("beforeinstallprompt", { cancelable: true });
        offer.prompt = async () => ({ outcome: "accepted" });
        const told = new Promise((resolve) =>
            window.addEventListener("eco:installable", ({ detail }) => resolve(detail)));
        window.dispatchEvent(offer);
        const { prompt } = await told;
        const held = offer.defaultPrevented;
        window.dispatchEvent(new Event("appinstalled"));
        return [held, await prompt()];
    }"""
    assert await app_page.evaluate(offered) == [True, "accepted"]
    await heard(app_page, "installed")


async def test_a_page_that_is_not_trusted_with_a_worker_works_without(
    app_page: Page, shelled: Shelled
) -> None:
    """By http and another name than this machine's there is no worker; all else is as it was."""
    await app_page.add_init_script("delete Navigator.prototype.serviceWorker;")
    errors: list[str] = []
    app_page.on("pageerror", lambda error: errors.append(str(error)))
    await app_page.goto(shelled.url)
    await expect(app_page.locator("#start h1")).to_be_visible()
    assert await app_page.evaluate(SCAN) == [1, 2, 3, 4, 5]
    assert await kept(app_page) == {}
    assert errors == []
