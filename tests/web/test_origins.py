"""Pages of other sites: what they may not do, and what listed ones may."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.web.checks import check_problem
from tests.web.client import Answer, Client, is_data
from tests.web.raw import told
from tests.web.serving import Server

APP = "https://app.example"
LISTED = (APP, "http://localhost:3000", "capacitor://localhost")
JSON = {"Content-Type": "application/json"}
GLASS = b'{"category":"glass"}'


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one further name and three listed origins."""
    options = ["--allowed-host", "eco.example"]
    options += [word for origin in LISTED for word in ("--origin", origin)]
    shared = Server(tmp_path_factory.mktemp("strict"), options=options).start()
    yield shared
    shared.stop()


@pytest.fixture
def client(session: aiohttp.ClientSession, strict: Server) -> Client:
    return Client(session, strict.url)


SAME = "same-origin"
FROM = [  # the port stands for the server's own
    ({}, True),
    ({"Origin": "http://127.0.0.1:PORT"}, True),
    ({"Origin": "HTTP://127.0.0.1:PORT"}, True),
    ({"Origin": "http://127.0.0.1:PORT", "Sec-Fetch-Site": SAME}, True),
    ({"Origin": "https://127.0.0.1:PORT"}, True),
    ({"Host": "eco.example", "Origin": "https://eco.example"}, True),
    ({"Host": "eco.example", "Origin": "http://eco.example"}, True),
    ({"Host": "eco.example:443", "Origin": "https://eco.example"}, True),
    ({"Host": "eco.example", "Origin": "https://eco.example:443"}, True),
    ({"Host": "ECO.example.", "Origin": "https://eco.EXAMPLE"}, True),
    ({"Host": "[::1]:PORT", "Origin": "http://[::1]:PORT"}, True),
    ({"Host": "[0::1]:PORT", "Origin": "http://[::1]:PORT"}, True),
    ({"Origin": APP}, True),
    ({"Origin": f"{APP}:443", "Sec-Fetch-Site": "cross-site"}, True),
    ({"Origin": "http://localhost:3000"}, True),
    ({"Origin": "capacitor://localhost"}, True),
    ({"Sec-Fetch-Site": SAME}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "\udcff"}, False),
    ({"Origin": "http://\u212aey.example"}, False),
    ({"Sec-Fetch-Site": "\udcff"}, False),
    ({"Origin": "http://127.0.0.1"}, False),
    ({"Origin": "http://127.0.0.1:1"}, False),
    ({"Origin": "http://localhost:PORT"}, False),
    ({"Origin": "http://evil.example:PORT"}, False),
    ({"Origin": "http://127.0.0.1.evil.example:PORT"}, False),
    ({"Origin": "http://127.0.0.1:PORT.evil.example"}, False),
    ({"Origin": "http://127.0.0.1:PORT@evil.example"}, False),
    ({"Origin": "http://127.0.0.1:PORT/"}, False),
    ({"Origin": "http://127.0.0.1:PORT http://127.0.0.1:PORT"}, False),
    ({"Origin": "127.0.0.1:PORT"}, False),
    ({"Origin": "file://127.0.0.1:PORT"}, False),
    ({"Origin": "chrome-extension://127.0.0.1"}, False),
    ({"Host": "eco.example:443", "Origin": "http://eco.example"}, False),
    ({"Host": "eco.example", "Origin": "https://eco.example:8443"}, False),
    ({"Origin": "http://app.example"}, False),
    ({"Origin": f"{APP}.evil.example"}, False),
    ({"Origin": "http://localhost:3001"}, False),
    ({"Origin": "capacitor://evil"}, False),
    ({"Origin": "http://evil.example:PORT", "Sec-Fetch-Site": SAME}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "nonsense"}, False),
]


@pytest.mark.parametrize(("given", "welcome"), FROM)
async def test_who_may_change_something_is_seen_from_the_page(
    client: Client, strict: Server, given: dict[str, str], welcome: bool
) -> None:
    """Own pages, listed ones and no page at all; others get 403, before their body is looked at."""
    headers = {name: value.replace("PORT", str(strict.port)) for name, value in given.items()}
    answer = await client.post(data=GLASS, headers=headers | JSON)
    if welcome:
        assert answer.status == 202, answer.body
    else:
        detail = check_problem(answer, 403, "cross_origin")["detail"]
        assert any(word in detail for word in ("Origin: ", "--origin ", "Sec-Fetch-Site: "))
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_two_origins_are_none(strict: Server) -> None:
    """403, also when each of them would do."""
    head = "POST /scan/classify HTTP/1.1\r\nHost: localhost"
    head += f"\r\nContent-Type: application/json\r\nOrigin: {APP}\r\nOrigin: {APP}"
    assert told(strict.url, head, GLASS)[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/scan/classify", "/scan/x", "/login", "/nowhere"])
async def test_every_method_that_may_change_something_is_looked_at(
    client: Client, method: str, path: str
) -> None:
    """403 also where it would be 404 or 405."""
    answer = await client.ask(method, path, headers={"Origin": "https://evil.example"})
    if method == "BREW":  # which the parser does not know
        assert answer.status in (400, 403)
    else:
        check_problem(answer, 403, "cross_origin")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_any_page_may_ask_but_not_read(client: Client, origin: str) -> None:
    """GET is answered, without the header that would let a page see what."""
    for method in ("GET", "HEAD"):
        answer = await client.ask(method, "/scan/categories", headers={"Origin": origin})
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 200), (APP, 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_an_upgrade_is_looked_at_like_a_change(
    client: Client, origin: str | None, status: int
) -> None:
    """A WebSocket of another site's page is refused at its GET: no CORS would keep it out."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    headers |= {"Origin": origin} if origin else {}
    assert (await client.get("/healthz", headers=headers)).status == status


# ---- CORS


def check_shared(answer: Answer, origin: str) -> None:
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in answer.headers.getall("Vary")
    exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"Location", "Retry-After"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000", "capacitor://localhost"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/scan/categories", 200),
        ("GET", "/", 200),
        ("GET", "/static/app.js", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/healthz", 405),
        ("POST", "/scan/classify", 415),
        ("POST", "/actors/kill", 401),
        ("OPTIONS", "/healthz", 405),
    ],
)
async def test_a_listed_page_may_read_every_answer(
    client: Client, method: str, path: str, status: int, origin: str
) -> None:
    """Problems and files included, for exactly the origin that asks."""
    answer = await client.ask(method, path, headers={"Origin": origin})
    assert answer.status == status
    check_shared(answer, origin)


async def test_a_listed_page_may_follow_a_scan(client: Client) -> None:
    """From the POST to the end of the stream, and to the 204 behind it."""
    headers = {"Origin": APP}
    accepted = await client.post(data=GLASS, headers=headers | JSON)
    assert accepted.status == 202
    check_shared(accepted, APP)
    task_id = accepted.json()["task_id"]
    async with client.stream(task_id, headers=headers) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == APP
        messages = await stream.rest()
    last = [message.id for message in messages if is_data(message)][-1]
    over = await client.get(f"/scan/{task_id}/stream?after={last}", headers=headers)
    assert over.status == 204
    check_shared(over, APP)


ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize("path", ["/scan/classify", "/scan/x", "/nowhere"])
async def test_a_listed_page_is_told_what_it_may_send(client: Client, path: str) -> None:
    """A preflight is 204 with methods, headers and a time to keep it."""
    answer = await client.ask("OPTIONS", path, headers={"Origin": APP} | ASK)
    assert (answer.status, answer.body) == (204, b"")
    check_shared(answer, APP)
    methods = {word.strip() for word in answer.headers["Access-Control-Allow-Methods"].split(",")}
    assert methods >= {"GET", "POST", "DELETE", "PATCH"}
    headers = {word.strip() for word in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert headers == {"Content-Type", "Idempotency-Key", "Last-Event-ID", "Authorization"}
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{APP}.evil.example", ""])
async def test_other_pages_are_told_nothing(client: Client, origin: str) -> None:
    """Their preflight is what any OPTIONS is, without a header of CORS."""
    answer = await client.ask("OPTIONS", "/scan/classify", headers={"Origin": origin} | ASK)
    check_problem(answer, 405)
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


async def test_a_server_without_listed_origins_does_not_speak_of_them(plain: Client) -> None:
    """No header of CORS and no Vary."""
    answer = await plain.get("/scan/categories", headers={"Origin": APP})
    assert answer.status == 200
    assert not {"Vary", "Access-Control-Allow-Origin"} & {*answer.headers}
    check_problem(await plain.post(data=GLASS, headers=JSON | {"Origin": APP}), 403, "cross_origin")
