"""From the bytes that a client sent to upright RGB pixels, or a clear refusal. Blocking, no I/O.

Decoding costs more than the network that looks at the result, so a large JPEG is decoded at a
reduced scale, and never more of a picture than `LONGEST` pixels a side goes on.
"""

import io
import threading
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from eco_actor.scan.memory import return_freed
from eco_actor.scan.picture import MAX_PIXELS, BadPicture, Picture, TooManyPixels

FORMATS: Final = ("JPEG", "PNG", "WEBP")
LONGEST: Final = 768
LARGE: Final = 8_000_000  # pixels from which on pictures are decoded one at a time
KEPT_BYTES: Final = 512 * 1024  # a JPEG of this size and small enough is kept as it was sent
ORIENTATION: Final = 0x0112  # the EXIF tag
BACKGROUND: Final = (255, 255, 255)

_one_large: Final = threading.Lock()


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
    if width * height <= LARGE:
        return _reduce(image, body)
    with _one_large:  # their memory is not for every thread at a time
        picture = _reduce(image, body)
        image.close()
        return_freed()
        return picture


def _reduce(image: Image.Image, body: bytes) -> Picture:
    """Shrink first, in the picture's own mode; what follows then works on few pixels."""
    sent = image.size
    image.draft("RGB", (LONGEST, LONGEST))  # a no-op for all but large JPEGs
    image.load()
    upright = _orientation(image) == 1
    small = _with_values(image)
    if max(small.size) > LONGEST:
        small.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
    rgb = _rgb(small if upright else ImageOps.exif_transpose(small))
    rgb.info.clear()  # comments and profiles are nobody's business
    as_sent = upright and image.format == "JPEG" and image.mode == "RGB" and rgb.size == sent
    if as_sent and len(body) <= KEPT_BYTES:
        return Picture(np.asarray(rgb), body)
    kept = io.BytesIO()
    rgb.save(kept, "JPEG", quality=90)
    return Picture(np.asarray(rgb), kept.getvalue())


def _with_values(image: Image.Image) -> Image.Image:
    """The same in a mode that can be shrunk: values of 8 bits, not places in a palette."""
    if image.mode in ("P", "PA", "1"):
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a channel: keep the upper ones
        values = np.asarray(image).clip(0, 0xFFFF).astype(np.uint16) >> 8
        return Image.fromarray(values.astype(np.uint8))
    return image


def _orientation(image: Image.Image) -> int:
    """What EXIF says, 1 being upright; unreadable EXIF says nothing."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """A copy in RGB; what is transparent shows `BACKGROUND`."""
    if "A" in image.getbands() or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")
