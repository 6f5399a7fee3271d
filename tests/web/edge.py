"""Publishing and polling over real sockets and a real store, without the rest of a server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from eco_actor.delivery.directory import Directory
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Draft, Durability, Event, EventLog, SqliteStore
from eco_actor.web.channels import ChannelRoutes
from eco_actor.web.idempotency import TABLES, Idempotency
from eco_actor.web.operator import Operator
from eco_actor.web.polls import MAX_WAITING, PollRoutes
from eco_actor.web.problems import problems
from tests.web.client import Answer, Client
from tests.web.credentials import SECRET, bearer

LIVE = "system:actors"
EVENTS = "/channels/app:a/events"


@dataclass
class Edge:
    """The routes and what is behind them. `now_ms` is the wall clock's time, for tests to set."""

    client: Client
    log: EventLog
    live: LiveChannel
    traffic: Traffic
    now_ms: int = 1_700_000_000_000
    runner: web.AppRunner = field(init=False)

    async def publish(self, data: object, query: str = "", **headers: str) -> Answer:
        """POST on app:a, as the operator; names of headers with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            f"{EVENTS}{query}", json=data, headers={**bearer(SECRET), **named}
        )

    async def cursor(self, data: object, query: str = "", **headers: str) -> str:
        """The cursor of an event that was just published."""
        answer = await self.publish(data, query, **headers)
        assert answer.status == 202, answer.body
        return str(answer.json()["cursor"])

    async def logged(self, channel: str = "app:a") -> list[dict[str, Any]]:
        """The data of all events of a channel."""
        return [dict(event.data) for event in (await self.log.page([channel], 0)).events]


@asynccontextmanager
async def edge(
    session: aiohttp.ClientSession,
    data_dir: Path | None = None,
    *,
    most_waiting: int = MAX_WAITING,
    hooks: Iterable[Callable[..., Any]] = (),
) -> AsyncIterator[Edge]:
    """A running one; on a disk when there is a *data_dir*, which may be that of an earlier one."""
    if data_dir is None:
        store = SqliteStore(None, Durability.OFF, [TABLES])
    else:
        store = SqliteStore(data_dir / "log.db", Durability.FULL, [TABLES])
    log = EventLog(store)
    await log.open()
    live = LiveChannel(LIVE, log)
    made = Edge(Client(session, ""), log, live, Traffic())
    directory = Directory(log, {LIVE: live})
    operator = Operator(SECRET, None)
    operator.load()
    app = web.Application(middlewares=[problems])
    app.on_response_prepare.extend(hooks)
    idempotency = Idempotency(log, lambda: made.now_ms)
    ChannelRoutes(log, directory, operator, idempotency, made.traffic, lambda: made.now_ms).add_to(
        app
    )
    PollRoutes(log, directory, made.traffic, most_waiting).add_to(app)
    made.runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, auto_decompress=False
    )
    await made.runner.setup()
    await web.TCPSite(made.runner, "127.0.0.1", 0).start()
    made.client.base = f"http://127.0.0.1:{made.runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await made.runner.cleanup()
        await log.close()


class Held:
    """Keeps appends from the store until they are let go."""

    def __init__(self, here: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
        self._append = here.log.append
        self._calls: list[tuple[Any, ...]] = []
        self._open = False
        monkeypatch.setattr(here.log, "append", self.append)

    def append(self, *given: Any) -> None:
        if self._open:
            self._append(*given)
        else:
            self._calls.append(given)

    async def has(self, many: int) -> None:
        """Until there are so many."""
        async with asyncio.timeout(20):
            while len(self._calls) < many:  # noqa: ASYNC110  # there is no event
                await asyncio.sleep(0)

    def let_go(self) -> None:
        self._open = True
        for given in self._calls:
            self._append(*given)


async def publish(here: Edge, count: int, channel: str = "app:a", **how: Any) -> list[Event]:
    """So many events {"n": 0, 1, …}, with one of another channel before each."""
    drafts: list[Draft] = []
    for n in range(count):
        drafts += [
            Draft("app:other", {}, here.now_ms),
            Draft(channel, {"n": n}, here.now_ms, **how),
        ]
    return (await here.log.commit(drafts))[1::2]


async def poll(here: Edge, query: str = "", path: str = EVENTS, **headers: str) -> Any:
    """The answer to a poll, which is 200."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await here.client.get(f"{path}?{query}", headers=named)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told.keys() == {"events", "cursor", "resume", "gap", "done"}
    return told


async def waiting(here: Edge, many: int = 1) -> None:
    """Until so many polls wait."""
    async with asyncio.timeout(20):
        while here.traffic.polls_waiting != many:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0)


def started(here: Edge, query: str = "", path: str = EVENTS) -> "asyncio.Task[Any]":
    return asyncio.create_task(poll(here, query, path))


def numbers(told: Any) -> list[int]:
    return [each["data"]["n"] for each in told["events"]]
