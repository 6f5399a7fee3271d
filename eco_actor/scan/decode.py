"""From the bytes that a client sent to upright RGB pixels, or a clear refusal. Blocking, no I/O.

Decoding costs more than the network that looks at the result, so a large JPEG is decoded at a
reduced scale, and never more of a picture than `LONGEST` pixels a side goes on.
"""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from eco_actor.scan.picture import MAX_PIXELS, BadPicture, Picture, TooManyPixels

FORMATS: Final = ("JPEG", "PNG", "WEBP")
LONGEST: Final = 768
KEPT_BYTES: Final = 512 * 1024  # a JPEG of this size and small enough is kept as it was sent
ORIENTATION: Final = 0x0112  # the EXIF tag
BACKGROUND: Final = (255, 255, 255)  # shows through where a picture is transparent


def decode(body: bytes) -> Picture:
    """Decode a JPEG, PNG or WebP to its end, turn it upright, shrink it to `LONGEST` a side.

    Of an animation the first frame. BadPicture for anything else, truncated or broken; memory is
    bounded by `MAX_PIXELS`. Blocks for some tens of milliseconds: call it in a thread.
    """
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            return _decode(image, body)
    except BadPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(
            f"the picture has more than {MAX_PIXELS // 10**6} megapixels"
        ) from error
    except UnidentifiedImageError as error:
        raise BadPicture("these bytes are no JPEG, PNG or WebP picture") from error
    except Exception as error:  # decoders raise whatever they like on hostile bytes
        raise BadPicture(f"the picture cannot be decoded to its end ({error})") from error


def _decode(image: Image.Image, body: bytes) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise TooManyPixels(
            f"the picture has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} megapixels"
        )
    image.draft("RGB", (LONGEST, LONGEST))  # a no-op for all but large JPEGs
    image.load()
    upright = _orientation(image) == 1
    rgb = _rgb(image if upright else ImageOps.exif_transpose(image))
    rgb.info.clear()  # comments and profiles are nobody's business
    as_sent = upright and image.format == "JPEG" and image.mode == "RGB"
    if max(rgb.size) > LONGEST:
        rgb.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
    if as_sent and rgb.size == (width, height) and len(body) <= KEPT_BYTES:
        return Picture(np.asarray(rgb), body)
    kept = io.BytesIO()
    rgb.save(kept, "JPEG", quality=90)
    return Picture(np.asarray(rgb), kept.getvalue())


def _orientation(image: Image.Image) -> int:
    """What EXIF says, 1 being upright; unreadable EXIF says nothing."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a channel: keep the upper ones
        return Image.fromarray(
            (np.asarray(image, np.float64) / 256).clip(0, 255).astype(np.uint8)
        ).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")
