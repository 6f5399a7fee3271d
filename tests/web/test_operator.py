"""What the operator's token opens, and how a browser gets to show it."""

from collections.abc import AsyncIterator, Callable
from http.cookies import Morsel, SimpleCookie

import aiohttp
import pytest
from aiohttp import web

from eco_actor.web.operator import Operator
from tests.web.checks import check_problem
from tests.web.client import Answer, Client
from tests.web.credentials import CLOSED, NOBODY, OPENED, SECRET, bearer, tried
from tests.web.serving import Server


@pytest.fixture
def client(session: aiohttp.ClientSession, server: Callable[..., Server]) -> Client:
    """Talks to a server whose token is SECRET."""
    return Client(session, server(env={"ECO_OPERATOR_TOKEN": SECRET}).url)


def cookie_of(answer: Answer) -> "Morsel[str]":
    """The one cookie that an answer sets."""
    (line,) = answer.headers.getall("Set-Cookie")
    (morsel,) = SimpleCookie(line).values()
    return morsel


def as_header(morsel: "Morsel[str]") -> dict[str, str]:
    return {"Cookie": f"{morsel.key}={morsel.value}"}


# ---- what it opens


@pytest.mark.parametrize(
    "headers",
    [
        bearer(SECRET),
        {"Authorization": f"bearer  {SECRET} "},
        {"Authorization": f"BEARER {SECRET}", "Cookie": "eco_operator=x"},
    ],
)
async def test_the_token_opens(client: Client, headers: dict[str, str]) -> None:
    """In any spelling of the scheme."""
    assert await tried(client, headers) == OPENED


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        bearer(SECRET[:-1]),
        bearer(SECRET + "x"),
        bearer(SECRET.upper()),
        bearer("gül\udcff"),
        {"Cookie": f"eco_operator={SECRET}"},
        {"Cookie": f"eco_operator_PORT={SECRET}"},
        {"Cookie": "eco_operator_PORT="},
        {"Cookie": 'eco_operator_PORT="\\377"'},
    ],
)
async def test_nothing_else_opens(client: Client, headers: dict[str, str]) -> None:
    """401, before anything of the request is looked at."""
    port = client.base.rpartition(":")[2]
    headers = {name: value.replace("PORT", port) for name, value in headers.items()}
    assert await tried(client, headers) == CLOSED
    assert (await client.post("/actors/kill", data=b"{", headers=headers)).status == 401


# ---- logging in


async def test_a_login_is_a_cookie_that_opens(client: Client) -> None:
    """HttpOnly, SameSite=Strict, for all of the host's port, and nothing of the token in it."""
    answer = await client.post("/login", json={"token": SECRET})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    cookie = cookie_of(answer)
    assert cookie.key == "eco_operator_" + client.base.rpartition(":")[2]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert not cookie["secure"]
    assert not cookie["domain"]
    assert SECRET not in cookie.value
    assert await tried(client, as_header(cookie)) == OPENED
    evil = as_header(cookie) | {"Origin": "https://evil.example"}
    answer = await client.post("/actors/kill", json=NOBODY, headers=evil)
    check_problem(answer, 403, "cross_origin")


@pytest.mark.parametrize(
    ("headers", "name", "secure"),
    [
        ({"X-Forwarded-Proto": "https"}, "eco_operator_PORT", True),
        ({"X-Forwarded-Proto": "HTTPS, http"}, "eco_operator_PORT", True),
        ({"X-Forwarded-Proto": "http"}, "eco_operator_PORT", False),
        ({"Host": "localhost"}, "eco_operator", False),
        ({"Host": "localhost:9001"}, "eco_operator_9001", False),
    ],
)
async def test_the_cookie_is_for_the_address_that_the_browser_called(
    client: Client, headers: dict[str, str], name: str, secure: bool
) -> None:
    """Through a proxy or a tunnel that is not the address that the server listens on."""
    cookie = cookie_of(await client.post("/login", json={"token": SECRET}, headers=headers))
    assert cookie.key == name.replace("PORT", client.base.rpartition(":")[2])
    assert bool(cookie["secure"]) == secure
    assert await tried(client, headers | as_header(cookie)) == OPENED


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"token":"wrong"}', 401, "bad_token"),
        (b'{"token":""}', 401, "bad_token"),
        (b'{"token":"\\ud800"}', None, None),
        (b'{"token":"' + b"x" * 4_000 + b'"}', 401, "bad_token"),
        (b'{"token":"' + b"x" * 4_100 + b'"}', 413, "too_large"),
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"\xff", 400, "bad_json"),
        (b"[" * 10_000, None, None),
        (b"[]", 422, "bad_body"),
        (b"null", 422, "bad_body"),
        (b"{}", 422, "bad_body"),
        (b'{"token":1}', 422, "bad_body"),
        (b'{"token":null}', 422, "bad_body"),
        (b'{"token":"wrong","more":1}', 422, "bad_body"),
    ],
)
async def test_a_login_without_the_token_is_a_problem(
    client: Client, body: bytes, status: int | None, code: str | None
) -> None:
    """401 for a wrong one, 400 or 422 for none; no cookie comes of it."""
    answer = await client.post("/login", data=body)
    assert answer.status in (400, 401, 413, 422)
    check_problem(answer, status or answer.status, code)
    assert "Set-Cookie" not in answer.headers


async def test_a_logout_takes_the_cookie_back(client: Client) -> None:
    """204 with an empty cookie of the same name and path, that is over."""
    cookie = cookie_of(await client.post("/logout"))
    assert cookie.key == "eco_operator_" + client.base.rpartition(":")[2]
    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")


async def test_a_login_outlives_the_server_but_not_the_token(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """The cookie is good at the next start, and no longer once the token is another."""
    running = server()
    client = Client(session, running.url)
    file = running.data_dir / "operator-token"
    cookie = cookie_of(await client.post("/login", json={"token": file.read_text().strip()}))
    for spoil, becomes in ((False, OPENED), (True, CLOSED)):
        running.stop()
        if spoil:
            file.unlink()
        running.start()
        async with aiohttp.ClientSession() as again:  # the other still has connections to the dead
            assert await tried(Client(again, running.url), as_header(cookie)) == becomes


@pytest.fixture
async def page(session: aiohttp.ClientSession) -> AsyncIterator[Client]:
    """A page that logs in by its address, and nothing else."""
    operator = Operator(SECRET, None)
    operator.load()

    async def show(request: web.Request) -> web.StreamResponse:
        return operator.login_by_query(request) or web.json_response(operator.is_operator(request))

    app = web.Application()
    app.router.add_get("/observer", show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


@pytest.mark.parametrize(
    ("query", "there"),
    [
        (f"?token={SECRET}", "/observer"),
        (f"?token={SECRET}&lang=en&at=%2Feco", "/observer?lang=en&at=/eco"),
        (f"?lang=en&token={SECRET}&token=x", "/observer?lang=en"),
    ],
)
async def test_the_observers_address_logs_in_and_loses_the_token(
    page: Client, query: str, there: str
) -> None:
    """303 to the same page without it, so that it stays in no address bar and no history."""
    answer = await page.get(f"/observer{query}")
    assert (answer.status, answer.headers["Location"]) == (303, there)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    shown = await page.get(there, headers=as_header(cookie_of(answer)))
    assert shown.json() is True


@pytest.mark.parametrize("query", ["?token=wrong", "?token=", "?token=%ff", f"?token=x{SECRET}"])
async def test_an_address_with_a_wrong_token_shows_the_page_to_anybody(
    page: Client, query: str
) -> None:
    """303 as well, without a cookie: the page says that nobody is logged in."""
    answer = await page.get(f"/observer{query}")
    assert (answer.status, answer.headers["Location"]) == (303, "/observer")
    assert "Set-Cookie" not in answer.headers
    assert (await page.get("/observer")).json() is False


async def test_before_the_token_is_known_nobody_operates(session: aiohttp.ClientSession) -> None:
    """Not even who shows nothing."""
    operator = Operator(None, None)
    assert operator.observer_url("http://x") == "http://x/observer"
    operator.load()
    first = operator.observer_url("http://x")
    operator.load()
    assert operator.observer_url("http://x") != first
