"""What goes on while the crash harness kills: scans and publishes, repeated until answered.

The `Book` has what clients were promised, to be compared with the log in the end.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from bench.crash_readers import CUTS, SCAN, SCANS, Reader, Transport, position
from bench.crash_server import PATIENCE_S, Server

CATEGORIES: Final = ("glass", "metal", "paper", "food", "pet_clear", "general")
CHANNELS: Final = ("app:one", "app:two")
TOKEN: Final = "crash-harness"

MOST_PUBLISHED: Final = 8_000
"""Events in a channel at most: the log keeps 10,000, and the judge wants to see them all."""

KEYED: Final = 0.3
"""Of the scans that are posted: with an Idempotency-Key, and repeated until answered."""

PICTURES: Final = 0.7
"""Of the scans that are posted where pictures are looked at; the others name a category."""

ASKED_AGAIN: Final = 64
"""Answers of before that are asked for again in the end."""


NOT_NOW: Final = (409, 503)
"""Statuses that say: come again. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to a request, first."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Request:
    """One that has the same answer each time.

    `waits`: its answer is a result, or 202 where the server could not wait for it.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    waits: bool = False


@dataclass(slots=True)
class Book:
    """What clients saw. `kills` counts on, so that a fault can be placed among the kills."""

    accepted: dict[str, int] = field(default_factory=dict)  # task id -> kills before
    published: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # its data's id ->
    # channel, cursor, kills before
    answers: dict[str, tuple[Request, Answer]] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    followed: dict[str, Reader] = field(default_factory=dict)  # somebody who follows it, by task id
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    one_epoch: bool = True  # else a kill ends an epoch: cursors of old events are renewed

    def unchanged(self, name: str, request: Request, answer: Answer) -> None:
        """An answer, which is to be the same each time that it is given."""
        if not self.one_epoch:
            answer = _without_epoch(answer)
        _, first = self.answers.setdefault(name, (request, answer))
        late = request.waits and (first.status, answer.status) == (202, 200)
        if late and first.json()["task_id"] == answer.json()["task_id"]:
            self.answers[name] = request, answer
        elif first != answer:
            self.wrong.append(f"{name}: answered {first}, then {answer}")


def _without_epoch(answer: Answer) -> Answer:
    """The same, with the position of a snapshot in the place of its cursor."""
    told = answer.json()
    if "result" not in told or "cursor" not in told:
        return answer
    told["cursor"] = position(told["cursor"])
    return Answer(answer.status, json.dumps(told).encode())


class Load:
    """Clients of one server. `rng` decides what they ask for; `photos`: what is looked at."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        server: Server,
        rng: random.Random,
        photos: Sequence[bytes],
    ) -> None:
        self.http = http
        self.server = server
        self.book = Book()
        self.closing = False
        self._rng = rng
        self._photos = photos
        self._numbers = itertools.count(1)
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

    async def post_scan(self) -> str | None:
        """The task id; None when nobody was told one."""
        key = f"scan-{next(self._numbers)}" if self._rng.random() < KEYED else None
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
        made = Reader(self.http, self.server, channels, transports, task_ids[0])
        self.book.readers.append(made)
        for task_id in task_ids:
            self.book.followed[task_id] = made
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
            if self._published[channel] >= MOST_PUBLISHED:
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
