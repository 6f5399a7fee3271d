"""`/healthz`, `/readyz` and `/actors`: does it live, can it work, what is it doing."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from eco_actor.eventlog import EventLog, StoreError
from eco_actor.web.problems import json_response, problem_response

STORE_PATIENCE_S: Final = 2.0


class OperationRoutes:
    def __init__(self, log: EventLog, tree: Callable[[], list[dict[str, object]]]) -> None:
        self._log = log
        self._tree = tree

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/actors", self.actors)

    async def healthz(self, request: web.Request) -> web.Response:
        """Answered by the loop itself: that it answers is the news."""
        return json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready when the store's writer and readers answer; the model was warm from the start."""
        try:
            async with asyncio.timeout(STORE_PATIENCE_S):
                await self._log.commit([])
                await self._log.query("SELECT 1 FROM epochs")
        except StoreError as error:
            return problem_response(503, "not_ready", f"store: {error.reason}")
        except TimeoutError:
            return problem_response(503, "not_ready", "store: it does not answer")
        return json_response({"status": "ok", "durability": self._log.store.durability.value})

    async def actors(self, request: web.Request) -> web.Response:
        """Every living actor, parents before their children."""
        return json_response({"actors": self._tree()})
