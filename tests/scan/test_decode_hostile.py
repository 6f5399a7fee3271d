"""Bytes that are broken, cut short, too many, or no picture at all: a clear refusal, always."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eco_actor.scan.decode import LONGEST, decode
from eco_actor.scan.picture import MAX_PIXELS, BadPicture, TooManyPixels


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("eighths", range(1, 8))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {})],
)
def test_a_truncated_picture_is_refused(kind: str, options: dict[str, Any], eighths: int) -> None:
    """Not decodable to its end, wherever it was cut."""
    whole = encoded(noise(200, 150), kind, **options)
    with pytest.raises(BadPicture) as caught:
        decode(whole[: len(whole) * eighths // 8])
    assert caught.value.code == "not_decodable"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        encoded(noise(64, 48), "GIF"),
        encoded(noise(64, 48), "BMP"),
        encoded(noise(64, 48), "TIFF"),
    ],
)
def test_what_is_no_jpeg_png_or_webp_is_refused(body: bytes) -> None:
    """Nothing, text, other formats, and mere beginnings."""
    with pytest.raises(BadPicture) as caught:
        decode(body)
    assert caught.value.code == "not_decodable"
    assert str(caught.value)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large; its data would unpack to some megabytes of nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(40_000, 40_000), (10_000, 10_000), (8000, 5001)])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(size: tuple[int, int]) -> None:
    """Below and above the bound at which the decoder itself warns or refuses."""
    assert size[0] * size[1] > MAX_PIXELS
    with pytest.raises(TooManyPixels, match="40 megapixels") as caught:
        decode(bomb(*size))
    assert caught.value.code == "too_many_pixels"


GOOD = {
    "JPEG": encoded(noise(64, 48)),
    "progressive": encoded(noise(64, 48), progressive=True),
    "PNG": encoded(noise(64, 48), "PNG"),
    "WEBP": encoded(noise(64, 48), "WEBP"),
}


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", GOOD["PNG"][:33]]))
def test_any_bytes_are_a_picture_or_a_bad_one(body: bytes, start: bytes) -> None:
    """Nothing but BadPicture comes out of random bytes."""
    try:
        picture = decode(start + body)
    except BadPicture:
        return
    assert max(picture.pixels.shape) <= LONGEST


@settings(deadline=None, max_examples=250)
@given(
    st.sampled_from(list(GOOD)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, 10_000),
)
def test_a_damaged_picture_is_a_picture_or_a_bad_one(
    kind: str, damage: list[tuple[int, int]], cut: int
) -> None:
    """Bytes changed at random, sometimes the end missing: never another error."""
    body = bytearray(GOOD[kind])
    for place, value in damage:
        body[place % len(body)] = value
    if cut < 3000:
        del body[cut % len(body) :]
    try:
        picture = decode(bytes(body))
    except BadPicture:
        return
    assert max(picture.pixels.shape) <= LONGEST
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        assert image.format == "JPEG"
        image.load()
