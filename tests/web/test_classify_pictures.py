"""Odd pictures, in each of the three ways: what they are is decided by their bytes."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.web.asking import FORM, WAYS, Sent, data_url, form_of, image_part, kept
from tests.web.checks import check_problem, check_result
from tests.web.client import Client
from tests.web.pictures import bomb, drawn, encoded
from tests.web.serving import Server

WAIT = {"realtime": False}
LIMIT = 8 * 2**20

each_way = pytest.mark.parametrize("way", WAYS)


def animation(frames: int = 3) -> bytes:
    """A WebP that moves."""
    first, *others = [drawn().rotate(10 * number) for number in range(frames)]
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=others, duration=50)
    body = out.getvalue()
    assert Image.open(io.BytesIO(body)).n_frames == frames  # type: ignore[attr-defined]
    return body


TAKEN = {
    "png": encoded(drawn(), "PNG"),
    "webp": encoded(drawn(), "WEBP"),
    "animation": animation(),
    "pixel": encoded(Image.new("RGB", (1, 1)), "PNG"),
    "pixel-jpeg": encoded(Image.new("L", (1, 1))),
    "line": encoded(Image.new("RGB", (1, 2000))),
    "palette": encoded(drawn().convert("P"), "PNG"),
    "more-behind": encoded(drawn()) + bytes(1000),
}

REFUSED = {
    "no-picture": b"this is no picture",
    "cut-animation": animation()[: len(animation()) // 6],
    "half-jpeg": encoded(drawn())[:-400],
    "half-png": encoded(drawn(), "PNG")[:-40],
    "gif": encoded(drawn(), "GIF"),
    "nothing-high": encoded(Image.new("RGB", (1, 1)), "PNG").replace(
        b"\0\0\0\1\0\0\0\1", b"\0\0\0\1\0\0\0\0", 1
    ),
}


@pytest.fixture(autouse=True)
def counted(vision_server: Server) -> Iterator[list[int]]:
    """How many scans a test has accepted, told in its place once it is over."""
    before = len(kept(vision_server))
    expected = [0]
    yield expected
    assert len(kept(vision_server)) - before == expected[0]


@each_way
@pytest.mark.parametrize("picture", TAKEN)
async def test_a_picture_is_what_its_bytes_are(
    vision: Client, way: str, picture: str, counted: list[int]
) -> None:
    """All are said to be a JPEG called a.jpg: PNG, WebP, the first frame of an animation."""
    answer = await WAYS[way](TAKEN[picture], WAIT).to(vision)
    assert answer.status == 200, answer.body
    check_result(answer.json(), "ko")
    counted[0] = 1


@each_way
@pytest.mark.parametrize("picture", REFUSED)
async def test_what_is_no_picture_to_its_end_is_refused(
    vision: Client, way: str, picture: str
) -> None:
    """422 for other bytes, and for what breaks off; nothing is accepted."""
    answer = await WAYS[way](REFUSED[picture], WAIT).to(vision)
    check_problem(answer, 422, "not_decodable")


@each_way
async def test_too_many_pixels_are_too_large(vision: Client, way: str) -> None:
    """413 for more than 40 megapixels, however few bytes they are."""
    check_problem(await WAYS[way](bomb(8000, 5001), {}).to(vision), 413, "too_many_pixels")


@each_way
async def test_too_many_bytes_are_too_large(vision: Client, way: str) -> None:
    """413 for a picture of one byte more than 8 MiB."""
    picture = encoded(drawn())
    sent = WAYS[way](picture + bytes(LIMIT + 1 - len(picture)), {})
    answer = await sent.to(vision)
    check_problem(answer, 413, "too_large")


@each_way
async def test_as_many_bytes_as_there_may_be_are_taken(
    vision: Client, way: str, counted: list[int]
) -> None:
    """Exactly 8 MiB of picture, in each way."""
    picture = encoded(drawn())
    sent = WAYS[way](picture + bytes(LIMIT - len(picture)), {"user_input": "가" * 600})
    answer = await sent.to(vision)
    assert answer.status == 202, answer.body
    counted[0] = 1


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/webp"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_any_of_the_three_may_be_called_any_of_them(
    vision: Client, kind: str, form: str, counted: list[int]
) -> None:
    """As a body, as a part with such a file name, and as a data URL."""
    picture = encoded(drawn(), form)
    query = "/scan/classify?realtime=false"
    named = f"photo.{kind.removeprefix('image/')}"
    for sent in (
        Sent(query, picture, {"Content-Type": kind}),
        Sent(query, form_of([image_part(picture, file=named, kind=kind)]), FORM),
    ):
        assert (await sent.to(vision)).status == 200
    answer = await vision.post(query, json={"image": data_url(picture, kind)})
    assert answer.status == 200
    counted[0] = 3


@pytest.mark.parametrize("kind", [None, "application/octet-stream"])
async def test_a_part_need_not_say_what_it_is(
    vision: Client, kind: str | None, counted: list[int]
) -> None:
    """Its bytes say so; those of no picture are refused."""
    for picture, status in ((TAKEN["webp"], 200), (REFUSED["gif"], 422)):
        body = form_of([image_part(picture, file="photo.bin", kind=kind)])
        answer = await Sent("/scan/classify?realtime=false", body, FORM).to(vision)
        assert answer.status == status
    counted[0] = 1
