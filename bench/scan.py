"""Scans per second, end to end: POST, every step through the log, and the stream to its end.

`python -m bench.scan` prints one JSON line. Each client posts a scan, follows its stream until the
last event, and posts the next. The server has one core, the clients
the other; rounds against the server and against plain aiohttp (same conversation, no log, no
pipeline) alternate, and medians are given.

category:  scans with a category, no vision     vision:  scans of a photograph
answer_ms: from the first byte of the POST to the answer's event
"""

import argparse
import asyncio
import io
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench.server import Server, cores, eco, running

ANSWER: Final = b'"step":"answer"'


@dataclass(slots=True)
class Round:
    """What one round measured."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    answers_ms: list[float] = field(default_factory=list)
    done: int = 0
    refused: int = 0

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.answers_ms)
        return {
            "scans_s": self.done / self.seconds,
            "answer_ms_p50": ordered[len(ordered) // 2],
            "answer_ms_p99": ordered[int(len(ordered) * 0.99)],
            "cpu_ms_per_scan": self.cpu_s * 1000 / self.done,
            "refused": self.refused,
        }


class Client(asyncio.Protocol):
    """Posts, follows, posts again; without coroutines, to be cheaper than any server.

    It posts on one connection that is kept, and follows each scan on another, as a browser does.
    """

    def __init__(self, round_: Round, post: bytes, until: float, address: tuple[str, int]) -> None:
        self.round = round_
        self.post = post
        self.until = until
        self.address = address
        self.over = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.opening: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._post()

    def _post(self) -> None:
        self.received.clear()
        self.begun = time.perf_counter()
        self.transport.write(self.post)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        end = self.received.find(b"}", head)
        if head < 0 or end < 0:
            return
        if self.received.startswith(b"HTTP/1.1 202"):
            url = json.loads(self.received[head + 4 : end + 1])["stream_url"]
            following = asyncio.get_running_loop().create_connection(
                lambda: Follower(self, url), *self.address
            )
            self.opening = asyncio.ensure_future(following)
        else:
            self.round.refused += 1
            self.next()

    def answered(self) -> None:
        self.round.answers_ms.append((time.perf_counter() - self.begun) * 1000)

    def followed(self, error: Exception | None) -> None:
        if error is not None and not self.over.done():
            self.over.set_exception(error)
        self.round.done += 1
        self.next()

    def next(self) -> None:
        if self.over.done():
            return
        if time.perf_counter() < self.until:
            self._post()
        else:
            self.over.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(error or ConnectionError("the server closed the connection"))


class Follower(asyncio.Protocol):
    """Reads one scan's stream to its end, which is the end of the connection."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url
        self.received = bytearray()
        self.answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asked = f"GET {self.url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        cast(asyncio.Transport, transport).write(asked.encode())

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.answered and ANSWER in self.received:
            self.answered = True
            self.client.answered()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered:
            error = error or ConnectionError(f"no answer: {bytes(self.received[-500:])!r}")
        self.client.followed(error)


async def measure(server: Server, post: bytes, clients: int, seconds: float) -> Round:
    """One round against *server*."""
    round_, loop = Round(), asyncio.get_running_loop()
    cpu_s, begun = server.cpu_s(), time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Client(round_, post, begun + seconds, (server.host, server.port)),
            server.host,
            server.port,
        )
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    round_.seconds = time.perf_counter() - begun
    round_.cpu_s = server.cpu_s() - cpu_s
    return round_


def request(body: bytes, content_type: str) -> bytes:
    head = (
        "POST /scan/classify HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def photograph() -> bytes:
    """A photograph of $ECO_TRASHNET, or where there is none a drawing of the same size."""
    folder = os.environ.get("ECO_TRASHNET")
    photo = next(iter(sorted(Path(folder).glob("glass/*.jpg"))), None) if folder else None
    if photo is not None:
        return photo.read_bytes()
    from PIL import Image

    drawn = io.BytesIO()
    Image.effect_mandelbrot((320, 240), (-2, -1.2, 1, 1.2), 100).convert("RGB").save(drawn, "JPEG")
    return drawn.getvalue()


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}


def alone(post: bytes, seconds: float, durability: str, core: int, page_size: int | None) -> int:
    """Bytes written to storage by a scan when one follows the other.

    With *page_size* in a database of such pages, which a server takes as it finds them.
    """
    with tempfile.TemporaryDirectory(prefix="eco-bench-") as folder:
        if page_size is not None:
            with closing(sqlite3.connect(Path(folder, "eco.db"))) as db:
                db.execute(f"PRAGMA page_size={page_size}")
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("VACUUM")
        options = ("--durability", durability, "--vision", "off", "--data-dir", folder)
        with eco(*options, core=core) as server:
            uvloop.run(measure(server, post, 1, 0.5))  # the first ones make the file grow
            before = server.disk_bytes()
            found = uvloop.run(measure(server, post, 1, seconds)).figures()
            written = server.disk_bytes() - before
            return round(written / (found["scans_s"] * seconds))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64, help="scans under way at a time (64)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (4)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind (3)")
    parser.add_argument("--durability", default="full", choices=["full", "normal", "off"])
    parser.add_argument("--no-vision", action="store_true", help="leave the photographs out")
    given = parser.parse_args()

    server_core, client_core = cores()
    os.sched_setaffinity(0, {client_core})
    by_category = request(b'{"category": "glass", "lang": "en"}', "application/json")
    by_photo = request(photograph(), "image/jpeg")

    def rounds_of(server: Server, post: bytes, clients: int) -> dict[str, float]:
        return uvloop.run(measure(server, post, clients, given.seconds)).figures()

    plain_command = [sys.executable, "-m", "bench.plain_aiohttp"]
    options = ("--durability", given.durability, "--log-level", "warning")
    category: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    vision: list[dict[str, float]] = []
    with (
        running(plain_command, server_core) as plain_server,
        eco(*options[:2], "--vision", "off", core=server_core) as server,
    ):
        disk, done = server.disk_bytes(), 0.0
        for _ in range(given.rounds):
            category.append(rounds_of(server, by_category, given.clients))
            done += category[-1]["scans_s"] * given.seconds
            plain.append(rounds_of(plain_server, by_category, given.clients))
        disk_per_scan = (server.disk_bytes() - disk) / done
    usual: dict[str, int] = {}
    if given.durability != "off":
        for name, page_size in (("ours", None), ("pages_of_4096", 4096)):
            length = given.seconds / 2
            usual[name] = alone(by_category, length, given.durability, server_core, page_size)
    if not given.no_vision:
        with eco(*options[:2], core=server_core) as server:
            vision = [rounds_of(server, by_photo, 8) for _ in range(given.rounds)]
    found: dict[str, Any] = {
        "bench": "scan",
        "durability": given.durability,
        "clients": given.clients,
        "category": medians(category) | {"disk_bytes_per_scan": round(disk_per_scan)},
        "disk_bytes_of_one_alone": usual,
        "plain_aiohttp": medians(plain),
        "cpu_ratio_to_plain": round(
            statistics.median(
                ours["cpu_ms_per_scan"] / theirs["cpu_ms_per_scan"]
                for ours, theirs in zip(category, plain, strict=True)
            ),
            2,
        ),
    }
    if vision:
        found["vision"] = medians(vision)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
