"""Long polling: `GET /scan/{task_id}/events` and `GET /channels/{channel}/events`.

A poll is answered at once when something lies behind its cursor, else as soon as something happens,
or when its time is over; with an interval, not before that is over. While it waits it is a
subscriber and a timer, without events that the log has; it has no task beyond that of its request.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    urgent,
)
from eco_actor.delivery.rule import Refused, Rule, rule_asked
from eco_actor.delivery.traffic import BUSY, COMPLETE, ERROR, GOING_AWAY, GONE, Traffic
from eco_actor.eventlog import EventLog, Place, Resume
from eco_actor.scan.events import channel as channel_of
from eco_actor.web.poll_waiters import Holder, Waiter
from eco_actor.web.problems import NO_STORE, Problem
from eco_actor.web.scans import TASK, unknown_task

WAIT_S: Final = 25.0
"""How long a poll waits when the client does not say."""

MAX_WAIT_S: Final = 60.0

MAX_WAITING: Final = 1000
"""Polls that wait at a time."""

READERS: Final = 4
"""Polls that have events from the disk in memory at a time, each a window of at most MAX_WAITING
bytes as packed, which is tens of that as objects."""

LOOK: Final = 64
"""Events in a page that is only looked at."""

NOWHERE: Final = Place(Resume.FRESH, 0)

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
        self._waiters: set[Waiter] = set()
        self._readers = asyncio.Semaphore(READERS)
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
            with ExitStack() as reading:
                told = await self._poll(found, asked, format, reading)
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

    async def _poll(
        self, found: Found, asked: Asked, format: PollFormat, reading: ExitStack
    ) -> Told:
        """Read what there is, once it is due, or else wait. Refused, Problem, StoreError.

        *reading* is to be closed when the events are not needed any more.
        """
        begins = asyncio.get_running_loop().time()
        held = held_back(asked.rule, found.place, asked.after, asked.wait)
        answer = Answer(found.channel, found.place, asked.rule, asked.limit, format.size)
        if held and await self._may_hold(found):
            aside = Answer(found.channel, NOWHERE, asked.rule, asked.limit, format.size)
            await self._hold(found, answer, Holder(aside), begins + held, reading)
        elif found.live is None:
            await self._read(found.channel, answer, reading)
        nothing = found.live is None and not (answer or found.is_over)
        if nothing and self._log.forgotten(found.channel):
            raise Problem(410, "gone", "the scan was just removed: scans are kept for a while")
        # From here on in the turn of the loop in which the reading ended: nothing gets in between.
        over = found.last is not None and answer.position >= found.last.position
        if not (answer or over or self._stopped or asked.wait == 0.0):
            reading.close()
            await self._wait(found, Waiter(answer), begins + asked.wait)
            answer.reaches(self._log.head)  # whatever was offered until now is in the answer
        return answer.told(self._log.cursor)

    async def _may_hold(self, found: Found) -> bool:
        """Whether nothing urgent lies behind the cursor, and there is room to wait. StoreError.

        It ends in a turn of the loop in which the log has nothing more.
        """
        log, channel, position = self._log, found.channel, found.place.position
        if found.last is not None:
            return False
        while found.live is None and position < log.head:
            page = log.page_now((channel,), position, LOOK)
            if page is None:
                async with self._readers:
                    page = await log.page((channel,), position, LOOK)
            if any(map(urgent, page.events)):
                return False
            position = page.upto
        return not (self._stopped or self._full or log.forgotten(channel))

    async def _hold(
        self, found: Found, answer: Answer, holder: Holder, due: float, reading: ExitStack
    ) -> None:
        """Until it is *due*, or something urgent comes, or the server stops; then read. StoreError.

        What is in the log is left there meanwhile.
        """
        with self._subscribed(found, holder, until=due):
            await holder.released
            if found.live is None:
                await self._read(found.channel, answer, reading, holder.aside)
            holder.aside.give(answer)
            answer.reaches(self._log.head)

    async def _read(
        self, channel: str, answer: Answer, reading: ExitStack, aside: Answer | None = None
    ) -> None:
        """Give the answer all that the log has, unless it has enough before. StoreError.

        Of what is *aside* it gets each event in its place. It ends in a turn of the loop in which
        the log has nothing more. Until *reading* is closed, others may have to wait with theirs.
        """
        log = self._log
        position = answer.position
        admitted = False
        while not answer.enough:
            if not admitted and log.page_now((channel,), position) is None:
                await self._readers.acquire()
                reading.callback(self._readers.release)
                admitted = True
            page = await log.page((channel,), position)
            trimmed = log.trimmed(channel)
            if trimmed > position:
                answer.trimmed(trimmed)
            for event in page.events:
                if aside is not None:
                    aside.give(answer, event.position)
                answer.add(event)
            answer.reaches(page.upto)
            position = page.upto
            if position >= log.head:
                return

    async def _wait(self, found: Found, waiter: Waiter, ends: float) -> None:
        """Until there is something to tell, or the time *ends*, or the server stops. Problem."""
        if self._full:
            raise Problem(503, BUSY, "too many polls are waiting: poll again later, or with wait=0")
        with self._subscribed(found, waiter, until=ends):
            await waiter.released

    @property
    def _full(self) -> bool:
        return len(self._waiters) >= self._most_waiting

    @contextmanager
    def _subscribed(self, found: Found, waiter: Waiter, until: float) -> Iterator[None]:
        """Have *waiter* told of what happens, and released at the time *until* of the loop."""
        timer = asyncio.get_running_loop().call_at(until, waiter.release)
        self._waiters.add(waiter)
        self._traffic.polls_waiting += 1
        self._log.subscribe(found.channel, waiter)
        try:
            if found.live is not None:
                found.live.join(waiter, replay=found.place.resume is Resume.FRESH)
            yield
        finally:
            if found.live is not None:
                found.live.leave(waiter)
            self._log.unsubscribe(found.channel, waiter)
            self._traffic.polls_waiting -= 1
            self._waiters.discard(waiter)
            timer.cancel()


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
