"""Real photographs through the real network, however they come."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.web.client import Client
from tests.web.pictures import encoded, gradient

PHOTOS = [
    f"{material}/{material}{number}.jpg"
    for material in ("cardboard", "glass", "metal", "paper", "plastic")
    for number in (101, 202, 303)
]
ORIENTATION = 0x0112

# how a photo that the camera stored in this orientation is turned from the upright one
STORED = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


async def seen(client: Client, body: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
    """What the classifier makes of this picture."""
    answer = await client.post(
        "/scan/classify?realtime=false", data=body, headers={"Content-Type": kind}
    )
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()["classification"]
    return found


@pytest.fixture(scope="module")
def several(photos: Path) -> dict[str, bytes]:
    """A few photographs of each material, those of the list that there are."""
    found = {name: (photos / name).read_bytes() for name in PHOTOS if (photos / name).is_file()}
    assert len(found) > len(PHOTOS) // 2
    return found


async def test_most_photographs_are_what_their_folder_says(
    vision: Client, several: dict[str, bytes]
) -> None:
    """Of a few photographs of each material at least four of five are recognised."""
    verdicts = await asyncio.gather(*(seen(vision, body) for body in several.values()))
    right = [
        name.startswith(f"{verdict['category']}/")
        for name, verdict in zip(several, verdicts, strict=True)
    ]
    assert sum(right) >= 0.8 * len(right)


@pytest.mark.parametrize("orientation", STORED)
async def test_a_photo_lying_on_its_side_is_seen_upright(
    vision: Client, several: dict[str, bytes], orientation: int
) -> None:
    """Pixels turned as EXIF says get the answer of the upright photo, almost as surely."""
    for name, body in several.items():
        image = Image.open(io.BytesIO(body)).convert("RGB")
        upright = await seen(vision, encoded(image, quality=98, subsampling=0))
        for turn in STORED[orientation]:
            image = image.transpose(turn)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        turned = await seen(vision, encoded(image, quality=98, subsampling=0, exif=exif))
        assert turned["category"] == upright["category"], name
        assert turned["confidence"] == pytest.approx(upright["confidence"], abs=0.05), name


@pytest.mark.parametrize("mode", ["CMYK", "L"])
async def test_a_photo_in_other_colours_is_seen_as_it_is(
    vision: Client, several: dict[str, bytes], mode: str
) -> None:
    """CMYK gets the answer of RGB; grey gets the answer of grey stored as RGB."""
    for name, body in several.items():
        image = Image.open(io.BytesIO(body)).convert("RGB").convert(mode)
        same = await seen(vision, encoded(image.convert("RGB"), quality=98, subsampling=0))
        other = await seen(vision, encoded(image, quality=98))
        assert other["category"] == same["category"], name
        assert other["confidence"] == pytest.approx(same["confidence"], abs=0.05), name


@pytest.mark.parametrize(
    ("form", "kind", "how"),
    [
        ("PNG", "image/png", {}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("JPEG", "image/jpeg", {"quality": 98, "progressive": True}),
        ("PNG", "image/jpeg", {}),  # what it is called does not matter
    ],
)
async def test_the_same_photo_in_another_format_is_the_same(
    vision: Client, several: dict[str, bytes], form: str, kind: str, how: dict[str, Any]
) -> None:
    """PNG, WebP and progressive JPEG of the same pixels get the same category."""
    for name, body in several.items():
        image = Image.open(io.BytesIO(body)).convert("RGB")
        original = await seen(vision, body)
        assert (await seen(vision, encoded(image, form, **how), kind))["category"] == original[
            "category"
        ], name


async def test_a_large_photo_is_seen_like_a_small_one(
    vision: Client, several: dict[str, bytes]
) -> None:
    """Blown up to 12 megapixels a photo is still of the same material."""
    for name, body in list(several.items())[::5]:
        image = Image.open(io.BytesIO(body)).convert("RGB")
        original = await seen(vision, body)
        large = encoded(image.resize((4000, 3000), Image.Resampling.BICUBIC), quality=90)
        assert (await seen(vision, large))["category"] == original["category"], name


async def test_a_picture_of_nothing_is_answered_with_a_question(vision: Client) -> None:
    """A smooth change of colours: unsure, three to choose from, no bin and no reward."""
    answer = await vision.post(data=gradient(), headers={"Content-Type": "image/png"})
    task_id = answer.json()["task_id"]
    await vision.events(task_id)
    snapshot = (await vision.get(f"/scan/{task_id}")).json()
    found = snapshot["result"]["classification"]
    assert found["unsure"] is True
    assert (found["category"], found["name"], snapshot["result"]["rule"]) == (None, None, None)
    likely = [each["confidence"] for each in found["alternatives"]]
    assert len(likely) == 3
    assert likely == sorted(likely, reverse=True)
    assert snapshot["reward"] is None


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3000, 1), (16, 16)])
async def test_a_picture_of_any_shape_is_answered(vision: Client, size: tuple[int, int]) -> None:
    """A dot and a line are pictures, too."""
    found = await seen(vision, encoded(Image.new("RGB", size, (90, 90, 90)), "PNG"), "image/png")
    assert len(found["alternatives"]) == 3
