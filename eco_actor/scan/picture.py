"""A picture on its way to vision, and why one may be refused. Decoding itself is in decode.py."""

from dataclasses import dataclass
from typing import Final

from eco_actor.scan.vision import Pixels

MAX_PIXELS: Final = 40_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """What goes on to vision, and the JPEG of the same that is kept until vision is done."""

    pixels: Pixels
    jpeg: bytes


class BadPicture(Exception):
    """The bytes are no picture that can be looked at; `code` is stable, the text for people."""

    code = "not_decodable"


class TooManyPixels(BadPicture):
    """More than `MAX_PIXELS`, judged by the header, before anything is unpacked."""

    code = "too_many_pixels"
