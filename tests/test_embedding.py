"""`setup` mounts a server in somebody else's application, and takes it down without a trace."""

import asyncio
import logging
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from eco_actor import Config, setup
from tests.embedded import Host, blind
from tests.web.client import JPEG, data_of
from tests.web.held import PICTURE, Held


def browsing() -> aiohttp.ClientSession:
    """A client that keeps cookies, of addresses too."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


@pytest.mark.parametrize("prefix", ["eco", "/eco/../x", "/ä", "//", "/a b", "/{name}"])
def test_a_prefix_that_cannot_be_is_refused(prefix: str, tmp_path: Path) -> None:
    """Before anything is mounted."""
    app = web.Application()
    if prefix == "//":
        setup(app, prefix, blind(tmp_path))  # the root, said twice
        return
    with pytest.raises(ValueError, match="prefix is a path"):
        setup(app, prefix, blind(tmp_path))
    assert not list(app.router.resources())


async def test_the_hosts_routes_are_its_own(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Its pages, its 404, its 405, its middleware over all; none of our headers or checks."""
    host = Host()
    await host.mount(config=blind(tmp_path))
    async with host.running():
        client = host.client(session)
        evil = {"Host": "evil.example", "Origin": "http://evil.example"}
        answer = await client.post("/mine/a", data=b"x" * 70_000, headers=evil)
        assert (answer.status, len(answer.body)) == (200, 70_006)
        assert "Cache-Control" not in answer.headers
        missing = await client.get("/scan/classify")
        assert (missing.status, missing.body) == (404, b"the host has no such page")
        wrong = await client.ask("DELETE", "/mine/a")
        assert (wrong.status, wrong.headers["Content-Type"]) == (405, "text/plain; charset=utf-8")
        ours = await client.get("/eco/nothing")
        assert (ours.status, ours.json()["code"]) == (404, "not_found")
        assert ours.headers["Host-Was-Here"] == "1"


@pytest.mark.parametrize("prefix", ["", "/"])
async def test_at_the_root_the_hosts_routes_come_first(
    prefix: str, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Where it has none ours are; what neither has is the host's to say."""
    host = Host()
    await host.mount(prefix, blind(tmp_path))
    async with host.running():
        client = host.client(session)
        assert (await client.get("/")).body == b"mine: "
        assert (await client.get("/mine/a")).body == b"mine: "
        assert (await client.get("/nothing")).body == b"the host has no such page"
        assert (await client.ask("DELETE", "/mine/a")).headers["Allow"] == "GET,HEAD,POST"
        wrong = await client.ask("DELETE", "/healthz")
        assert (wrong.status, wrong.json()["code"]) == (405, "method_not_allowed")
        answer = await client.post(json={"category": "glass"})
        task_id = answer.json()["task_id"]
        assert answer.headers["Location"] == f"/scan/{task_id}/result"
        assert len(data_of(await client.events(task_id))) == 5
        assert b"<!doctype html>" in (await client.get("/observer")).body.lower()


async def test_two_in_one_application_know_nothing_of_each_other(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Each has its scans, its operator and its cookie; a third one is at the root."""
    host = Host()
    for prefix in ("/a", "/b", ""):
        token = f"the-token-of-{prefix or 'the root'}".replace(" ", "-").replace("/", "")
        await host.mount(prefix, blind(tmp_path / token, operator_token=token))
    async with host.running(), browsing() as browser:
        a, b = (host.client(session, prefix) for prefix in ("/a", "/b"))
        task_id = (await a.scanned())[0]
        assert (await a.get(f"/scan/{task_id}")).status == 200
        assert (await b.get(f"/scan/{task_id}")).status == 404
        cookies: set[str] = set()  # by name, because a browser sends those of "/" with all
        for prefix, others in (("/a", ("/b", "")), ("", ("/b",)), ("/b", ())):
            mine = host.client(browser, prefix)
            token = f"the-token-of-{prefix.strip('/') or 'the-root'}"
            answer = await mine.post("/login", json={"token": token})
            assert answer.status == 204
            cookies.add(answer.headers["Set-Cookie"].partition("=")[0])
            assert (await mine.get("/operator")).json() == {"operator": True}
            for other in others:
                told = await host.client(browser, other).get("/operator")
                assert told.json() == {"operator": False}, other
        assert len(cookies) == 3


async def test_addresses_in_answers_have_the_prefix(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Also where the application is itself a part of another one."""
    inner, host = web.Application(), Host()
    config = blind(tmp_path, operator_token="a-token-of-some-length")
    await asyncio.to_thread(setup, inner, "/eco/kiosk", config)
    host.app.add_subapp("/site", inner)
    base = "/site/eco/kiosk"
    async with host.running():
        client = host.client(session)
        answer = await client.post(f"{base}/scan/classify", json={"category": "glass"})
        told = answer.json()
        mine = f"{base}/scan/{told['task_id']}"
        assert [told[name] for name in ("stream_url", "events_url", "result_url")] == [
            f"{mine}/stream", f"{mine}/events", f"{mine}/result",
        ]  # fmt: skip
        assert answer.headers["Location"] == f"{mine}/result"
        async with session.get(f"{client.base}{told['stream_url']}") as response:
            assert b'"complete"' in await response.read()
        for path, there in ((base, f"{base}/"), (f"{base}?kiosk=1", f"{base}/?kiosk=1")):
            slash = await client.get(path)
            assert (slash.status, slash.headers["Location"]) == (302, there)
        page = await client.get(f"{base}/observer?token=a-token-of-some-length")
        assert (page.status, page.headers["Location"]) == (303, f"{base}/observer")
        assert f"Path={base}/;" in page.headers["Set-Cookie"]


async def test_the_pages_load_what_they_need_below_the_prefix(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Each address in them is relative, and answered there."""
    host = Host()
    await host.mount("/deep/eco", blind(tmp_path))
    async with host.running():
        client = host.client(session, "/deep/eco")
        for page in ("/", "/observer"):
            text = (await client.get(page)).body.decode()
            found = [part.split('"')[0] for part in text.replace('src="', 'href="').split('href="')]
            named = [each for each in found[1:] if not each.startswith(("#", "http", "data:"))]
            assert len(named) > 2
            for each in named:
                assert not each.startswith("/"), each
                assert (await client.get(f"/{each.removeprefix('./')}")).status == 200, each


async def test_it_is_called_by_the_names_that_it_was_told(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Others are 421, pages of others 403; both only below the prefix."""
    host = Host()
    await host.mount(config=blind(tmp_path, allowed_host=("kiosk.example",)))
    async with host.running():
        client = host.client(session, "/eco")
        for name, status in (("kiosk.example", 200), ("other.example", 421), ("localhost:1", 200)):
            assert (await client.get("/healthz", headers={"Host": name})).status == status
        foreign = {"Origin": "http://other.example"}
        refused = await client.post(json={"category": "glass"}, headers=foreign)
        assert (refused.status, refused.json()["code"]) == (403, "cross_origin")
        assert (await host.client(session).post("/mine/a", headers=foreign)).status == 200


async def test_a_hosts_bound_of_bodies_is_not_ours(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """It takes a kilobyte; a picture is larger, and so may an event be."""
    host, held = Host(client_max_size=1000), Held()
    held.gate.set()
    config = Config(data_dir=tmp_path, operator_token="a-token-of-some-length")
    await host.mount(config=config, classifier=held)
    bearer = {"Authorization": "Bearer a-token-of-some-length"}
    async with host.running():
        client = host.client(session, "/eco")
        padded = PICTURE + bytes(900_000)
        assert (await client.post(data=padded, headers=JPEG)).status == 202
        event = {"text": "x" * 30_000}
        told = await client.post("/channels/app:a/events", json=event, headers=bearer)
        assert told.status == 202
        assert (await host.client(session).post("/mine/a", data=bytes(2000))).status == 413


async def test_its_token_is_in_the_data_directory_and_not_in_the_log(
    tmp_path: Path, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of a host may go anywhere."""
    host = Host()
    await host.mount(config=blind(tmp_path))
    with caplog.at_level(logging.INFO):
        async with host.running():
            token = await asyncio.to_thread((tmp_path / "operator-token").read_text)
            client = host.client(session, "/eco")
            bearer = {"Authorization": f"Bearer {token.strip()}"}
            assert (await client.get("/operator", headers=bearer)).json() == {"operator": True}
    assert "mounted at /eco/" in caplog.text
    assert token.strip() not in caplog.text


async def test_after_its_life_it_answers_without_a_fault(
    tmp_path: Path, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests that come while the host goes are refused, not failed."""
    host = Host()
    await host.mount(config=blind(tmp_path))
    told: list[int] = []

    async def late(app: web.Application) -> None:
        """Behind all that ends: what such a request would be told."""
        made = make_mocked_request("GET", "/eco/healthz", headers={"Host": "localhost"}, app=app)
        for path in ("/eco/readyz", "/eco/actors", "/eco/metrics", "/eco/scan/x"):
            request = made.clone(rel_url=path)
            told.append((await host.app._handle(request)).status)

    host.app.on_cleanup.append(late)
    async with host.running():
        assert (await host.client(session, "/eco").get("/readyz")).status == 200
    assert told == [503, 200, 200, 404]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
