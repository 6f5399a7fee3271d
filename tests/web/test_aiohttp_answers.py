"""What is answered before any handler of ours has a say is a problem like all others."""

import json
from typing import Any

import aiohttp
import pytest

from tests.web.client import Client, say
from tests.web.raw import answered, connected, parsed, told
from tests.web.serving import Server

HOST = "\r\nHost: localhost"
LONG = "x" * 20_000

POST = f"POST /scan/classify HTTP/1.1{HOST}\r\nContent-Type: application/json"

MALFORMED = {
    "nonsense": (b"nonsense\r\n\r\n", 400, "bad_request"),
    "a method that there is not": (
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        400,
        "bad_request",
    ),
    "a version that there is not": (b"GET / HTTP/9.9\r\n\r\n", 400, "bad_request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_request"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "a header without a name": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n",
        400,
        "bad_request",
    ),
    "a negative length": (f"{POST}\r\nContent-Length: -1\r\n\r\n".encode(), 400, "bad_request"),
    "two lengths": (
        f"{POST}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".encode(),
        400,
        "bad_request",
    ),
    "a length and chunks": (
        f"{POST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
        400,
        "bad_request",
    ),
    "a long target": (
        f"GET /{LONG} HTTP/1.1{HOST}\r\n\r\n".encode(),
        414,
        "uri_too_long",
    ),
    "a long query": (
        f"GET /scan/x/stream?after={LONG} HTTP/1.1{HOST}\r\n\r\n".encode(),
        414,
        "uri_too_long",
    ),
    "a long header": (
        f"GET / HTTP/1.1{HOST}\r\nX: {LONG}\r\n\r\n".encode(),
        431,
        "headers_too_large",
    ),
    "a header with a long name": (
        f"GET / HTTP/1.1{HOST}\r\n{LONG}: x\r\n\r\n".encode(),
        431,
        "headers_too_large",
    ),
    "many headers": (
        f"GET / HTTP/1.1{HOST}\r\n{'X: y' + chr(13) + chr(10)}".encode()
        + b"X: y\r\n" * 10_000
        + b"\r\n",
        431,
        "headers_too_large",
    ),
}


@pytest.fixture
def base(plain_server: Server) -> str:
    return plain_server.url


def check(answer: tuple[int, dict[str, str], bytes], status: int, code: str) -> dict[str, Any]:
    """It is this problem, and nobody is to store it; returns its fields."""
    got, headers, body = answer
    assert got == status, answer
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert int(headers["content-length"]) == len(body)
    problem: dict[str, Any] = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:eco:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_request_is_told_so_in_a_problem(base: str, what: str) -> None:
    """400, 414 or 431 with a stable code, and the end of the connection."""
    raw, status, code = MALFORMED[what]
    check(answered(base, raw), status, code)


def test_a_wrong_request_behind_a_good_one_has_its_own_answer(base: str) -> None:
    """The connection was good for one, and ends with the other."""
    good = f"GET /healthz HTTP/1.1{HOST}\r\n\r\n".encode()
    with connected(base) as peer, peer.makefile("rb") as file:
        peer.sendall(good)
        assert file.readline() == b"HTTP/1.1 200 OK\r\n"
        while not file.readline().startswith(b"\r\n"):
            pass
        assert file.read(len(b'{"status":"ok"}')) == b'{"status":"ok"}'
        peer.sendall(b"nonsense\r\n\r\n")
        check(parsed(file.read()), 400, "bad_request")


@pytest.mark.parametrize(
    "line",
    [
        "GET /healthz",
        "POST /scan/classify",
        "GET /nowhere",
        "PUT /healthz",
        "GET /static/app.js",
        "GET /stream?channel=app:x",
        "GET /ws",
    ],
)
def test_an_expectation_that_nobody_knows_fails_in_a_problem(base: str, line: str) -> None:
    """417, wherever it goes."""
    answer = told(base, f"{line} HTTP/1.1{HOST}\r\nExpect: 100-wrong")
    check(answer, 417, "expectation_failed")


async def test_who_expects_100_is_told_to_go_on(base: str, session: aiohttp.ClientSession) -> None:
    """As the standard has it, before the body is there."""
    head = f"{POST}\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n".encode()
    assert await say(Client(session, base), head) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/scan", "/scan/x/y", "/static/", "/static/no.js", "//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_an_unknown_path_is_a_problem(base: str, method: str, path: str) -> None:
    """404 with the code not_found; or 405 where other methods have the path."""
    answer = told(base, f"{method} {path} HTTP/1.1{HOST}")
    if answer[0] == 405:
        check(answer, 405, "method_not_allowed")
    else:
        check(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/healthz", "GET,HEAD"),
        ("PUT", "/scan/classify", "POST"),
        ("OPTIONS", "/scan/classify", "POST"),
        ("OPTIONS", "/healthz", "GET,HEAD"),
        ("HEAD", "/scan/classify", "POST"),
        ("HEAD", "/stream", "GET"),
        ("HEAD", "/scan/x/events", "GET"),
        ("PATCH", "/scan/x", "DELETE,GET,HEAD"),
        ("POST", "/ws", "GET"),
        ("DELETE", "/static/app.js", "GET,HEAD"),
        ("PUT", "/channels/app:x/events", "GET,POST"),
        ("PROPFIND", "/drain", "DELETE,GET,HEAD,POST"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_named_with_those_it_has(
    base: str, method: str, path: str, allowed: str
) -> None:
    """405 with Allow; to a HEAD without the body."""
    answer = told(base, f"{method} {path} HTTP/1.1{HOST}")
    assert answer[1]["allow"] == allowed
    if method == "HEAD":
        assert (answer[0], answer[2]) == (405, b"")
        assert answer[1]["content-type"] == "application/problem+json"
    else:
        check(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path", ["/", "/static/style.css", "/observer", "/healthz", "/openapi.json"]
)
def test_a_head_is_a_get_without_the_body(base: str, path: str) -> None:
    """The same headers, but for the date."""
    _, wanted, body = told(base, f"GET {path} HTTP/1.1{HOST}")
    status, headers, nothing = told(base, f"HEAD {path} HTTP/1.1{HOST}")
    assert (status, nothing) == (200, b"")
    assert body
    assert {**headers, "date": ""} == {**wanted, "date": ""}


# ---- files


@pytest.mark.parametrize("given", ["bytes=99999999-", "bytes=5-2", "bytes=x", "lines=1-2"])
def test_a_range_that_a_file_does_not_have_is_a_problem(base: str, given: str) -> None:
    """416 that says how long the file is."""
    size = told(base, f"HEAD /static/style.css HTTP/1.1{HOST}")[1]["content-length"]
    answer = told(base, f"GET /static/style.css HTTP/1.1{HOST}\r\nRange: {given}")
    check(answer, 416, "range_not_satisfiable")
    assert answer[1]["content-range"] == f"bytes */{size}"


def test_a_range_that_a_file_has_is_told(base: str) -> None:
    """206 with these bytes."""
    whole = told(base, f"GET /static/style.css HTTP/1.1{HOST}")[2]
    status, _, body = told(base, f"GET /static/style.css HTTP/1.1{HOST}\r\nRange: bytes=2-5")
    assert (status, body) == (206, whole[2:6])


def test_a_condition_that_does_not_hold_is_a_problem(base: str) -> None:
    """412 for a file that is another one."""
    answer = told(base, f'GET /static/style.css HTTP/1.1{HOST}\r\nIf-Match: "other"')
    check(answer, 412, "precondition_failed")


def test_an_error_of_a_file_has_no_body_for_a_head(base: str) -> None:
    """The head alone, and the connection can go on."""
    line = f"HEAD /static/style.css HTTP/1.1{HOST}\r\nRange: bytes=99999999-"
    status, headers, body = told(base, line)
    assert (status, body) == (416, b"")
    assert headers["content-type"] == "application/problem+json"


# ---- WebSocket


UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ("X: y", 426, "upgrade_required"),
        (f"{UPGRADE}\r\nSec-WebSocket-Version: 12", 426, "upgrade_required"),
        (f"{UPGRADE[:-4]}\r\nSec-WebSocket-Version: 13", 400, "bad_request"),
        ("Upgrade: websocket\r\nSec-WebSocket-Version: 13", 400, "bad_request"),
    ],
)
def test_a_handshake_that_is_none_is_told_so_in_a_problem(
    base: str, lines: str, status: int, code: str
) -> None:
    """426 says what is spoken, 400 what is wrong."""
    answer = told(base, f"GET /ws HTTP/1.1{HOST}\r\n{lines}")
    check(answer, status, code)
    if status == 426:
        assert answer[1]["upgrade"] == "websocket"


def test_none_of_it_is_a_fault_of_the_server(plain_server: Server) -> None:
    """No traceback in its log, whoever sends what."""
    for raw, _, _ in MALFORMED.values():
        answered(plain_server.url, raw)
    assert "Traceback" not in plain_server.log_text()
