"""Long polling: `GET /scan/{task_id}/events` and `GET /channels/{channel}/events`.

A poll is answered at once when something lies behind its cursor, else as soon as something happens,
or when its time is over; with an interval, not before that is over. While it waits it is a
subscriber and a timer or two; it has no task beyond that of its request.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from eco_actor.delivery.directory import Directory, Found
from eco_actor.delivery.poll import (
    LIMIT,
    MAX_LIMIT,
    POLL_CHANNEL,
    POLL_SCAN,
    Answer,
    PollFormat,
    Told,
    held_back,
)
from eco_actor.delivery.rule import Refused, Rule, rule_asked
from eco_actor.delivery.traffic import BUSY, COMPLETE, ERROR, GOING_AWAY, GONE, Traffic
from eco_actor.eventlog import Event, EventLog, Resume
from eco_actor.scan.events import channel as channel_of
from eco_actor.web.problems import NO_STORE, Problem
from eco_actor.web.scans import TASK, unknown_task

WAIT_S: Final = 25.0
"""How long a poll waits when the client does not say."""

MAX_WAIT_S: Final = 60.0

MAX_WAITING: Final = 1000
"""Polls that wait at a time."""

OPTIONS: Final = ("after", "wait", "limit", "overflow", "capacity", "interval_ms")

_WAIT: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")
_LIMIT: Final = re.compile("[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a poll; `wait` in seconds."""

    after: str | None
    wait: float
    limit: int
    rule: Rule


class PollRoutes:
    """At most *most_waiting* polls wait; those beyond are refused with 503.

    What is there already is told however many wait, then whatever the interval. When the server
    stops, those that wait are answered with what there is.
    """

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        traffic: Traffic,
        most_waiting: int = MAX_WAITING,
    ) -> None:
        self._log = log
        self._directory = directory
        self._traffic = traffic
        self._most_waiting = most_waiting
        self._waiters: set[_Waiter] = set()
        self._stopped = False

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"/scan/{TASK}/events", self.scan, allow_head=False)
        app.router.add_get("/channels/{channel}/events", self.channel, allow_head=False)
        app.on_shutdown.append(self._stop)

    async def _stop(self, app: web.Application) -> None:
        self._stopped = True
        for waiter in self._waiters:
            waiter.release()

    async def scan(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        asked = asked_of(request)
        try:
            found = await self._directory.place(channel_of(task_id), asked.after)
        except Refused as refused:  # what is no name of a channel is no scan, either
            if refused.code == "gone":
                raise
            raise unknown_task(task_id) from refused
        return await self._answer(found, asked, POLL_SCAN)

    async def channel(self, request: web.Request) -> web.Response:
        asked = asked_of(request)
        found = await self._directory.place(request.match_info["channel"], asked.after)
        return await self._answer(found, asked, POLL_CHANNEL)

    async def _answer(self, found: Found, asked: Asked, format: PollFormat) -> web.Response:
        traffic = self._traffic.poll
        traffic.opened += 1
        traffic.resumes[found.place.resume.value] += 1
        code = ERROR
        try:
            told = await self._poll(found, asked, format)
            last = found.last
            done = told.final or (last is not None and told.cursor.position >= last.position)
            body = format.answer(told, found.place.resume, done=done)
            code = GOING_AWAY if self._stopped else COMPLETE
        except asyncio.CancelledError:
            code = GONE
            raise
        except Refused as refused:
            code = refused.code
            raise Problem(409, refused.code, refused.detail) from refused
        except Problem as problem:
            code = problem.code
            raise
        finally:
            traffic.end(code)
        if told.gap is not None:
            self._traffic.gap(asked.rule.overflow, told.gap.reason, told.gap.dropped)
        traffic.deliveries += len(told.events)
        traffic.writes += 1
        traffic.bytes += len(body)
        return web.Response(body=body, content_type="application/json", headers=NO_STORE)

    async def _poll(self, found: Found, asked: Asked, format: PollFormat) -> Told:
        """Read what there is, or else wait. Refused, Problem, StoreError."""
        held = held_back(asked.rule, found.place, asked.after, asked.wait)
        due = asyncio.get_running_loop().time() + held
        answer = Answer(found.channel, found.place, asked.rule, asked.limit, format.size)
        if found.live is None:
            await self._read(found.channel, answer)
            if not (answer or found.is_over) and self._log.forgotten(found.channel):
                raise Problem(410, "gone", "the scan was just removed: scans are kept for a while")
        # From here on in the turn of the loop in which the reading ended: nothing gets in between.
        over = found.last is not None and answer.position >= found.last.position
        if not (over or self._stopped or asked.wait == 0.0):
            await self._wait(found, _Waiter(answer, due), asked.wait)
            answer.reaches(self._log.head)  # whatever was offered until now is in the answer
        return answer.told(self._log.cursor)

    async def _read(self, channel: str, answer: Answer) -> None:
        """Give the answer all that the log has, unless it has enough before. StoreError.

        It ends in a turn of the loop in which the log has nothing more.
        """
        log = self._log
        position = answer.position
        while not answer.enough:
            page = await log.page((channel,), position)
            trimmed = log.trimmed(channel)
            if trimmed > position:
                answer.trimmed(trimmed)
            for event in page.events:
                answer.add(event)
            answer.reaches(page.upto)
            position = page.upto
            if position >= log.head:
                return

    async def _wait(self, found: Found, waiter: "_Waiter", seconds: float) -> None:
        """Until there is something to tell that is due, or the time is over, or the server stops.

        Returns at once when there is, or when there is something and too many wait. Problem.
        """
        if waiter.released.done():
            return
        if len(self._waiters) >= self._most_waiting:
            if waiter.has_something:
                return
            raise Problem(503, BUSY, "too many polls are waiting: poll again later, or with wait=0")
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(seconds, waiter.release)]
        if waiter.held:
            timers.append(loop.call_at(waiter.due, waiter.let_go))
        self._waiters.add(waiter)
        self._traffic.polls_waiting += 1
        self._log.subscribe(found.channel, waiter)
        try:
            if found.live is not None:
                found.live.join(waiter, replay=found.place.resume is Resume.FRESH)
            await waiter.released
        finally:
            if found.live is not None:
                found.live.leave(waiter)
            self._log.unsubscribe(found.channel, waiter)
            self._traffic.polls_waiting -= 1
            self._waiters.discard(waiter)
            for timer in timers:
                timer.cancel()


class _Waiter:
    """A subscriber that puts what it is offered into the answer.

    It is released with the first of it, but not before *due*, by the loop's clock, unless the
    answer is urgent.
    """

    __slots__ = ("_answer", "due", "held", "released")

    def __init__(self, answer: Answer, due: float) -> None:
        loop = asyncio.get_running_loop()
        self.due = due
        self.released: asyncio.Future[None] = loop.create_future()
        self._answer = answer
        self.held = due > loop.time()
        self._look()

    @property
    def has_something(self) -> bool:
        return bool(self._answer)

    def offer(self, event: Event) -> None:
        self._answer.add(event)
        self._look()

    def let_go(self) -> None:
        """It is due."""
        self.held = False
        self._look()

    def _look(self) -> None:
        if self._answer and (self._answer.urgent or not self.held):
            self.release()

    def release(self) -> None:
        if not self.released.done():
            self.released.set_result(None)


def asked_of(request: web.Request) -> Asked:
    """The options of a poll; an empty one is not given. Problem, Refused for one that cannot be."""
    query = request.query
    _check_names(request)
    wait, limit = query.get("wait") or f"{WAIT_S:g}", query.get("limit") or str(LIMIT)
    if not (_WAIT.fullmatch(wait) and float(wait) <= MAX_WAIT_S):
        raise Problem(422, "bad_option", f"wait: seconds, from 0 to {MAX_WAIT_S:g}")
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= MAX_LIMIT):
        raise Problem(422, "bad_option", f"limit: a number from 1 to {MAX_LIMIT}")
    rule = [query.get(name) or None for name in ("overflow", "capacity", "interval_ms")]
    chosen = rule_asked(*rule)
    after = request.headers.get("Last-Event-ID") or query.get("after") or None
    return Asked(after, float(wait), int(limit), chosen)


def _check_names(request: web.Request) -> None:
    query = request.query
    unknown = sorted({name for name in query if name not in OPTIONS})
    if unknown:
        known = ", ".join(OPTIONS)
        raise Problem(422, "bad_option", f"{', '.join(unknown)[:200]}: options are {known}")
    twice = sorted({name for name in query if len(query.getall(name)) > 1})
    if twice:
        raise Problem(422, "bad_option", f"{', '.join(twice)}: given more than once")
