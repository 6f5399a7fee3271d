"""`/healthz`, `/readyz` and `/actors`: does it live, can it work, what is it doing."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from aiohttp import web

from eco_actor.eventlog import EventLog
from eco_actor.eventlog.readiness import obstacle
from eco_actor.runtime.cell import Cell
from eco_actor.web.bodies import read_json
from eco_actor.web.drain import Drained
from eco_actor.web.operator import Operator
from eco_actor.web.problems import Problem, json_response, problem_response

log = logging.getLogger(__name__)

MAX_PAGE: Final = 10_000
"""Actors in a page, if it does not say less."""

MAX_OFFSET: Final = 999_999_999


class Kill(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /actors/kill`."""

    path: str


class OperationRoutes:
    """`find` finds a living actor by its path; all are below the one at *root*."""

    def __init__(
        self,
        log: EventLog,
        find: Callable[[str], Cell | None],
        root: str,
        operator: Operator,
        drained: Drained,
    ) -> None:
        self._log = log
        self._find = find
        self._root = root
        self._operator = operator
        self._drained = drained

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/actors", self.actors)
        app.router.add_post("/actors/kill", self._operator.only(self.kill))

    async def healthz(self, request: web.Request) -> web.Response:
        """Answered by the loop itself: that it answers is the news."""
        return json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready when the store's writer and readers answer; the model was warm from the start."""
        if self._drained.draining:
            return problem_response(503, "draining", "streams are to go elsewhere")
        reason = await obstacle(self._log)
        if reason is not None:
            return problem_response(503, "not_ready", reason)
        return json_response({"status": "ok", "durability": self._log.store.durability.value})

    async def actors(self, request: web.Request) -> web.Response:
        """Every living actor, parents before their children; or some of them, and how many."""
        if not request.query.keys() & {"under", "limit", "offset"}:
            root = self._find(self._root)
            return json_response({"actors": [each.snapshot() for each in _below(root)]})
        limit = _number(request, "limit", MAX_PAGE, 1, MAX_PAGE)
        offset = _number(request, "offset", 0, 0, MAX_OFFSET)
        cells = list(_below(self._existing(_once(request, "under", self._root))))
        page = [each.snapshot() for each in cells[offset : offset + limit]]
        return json_response({"actors": page, "total": len(cells)})

    async def kill(self, request: web.Request) -> web.StreamResponse:
        """End an actor as a fault would; what happens then is its supervisor's decision."""
        cell = self._existing((await read_json(request, Kill)).path)
        if cell.path == self._root:
            raise Problem(
                409, "root_actor", f"nobody would restart {cell.path}: to end the server, stop it"
            )
        if cell.actor is None:
            raise Problem(409, "not_running", f"{cell.path} does not run at the moment")
        killed = cell.incarnation
        log.warning("the operator kills %s", cell.path)
        response = json_response({"path": cell.path, "incarnation": killed}, 202)
        try:  # answered first: it may be the server itself, or above it
            await response.prepare(request)
            await response.write_eof()
        finally:
            if cell.incarnation == killed:
                cell.kill()
        return response

    def _existing(self, path: str) -> Cell:
        cell = self._find(path)
        if cell is None or cell.path != path:
            raise Problem(404, "unknown_actor", f"there is no actor {path[:200]!r} at the moment")
        return cell


def _below(top: Cell | None) -> Iterator[Cell]:
    """*top* and all below it, parents before their children, in start order."""
    waiting = [] if top is None else [top]
    while waiting:
        cell = waiting.pop()
        yield cell
        if cell.actor is not None:
            waiting.extend(reversed(list(cell.actor.children())))


def _once(request: web.Request, name: str, default: str) -> str:
    given = request.query.getall(name, [default])
    if len(given) > 1:
        raise Problem(422, "bad_option", f"{name}: given more than once")
    return given[0]


def _number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    text = _once(request, name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise Problem(422, "bad_option", f"{name}: a number from {least} to {most}")
    return int(text)
