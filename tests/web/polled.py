"""A channel in virtual time, and one client that polls it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from aiohttp.test_utils import make_mocked_request

from eco_actor.delivery.directory import Directory
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Draft, EventLog
from eco_actor.web.polls import PollRoutes
from tests.fakes import FakeStore

SECOND = "overflow=latest&interval_ms=1000"


class Polled:
    """`cursor` is that of the next poll, `told` the last answer, `times` when each came."""

    def __init__(self, most_waiting: int, store: FakeStore | None = None) -> None:
        self.log = EventLog(store or FakeStore())
        self.live = LiveChannel("system:test", self.log)
        directory = Directory(self.log, {"system:test": self.live})
        self.traffic = Traffic()
        self._routes = PollRoutes(self.log, directory, self.traffic, most_waiting)
        self.cursor: str | None = None
        self.times: list[float] = []

    async def publish(self, *numbers: int, name: str = "app:a", **how: Any) -> None:
        await self.log.commit([Draft(name, {"n": n}, 1, **how) for n in numbers])

    async def publish_every(self, seconds: float, numbers: Sequence[int]) -> None:
        for n in numbers:
            await self.publish(n)
            await asyncio.sleep(seconds)

    async def poll(
        self,
        query: str = SECOND,
        name: str = "app:a",
        wait: str = "25",
        *,
        keeps_cursor: bool = True,
    ) -> list[int]:
        """The numbers in the answer to the next poll."""
        after = f"&after={self.cursor}" if self.cursor is not None else ""
        path = f"/channels/{name}/events?{query}{after}&wait={wait}"
        request = make_mocked_request("GET", path, match_info={"channel": name})
        answer = await self._routes.channel(request)
        assert isinstance(answer.body, bytes)
        self.told = json.loads(answer.body)
        if keeps_cursor:
            self.cursor = self.told["cursor"]
        self.times.append(asyncio.get_running_loop().time())
        return [each["data"]["n"] for each in self.told["events"]]
