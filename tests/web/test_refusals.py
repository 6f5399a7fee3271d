"""Whatever is wrong with a request is answered with a problem that names it, and harms nothing."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.web.checks import check_problem
from tests.web.client import JPEG, Client, say
from tests.web.pictures import bomb, drawn, encoded
from tests.web.serving import Server

JSON = {"Content-Type": "application/json"}
LIMIT = 8 * 2**20
TASK = "A" * 22


@pytest.fixture(autouse=True, scope="module")
def unharmed(vision_server: Server) -> Any:
    """After all of it the server does not complain in its log."""
    before = vision_server.log_text()
    yield
    told = vision_server.log_text().removeprefix(before)
    assert "Traceback" not in told
    assert "ERROR" not in told


@pytest.fixture(autouse=True)
async def still_working(vision: Client) -> AsyncIterator[None]:
    """After each of it the next user is served."""
    yield
    answer = await vision.post(json={"category": "glass", "realtime": False})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"{", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b'{"category":"glass"} x', 400, "bad_json"),
        (b"[" * 10_000, None, None),
        (b'{"category":' + b"[" * 10_000 + b"]" * 10_000 + b"}", None, None),
        (b'{"x":' * 10_000 + b"1" + b"}" * 10_000, None, None),
        (b"[]", None, None),
        (b"null", None, None),
        (b"{}", 422, "bad_option"),
        (b'{"category":null}', 422, "bad_option"),
        (b'{"category":"unicorn"}', 422, "bad_option"),
        (b'{"category":["glass"]}', 422, "bad_option"),
        (b'{"category":"glass","lang":"de"}', 422, "bad_option"),
        (b'{"category":"glass","lang":1}', 422, "bad_option"),
        (b'{"category":"glass","realtime":"maybe"}', 422, "bad_option"),
        (b'{"category":"glass","user_input":"' + b"x" * 2001 + b'"}', 422, "bad_option"),
    ],
)
async def test_a_body_that_is_no_request_is_a_problem(
    vision: Client, body: bytes, status: int | None, code: str | None
) -> None:
    """Empty, broken, bottomless or ill-typed JSON: 400 or 422, never 500."""
    answer = await vision.post(data=body, headers=JSON)
    assert answer.status in (400, 422)
    check_problem(answer, status or answer.status, code)


async def test_an_unknown_option_is_named(vision: Client) -> None:
    """In the body and in the query alike: 422, and the detail says which."""
    answer = await vision.post(json={"category": "glass", "colour": "green"})
    assert "colour" in check_problem(answer, 422, "bad_option")["detail"]
    answer = await vision.post("/scan/classify?colour=green", data=encoded(drawn()), headers=JPEG)
    assert "colour" in check_problem(answer, 422, "bad_option")["detail"]


@pytest.mark.parametrize(
    "query",
    ["lang=de", "lang=", "category=unicorn", "category=", "realtime=maybe", "realtime=",
     "lang=%ff", "category=glass%00", "user_input=" + "x" * 2001],
)  # fmt: skip
async def test_a_bad_option_in_the_query_is_a_problem(vision: Client, query: str) -> None:
    """422 for a language, category or flag that does not exist."""
    answer = await vision.post(f"/scan/classify?{query}", data=encoded(drawn()), headers=JPEG)
    check_problem(answer, 422, "bad_option")


@pytest.mark.parametrize("kind", ["text/plain", "image/gif", "image/", "nonsense", "", None])
async def test_a_type_that_is_not_taken_is_refused(vision: Client, kind: str | None) -> None:
    """415 for other types, for a type that is no type, and for none at all."""
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await vision.post(
        data=encoded(drawn()), headers=headers, skip_auto_headers=["Content-Type"]
    )
    check_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/webp"])
async def test_an_empty_picture_is_malformed(vision: Client, kind: str) -> None:
    """400 for a picture of no bytes."""
    answer = await vision.post(data=b"", headers={"Content-Type": kind})
    check_problem(answer, 400, "empty_body")


@pytest.mark.parametrize(
    "body",
    [
        b"this is no picture",
        encoded(drawn())[:-400],
        encoded(drawn())[:300],
        encoded(drawn(), "PNG")[:-40],
        encoded(drawn(), "WEBP")[:-100],
        encoded(drawn(), "GIF"),
        encoded(drawn(), "TIFF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff\xe0" + bytes(1000),
    ],
    ids=["text", "tail", "head", "png", "webp", "gif", "tiff", "eps", "svg", "zeros"],
)
async def test_what_cannot_be_decoded_to_its_end_is_refused(vision: Client, body: bytes) -> None:
    """422 for other things called a JPEG, and for pictures that break off."""
    answer = await vision.post(data=body, headers=JPEG)
    check_problem(answer, 422, "not_decodable")


async def test_a_decompression_bomb_is_too_large(vision: Client) -> None:
    """A few bytes that promise 1600 megapixels get 413, before anything is unpacked."""
    check_problem(await vision.post(data=bomb(), headers=JPEG), 413, "too_many_pixels")
    check_problem(await vision.post(data=bomb(8000, 5001), headers=JPEG), 413, "too_many_pixels")


@pytest.mark.parametrize("kind", ["image/jpeg", "application/json"])
async def test_a_body_over_the_limit_is_too_large(vision: Client, kind: str) -> None:
    """413 for more than 8 MiB, whether its length is told or it comes in chunks."""
    headers = {"Content-Type": kind}
    body = io.BytesIO(bytes(LIMIT + 1))
    check_problem(await vision.post(data=body, headers=headers), 413, "too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(2**20)

    check_problem(await vision.post(data=chunks(), headers=headers), 413, "too_large")


async def test_a_body_at_the_limit_is_read(vision: Client) -> None:
    """Exactly 8 MiB of picture is a picture: bytes behind its end are not looked at."""
    picture = encoded(drawn())
    body = io.BytesIO(picture + bytes(LIMIT - len(picture)))
    answer = await vision.post(data=body, headers=JPEG)
    assert answer.status == 202


async def test_a_length_that_is_a_lie_is_refused_before_the_body_comes(vision: Client) -> None:
    """A promise of a terabyte is answered 413 without waiting for it."""
    raw = (
        b"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 1000000000000\r\n\r\n"
    )
    assert (await say(vision, raw, 2.0)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("tail", ["", "/stream", "/result"])
@pytest.mark.parametrize(
    "task_id",
    [TASK, "x", "A" * 5000, "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a%2fb",
     "';--", "%ed%95%9c", "A" * 21 + "%0a"],
)  # fmt: skip
async def test_a_task_that_does_not_exist_is_not_found(
    vision: Client, task_id: str, tail: str
) -> None:
    """404 with a problem for any text in the place of a task id."""
    check_problem(await vision.get(f"/scan/{task_id}{tail}"), 404)


async def test_cancelling_what_does_not_exist_is_not_found(vision: Client) -> None:
    """DELETE of an unknown task is 404."""
    check_problem(await vision.ask("DELETE", f"/scan/{TASK}"), 404, "unknown_task")


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/scan", "/scan/", f"/scan/{TASK}/nothing", "//", "/../run.py", "/%2e%2e/run.py"],
)
async def test_a_page_that_does_not_exist_is_not_found(vision: Client, path: str) -> None:
    """404 with a problem for any other path."""
    check_problem(await vision.get(path), 404)


@pytest.mark.parametrize(
    "path",
    ["/static/../run.py", "/static/..%2frun.py", "/static/%2e%2e/run.py", "/static//etc/passwd",
     "/static/", "/static/%00"],
)  # fmt: skip
async def test_nothing_but_the_files_of_the_page_is_served(vision: Client, path: str) -> None:
    """Ways out of static/, and what no file can be called, are client errors."""
    answer = await vision.get(path)
    assert answer.status in (403, 404)
    assert b"import" not in answer.body
    assert b"root:" not in answer.body


async def test_a_name_that_no_file_system_takes_is_not_found(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """300 letters below /static/ are 404, and no fault of the server in its log."""
    target = server()
    answer = await Client(session, target.url).get("/static/" + "x" * 300)
    assert answer.status == 404
    assert "Traceback" not in target.log_text()


async def test_a_missing_file_of_the_page_is_a_problem(vision: Client) -> None:
    """404 below /static/ is said in the same way as everywhere else."""
    answer = await vision.get("/static/none.js")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/scan/classify", {"POST"}),
        ("PUT", "/scan/classify", {"POST"}),
        ("POST", f"/scan/{TASK}", {"GET", "DELETE"}),
        ("POST", f"/scan/{TASK}/stream", {"GET"}),
        ("DELETE", f"/scan/{TASK}/result", {"GET"}),
        ("POST", "/scan/categories", {"GET"}),
        ("PATCH", "/actors", {"GET"}),
        ("POST", "/", {"GET"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    vision: Client, method: str, path: str, allowed: set[str]
) -> None:
    """405 with Allow, and no task is named classify."""
    answer = await vision.ask(method, path)
    check_problem(answer, 405, "method_not_allowed")
    assert allowed <= {word.strip() for word in answer.headers["Allow"].split(",")}


async def test_a_server_without_vision_refuses_pictures_and_says_so(plain: Client) -> None:
    """422 vision_off for a picture; with a category beside it the picture does no harm."""
    answer = await plain.post(data=encoded(drawn()), headers=JPEG)
    check_problem(answer, 422, "vision_off")
    answer = await plain.post("/scan/classify?category=glass", data=encoded(drawn()), headers=JPEG)
    assert answer.status == 202


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(
    vision: Client,
) -> None:
    """A whole picture, but less than was promised, and a closed connection: no scan comes of it."""

    async def looked_at() -> int:
        actors = await vision.actors()
        return sum(e["mailbox"]["offered"] for e in actors if e["kind"] == "BlockingWorker")

    before = await looked_at()
    address = urlsplit(vision.base)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 100000\r\n\r\n" + encoded(drawn())
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    after = await vision.post("/scan/classify?realtime=false", data=encoded(drawn()), headers=JPEG)
    assert after.status == 200
    assert await looked_at() == before + 1
