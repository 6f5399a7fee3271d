"""`/drain`: let all streams go elsewhere, some at a time, before the server is stopped.

While it drains nobody new is admitted and `/readyz` says so, so that a balancer sends clients
elsewhere; those that are here are told to go, the oldest first, evenly over the time that was asked
for. What is under way beside streams goes on. It drains until it is told to end that.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import msgspec
from aiohttp import web

from eco_actor.delivery.admission import Gate
from eco_actor.runtime import Actor, ActorError, MailboxSpec, Ref
from eco_actor.web.bodies import read_json
from eco_actor.web.operator import Operator
from eco_actor.web.problems import NO_STORE, Problem, json_response

log = logging.getLogger(__name__)

OVER_S: Final = 10.0
"""Seconds that a drain takes when the operator does not say."""

MOST_OVER_S: Final = 3600.0

TICK: Final = 0.05
"""Seconds from one look at who is to be told to the next."""

SLICE: Final = 100
"""Streams that are told in one turn: a hurry must not hold up the others."""

SWEEP: Final = 1.0
"""Seconds from one look to the next once the time is over, or after a fault."""

PATIENCE_S: Final = 2.0
"""Seconds that a request waits for the actor."""


class Streams(Protocol):
    """The streams of this server, oldest first. Nothing here waits."""

    def __len__(self) -> int:
        """How many are open."""

    def end_some(self, most: int) -> int:
        """Tell the oldest *most* that were not told yet to go away; how many it told."""


class Drained:
    """Whether the server drains, and how far it has come. Lasts over restarts of the actor."""

    __slots__ = ("began", "draining", "over_s", "told", "total")

    def __init__(self) -> None:
        self.draining = False
        self.over_s = 0.0
        self.began = 0.0  # by the clock of whoever began it
        self.total = 0  # streams to be told
        self.told = 0

    def begin(self, now: float, over_s: float, total: int) -> None:
        """From now on, *total* streams are to be told within *over_s* seconds."""
        self.draining = True
        self.began, self.over_s = now, over_s
        self.total, self.told = total, 0

    def due(self, now: float) -> int:
        """How many more are to be told by now; the last at the end of the time."""
        past = now - self.began
        by_now = self.total if past >= self.over_s else int(self.total * past / self.over_s)
        return max(0, by_now - self.told)

    def left_s(self, now: float) -> float:
        """Seconds until all are to have been told."""
        return max(0.0, self.began + self.over_s - now) if self.draining else 0.0


@dataclass(frozen=True, slots=True)
class Begin:
    """Ask: drain from now on, over so many seconds, in place of a drain that is under way.

    The answer, as that of the others, is what `GET /drain` tells.
    """

    over_s: float


class End:
    """Ask: drain no more."""


class Look:
    """Ask: how far has it come?"""


class Tick:
    """It is time to tell some."""


class Drain(Actor[Begin | End | Look | Tick]):
    """Opens and closes *gate*, and tells *streams* to go, at the pace that *drained* keeps.

    Restarted in mid-drain it goes on where it was.
    """

    mailbox = MailboxSpec(16)

    def __init__(self, drained: Drained, gate: Gate, streams: Streams) -> None:
        self._drained = drained
        self._gate = gate
        self._streams = streams

    def init(self) -> None:
        if self._drained.draining:
            self.start_timer("tick", 0.0, Tick())

    def handle(self, message: Begin | End | Look | Tick) -> dict[str, Any]:
        match message:
            case Begin(over_s):
                self._begin(over_s)
            case End():
                self._end()
            case Tick():
                self._tick()
        return self._state()

    def _begin(self, over_s: float) -> None:
        total = len(self._streams)
        log.warning("draining: %d streams are told to go within %g s", total, over_s)
        self._gate.closed = True
        self._drained.begin(self.now(), over_s, total)
        self.start_timer("tick", 0.0, Tick())

    def _end(self) -> None:
        if self._drained.draining:
            log.warning("draining no more: streams are admitted again")
        self._drained.draining = False
        self._gate.closed = False
        self.cancel_timer("tick")

    def _tick(self) -> None:
        drained = self._drained
        if not drained.draining:
            return
        now = self.now()
        late = now - drained.began >= drained.over_s  # some may have been opening when it began
        due = SLICE if late else min(SLICE, drained.due(now))
        wait = SWEEP if late else TICK
        try:
            told = self._streams.end_some(due) if due > 0 else 0
        except Exception:  # a fault of a stream: the others are to go all the same
            log.exception("%s: streams could not be told to go", self.ref.path)
            told, wait = 0, SWEEP
        drained.told += told
        # As long as there are more: at once, but with the loop in between.
        self.start_timer("tick", 0.0 if told >= SLICE else wait, Tick())

    def _state(self) -> dict[str, Any]:
        drained, connections = self._drained, len(self._streams)
        if not drained.draining:
            return {"draining": False, "connections": connections}
        return {
            "draining": True,
            "connections": connections,
            "told": drained.told,
            "over_s": drained.over_s,
            "left_s": round(drained.left_s(self.now()), 3),
        }


class DrainRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /drain`."""

    over_s: Annotated[float, msgspec.Meta(ge=0, le=MOST_OVER_S)] = OVER_S


class DrainRoutes:
    """`find` finds the actor `Drain`; None while there is none."""

    def __init__(self, find: Callable[[], Ref[Any] | None], operator: Operator) -> None:
        self._find = find
        self._operator = operator

    def add_to(self, app: web.Application) -> None:
        only = self._operator.only
        app.router.add_get("/drain", only(self.look))
        app.router.add_post("/drain", only(self.begin))
        app.router.add_delete("/drain", only(self.end))

    async def look(self, request: web.Request) -> web.Response:
        """Whether it drains, how many streams are open, and how far it has come."""
        return json_response(await self._ask(Look()))

    async def begin(self, request: web.Request) -> web.Response:
        """Begin; or, while it drains, set another pace for those that are left."""
        asked = await read_json(request, DrainRequest)
        told = await self._ask(Begin(asked.over_s))
        return json_response({"connections": told["connections"], "over_s": told["over_s"]}, 202)

    async def end(self, request: web.Request) -> web.Response:
        """Admit streams again; harmless when it does not drain. Who was told to go, goes."""
        await self._ask(End())
        return web.Response(status=204, headers=NO_STORE)

    async def _ask(self, message: Begin | End | Look) -> dict[str, Any]:
        actor = self._find()
        if actor is None:
            raise Problem(503, "not_running", "what drains the server is not running")
        try:
            state: dict[str, Any] = await actor.ask(message, PATIENCE_S)
        except ActorError as error:
            raise Problem(503, "not_running", f"what drains the server: {error}") from error
        return state
