"""What goes on while the crash harness kills: scans and publishes, repeated until answered."""

import asyncio
import itertools
import json
import math
import random
from collections.abc import Sequence
from typing import Final

import aiohttp

from bench.crash_book import Answer, Book, Request
from bench.crash_readers import CUTS, SCAN, Reader, Transport, position
from bench.crash_server import PATIENCE_S, Server
from bench.crash_small import KEEP_SCANS
from bench.crash_small import KEYED as KEYED_IN_SMALL
from bench.crash_transports import SCANS

CATEGORIES: Final = ("glass", "metal", "paper", "food", "pet_clear", "general")
CHANNELS: Final = ("app:one", "app:two")
TOKEN: Final = "crash-harness"

MOST_PUBLISHED: Final = 8_000
"""Events in a channel at most: the log keeps 10,000, and the judge wants to see them all."""

KEYED: Final = 0.3
"""Of the scans that are posted: with an Idempotency-Key, and repeated until answered."""

PICTURES: Final = 0.7
"""Of the scans that are posted where pictures are looked at; the others name a category."""

BEFORE: Final = 2 * KEEP_SCANS
"""Scans that are followed again where little is kept: about half of them are gone."""

ASKED_AGAIN: Final = 64
"""Answers of before that are asked for again in the end."""


NOT_NOW: Final = (409, 503)
"""Statuses that say: come again. Nothing was done."""


class Load:
    """Clients of one server. `rng` decides what they ask for; `photos`: what is looked at.

    *small*: the server keeps little.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        server: Server,
        rng: random.Random,
        photos: Sequence[bytes],
        *,
        small: bool = False,
    ) -> None:
        self.http = http
        self.server = server
        self.book = Book(small=small)
        self.closing = False
        self._rng = rng
        self._photos = photos
        self._numbers = itertools.count(1)
        self._keyed_left = KEYED_IN_SMALL if small else math.inf
        self._published = dict.fromkeys(CHANNELS, 0)

    # ---- requests

    async def ask(self, request: Request) -> Answer | None:
        """The answer; None when the connection was cut before it was there whole."""
        url = self.server.url + request.path
        try:
            async with (
                asyncio.timeout(PATIENCE_S),
                self.http.request(
                    request.method, url, headers=request.headers, data=request.body
                ) as response,
            ):
                return Answer(response.status, await response.read())
        except CUTS:
            return None

    async def insist(self, request: Request) -> Answer:
        """Ask until there is an answer that is no refusal for the moment."""
        while True:
            life = self.server.life
            answer = await self.ask(request)
            if answer is not None and answer.status not in NOT_NOW:
                return answer
            await self.server.again(life)

    # ---- scans

    def scan_request(self, key: str | None) -> Request:
        rng = self._rng
        headers = {"Idempotency-Key": key} if key else {}
        realtime = "true" if rng.random() < 0.8 else "false"
        if self._photos and rng.random() < PICTURES:
            path = f"/scan/classify?lang=en&realtime={realtime}"
            headers["Content-Type"] = "image/jpeg"
            photo = rng.choice(self._photos)
            return Request("POST", path, headers, photo, realtime == "false")
        body = {"category": rng.choice(CATEGORIES), "realtime": realtime == "true"}
        if rng.random() < 0.3:
            body["user_input"] = "x" * rng.randrange(2000)
        packed = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
        return Request("POST", "/scan/classify", headers, packed, realtime == "false")

    async def post_scans(self, transports: Sequence[Transport], count: int = 1) -> None:
        """Post *count* scans and follow them to their ends by one client, then the next."""
        while not self.closing:
            posted = [each for _ in range(count) if (each := await self.post_scan()) is not None]
            if posted:
                await self.reader(posted, transports).run()
            for task_id in posted:
                await self.look_back(task_id)
            if self.book.small and posted:
                await self.read_again(transports)

    async def post_scan(self) -> str | None:
        """The task id; None when nobody was told one."""
        key = None
        if self._keyed_left and self._rng.random() < KEYED:
            self._keyed_left -= 1
            key = f"scan-{next(self._numbers)}"
        request = self.scan_request(key)
        life = self.server.life
        answer = await (self.ask(request) if key is None else self.insist(request))
        if answer is None or answer.status == 503:
            await self.server.again(life)
            return None
        if answer.status not in (200, 202):
            self.book.wrong.append(f"a scan was answered {answer}")
            return None
        task_id: str = answer.json()["task_id"]
        self.accept(task_id, request, answer)
        return task_id

    def accept(self, task_id: str, request: Request, answer: Answer) -> None:
        book = self.book
        if task_id in book.accepted:
            book.wrong.append(f"{task_id}: two requests were given the same scan")
        book.accepted[task_id] = book.kills
        if "Idempotency-Key" in request.headers:
            name = f"key {request.headers['Idempotency-Key']}"
            book.unchanged(name, request, answer)
        elif answer.status == 200:
            path = f"/scan/{task_id}/result"
            book.unchanged(path, Request("GET", path), answer)

    def reader(self, task_ids: Sequence[str], transports: Sequence[Transport] = SCANS) -> Reader:
        """A client for scans that begins at their beginning."""
        channels = tuple(SCAN + task_id for task_id in task_ids)
        made = self._reader(channels, transports, task_ids[0])
        for task_id in task_ids:
            self.book.followed[task_id] = made
        return made

    async def read_again(self, transports: Sequence[Transport]) -> None:
        """Follow a scan of before from its beginning: it may be gone by now, or go meanwhile."""
        task_id = self._rng.choice([*self.book.accepted][-BEFORE:])
        await self._reader((SCAN + task_id,), transports, f"again {task_id}").run()

    def follower(
        self, channels: Sequence[str], transports: Sequence[Transport], name: str, ordered: bool
    ) -> Reader:
        """A client for channels that have no end, from now on."""
        return self._reader(tuple(channels), transports, name, ordered)

    def _reader(
        self,
        channels: tuple[str, ...],
        transports: Sequence[Transport],
        name: str,
        ordered: bool = False,
    ) -> Reader:
        made = Reader(self.http, self.server, channels, transports, name, ordered, self.book.small)
        self.book.readers.append(made)
        return made

    async def look_back(self, task_id: str) -> None:
        """A scan that is over looks the same for ever; and so does one of before."""
        for path in (f"/scan/{task_id}", f"/scan/{task_id}/result"):
            await self.ask_again(path, Request("GET", path))
        if self.book.answers:
            await self.ask_again(self._rng.choice([*self.book.answers]))

    async def ask_again(self, name: str, request: Request | None = None) -> None:
        """Ask for what was answered before, or now for the first time."""
        if request is None:
            request, _ = self.book.answers[name]
        answer = await self.ask(request)
        if answer is not None and answer.status not in NOT_NOW:
            self.book.unchanged(name, request, answer)

    # ---- channels

    async def publish(self) -> None:
        """Publish one event after the other, each until it is answered, then once more."""
        while not self.closing:
            channel = self._rng.choice(CHANNELS)
            number = f"p{next(self._numbers)}"
            if self._published[channel] >= MOST_PUBLISHED and not self.book.small:
                return
            self._published[channel] += 1
            headers = {
                "Authorization": f"Bearer {TOKEN}",
                "Content-Type": "application/json",
                "Idempotency-Key": number,
            }
            body = json.dumps({"id": number, "pad": "x" * self._rng.randrange(500)}).encode()
            request = Request("POST", f"/channels/{channel}/events", headers, body)
            before = self.book.kills
            answer = await self.insist(request)
            if answer.status != 202:
                self.book.wrong.append(f"a publish was answered {answer}")
                continue
            self.book.published[number] = (channel, answer.json()["cursor"], before)
            self.book.unchanged(f"key {number}", request, answer)
            if self._rng.random() < 0.2:
                await self.ask_again(f"key {number}")

    async def come_late(self, transport: Transport) -> None:
        """Follow a channel from some event of long before up to the last one, by one client."""
        told = [*self.book.published.values()]
        if not told:
            return
        channel, cursor, _ = self._rng.choice(told[: len(told) // 2 + 1])
        reader = self.follower([channel], [transport], f"late {next(self._numbers)}", True)
        reader.begins[channel], reader.cursors[channel] = position(cursor), cursor
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(reader.run())
            await reader.reaches(channel, position(self.last_published()[channel]))
            following.cancel()
        reader.ends[channel] = position(reader.cursors[channel])

    def last_published(self) -> dict[str, str]:
        """The last cursor that was answered, by channel."""
        last: dict[str, str] = {}
        for channel, cursor, _ in self.book.published.values():
            if channel not in last or position(cursor) > position(last[channel]):
                last[channel] = cursor
        return last

    async def finish(self) -> None:
        """Ask again for what was answered before."""
        names = list(self.book.answers)
        for name in self._rng.sample(names, min(ASKED_AGAIN, len(names))):
            await self.ask_again(name)
