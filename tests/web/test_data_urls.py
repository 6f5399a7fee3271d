"""Pictures in JSON: decoded to the last byte, in pieces, or said to be none."""

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime.testing import run_virtual
from eco_actor.web.data_urls import PIECE, decode_data_url
from eco_actor.web.json_scans import JSON_BODY, read_fields
from eco_actor.web.problems import Problem
from eco_actor.web.uploads import MAX_BODY, SMALL_BODY
from tests.web.checks import check_problem
from tests.web.client import Client

KINDS = frozenset({"image/jpeg", "image/png", "image/webp"})
PNG = "data:image/png;base64,"


def decoded(text: str) -> bytes:
    """What is in a data URL, which stands so between the quotes of a JSON string."""
    found: list[bytes] = []

    async def main() -> None:
        found.append(await decode_data_url(memoryview(text.encode()), KINDS))

    run_virtual(main())
    return found[0]


def refused(text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        decoded(text)
    return caught.value


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def escaped(text: str) -> str:
    """As PHP writes a slash, and .NET a plus."""
    return text.replace("/", "\\/").replace("+", "\\u002B")


@given(st.binary(min_size=1, max_size=100))
def test_what_was_encoded_comes_out(content: bytes) -> None:
    """Of any length, also with the escape sequences that JSON allows."""
    text = PNG + base64_of(content)
    assert decoded(text) == content
    assert decoded(escaped(text)) == content


@pytest.mark.parametrize("length", [PIECE // 4 * 3 + n for n in range(-3, 4)] + [1_000_000])
def test_where_pieces_end_does_not_matter(length: int) -> None:
    """Also within an escape sequence."""
    content = b"\xfb\xef\xff" * (length // 3) + b"\xff" * (length % 3)  # all + and /
    text = base64_of(content)
    assert decoded(PNG + text) == content
    for lead in range(7):
        assert decoded(PNG + "A" * 4 * lead + escaped(text)) == bytes(3 * lead) + content


@pytest.mark.parametrize(
    "head",
    [
        "data:image/jpeg;base64,",
        "data:image/webp;base64,",
        "DATA:Image/PNG;BASE64,",
        "data:image/png;charset=utf-8;base64,",
        "data:image\\/png;base64,",
    ],
)
def test_the_head_may_be_written_in_several_ways(head: str) -> None:
    """Capitals, parameters and escape sequences are as good."""
    assert decoded(head + "eHl6") == b"xyz"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eHl6",
        "data:",
        "data:image/png;base64",
        "data:image/png;base64;eHl6",
        "data:image/png,eHl6",
        "data:image/png;base32,eHl6",
        "data:image/png;base64=1,eHl6",
        "http://example.com/a.png",
        " data:image/png;base64,eHl6",
        "data:image/png" + ";a=b" * 100 + ";base64,eHl6",
        PNG + "eHl",
        PNG + "e",
        PNG + "eHl6=",
        PNG + "====",
        PNG + "eA=",
        PNG + "eA==eHl6",
        PNG + "eHl6====",
        PNG + "eHl6=eHl6===",
        PNG + "eH%2F6",
        PNG + "eH-_",
        PNG + "eHl6\\n",
        PNG + "eHl6\n",
        PNG + "eH l6",
        PNG + "é" * 4,
        PNG + "A" * (PIECE - 2) + "==" + "A" * 100,
        PNG + "A" * (PIECE - 2) + "==" + "AA==",
        PNG + "A" * PIECE + "A",
    ],
)
def test_what_is_no_data_url_is_named(text: str) -> None:
    """422: another scheme, no base64, another alphabet, cut off, padded in the middle."""
    problem = refused(text)
    assert (problem.status, problem.code) == (422, "bad_option")
    assert problem.detail.startswith("image: ")


def test_an_image_of_no_bytes_is_named() -> None:
    """400, as for a body of none."""
    problem = refused(PNG)
    assert (problem.status, problem.code) == (400, "empty_body")


@given(st.text(st.sampled_from("Ab+/=")))
def test_all_base64_is_as_long_as_it_looks(text: str) -> None:
    """What is taken has padding at its end alone, and so many bytes."""
    try:
        content = decoded(PNG + text)
    except Problem:
        return
    assert "=" not in text.rstrip("=")
    assert len(text) % 4 == 0
    assert len(content) == len(text) // 4 * 3 - text.count("=")


def test_percent_encoding_is_named() -> None:
    """A client that escaped its base64 is told so."""
    assert "percent" in refused(PNG + "eH%2F6").detail


@pytest.mark.parametrize("kind", ["image/gif", "image/jpg", "text/plain", "", "x" * 200])
def test_another_media_type_is_refused(kind: str) -> None:
    """415, as for a body of this type."""
    problem = refused(f"data:{kind};base64,eHl6")
    assert (problem.status, problem.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("text", ["\\x41AA=", "\\u00", "AAA\\", "\\ud800"])
def test_what_json_cannot_escape_is_no_json(text: str) -> None:
    """400 for sequences that there are not."""
    problem = refused(PNG + text)
    assert (problem.status, problem.code) == (400, "bad_json")


@pytest.mark.parametrize("write", [str, escaped])
def test_a_picture_is_as_large_as_any_other(write: Any) -> None:
    """8 MiB decoded, and not a byte more, however it is escaped."""
    assert len(decoded(PNG + write(base64_of(b"\xff" * MAX_BODY)))) == MAX_BODY
    problem = refused(PNG + write(base64_of(b"\xff" * (MAX_BODY + 1))))
    assert (problem.status, problem.code) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "fields", "text"),
    [
        (b'{"image":"abc"}', {}, b"abc"),
        (b'{ "lang" : "en" , "image" \n:\t "abc" }', {"lang": "en"}, b"abc"),
        (b'{"user_input":"\\"image\\":\\"x","image":"abc"}', {"user_input": '"image":"x'}, b"abc"),
        (b'{"user_input":"\\\\","image":"a\\/c"}', {"user_input": "\\"}, b"a\\/c"),
        (b'{"im\\u0061ge":"a\\/c"}', {}, b"a/c"),
        (b'{"image":null,"lang":"en"}', {"lang": "en"}, None),
        (b'{"image":""}', {}, b""),
        (b'{"x":{"image":"abc"}}', {"x": {"image": ""}}, None),
        (b'{"\\"image":"abc"}', {'"image': ""}, None),
        (b"{}", {}, None),
    ],
)
def test_the_text_of_an_image_is_cut_out(
    body: bytes, fields: dict[str, Any], text: bytes | None
) -> None:
    """However the object is written; only its own field is the image."""
    found, cut = read_fields(body)
    assert (found, None if cut is None else bytes(cut)) == (fields, text)


@given(
    st.dictionaries(
        st.text(max_size=8), st.none() | st.booleans() | st.text() | st.lists(st.text())
    ),
    st.text(st.sampled_from('abc+/=,;:"\\ é'), max_size=50),
)
def test_what_json_has_comes_out_of_it(fields: dict[str, Any], image: str) -> None:
    """The same as from any reader of JSON, wherever the image stands."""
    for body in ({**fields, "image": image}, {"image": image, **fields}):
        sent = json.dumps(body).encode()
        if "image" in fields or '"' in image or "\\" in image:
            continue
        found, cut = read_fields(sent)
        assert found == fields
        assert cut is not None
        assert json.loads(b'"%s"' % bytes(cut)) == image


LONG = b"A" * (SMALL_BODY + 1)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "not JSON"),
        (b'{"image":"abc', 400, "not JSON"),
        (b'{"image":"a\\"b"}', 400, "not JSON"),
        (b'{"image":"abc"', 400, "not JSON"),
        (b'{"image":"abc"}}', 400, "not JSON"),
        (b'[{"image":"abc"}]', 400, "object"),
        (b'"image":"abc"', 400, "not"),
        (b'{"image":1}', 422, "image"),
        (b'{"image":["abc"]}', 422, "image"),
        (b'{"image":"abc","image":"abc"}', 422, "image"),
        (b'{"image":"abc","image":null}', 422, "image"),
        (b'{"lang":"en","lang":"en"}', 422, "lang"),
        (b'{"lang":"en","l\\u0061ng":"ko"}', 422, "lang"),
        (b'{"realtime":1e400}', 422, "realtime"),
        (b'{"realtime":' + b"9" * 5000 + b"}", 422, "realtime"),
        (b'{"user_input":"' + LONG + b'"}', 413, "beside the image"),
        (b'{"image":"abc","user_input":"' + LONG + b'"}', 413, "beside the image"),
        (b'{"image":"abc"}' + LONG, 413, "beside the image"),
        (b" " * SMALL_BODY + b'{"image":"abc"}', 413, "beside the image"),
        (b'{"a":1,' * 1_000_000, 413, "beside the image"),
        (b"[" * 10_000, 400, "object"),
        (b'{"image":"abc","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "not JSON"),
    ],
)
def test_an_object_that_is_none_is_refused(body: bytes, status: int, told: str) -> None:
    """Broken, doubled, bottomless, out of range, or with much beside the image."""
    with pytest.raises(Problem) as caught:
        read_fields(body)
    assert caught.value.status == status
    assert told in caught.value.detail


@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_a_body_has_room_for_the_largest_picture(slash: str) -> None:
    """Its text, however slashes are written, and as much beside it as any other body has."""
    text = base64_of(b"\xff" * MAX_BODY).replace("/", slash)
    body = b'{"user_input":"%s","image":"%s%s"}' % (b"x" * 2000, PNG.encode(), text.encode())
    assert len(body) <= JSON_BODY
    fields, cut = read_fields(body)
    assert list(fields) == ["user_input"]
    assert cut is not None
    assert len(cut) == len(PNG) + len(text)


async def test_a_server_takes_the_largest_picture_with_escaped_slashes(plain: Client) -> None:
    """It is read, decoded and counted as 8 MiB; one byte more is too large."""
    for size, status, code in ((MAX_BODY, 422, "vision_off"), (MAX_BODY + 1, 413, "too_large")):
        text = base64_of(b"\xff" * size).replace("/", "\\/")
        body = f'{{"image":"{PNG}{text}"}}'.encode()
        answer = await plain.post(
            data=io.BytesIO(body), headers={"Content-Type": "application/json"}
        )
        check_problem(answer, status, code)
