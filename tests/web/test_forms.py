"""Forms taken apart: what comes out of them is what went in, and what is no form is named."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.web.forms import (
    MAX_HEAD,
    MAX_OPTION,
    MAX_PARTS,
    Form,
    boundary_of,
    parts,
    read_form,
)
from eco_actor.web.problems import Problem
from tests.web.asking import BOUNDARY, FORM, form_of, image_part, part

KINDS = frozenset({"image/jpeg", "image/png"})
MARK = BOUNDARY.encode()


async def read(*sent: bytes) -> Form:
    return await read_form(form_of(sent), FORM["Content-Type"], KINDS)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_characters='"\\\r\n', codec="utf-8"), min_size=1),
            st.binary(max_size=200),
        ),
        max_size=MAX_PARTS,
    )
)
def test_what_a_form_was_made_of_comes_out_of_it(fields: list[tuple[str, bytes]]) -> None:
    """All parts, in their order, to the last byte, whatever is in them but the boundary."""
    fields = [
        (name, content)
        for name, content in fields
        if b"--" + MARK not in content and name.isprintable()
    ]
    body = form_of([part(name, content) for name, content in fields])
    found = [(each.name, bytes(each.content)) for each in parts(body, MARK)]
    assert found == fields


@given(st.binary(max_size=300), st.lists(st.sampled_from([
    b"--b", b"--b--", b"\r\n", b"--", b"\n", b'Content-Disposition: form-data; name="image"',
    b"Content-Type: image/png", b": ", b";", b'"', b"\r\n\r\n", b"x", b"Content-Disposition",
]), max_size=40))  # fmt: skip
def test_no_bytes_make_anything_but_parts_or_a_problem(noise: bytes, pieces: list[bytes]) -> None:
    """Also those that look much like a form."""
    for body in (noise, b"".join(pieces), b"--b\r\n" + noise, b"--b\r\n" + b"".join(pieces)):
        with contextlib.suppress(Problem):
            assert all(each.name is not None for each in parts(body, b"b"))


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; boundary="a b;c"', b"a b;c"),
        ("Multipart/Form-Data; charset=utf-8; BOUNDARY=abc", b"abc"),
        (f"multipart/form-data; boundary={'x' * 70}", b"x" * 70),
    ],
)
def test_the_boundary_is_in_the_content_type(kind: str, boundary: bytes) -> None:
    """With and without quotes, whatever else is there."""
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/form-data; boundary=é",
    ],
)
def test_without_a_boundary_it_is_no_form(kind: str) -> None:
    """400 for none, an empty, a long and an odd one."""
    with pytest.raises(Problem) as caught:
        boundary_of(kind)
    assert (caught.value.status, caught.value.code) == (400, "bad_form")


@pytest.mark.parametrize(
    "more",
    [
        "",
        '; filename="a.jpg"',
        '; filename="a;b;c;.jpg"',
        '; filename="a\\"b.jpg"',
        "; filename=\"유리.jpg\"; filename*=UTF-8''%EC%9C%A0.jpg",
        '; filename=""',
        "\r\nContent-Type: image/png; charset=binary",
        "\r\ncontent-type: IMAGE/JPEG",
        "\r\nContent-Type: application/octet-stream",
        "\r\nContent-Transfer-Encoding: binary",
        "\r\nContent-Length: 3",
        "\r\nX-Other: 1",
    ],
)
async def test_a_picture_is_found_whatever_its_file_is_called(more: str) -> None:
    """Names, kinds and headers as browsers, curl and libraries write them."""
    assert await read(part("image", b"xyz", more)) == Form(b"xyz", [])


async def test_names_may_be_written_in_the_other_ways_there_are() -> None:
    """Without quotes, in capitals, and as RFC 5987 has them."""
    for head in (
        b"content-disposition:form-data;name=image",
        b'CONTENT-DISPOSITION: Form-Data; NAME="image"',
        b"Content-Disposition: form-data; name*=utf-8''im%61ge",
        b"Content-Type: image/png\r\nContent-Disposition: form-data;\r\n name=image",
    ):
        assert await read(head + b"\r\n\r\nxyz") == Form(b"xyz", [])


async def test_what_stands_around_the_parts_is_nobodys() -> None:
    """Text in front of the first boundary and behind the last, and blanks behind boundaries."""
    body = b"hello\r\n" + form_of([image_part(b"xyz")]) + b"\r\nbye\r\n--" + MARK
    assert await read_form(body, FORM["Content-Type"], KINDS) == Form(b"xyz", [])
    body = form_of([image_part(b"xyz")]).replace(MARK + b"\r\n", MARK + b" \t\r\n")
    assert await read_form(body, FORM["Content-Type"], KINDS) == Form(b"xyz", [])


PICTURE = image_part(b"xyz")
ASIS = b'Content-Disposition: form-data; name="image"'


@pytest.mark.parametrize(
    ("sent", "status", "code", "told"),
    [
        ([], 422, "bad_option", "image"),
        ([part("lang", b"en")], 422, "bad_option", "image"),
        ([PICTURE, PICTURE], 422, "bad_option", "image"),
        ([image_part(b"")], 400, "empty_body", "image"),
        ([image_part(b"xyz", kind="image/gif")], 415, "unsupported_media_type", "image/gif"),
        ([image_part(b"xyz", kind="text/plain")], 415, "unsupported_media_type", "text/plain"),
        ([image_part(b"xyz", kind="")], 415, "unsupported_media_type", "image"),
        ([ASIS + b"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--"], 415,
         "unsupported_media_type", "image"),
        ([PICTURE, part("lang", b"", "\r\nContent-Type: multipart/mixed; boundary=c")], 415,
         "unsupported_media_type", "lang"),
        ([part("image", b"eHl6", "\r\nContent-Transfer-Encoding: base64")], 415,
         "unsupported_encoding", "image: Content-Transfer-Encoding"),
        ([part("lang", b"en", "\r\nContent-Transfer-Encoding: quoted-printable")], 415,
         "unsupported_encoding", "lang: Content-Transfer-Encoding"),
        ([part("image", b"eHl6", "\r\nContent-Encoding: gzip")], 415, "unsupported_encoding",
         "image: Content-Encoding"),
        ([PICTURE, part("lang", b"\xff")], 422, "bad_option", "lang"),
        ([PICTURE, part("lang", b"x" * (MAX_OPTION + 1))], 422, "bad_option", "lang"),
        ([PICTURE] * 1 + [part("a", b"")] * MAX_PARTS, 413, "too_large", str(MAX_PARTS)),
        ([b"\r\nxyz"], 400, "bad_form", "Content-Disposition"),
        ([b"Content-Type: image/png\r\n\r\nxyz"], 400, "bad_form", "Content-Disposition"),
        ([b"Content-Disposition: form-data\r\n\r\nxyz"], 400, "bad_form", "name"),
        ([part("image", b"xyz", "\r\nnonsense")], 400, "bad_form", "Content-Disposition"),
        ([part("image", b"xyz", "\r\nnon sense: 1")], 400, "bad_form", "Content-Disposition"),
        ([b"nonsense\r\n\r\nxyz"], 400, "bad_form", "Content-Disposition"),
        ([b"xyz"], 400, "bad_form", "headers"),
        ([part("image", b"xyz", "\r\nX: " + "y" * MAX_HEAD)], 400, "bad_form", "headers"),
        ([part("image", b"xyz", "\r\nX: y" * MAX_HEAD)], 400, "bad_form", "headers"),
    ],
)  # fmt: skip
async def test_a_bad_part_is_named(sent: list[bytes], status: int, code: str, told: str) -> None:
    """Missing, doubled, empty, packed, of another kind, too large, or no part at all."""
    with pytest.raises(Problem) as caught:
        await read(*sent)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert told in caught.value.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"xyz",
        b"--" + MARK,
        b"--" + MARK + b"\r\n",
        b"--" + MARK + b"-\r\n",
        b"--" + MARK + b"x\r\n" + PICTURE + b"\r\n--" + MARK + b"--\r\n",
        b"--" + MARK + b"\r\n" + PICTURE,
        b"--" + MARK + b"\r\n" + PICTURE + b"\r\n--" + MARK,
        b"--" + MARK + b"\r\n" + PICTURE + b"\r\n--" + MARK + b"\r\n",
        form_of([PICTURE], "another"),
        form_of([PICTURE]).replace(b"\r\n", b"\n"),
    ],
)
async def test_a_form_that_has_no_beginning_or_no_end_is_none(body: bytes) -> None:
    """400 where boundaries are missing, are others, or go on."""
    with pytest.raises(Problem) as caught:
        await read_form(body, FORM["Content-Type"], KINDS)
    assert (caught.value.status, caught.value.code) == (400, "bad_form")


@pytest.mark.parametrize("before", [b"x", b"\n" * 100_000])
async def test_a_boundary_begins_its_line(before: bytes) -> None:
    """Otherwise it is none: here the last one is the first, and there is no part."""
    with pytest.raises(Problem) as caught:
        await read_form(before + form_of([PICTURE]), FORM["Content-Type"], KINDS)
    assert caught.value.status == 422


async def test_a_part_may_be_empty_and_share_the_end_of_its_line() -> None:
    """With the line end that an empty part has to have, and without it."""
    body = form_of([part("lang", b""), PICTURE])
    for sent in (body, body.replace(b'"lang"\r\n\r\n\r\n', b'"lang"\r\n\r\n')):
        form = await read_form(sent, FORM["Content-Type"], KINDS)
        assert form == Form(b"xyz", [("lang", "")])


async def test_as_many_parts_as_there_may_be_are_read() -> None:
    """The image and others: options are checked by those who know them."""
    others = [part("tags", b"broken")] * (MAX_PARTS - 1)
    form = await read(*others, PICTURE)
    assert form == Form(b"xyz", [("tags", "broken")] * (MAX_PARTS - 1))


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0", bytes(10_000)])
async def test_a_picture_under_another_name_is_told_how_its_part_is_called(content: bytes) -> None:
    """Whether it is small or large: nobody guesses it from what is wrong with a text."""
    with pytest.raises(Problem, match=r"photo: .* is called image"):
        await read(part("photo", content))
