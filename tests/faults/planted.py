"""Faults that are put into a server, so that the harness has something to find.

Each is installed after the points of the harness, so around them.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Self

from eco_actor.eventlog.database import Database
from eco_actor.eventlog.event import Event
from eco_actor.eventlog.hub import Hub
from eco_actor.eventlog.log import EventLog
from eco_actor.eventlog.place import Place, Resume
from eco_actor.scan import recovery, retention
from eco_actor.scan.admission import Admission
from eco_actor.scan.scan import Scan
from eco_actor.scan.state import STANDARD, ScanState, Steps
from eco_actor.scan.task_id import TaskIds
from eco_actor.scan.volume import choose
from eco_actor.web.idempotency import Claim

SLOW_S: Final = 0.01
"""What a commit takes: long enough for an answer that does not wait for it."""


def put(owner: Any, name: str, made: Any) -> None:
    setattr(owner, name, made)


def _slow_commits(before: Any = None) -> None:
    commit = Database.commit

    def slow(self: Database, items: Sequence[Any]) -> Any:
        if before is not None:
            before(self, items)
        time.sleep(SLOW_S)
        return commit(self, items)

    put(Database, "commit", slow)


def answers_early() -> None:
    """A scan is answered before it is durable."""
    made: list[str] = []
    make, accept = TaskIds.make, Admission._accept

    def noted(self: TaskIds, at_ms: int) -> str:
        made.append(make(self, at_ms))
        return made[-1]

    def early(self: Admission, *about: Any) -> "asyncio.Future[str]":
        accept(self, *about)
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        answered.set_result(made[-1])
        return answered

    put(TaskIds, "make", noted)
    put(Admission, "_accept", early)
    _slow_commits()


def offers_early() -> None:
    """Events are shown before they are durable, and not again when they are."""
    logs: list[tuple[EventLog, asyncio.AbstractEventLoop]] = []
    shown: set[int] = set()
    opening, offer = EventLog.open, Hub.offer

    async def opened(self: EventLog) -> None:
        await opening(self)
        logs.append((self, asyncio.get_running_loop()))

    def show(database: Database, items: Sequence[Any]) -> None:
        position, epoch = database.position, database.epochs[-1][0]
        drafts = [draft for item in items for draft in item.drafts if not draft.transient]
        early = [Event(draft, position + n, epoch) for n, draft in enumerate(drafts, start=1)]
        log, loop = logs[-1]
        loop.call_soon_threadsafe(_offer_first, log.hub, early)

    def _offer_first(hub: Hub, events: Sequence[Event]) -> None:
        offer(hub, events)
        shown.update(event.position for event in events)

    def offered(self: Hub, events: Iterable[Event]) -> None:
        offer(self, [event for event in events if event.position not in shown])

    put(EventLog, "open", opened)
    put(Hub, "offer", offered)
    _slow_commits(show)


def rewards_twice() -> None:
    """The last step of a scan happens twice."""
    say = Scan._say

    def twice(self: Scan, step: str, *about: Any) -> None:
        say(self, step, *about)
        if step == "reward":
            say(self, step, *about)

    put(Scan, "_say", twice)


class _Forgetful(ScanState):
    @classmethod
    def fold(cls, events: Iterable[Mapping[str, Any]], steps: Steps = STANDARD) -> Self:
        state = cls(steps)
        for event in list(events)[:1]:
            state.apply(event)
        return state


def forgets_what_was_done() -> None:
    """A scan that goes on after a crash begins again at its first step."""
    put(recovery, "ScanState", _Forgetful)


def _resumes_off_by(count: int) -> None:
    resume = EventLog.resume

    def off(self: EventLog, channel: str, after: str | None, fresh: int) -> Place:
        place = resume(self, channel, after, fresh)
        if place.resume is not Resume.RECOVERED or place.position + count < 0:
            return place
        return replace(place, position=place.position + count)

    put(EventLog, "resume", off)


def resumes_one_too_late() -> None:
    """A client that comes back misses what came next."""
    _resumes_off_by(1)


def resumes_one_too_early() -> None:
    """A client that comes back is told again what it knows."""
    _resumes_off_by(-1)


def forgets_keys() -> None:
    """That a key was used is not written down."""
    put(Claim, "rows", lambda self, note: [])


def removes_in_two() -> None:
    """The events of scans that have to go do so in one transaction, and their rows in the next."""
    forget = EventLog.forget

    async def in_two(self: EventLog, channels: Sequence[str], writes: Sequence[Any] = ()) -> None:
        await forget(self, channels)
        await self.commit((), writes)

    put(EventLog, "forget", in_two)


def removes_unfinished() -> None:
    """Retention takes all that nobody follows at the moment, over or not."""

    def chosen(rows: Sequence[Any], keep: Any, now_ms: int, scans: int, size: int) -> Any:
        return choose([row._replace(finished=1) for row in rows], keep, now_ms, len(rows), size)

    put(retention, "choose", chosen)


def trims_without_a_word() -> None:
    """Who comes for what was trimmed is told that everything is there."""
    resume = EventLog.resume

    def silent(self: EventLog, channel: str, after: str | None, fresh: int) -> Place:
        place = resume(self, channel, after, fresh)
        if place.resume is Resume.PARTIAL:
            return replace(place, resume=Resume.RECOVERED, missing=None)
        return place

    put(EventLog, "resume", silent)


def gives_positions_again() -> None:
    """What the last position was is found out from the events that are left."""
    commit = Database.commit

    def committed(self: Database, items: Sequence[Any]) -> Any:
        placed = commit(self, items)
        self.connection.execute("UPDATE floor SET position = 0")
        return placed

    put(Database, "commit", committed)
