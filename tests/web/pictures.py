"""Pictures made on the spot, good and hostile."""

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw


def drawn(width: int = 320, height: int = 240) -> Image.Image:
    """Something like a bottle on a table."""
    image = Image.new("RGB", (width, height), (222, 216, 204))
    pen = ImageDraw.Draw(image)
    pen.rectangle((width * 0.4, height * 0.3, width * 0.6, height * 0.9), (40, 110, 70))
    pen.rectangle((width * 0.46, height * 0.1, width * 0.54, height * 0.35), (40, 110, 70))
    return image


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def gradient(width: int = 640, height: int = 480) -> bytes:
    """A PNG of nothing: a smooth change of colours, no thing and no material."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return encoded(Image.merge("RGB", (across, down, Image.new("L", (width, height), 200))), "PNG")


def bomb(width: int = 40_000, height: int = 40_000) -> bytes:
    """A small PNG whose header promises a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
