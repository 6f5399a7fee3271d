"""Bodies that are none, over real sockets: what is wrong is named, and nothing is accepted."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Final

import pytest

from eco_actor.web.forms import MAX_HEAD, MAX_PARTS
from tests.web.asking import BOUNDARY, FORM, JSON, Sent, data_url, form_of, image_part, kept, part
from tests.web.checks import check_problem
from tests.web.client import Client, say
from tests.web.pictures import drawn, encoded
from tests.web.serving import Server

PICTURE: Final = encoded(drawn())
GLASS: Final = "/scan/classify?category=glass"
LIMIT: Final = 8 * 2**20
B64: Final = base64.b64encode(PICTURE).decode()
MARK: Final = f"--{BOUNDARY}".encode()


@pytest.fixture(autouse=True)
async def unharmed(plain: Client, plain_server: Server) -> AsyncIterator[None]:
    """Each of them leaves no scan behind, and no fault in the log; the next user is served."""
    before, told = len(kept(plain_server)), plain_server.log_text()
    yield
    assert len(kept(plain_server)) == before
    answer = await plain.post(json={"category": "glass", "realtime": False})
    assert answer.status == 200
    after = plain_server.log_text().removeprefix(told)
    assert "Traceback" not in after
    assert "ERROR" not in after


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"[" * 10_000 + b"]" * 10_000, 400, "bad_json"),
        (b'{"category":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "bad_json"),
        (b'{"x":' * 10_000 + b"1" + b"}" * 10_000, 400, "bad_json"),
        (b'{"tags":' * 10_000, 413, "too_large"),
        (b"[1]", 400, "bad_json"),
        (b'"category"', 400, "bad_json"),
        (b"null", 400, "bad_json"),
        (b'\xef\xbb\xbf{"category":"glass"}', 400, "bad_json"),
        ('{"category":"glass"}'.encode("utf-16"), 400, "bad_json"),
        (b'{"category":"glass","category":"glass"}', 422, "bad_option"),
        (b'{"category":"glass","category":"metal"}', 422, "bad_option"),
        (b'{"category":"glass","user_input":NaN}', 400, "bad_json"),
        (b'{"category":"glass","user_input":Infinity}', 400, "bad_json"),
        (b'{"category":"glass","realtime":1e999}', 422, "bad_option"),
        (b'{"category":"glass","realtime":-1e-999}', 422, "bad_option"),
        (b'{"category":"glass","realtime":' + b"9" * 50_000 + b"}", 422, "bad_option"),
        (b'{"category":"glass","user_input":"\\ud800"}', 400, "bad_json"),
        (b'{"category":"glass","user_input":"\\udc00x"}', 400, "bad_json"),
        (b'{"category":"glass","user_input":"\\ud800\\ud800"}', 400, "bad_json"),
        (b'{"category":"glass","\\ud800":1}', 400, "bad_json"),
        (b'{"category":"glass","user_input":"\xff"}', 400, "bad_json"),
        (b'{"category":"glass","\xff":1}', 400, "bad_json"),
        (b'{"category":"glass","user_input":"\xed\xa0\x80"}', 400, "bad_json"),
        (b'{"category":"glass","user_input":"a\nb"}', 400, "bad_json"),
        (b'{"category":"glass",}', 400, "bad_json"),
        (b"{'category':'glass'}", 400, "bad_json"),
        (b'{"category":"glass"}{"category":"glass"}', 400, "bad_json"),
        (b'{"category":"glass"} // of a bottle', 400, "bad_json"),
        (b"category=glass", 400, "bad_json"),
        (b'{"category":"glass","user_input":"' + b"x" * 70_000 + b'"}', 413, "too_large"),
    ],
)
async def test_json_that_is_none_is_named(
    plain: Client, body: bytes, status: int, code: str
) -> None:
    """Bottomless, doubled, not a number, too large, in no text that there is."""
    check_problem(await Sent("/scan/classify", body, JSON).to(plain), status, code)


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        ("", 422, "bad_option"),
        (B64, 422, "bad_option"),
        (f"data:image/jpeg,{B64}", 422, "bad_option"),
        (f"data:image/jpeg;base64{B64}", 422, "bad_option"),
        (f"data:image/jpeg;base64;{B64}", 422, "bad_option"),
        (f"data:;base64,{B64}", 415, "unsupported_media_type"),
        (f"data:image/gif;base64,{B64}", 415, "unsupported_media_type"),
        (f"data:application/octet-stream;base64,{B64}", 415, "unsupported_media_type"),
        (f"blob:image/jpeg;base64,{B64}", 422, "bad_option"),
        ("http://127.0.0.1/a.jpg", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:-1]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:-3]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64.rstrip('=')}=====", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]}====", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]}\\n{B64[400:]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]}-_{B64[402:]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]}%2F{B64[401:]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]} {B64[400:]}", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64[:400]}é", 422, "bad_option"),
        (f"data:image/jpeg;base64,{B64}\\u00", 400, "bad_json"),
        ("data:image/jpeg;base64,", 400, "empty_body"),
    ],
)
async def test_an_image_that_is_no_data_url_is_named(
    plain: Client, image: str, status: int, code: str
) -> None:
    """Not base64, cut off, of another type, in another alphabet, percent-encoded, empty."""
    body = f'{{"category":"glass","image":"{image}"}}'.encode()
    answer = await Sent("/scan/classify", body, JSON).to(plain)
    problem = check_problem(answer, status, code)
    if status == 422:
        assert problem["detail"].startswith("image: ")


PART: Final = image_part(PICTURE)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ([], 422, "bad_option"),
        ([part("lang", b"en")], 422, "bad_option"),
        ([part("picture", PICTURE)], 422, "bad_option"),
        ([PART, PART], 422, "bad_option"),
        ([PART, part("colour", b"green")], 422, "bad_option"),
        ([PART, part("", b"green")], 422, "bad_option"),
        ([PART, part("_charset_", b"utf-8")], 422, "bad_option"),
        ([part("_charset_", b"utf-8"), PART], 422, "bad_option"),
        ([PART, part("lang", b"en"), part("lang", b"en")], 422, "bad_option"),
        ([PART, part("lang", b"")], 422, "bad_option"),
        ([PART, part("realtime", b"maybe")], 422, "bad_option"),
        ([PART, part("lang", b"\xff\xfe")], 422, "bad_option"),
        ([PART, part("user_input", b"x" * 2001)], 422, "bad_option"),
        ([PART, part("user_input", b"x" * 60_000)], 422, "bad_option"),
        ([image_part(b"")], 400, "empty_body"),
        ([image_part(PICTURE, kind="image/gif")], 415, "unsupported_media_type"),
        ([image_part(PICTURE, kind="text/plain")], 415, "unsupported_media_type"),
        ([image_part(PICTURE, kind="image/jpg")], 415, "unsupported_media_type"),
        ([part("image", PICTURE, "\r\nContent-Type: multipart/mixed; boundary=x")], 415,
         "unsupported_media_type"),
        ([PART, part("lang", b"--x--", "\r\nContent-Type: multipart/mixed; boundary=x")], 415,
         "unsupported_media_type"),
        ([part("image", B64.encode(), "\r\nContent-Transfer-Encoding: base64")], 415,
         "unsupported_encoding"),
        ([PART, part("lang", b"en", "\r\nContent-Transfer-Encoding: quoted-printable")], 415,
         "unsupported_encoding"),
        ([part("image", PICTURE, "\r\nContent-Encoding: gzip")], 415, "unsupported_encoding"),
        ([PART, *[part("tags", b"broken")] * 10_000], 413, "too_large"),
        ([part("tags", b"broken")] * MAX_PARTS + [PART], 413, "too_large"),
        ([part("image", PICTURE, "\r\nX: " + "y" * MAX_HEAD)], 400, "bad_form"),
        ([part("image", PICTURE, "\r\nX: y" * 10_000)], 400, "bad_form"),
        ([part("image", PICTURE, f'; filename="{"x" * 100_000}"')], 400, "bad_form"),
        ([b"Content-Type: image/jpeg\r\n\r\n" + PICTURE], 400, "bad_form"),
        ([b"\r\n" + PICTURE], 400, "bad_form"),
        ([PICTURE], 400, "bad_form"),
        ([b"Content-Disposition: form-data\r\n\r\n" + PICTURE], 400, "bad_form"),
        ([b"Content-Disposition\r\n\r\n" + PICTURE], 400, "bad_form"),
    ],
)  # fmt: skip
async def test_a_form_that_cannot_be_is_named(
    plain: Client, sent: Sequence[bytes], status: int, code: str
) -> None:
    """Parts that are missing, unknown, doubled, too many, packed, of another type, or none."""
    check_problem(await Sent(GLASS, form_of(sent), FORM).to(plain), status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"no form",
        b"{}",
        form_of([PART], "another"),
        form_of([PART]).removesuffix(b"--\r\n"),
        form_of([PART])[:-30],
        form_of([PART]).replace(b"\r\n--", b"\n--"),
        MARK + b"\r\n",
        b"\r\n" * 4_000_000,
        (b"\r\n" + MARK + b"x") * 500_000,
    ],
    ids=["text", "json", "another", "open", "cut", "lf", "begun", "lines", "marks"],
)
async def test_a_form_without_its_boundaries_is_none(plain: Client, body: bytes) -> None:
    """400, at once, for bodies whose boundary never comes, is another, or has no end."""
    check_problem(await Sent(GLASS, body, FORM).to(plain), 400, "bad_form")


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; charset=utf-8",
    ],
)
async def test_a_form_that_names_no_boundary_is_none(plain: Client, kind: str) -> None:
    """400 without one, and with one that cannot be."""
    answer = await Sent(GLASS, form_of([PART]), {"Content-Type": kind}).to(plain)
    check_problem(answer, 400, "bad_form")


@pytest.mark.parametrize(
    "kind",
    ["multipart/mixed; boundary=a-boundary", "application/x-www-form-urlencoded", "text/json",
     "application/problem+json", "image/*", "*/*", "image/jpeg, image/png", "form-data"],
)  # fmt: skip
async def test_other_types_are_refused(plain: Client, kind: str) -> None:
    """415 that names those that are taken."""
    answer = await Sent(GLASS, form_of([PART]), {"Content-Type": kind}).to(plain)
    detail = check_problem(answer, 415, "unsupported_media_type")["detail"]
    assert "multipart/form-data" in detail
    assert "image/webp" in detail


@pytest.mark.parametrize("kind", [JSON, FORM, {"Content-Type": "image/jpeg"}])
@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
async def test_a_packed_body_of_any_kind_is_refused(
    plain: Client, kind: dict[str, str], packing: str
) -> None:
    """415: nothing is unpacked for anybody."""
    answer = await Sent(GLASS, b"abc", {**kind, "Content-Encoding": packing}).to(plain)
    check_problem(answer, 415, "unsupported_encoding")


@pytest.mark.parametrize("kind", [JSON, FORM, {"Content-Type": "image/jpeg"}])
async def test_an_empty_body_of_any_kind_is_malformed(plain: Client, kind: dict[str, str]) -> None:
    """400, with a length of 0 and with chunks of which there are none."""

    async def nothing() -> AsyncIterator[bytes]:
        for _ in range(0):
            yield b""

    for data in (b"", nothing()):
        check_problem(await plain.post(GLASS, data=data, headers=kind), 400, "empty_body")


@pytest.mark.parametrize("kind", [JSON, FORM, {"Content-Type": "image/jpeg"}])
async def test_a_body_without_end_is_too_large(plain: Client, kind: dict[str, str]) -> None:
    """413 for a length that is a lie, and for chunks that go on: it is not read for ever."""
    head = "".join(f"{name}: {value}\r\n" for name, value in kind.items())
    for length in (24 * 2**20, 10**12):
        raw = f"POST {GLASS} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n"
        assert (await say(plain, raw.encode(), 5)).startswith(b"HTTP/1.1 413 ")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(24):
            yield bytes(2**20)

    check_problem(await plain.post(GLASS, data=chunks(), headers=kind), 413, "too_large")


@pytest.mark.parametrize("key", ["image", "img"])
async def test_what_is_beside_an_image_is_small(plain: Client, key: str) -> None:
    """413 for much else in an object, wherever it is, without reading it as JSON."""
    junk = b'"a":1,' * 1_500_000
    text = data_url(PICTURE).encode()
    for body in (b'{%s"%s":"%s"}', b'{"category":"glass",%s"%s":"%s"}'):
        answer = await Sent(GLASS, body % (junk, key.encode(), text), JSON).to(plain)
        check_problem(answer, 413, "too_large")


@pytest.mark.parametrize("tail", ["", "/stream", "/result", "/events"])
@pytest.mark.parametrize(
    "task_id",
    ["../healthz", "..%2fhealthz", "%2e%2e/healthz", "%2e%2e%2fhealthz", "%2e%2e%5chealthz",
     "..%252fhealthz", "x/../../healthz", "..", "%2e%2e", "....//healthz", "..;/healthz"],
)  # fmt: skip
async def test_a_task_id_leads_nowhere_else(plain: Client, task_id: str, tail: str) -> None:
    """404, plain and percent-encoded, for each route of a scan, and for its end."""
    answer = await plain.get(f"/scan/{task_id}{tail}")
    check_problem(answer, 404)
    if not tail:
        answer = await plain.ask("DELETE", f"/scan/{task_id}")
        assert answer.status in (404, 405)
        check_problem(answer, answer.status)


@pytest.mark.parametrize(
    "headers",
    [
        "".join(f"X-{number}: y\r\n" for number in range(10_000)),
        "X: " + "y" * 2**20 + "\r\n",
        "X" * 2**20 + ": y\r\n",
    ],
    ids=["many", "long", "long-name"],
)
async def test_a_head_without_end_is_refused(plain: Client, headers: str) -> None:
    """10,000 headers, and one of 1 MB: 431, and the rest is not read."""
    raw = (
        f"POST {GLASS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"{headers}Content-Length: {len(PICTURE)}\r\n\r\n"
    )
    answered = await say(plain, raw.encode() + PICTURE)
    assert answered.split(b" ")[1] == b"431"
    assert b"Content-Type: application/problem+json" in answered
