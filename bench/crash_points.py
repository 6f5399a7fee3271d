"""Where the crash harness can end a server: a table of names and of what is wrapped there.

A point is passed before or after a call. `install` puts counting wrappers around the calls, in the
process that is to be ended; nothing else of it is changed. What is passed in a transaction of the
database is seen by SQLite's own trace, for there is no call of ours to wrap.
"""

import asyncio
import functools
import importlib
import inspect
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from bench.crash_board import Board

WRITTEN_AFTER: Final = 3
"""Turns of the loop after which what was written to a transport is with the kernel."""


class Phase(Enum):
    """When in the life of a server a point is passed."""

    STARTING = "starting"
    RESUMING = "resuming"  # a start that finds unfinished scans
    SERVING = "serving"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Point:
    """`call`: module:name of what is wrapped; several with blanks between.

    `only`: for calls of which just some count. `written`: it is passed once what the call has
    written is with the kernel.
    """

    name: str
    group: str
    call: str
    after: bool
    phase: Phase = Phase.SERVING
    only: Callable[..., bool] | None = None
    written: bool = False
    vision: bool = False  # passed only where pictures are looked at


def _both(
    what: str,
    group: str,
    call: str,
    *,
    phase: Phase = Phase.SERVING,
    only: Callable[..., bool] | None = None,
    written: bool = False,
    vision: bool = False,
) -> tuple[Point, Point]:
    """The points before and after a call."""
    before = Point(f"before {what}", group, call, False, phase, only, False, vision)
    return before, replace(before, name=f"after {what}", after=True, written=written)


def _writes(database: Any, items: Sequence[Any]) -> bool:
    return any(item.writes or any(item.packed) for item in items)


def _offers(hub: Any, events: Sequence[Any]) -> bool:
    return bool(events)


def _sends(outlet: Any, data: bytes) -> bool:
    return bool(data)


def _says(step: str) -> Callable[..., bool]:
    return lambda scan, said, *_: said == step


COMMITTING: Final = "in a transaction, before its end"
OPENING: Final = "in the first transactions of a start, before their end"
BETWEEN: Final = "between two clients that one event is written to"

LOG: Final = "eco_actor.eventlog.log:EventLog"
DATABASE: Final = "eco_actor.eventlog.database:Database"
SCAN: Final = "eco_actor.scan.scan:Scan"
ADMISSION: Final = "eco_actor.scan.admission:Admission"
RECOVERY: Final = "eco_actor.scan.recovery:Recovery"
HTTP: Final = "eco_actor.web.server:HttpServer"
CLASSIFY: Final = "eco_actor.web.classify:ClassifyRoute"
POLLS: Final = "eco_actor.web.polls:PollRoutes"
OUTLET: Final = "eco_actor.delivery.outlet:Outlet"
STAGE: Final = "stage"  # see `_wrap_stages`
TRACE: Final = "trace"  # see `_trace`
FLUSH: Final = "flush"  # see `_wrap_flush`

POINTS: Final[tuple[Point, ...]] = (
    *_both("an append", "append", f"{LOG}.append"),
    *_both("a commit", "commit", f"{DATABASE}.commit", only=_writes),
    Point(COMMITTING, "commit", TRACE, False),
    *_both("a commit is told", "commit", "eco_actor.eventlog.writer:Writer._committed"),
    *_both("a publish", "publish", "eco_actor.eventlog.hub:Hub.offer", only=_offers),
    *_both("an acceptance", "accept", f"{ADMISSION}._accept"),
    *_both("a scan starts", "accept", f"{ADMISSION}.start"),
    *_both("a picture is decoded", "accept", f"{ADMISSION}.decode", vision=True),
    *_both("the category is taken", "step", "eco_actor.scan.scan:chosen"),
    *_both("the vision step", "step", f"{STAGE}:vision", vision=True),
    *_both("the rule step", "step", f"{STAGE}:rule"),
    *_both("the answer step", "step", f"{STAGE}:answer"),
    *_both("the reward step", "step", f"{STAGE}:reward"),
    *_both("vision is said", "said", f"{SCAN}._say", only=_says("vision")),
    *_both("the rule is said", "said", f"{SCAN}._say", only=_says("rule")),
    *_both("the answer is said", "said", f"{SCAN}._say", only=_says("answer")),
    *_both("the reward is said", "said", f"{SCAN}._say", only=_says("reward")),
    *_both("a reply to a scan", "reply", f"{CLASSIFY}.classify", written=True),
    *_both(
        "a reply to a publisher",
        "reply",
        "eco_actor.web.channels:ChannelRoutes.publish",
        written=True,
    ),
    *_both("a reply to a poll", "reply", f"{POLLS}.scan {POLLS}.channel", written=True),
    *_both("a write to a stream", "reply", f"{OUTLET}.send {FLUSH}", only=_sends, written=True),
    Point(BETWEEN, "reply", FLUSH, False),
    *_both("a key is claimed", "accept", "eco_actor.web.idempotency:Idempotency.claim"),
    *_both("the database opens", "start", f"{DATABASE}.__init__", phase=Phase.STARTING),
    Point(OPENING, "start", TRACE, False, Phase.STARTING),
    *_both("the log opens", "start", f"{LOG}.open", phase=Phase.STARTING),
    *_both("the server listens", "start", f"{HTTP}.init", phase=Phase.STARTING),
    *_both("recovery looks", "recovery", f"{RECOVERY}.handle", phase=Phase.RESUMING),
    *_both("recovery resumes a scan", "recovery", f"{RECOVERY}._start", phase=Phase.RESUMING),
    *_both("http closes", "close", f"{HTTP}.terminate", phase=Phase.CLOSING),
    *_both("a stream closes", "close", f"{OUTLET}.close", phase=Phase.CLOSING),
    *_both("the log closes", "close", f"{LOG}.close", phase=Phase.CLOSING),
    *_both("the database closes", "close", f"{DATABASE}.close", phase=Phase.CLOSING),
)

Hit = Callable[[], None]


def install(board: Board) -> None:
    """Put the points into this process. AttributeError for one whose call is no longer there."""
    calls: dict[str, list[Point]] = {}
    for point in POINTS:
        for call in point.call.split():
            calls.setdefault(call, []).append(point)
    for call, points in calls.items():
        if call in (TRACE, FLUSH) or call.startswith(STAGE):
            continue
        owner, name = _found(call)
        setattr(owner, name, _counting(getattr(owner, name), points, board))
    _wrap_stages(calls, board)
    _wrap_flush(calls[FLUSH], board)
    _trace(board)


def _found(call: str) -> tuple[Any, str]:
    module, _, path = call.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name


def _counting(original: Callable[..., Any], points: Iterable[Point], board: Board) -> Any:
    """*original* with its points: they are passed by whoever calls it, in the same thread."""
    before = [_passing(point, board) for point in points if not point.after]
    after = [_passing(point, board) for point in points if point.after]

    @functools.wraps(original)
    async def waits(*args: Any, **named: Any) -> Any:
        for passed in before:
            passed(args)
        result = await original(*args, **named)
        for passed in after:
            passed(args)
        return result

    @functools.wraps(original)
    def returns(*args: Any, **named: Any) -> Any:
        for passed in before:
            passed(args)
        result = original(*args, **named)
        for passed in after:
            passed(args)
        return result

    return waits if inspect.iscoroutinefunction(original) else returns


def _passing(point: Point, board: Board) -> Callable[[tuple[Any, ...]], None]:
    number, only = board.number(point.name), point.only

    def passed(args: tuple[Any, ...]) -> None:
        if only is not None and not only(*args):
            return
        if point.written:
            _turns_later(WRITTEN_AFTER, lambda: board.hit(number))
        else:
            board.hit(number)

    return passed


def _turns_later(turns: int, then: Hit) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(*((_turns_later, turns - 1, then) if turns > 1 else (then,)))


def _wrap_stages(calls: dict[str, list[Point]], board: Board) -> None:
    """The steps are functions in a table that the application makes."""
    from eco_actor import app

    made = getattr(app, "stages")  # noqa: B009  # a name that it imports, not exports

    def stages(*args: Any) -> Sequence[Any]:
        return [
            replace(each, run=_counting(each.run, calls[f"{STAGE}:{each.name}"], board))
            for each in made(*args)
        ]

    setattr(app, "stages", stages)  # noqa: B010


def _wrap_flush(points: Sequence[Point], board: Board) -> None:
    """Who is in step is written to by the cohort, through what it gave it when it joined."""
    from eco_actor.delivery.cohort import Cohort, Fanout

    join, flush = Fanout.join, Cohort.flush
    between = board.number(BETWEEN)
    counted = [point for point in points if point.name != BETWEEN]
    written = [0]

    @functools.wraps(flush)
    def flushing(self: Cohort, now: float) -> None:
        written[0] = 0
        flush(self, now)

    @functools.wraps(join)
    def joining(self: Fanout, member: Any, write: Callable[[bytes], None], *about: Any) -> Cohort:
        counting = _counting(lambda _, data: write(data), counted, board)

        def wrapped(data: bytes) -> None:
            if written[0]:
                board.hit(between)
            written[0] += 1
            counting(member, data)

        return join(self, member, wrapped, *about)

    setattr(Fanout, "join", joining)  # noqa: B010
    setattr(Cohort, "flush", flushing)  # noqa: B010


def _trace(board: Board) -> None:
    """A transaction that writes ends with COMMIT: SQLite tells of it before it does it."""
    connect = sqlite3.connect
    opening = [True]

    def traced(*args: Any, **named: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **named)
        writing = False

        def starts(sql: str) -> None:
            nonlocal writing
            if sql == "BEGIN IMMEDIATE":
                writing = True
            elif sql == "COMMIT" and writing:
                writing = False
                board.hit(board.number(OPENING if opening[0] else COMMITTING))
            elif sql == "ROLLBACK":
                writing = False

        made.set_trace_callback(starts)
        return made

    from eco_actor.eventlog.database import Database

    setattr(sqlite3, "connect", traced)  # noqa: B010
    made = Database.__init__

    @functools.wraps(made)
    def opened(*args: Any, **named: Any) -> None:
        opening[0] = True
        made(*args, **named)
        opening[0] = False

    setattr(Database, "__init__", opened)  # noqa: B010
