"""`Content-Type` and `Content-Disposition`, whatever clients write into them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eco_actor.web.forms import boundary_of, parts
from eco_actor.web.media_types import UNKNOWN, media_type, parameter
from eco_actor.web.problems import Problem
from tests.web.asking import BOUNDARY, Sent, form_of, kept
from tests.web.checks import check_problem
from tests.web.client import Client
from tests.web.pictures import drawn, encoded
from tests.web.serving import Server

PICTURE: Final = encoded(drawn())

HOSTILE: Final = (
    "{}*=undefined''x",
    "{}*=idna''%ff",
    "{}*=punycode''%ff",
    "{}*=hex''x",
    "{}*=a\0b''x",
    "{}*=utf-8''%EC%9D",
    "{}*=utf-8''a; {}*=utf-8''a",
    "{}*=x; {}*0=y",
    "{}*0=x; {}*=y",
    "{}*0*=punycode''%ff",
    "{}*9999999999999999999999*=x",
    "{}*=''''''",
    '{}="a"b',
)
"""Parameters on which parsers have failed; `{{}}` stands for the name."""

values = st.text(
    st.one_of(st.sampled_from("*'%;=\"\\ 0"), st.characters(max_codepoint=255)), max_size=60
)
named = st.lists(
    st.sampled_from(
        ["name", "boundary", "*", "0", "=", "''", "utf-8", "idna", "%ff", ";", '"', "x"]
    )
).map("".join)


@given(st.one_of(values, named))
@example("; name*=undefined''x")
def test_no_header_is_a_fault(text: str) -> None:
    """A media type, a parameter or a ValueError; a boundary or a problem, which can be told."""
    for header in (text, f"a/b;{text}", f"multipart/form-data; name={text}; boundary={text}"):
        assert media_type(header).isascii()
        for name in ("name", "boundary"):
            with contextlib.suppress(ValueError):
                assert isinstance(parameter(header, name), str | None)
        problem = None
        try:
            boundary_of(header)
        except Problem as caught:
            problem = caught
        if problem is not None:
            assert (problem.status, problem.code) == (400, "bad_form")
            problem.detail.encode()


@given(st.one_of(values, named), st.booleans())
def test_no_description_of_a_part_is_a_fault(text: str, latin: bool) -> None:
    """A part, or a problem that can be told, in any encoding of it."""
    told = text.encode("latin-1" if latin else "utf-8")
    for head in (told, b"form-data;" + told, b"form-data; name=" + told):
        sent = b"Content-Disposition: " + head + b"\r\n\r\nabc"
        problem = None
        try:
            for each in parts(form_of([sent]), BOUNDARY.encode()):
                each.name.encode()
        except Problem as caught:
            problem = caught
        if problem is not None:
            assert problem.status in (400, 415)
            problem.detail.encode()


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("image/jpeg", "image/jpeg"),
        (" IMAGE/Jpeg ; charset*=idna''%ff", "image/jpeg"),
        ("application/problem+json;", "application/problem+json"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("image", UNKNOWN),
        ("image/jpeg, image/png", UNKNOWN),
        ("image/\udcff", UNKNOWN),
        (";image/jpeg", UNKNOWN),
    ],
)
def test_a_media_type_is_what_stands_before_the_parameters(header: str | None, told: str) -> None:
    """In small letters, whatever the parameters are; what is none is not known."""
    assert media_type(header) == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("; name=image", "image"),
        (';filename="a;name=b;c";NAME = "im\\"age"', 'im"age'),
        ("; name*=UTF-8'ko'%EC%9C%A0", "유"),
        ("; name*=iso-8859-1''%e9", "é"),
        ('; name="image', "image"),
        ("; name=", ""),
        ("; filename*=undefined''x; filename=a; filename=b; name=image", "image"),
        ("; filename=name=image", None),
        ("; names=image; xname=image; name*0=image", None),
        ("", None),
    ],
)
def test_a_parameter_is_read_as_it_was_meant(written: str, told: str | None) -> None:
    """Quoted, escaped, extended; others are not looked into."""
    assert parameter(f"form-data{written}", "name") == told


@pytest.fixture
async def no_fault(plain_server: Server) -> AsyncIterator[None]:
    told = plain_server.log_text()
    yield
    assert "Traceback" not in plain_server.log_text().removeprefix(told)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.usefixtures("no_fault")
async def test_a_part_whose_name_is_hostile_is_refused(
    plain: Client, plain_server: Server, hostile: str
) -> None:
    """400, and nothing is accepted; where the file is called so, it is nobody's business."""
    before = len(kept(plain_server))
    path = "/scan/classify?category=glass"
    for name, status in (("name", 400), ("filename", 202)):
        named = hostile.replace("{}", name).encode()
        disposition = b"Content-Disposition: form-data; " + (
            named if name == "name" else b"name=image; " + named
        )
        body = form_of([disposition + b"\r\n\r\n" + PICTURE])
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = await Sent(path, body, kind).to(plain)
        if status == 400:
            check_problem(answer, 400, "bad_form")
            assert len(kept(plain_server)) == before
        else:
            assert answer.status == 202, answer.body


@pytest.mark.parametrize("hostile", [each for each in HOSTILE if "\0" not in each])
@pytest.mark.usefixtures("no_fault")
async def test_hostile_parameters_of_a_content_type_harm_nobody(
    plain: Client, hostile: str
) -> None:
    """400 for a boundary; others are not looked into: the body is what it says it is, or 415."""
    form = form_of([b"Content-Disposition: form-data; name=image\r\n\r\n" + PICTURE])
    path = "/scan/classify?category=glass"
    other, boundary = (hostile.replace("{}", name) for name in ("foo", "boundary"))
    for kind, body, status in (
        (f"multipart/form-data; {boundary}", form, 400),
        (f"multipart/form-data; {other}; boundary={BOUNDARY}", form, 202),
        (f"application/json; {other}", b"{}", 202),
        (f"image/png; {other}", PICTURE, 202),
        (f"text/plain; {other}", b"{}", 415),
    ):
        answer = await Sent(path, body, {"Content-Type": kind}).to(plain)
        assert answer.status == status, (kind, answer.body)
    login = await plain.post("/login", data=b"{}", headers={"Content-Type": f"a/b; {other}"})
    check_problem(login, 422)
