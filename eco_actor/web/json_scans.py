"""The JSON object of `POST /scan/classify`, taken apart without a long stop.

The text of a picture is cut out first. What is left is small, so that neither a parser nor the loop
has ever much to do at once, whatever a client sends.
"""

import re
from typing import Any, Final

import msgspec

from eco_actor.web.problems import Problem
from eco_actor.web.uploads import MAX_BODY, SMALL_BODY

JSON_BODY: Final = 2 * ((MAX_BODY + 2) // 3 * 4) + SMALL_BODY
"""Bytes of a body with the largest picture, if all of its base64 slashes that are written `\\/`,
as some encoders do. As `\\u002f` up to a fifth of it may be slashes: in pictures one in 64 is."""

_IMAGE: Final = re.compile(rb'"image"\s*:\s*"')


class _Key:
    """The name of a field. Each is itself alone, so that those that come twice stay two."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _key(kind: type[_Key], name: str) -> _Key:
    return kind(name)


_object: Final = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_key).decode


def read_fields(body: bytes) -> tuple[dict[str, Any], memoryview | None]:
    """The fields but `image`, and the text of that, as it stands between its quotes. Problem."""
    rest, text = _cut(body)
    fields = _fields(rest)
    image = fields.pop("image", None)
    if image is not None and not isinstance(image, str):
        raise Problem(422, "bad_option", "image: a data URL, or null")
    if image:  # its name was written in a way of which `_cut` knows nothing
        return fields, memoryview(msgspec.json.encode(image))[1:-1]
    return fields, text if image is not None else None


def _cut(body: bytes) -> tuple[bytes, memoryview | None]:
    """Take the text of the first `image` out of *body*. Problem when much is left.

    A mistake in the choice would be found: only the object itself has fields that are known.
    """
    text = None
    found = _IMAGE.search(body, 0, SMALL_BODY)
    if found is not None:
        end = body.find(b'"', found.end())
        if end < 0:
            raise Problem(400, "bad_json", "the body is not JSON: the text of the image has no end")
        text = memoryview(body)[found.end() : end]
        body = body[: found.end()] + body[end:]
    if len(body) > SMALL_BODY:
        detail = f"all that is in the body beside the image is larger than {SMALL_BODY} bytes"
        raise Problem(413, "too_large", detail)
    return body, text


def _fields(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    try:
        for key, value in _object(body).items():
            if key.name in fields:
                raise Problem(422, "bad_option", f"{key.name:.100}: given more than once")
            fields[key.name] = _value(key.name, value)
    except msgspec.ValidationError as error:
        raise Problem(400, "bad_json", "the body is JSON, but not an object") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_json", f"the body is not JSON: {error}") from error
    return fields


def _value(name: str, value: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_option", f"{name:.100}: {error}") from error
