"""One request to scan in each of the ways in which it can be sent."""

import base64
import io
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgpack

from tests.web.client import Answer, Client
from tests.web.serving import Server

BOUNDARY: Final = "a-boundary"
FORM: Final = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON: Final = {"Content-Type": "application/json"}


class Sent(NamedTuple):
    path: str
    data: bytes
    headers: Mapping[str, str]

    async def to(self, client: Client, **more: str) -> Answer:
        """Send it, with *more* headers; their names with underscores."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        data = io.BytesIO(self.data)  # aiohttp warns of long bytes
        return await client.post(self.path, data=data, headers={**self.headers, **named})


def part(name: str, content: bytes, *more: str) -> bytes:
    """A field of a form, with *more* parameters and headers, as they stand behind its name."""
    head = "".join((f'Content-Disposition: form-data; name="{name}"', *more))
    return head.encode() + b"\r\n\r\n" + content


def image_part(picture: bytes, *, file: str = "a.jpg", kind: str | None = "image/jpeg") -> bytes:
    media = "" if kind is None else f"\r\nContent-Type: {kind}"
    return part("image", picture, f'; filename="{file}"{media}')


def form_of(parts: Sequence[bytes], boundary: str = BOUNDARY) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + each + b"\r\n" for each in parts) + mark + b"--\r\n"


def texts_of(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Options as a query has them, and a form."""
    told = {True: "true", False: "false"}
    return [
        (name, each if isinstance(each, str) else told[each])
        for name, value in options.items()
        for each in (value if isinstance(value, list) else [value])
    ]


def data_url(picture: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def raw(picture: bytes, options: Mapping[str, Any]) -> Sent:
    query = urlencode(texts_of(options))
    return Sent(f"/scan/classify?{query}", picture, {"Content-Type": "image/jpeg"})


def form(picture: bytes, options: Mapping[str, Any]) -> Sent:
    texts = [part(name, text.encode()) for name, text in texts_of(options)]
    return Sent("/scan/classify", form_of([*texts, image_part(picture)]), FORM)


def in_json(picture: bytes, options: Mapping[str, Any]) -> Sent:
    body = {**options, "image": data_url(picture)}
    return Sent("/scan/classify", json.dumps(body).encode(), JSON)


WAYS: Final[Mapping[str, Callable[[bytes, Mapping[str, Any]], Sent]]] = {
    "raw": raw,
    "form": form,
    "json": in_json,
}


def kept(server: Server) -> list[dict[str, Any]]:
    """The options of all scans that a server has accepted, in their order."""
    found = f"file:{server.data_dir / 'eco.db'}?mode=ro"
    with closing(sqlite3.connect(found, uri=True)) as db:
        rows = db.execute("SELECT options FROM scans ORDER BY task_id").fetchall()
    return [msgpack.unpackb(packed) for (packed,) in rows]
