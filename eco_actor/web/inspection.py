"""`/actors/inspect`, `/actors/trace`, `/actors/suspend` and `/actors/resume`: one actor, live.

For the operator alone: what an actor holds and is told may be anybody's.

Who is suspended handles nothing until it is resumed, so some cannot be. A supervisor would restart
none of its children. The server, the supervisors above it and of its connections, and the observer
are what an operator sees and calls through: over it a suspended actor can always be resumed. A
service manager that hears nothing would end the process.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from eco_actor.delivery.observer import Observer
from eco_actor.runtime import DynamicSupervisor, State, Supervisor
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.inspection import MOST_TRACED, Traced, kind_of
from eco_actor.web.bodies import read_json
from eco_actor.web.operator import Operator
from eco_actor.web.problems import Problem, json_response
from eco_actor.web.server import HttpServer

log = logging.getLogger(__name__)

NOTIFY: Final = "/work/notify"
"""The end of the path of the actor that the service manager hears."""

STEADY_S: Final = 0.05
"""By less than this the clocks may drift apart before the times of old messages are changed."""


class Who(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /actors/suspend` and `/actors/resume`."""

    path: str


class Trace(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /actors/trace`."""

    path: str
    most: Annotated[int, msgspec.Meta(ge=0, le=MOST_TRACED)]


class InspectionRoutes:
    """`find` finds a living actor by its path."""

    def __init__(self, find: Callable[[str], Cell | None], operator: Operator) -> None:
        self._find = find
        self._operator = operator
        self._epoch = 0.0  # of the loop's clock

    def add_to(self, app: web.Application) -> None:
        only = self._operator.only
        app.router.add_get("/actors/inspect", only(self.inspect))
        app.router.add_post("/actors/trace", only(self.trace))
        app.router.add_post("/actors/suspend", only(self.suspend))
        app.router.add_post("/actors/resume", only(self.resume))

    async def inspect(self, request: web.Request) -> web.Response:
        """Its attributes and its trace; with `last`, of that only so many messages."""
        path = _once(request, "path")
        last = _once(request, "last", str(MOST_TRACED))
        if not re.fullmatch("[0-9]{1,5}", last) or int(last) > MOST_TRACED:
            raise Problem(422, "bad_option", f"last: a number from 0 to {MOST_TRACED}")
        return self._told(self._running(path), int(last))

    async def trace(self, request: web.Request) -> web.Response:
        """Keep the last messages from now on; or forget them, and keep none."""
        asked = await read_json(request, Trace)
        cell = self._running(asked.path)
        log.warning("the operator traces %s: %d messages are kept", cell.path, asked.most)
        cell.trace(asked.most)
        return self._told(cell)

    async def suspend(self, request: web.Request) -> web.Response:
        cell = self._running((await read_json(request, Who)).path)
        _check_suspendable(cell)
        log.warning("the operator suspends %s", cell.path)
        cell.suspend()
        return self._told(cell)

    async def resume(self, request: web.Request) -> web.Response:
        cell = self._running((await read_json(request, Who)).path)
        log.warning("the operator resumes %s", cell.path)
        cell.resume()
        return self._told(cell)

    def _running(self, path: str) -> Cell:
        cell = self._find(path)
        if cell is None or cell.path != path:
            raise Problem(404, "unknown_actor", f"there is no actor {path[:200]!r} at the moment")
        if cell.actor is None:
            raise Problem(409, "not_running", f"{cell.path} does not run at the moment")
        return cell

    def _told(self, cell: Cell, last: int = MOST_TRACED) -> web.Response:
        now = asyncio.get_running_loop().time()
        epoch = datetime.now(UTC).timestamp() - now
        if abs(epoch - self._epoch) > STEADY_S:
            self._epoch = epoch
        traced = cell.traced
        messages = [self._message(each, now) for each in traced[max(0, len(traced) - last) :]]
        most = cell.tracer.most if cell.tracer is not None else 0
        return json_response(
            {
                "path": cell.path,
                "kind": kind_of(cell.spec),
                "state": cell.state.value,
                "incarnation": cell.incarnation,
                "suspended": cell.suspended,
                "attributes": cell.actor_state(),
                "trace": {"most": most, "messages": messages},
            }
        )

    def _message(self, traced: Traced, now: float) -> dict[str, Any]:
        at = datetime.fromtimestamp(self._epoch + traced.at, UTC)
        return {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "kind": traced.kind,
            "text": traced.text,
            "ago_s": round(max(0.0, now - traced.at), 3),
        }


def _check_suspendable(cell: Cell) -> None:
    """Problem for an actor without which there would be no way back, or no restarts."""
    match cell.actor:
        case Supervisor() | DynamicSupervisor():
            why = "a suspended supervisor would restart none of its children"
        case HttpServer():
            why = "it serves the very requests by which an actor is resumed"
        case Observer():
            why = "it is what shows who is suspended"
        case _ if cell.path.endswith(NOTIFY):
            why = "the service manager would end a server that it hears nothing of"
        case _ if cell.state is State.STOPPING:
            raise Problem(409, "not_running", f"{cell.path} is ending")
        case _:
            return
    raise Problem(409, "not_suspendable", f"{cell.path} cannot be suspended: {why}")


def _once(request: web.Request, name: str, *default: str) -> str:
    given = request.query.getall(name, default)
    if len(given) != 1:
        raise Problem(422, "bad_option", f"{name}: to be given once, not {len(given)} times")
    return given[0]
