"""By which names the server may be called, and how names and origins are set."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from eco_actor.app import Eco
from eco_actor.config import Config, ConfigError
from tests.web.checks import check_problem
from tests.web.held import Running
from tests.web.raw import told
from tests.web.serving import Server

APP = "https://app.example"
NAMES = ("eco.example", "203.0.113.7", "[2001:db8::7]")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three further names."""
    options = [word for name in NAMES for word in ("--allowed-host", name)]
    shared = Server(tmp_path_factory.mktemp("named"), options=options).start()
    yield shared
    shared.stop()


OWN = [
    "localhost", "localhost:1", "LocalHost:8080", "localhost.", "localhost.:80", "localhost:",
    "127.0.0.1", "127.9.8.7:80", "127.0.0.1.", "[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "eco.example", "ECO.example.:443", "203.0.113.7:81",
    "[2001:DB8:0::7]",
]  # fmt: skip
WRONG = [
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "eco.example.evil",
    "sub.eco.example", "notlocalhost", "localhost..", "192.0.2.1", "[2001:db8::1]", "0.0.0.0",
    "[::]", "2130706433", "0x7f.1", "127.1", "127.0.0.01", "app.example", "evil.example:8080",
]  # fmt: skip
NONE = [
    "", "a b", "localhost,evil.example", "localhost:x", "localhost:65536", "localhost:-1",
    "localhost:80:80", "::1", "[::1", "[::1]x", "[]", "[nonsense]", "[127.0.0.1]", "[::1%25lo]",
    "http://localhost", "user@localhost", "localhost/", "lücalhost", "%6cocalhost", ".", ":80",
    "localhost\\evil.example", "*", "x" * 5000 + "!",
]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_a_name_of_this_server_is_served(named: Server, host: str) -> None:
    """Loopback names and allowed ones, at any port, in any spelling."""
    assert told(named.url, f"GET /healthz HTTP/1.1\r\nHost: {host}")[0] == 200


@pytest.mark.parametrize("host", WRONG)
def test_another_name_is_misdirected(named: Server, host: str) -> None:
    """421, with a sentence that has the name and says what would make it one of ours."""
    status, headers, body = told(named.url, f"GET /healthz HTTP/1.1\r\nHost: {host}")
    problem = json.loads(body)
    assert (status, problem["code"]) == (421, "wrong_host")
    assert "--allowed-host" in problem["detail"]
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", NONE)
def test_what_is_no_host_is_a_bad_request(named: Server, host: str) -> None:
    """400 for an empty or malformed one."""
    status, _, body = told(named.url, f"GET /healthz HTTP/1.1\r\nHost: {host}")
    assert status == 400
    assert json.loads(body)["code"] == "bad_host"


@pytest.mark.parametrize(
    "head",
    [
        "GET /healthz HTTP/1.0",
        "GET /healthz HTTP/1.1",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
        "GET http://localhost/healthz HTTP/1.0",
    ],
)
def test_one_host_is_needed(named: Server, head: str) -> None:
    """400 for none and for two, also of the same name, also in the old protocol."""
    assert told(named.url, head)[0] == 400


@pytest.mark.parametrize(
    "line",
    [
        "GET /",
        "GET /static/app.js",
        "GET /nowhere",
        "GET /scan/nobody/stream",
        "POST /scan/classify",
        "PUT /scan/classify",
        "OPTIONS /healthz",
        "GET http://localhost/healthz",
        "POST /actors/kill",
        "GET /observer?token=x",
    ],
)
def test_the_name_is_looked_at_before_anything_else(named: Server, line: str) -> None:
    """Pages, files, streams, what is not there and what is not allowed: all 421."""
    head = f"{line} HTTP/1.1\r\nHost: evil.example\r\nOrigin: {APP}"
    assert told(named.url, head)[0] == 421


@pytest.mark.parametrize(
    ("name", "status"),
    [("localhost", 200), ("ECO.example:80", 200), ("[::1]:8080", 200), ("evil.example", 421),
     ("localhost.evil.example:80", 421), ("user@localhost", 400), ("localhost:x", 400)],
)  # fmt: skip
def test_a_whole_address_names_a_host_too(named: Server, name: str, status: int) -> None:
    """As a proxy may send it: its name has to be one of ours as well."""
    told_status, headers, _ = told(
        named.url, f"GET http://{name}/healthz HTTP/1.1\r\nHost: localhost"
    )
    assert (told_status, headers["cache-control"]) == (status, "no-store")


@pytest.mark.parametrize(
    ("host", "names", "others"),
    [
        ("0.0.0.0", ["192.0.2.1", "[2001:db8::1]:1", "0.0.0.0", socket.gethostname()], ["evil"]),
        ("127.0.0.1", ["localhost"], ["192.0.2.1", "0.0.0.0"]),
        ("::1", ["[::1]", "127.0.0.1"], ["[::2]"]),
        ("localhost", ["localhost"], ["192.0.2.1"]),
    ],
)
async def test_what_it_is_bound_to_is_its_name(
    make: Callable[..., Eco], running: Running, host: str, names: list[str], others: list[str]
) -> None:
    """Bound to all addresses it takes every address, which no DNS can point elsewhere."""
    eco = await asyncio.to_thread(make, host=host, insecure=True)
    async with running(eco) as client:
        for name in names:
            assert (await client.get("/healthz", headers={"Host": name})).status == 200, name
        for name in others:
            check_problem(await client.get("/healthz", headers={"Host": name}), 421, "wrong_host")


# ---- settings


@pytest.mark.parametrize(
    "text",
    ["app.example", "https://", "https://app.example/", "https://app.example/x", "null", "*", "",
     "https://*.example", "https://app.example:x", "https://app.example:99999", "https://a b",
     "https://user@app.example", "https://app.example?x", "//app.example", "https://[::"],
)  # fmt: skip
def test_an_origin_that_is_none_is_named(text: str) -> None:
    """A sentence with the option, its form and what was given instead."""
    with pytest.raises(ConfigError) as error:
        Eco(Config(vision=False, origin=(text,)))
    for word in ("--origin", "scheme://host", repr(text)):
        assert word in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["http://eco.example", "eco.example:80", "eco.example:", "eco.example/", "*", "a b", "",
     "[::1]:80", "*.example", "öko.example", "user@eco.example"],
)  # fmt: skip
def test_a_name_that_is_none_is_named(text: str) -> None:
    """A sentence with the option, its form and what was given instead."""
    with pytest.raises(ConfigError) as error:
        Eco(Config(vision=False, allowed_host=(text,)))
    for word in ("--allowed-host", "without scheme and port", repr(text)):
        assert word in str(error.value)


def test_names_and_origins_come_from_the_environment(server: Callable[..., Server]) -> None:
    """Separated by commas; an option replaces the variable."""
    env = {"ECO_ALLOWED_HOST": "one.example, two.example", "ECO_ORIGIN": f"{APP},http://b.example"}
    running = server(env=env, options=["--origin", "http://c.example"])
    for name, status in [("one.example", 200), ("two.example:1", 200), ("three.example", 421)]:
        assert told(running.url, f"GET /healthz HTTP/1.1\r\nHost: {name}")[0] == status
    for origin, shown in [("http://c.example", "http://c.example"), (APP, None)]:
        head = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}"
        assert told(running.url, head)[1].get("access-control-allow-origin") == shown
