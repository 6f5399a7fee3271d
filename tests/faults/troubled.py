"""A server whose storage fails: what it must refuse, what it must go on doing, what it may keep."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.web.checks import check_events, check_problem, check_result
from tests.web.client import JPEG, Answer, Client, is_data
from tests.web.credentials import SECRET, bearer
from tests.web.pictures import drawn, encoded
from tests.web.serving import Server

SOON_S: Final = 10.0
"""By then a trouble has been noticed, or has been got over; it is never waited out."""

CHANNEL: Final = "app:board"

TOKEN: Final = {"ECO_OPERATOR_TOKEN": SECRET}
"""The environment of a server whose operator is the patron."""

KEY: Final = {"Idempotency-Key": "k"}

OPERATOR: Final = bearer(SECRET)

FITS: Final = 64
"""Events at most for which a full disk may have room: files end within a block of it."""


async def until(so: Callable[[], Awaitable[bool]], within: float = SOON_S) -> None:
    """Asks again and again until it is so."""
    async with asyncio.timeout(within):
        while not await so():  # noqa: ASYNC110  # the condition is of another process
            await asyncio.sleep(0.02)


@dataclass
class Books:
    """What clients were promised."""

    scans: set[str] = field(default_factory=set)
    numbers: list[int] = field(default_factory=list)
    """Of the events published on CHANNEL."""


class Patron:
    """A client of a server that may be in trouble; notes what it was promised."""

    def __init__(self, session: aiohttp.ClientSession, server: Server) -> None:
        self.server = server
        self.client = Client(session, server.url)
        self.books = Books()
        self._numbers = 0

    async def begin(self, *, photo: bool = False) -> str:
        """A scan that was accepted."""
        answer = await self.ask_scan(photo=photo)
        assert answer.status == 202, answer.body
        return str(answer.json()["task_id"])

    async def ask_scan(self, *, photo: bool = False, **given: Any) -> Answer:
        if photo:
            answer = await self.client.post(data=encoded(drawn()), headers=JPEG)
        else:
            answer = await self.client.post(json={"category": "glass"}, **given)
        if answer.status in (200, 202):
            self.books.scans.add(answer.json()["task_id"])
        return answer

    async def publish(self, query: str = "") -> Answer:
        self._numbers += 1
        answer = await self.client.post(
            f"/channels/{CHANNEL}/events{query}",
            json={"n": self._numbers},
            headers=OPERATOR,
        )
        if answer.status == 202 and not query:
            self.books.numbers.append(self._numbers)
        return answer

    async def is_ready(self) -> bool:
        return (await self.client.get("/readyz")).status == 200

    async def is_over(self, task_id: str) -> bool:
        polled = await self.client.get(f"/scan/{task_id}/events?wait=0")
        assert polled.status == 200, polled.body
        return bool(polled.json()["done"])

    async def check_first_refusal(self, *, fits: int = 0) -> None:
        """The trouble is noticed by the first who needs something written, and told at once.

        On a full disk some, at most *fits*, may still find room in what the files have already.
        """
        for _ in range(fits + 1):
            answer = await self.publish()
            if answer.status != 202:
                break
        check_problem(answer, 503, "storage")

    async def check_refusals(self, reason: str, *, photo: bool = False) -> None:
        """Whatever must be written is refused, with this reason, and /readyz names it."""
        client = self.client
        refused = [
            await self.ask_scan(),
            await self.ask_scan(photo=photo),
            await self.ask_scan(headers=KEY),
            await self.publish(),
        ]
        for answer in refused:
            problem = check_problem(answer, 503, "storage")
            assert re.search(reason, problem["detail"]), problem["detail"]
        problem = check_problem(await client.get("/readyz"), 503, "not_ready")
        assert re.search(reason, problem["detail"]), problem["detail"]
        async with client.session.ws_connect(f"{client.base}/ws", headers=OPERATOR) as ws:
            told = {"op": "publish", "id": 1, "channel": CHANNEL, "data": {"n": 0}}
            await ws.send_json(told)
            error = await ws.receive_json()
            assert (error["op"], error["id"], error["code"]) == ("error", 1, "storage"), error
            assert re.search(reason, error["detail"]), error

    async def check_key_is_free(self) -> None:
        """A request that was refused has not used its key; the first that is taken does."""
        first, again = await self.ask_scan(headers=KEY), await self.ask_scan(headers=KEY)
        assert (first.status, again.status) == (202, 202)
        assert first.json() == again.json()
        await self.check_end(first.json()["task_id"])

    async def check_served(self, finished: str, unfinished: str | None = None) -> None:
        """What needs no writing is served: the scans as they are, their streams, all pages."""
        client = self.client
        for path in ("/healthz", "/", "/actors", "/metrics", "/scan/categories"):
            assert (await client.get(path)).status == 200, path
        scan = (await client.get(f"/scan/{finished}")).json()
        assert scan["status"] == "completed"
        assert scan["reward"]
        check_result((await client.get(f"/scan/{finished}/result")).json(), "ko")
        whole = await client.events(finished)
        check_events(whole, finished)
        second = [each.id for each in whole if is_data(each)][1]
        check_events(
            await client.events(finished, headers={"Last-Event-ID": str(second)}), finished, first=3
        )
        if unfinished is not None:
            assert (await client.get(f"/scan/{unfinished}")).json()["status"] == "processing"
            assert (await client.get(f"/scan/{unfinished}/result")).status == 202

    async def check_transient(self) -> None:
        """A transient event reaches who follows its channel, though nothing can be written."""
        url = f"{self.client.base}/stream?channel={CHANNEL}"
        async with self.client.session.get(url) as response:
            await response.content.readuntil(b"\n\n")
            answer = await self.publish("?transient=1")
            assert (answer.status, answer.json()) == (202, {"cursor": None}), answer.body
            async with asyncio.timeout(SOON_S):
                while b'{"n":%d}' % self._numbers not in await response.content.readuntil(b"\n\n"):
                    pass

    async def check_end(self, task_id: str) -> None:
        """A scan that was accepted has ended as a good one does, and its story has no hole."""
        await until(lambda: self.is_over(task_id))
        check_events(await self.client.events(task_id), task_id)


def rows(data_dir: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the database holds."""
    with closing(sqlite3.connect(f"file:{data_dir / 'eco.db'}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def check_books(data_dir: Path, books: Books) -> None:
    """All that was promised is there, whole, and nothing else: what was refused never was."""
    assert {row[0] for row in rows(data_dir, "SELECT task_id FROM scans")} == books.scans
    told = rows(
        data_dir,
        "SELECT substr(channel, 6), count(*) FROM events WHERE channel LIKE 'scan:%' GROUP BY 1",
    )
    assert dict(told) == dict.fromkeys(books.scans, 5)
    published = rows(data_dir, f"SELECT count(*) FROM events WHERE channel = '{CHANNEL}'")
    assert published == [(len(books.numbers),)]
    assert rows(data_dir, "SELECT count(*) FROM scans WHERE NOT finished") == [(0,)]
    assert rows(data_dir, "SELECT count(*) FROM pictures") == [(0,)]
    assert {row[0] for row in rows(data_dir, "SELECT task_id FROM rewards")} == books.scans
    assert rows(data_dir, "PRAGMA integrity_check") == [("ok",)]


async def numbers(client: Client) -> list[int]:
    """What was published on CHANNEL, as the log tells it."""
    polled = await client.get(f"/channels/{CHANNEL}/events?after=earliest&wait=0")
    assert polled.status == 200, polled.body
    return [event["data"]["n"] for event in polled.json()["events"]]
