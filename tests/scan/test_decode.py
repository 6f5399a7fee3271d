"""From bytes to upright RGB pixels, or a clear refusal."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from eco_actor.scan.decode import LONGEST, decode
from eco_actor.scan.picture import Picture

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 160, 30), (30, 30, 200), (220, 210, 40)
CORNERS = [RED, GREEN, BLUE, YELLOW]  # top left, top right, bottom left, bottom right


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """A picture with a colour in each quarter, wider than high."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 95} if kind == "JPEG" else {}) | options)
    return out.getvalue()


def corners(picture: Picture) -> list[tuple[int, ...]]:
    """The colours a little inside each corner."""
    pixels = picture.pixels
    height, width, channels = pixels.shape
    assert channels == 3
    assert pixels.dtype == np.uint8
    places = [
        (y, x) for y in (height // 8, -1 - height // 8) for x in (width // 8, -1 - width // 8)
    ]
    return [tuple(int(value) for value in pixels[place]) for place in places]


def assert_like(found: list[tuple[int, ...]], expected: list[tuple[int, int, int]]) -> None:
    """Equal but for what a lossy format and a colour space change."""
    assert np.abs(np.subtract(found, expected)).max() <= 24, found


def assert_kept(picture: Picture) -> None:
    """The JPEG that is kept decodes to the same picture."""
    again = decode(picture.jpeg)
    assert again.pixels.shape == picture.pixels.shape
    difference = again.pixels.astype(int) - picture.pixels.astype(int)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": 0, "optimize": True}),
        ("PNG", {}),
        ("PNG", {"compress_level": 0}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_each_format_decodes_to_its_colours(kind: str, options: dict[str, Any]) -> None:
    """Upright RGB in the size that was sent, and a JPEG of the same."""
    picture = decode(encoded(quarters(), kind, **options))
    assert picture.pixels.shape == (48, 64, 3)
    assert_like(corners(picture), CORNERS)
    assert_kept(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 48), (1600, 1200)])
def test_a_picture_is_turned_upright(orientation: int, size: tuple[int, int]) -> None:
    """However the camera was held, each colour is in its corner, and stays so in what is kept."""
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = quarters(*size)
    if orientation > 1:
        image = image.transpose(turned[orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    sent = encoded(image, exif=exif)
    picture = decode(sent)
    assert_like(corners(picture), CORNERS)
    height, width, _ = picture.pixels.shape
    assert width > height
    assert_kept(picture)
    if orientation > 1:
        assert picture.jpeg != sent


def test_a_cmyk_jpeg_has_the_right_colours() -> None:
    """Print colours are converted, not inverted."""
    picture = decode(encoded(quarters().convert("CMYK")))
    assert_like(corners(picture), CORNERS)
    assert_kept(picture)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_pictures_become_rgb(mode: str) -> None:
    """Light stays light and dark stays dark."""
    image = Image.new("L", (32, 32), 255)
    image.paste(0, (16, 0, 32, 32))
    picture = decode(encoded(image.convert(mode), "PNG"))
    white, black = (255, 255, 255), (0, 0, 0)
    assert_like(corners(picture), [white, black, white, black])


def test_a_grey_jpeg_becomes_rgb() -> None:
    """Three channels, and what is kept is a colour JPEG or decodes to one."""
    picture = decode(encoded(Image.new("L", (32, 32), 90)))
    assert_like(corners(picture), [(90, 90, 90)] * 4)


def test_a_png_of_16_bits_keeps_its_brightness() -> None:
    """The upper eight bits of each value."""
    values = np.array([[0, 0x4000], [0x8000, 0xFFFF]], np.uint16).repeat(16, 0).repeat(16, 1)
    picture = decode(encoded(Image.fromarray(values), "PNG"))
    assert_like(corners(picture), [(v, v, v) for v in (0, 0x40, 0x80, 0xFF)])


def test_what_is_transparent_is_white() -> None:
    """In a palette, with an alpha channel, and half transparent."""
    image = quarters().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    red = image.getpixel((0, 0))
    palette = decode(encoded(image, "PNG", transparency=red))
    assert_like(corners(palette), [(255, 255, 255), GREEN, BLUE, YELLOW])
    alpha = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    alpha.paste((*RED, 255), (0, 0, 32, 48))
    alpha.paste((0, 0, 0, 127), (32, 24, 64, 48))
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        picture = decode(encoded(alpha, kind, **options))
        assert_like(corners(picture), [RED, (255, 255, 255), RED, (128, 128, 128)])


def test_a_transparent_colour_is_white() -> None:
    """A PNG without an alpha channel may name one colour that is transparent."""
    picture = decode(encoded(quarters(), "PNG", transparency=RED))
    assert_like(corners(picture), [(255, 255, 255), GREEN, BLUE, YELLOW])


def test_of_an_animation_the_first_frame_counts() -> None:
    """A WebP that moves is looked at as it begins."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in (GREEN, RED, BLUE)]
    moving = encoded(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True
    )
    assert_like(corners(decode(moving)), [GREEN] * 4)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ((769, 10), (768, 10)),
        ((768, 768), (768, 768)),
        ((3000, 2000), (768, 512)),
        ((2000, 3000), (512, 768)),
        ((4000, 3), (768, 1)),
        ((1, 1), (1, 1)),
        ((1, 700), (1, 700)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_reduced(
    sent: tuple[int, int], kept: tuple[int, int], kind: str
) -> None:
    """To 768 a side at most, in its proportions, never enlarged, never to nothing."""
    picture = decode(encoded(quarters(*sent), kind))
    height, width, _ = picture.pixels.shape
    assert max(width, height) <= LONGEST
    assert (width, height) == pytest.approx(kept, abs=1)
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        assert image.size == (width, height)


def test_a_small_upright_jpeg_is_kept_as_it_was_sent() -> None:
    """No second compression for what needs none."""
    sent = encoded(quarters())
    assert decode(sent).jpeg == sent


def test_a_long_comment_does_no_harm() -> None:
    """A good picture with a text beside it is a good picture."""
    info = PngInfo()
    info.add_text("comment", "x" * 70_000)
    assert decode(encoded(quarters(), "PNG", pnginfo=info)).pixels.shape == (48, 64, 3)
