"""Puts the points of the crash harness into the process that is to be ended.

Counting wrappers go around the calls; nothing else of the process is changed. What is passed in a
transaction of the database is seen by SQLite's own trace, for there is no call of ours to wrap.
"""

import asyncio
import functools
import importlib
import inspect
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from bench.crash_board import Board
from bench.crash_points import (
    BETWEEN,
    COMMITTING,
    FLUSH,
    HALFWAY,
    OPENING,
    POINTS,
    REMOVING,
    STAGE,
    TRACE,
    TRIMMING,
    Point,
)

WRITTEN_AFTER: Final = 3
"""Turns of the loop after which what was written to a transport is with the kernel."""

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
    from eco_actor import parts

    made = getattr(parts, "stages")  # noqa: B009  # a name that it imports, not exports

    def stages(*args: Any) -> Sequence[Any]:
        return [
            replace(each, run=_counting(each.run, calls[f"{STAGE}:{each.name}"], board))
            for each in made(*args)
        ]

    setattr(parts, "stages", stages)  # noqa: B010


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


BEGINS: Final = "BEGIN IMMEDIATE"
REMOVES: Final = "DELETE FROM events WHERE channel IN"
TRIMS: Final = "DELETE FROM events WHERE channel ="
DROPS_ROWS: Final = "DELETE FROM scans"


def _trace(board: Board) -> None:
    """A transaction that writes ends with COMMIT: SQLite tells of it before it does it."""
    connect = sqlite3.connect
    opening = [True]

    def traced(*args: Any, **named: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **named)
        made.set_trace_callback(_Transaction(board, opening))
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


class _Transaction:
    """Told each statement of a connection before it is run."""

    def __init__(self, board: Board, opening: Sequence[bool]) -> None:
        self._board = board
        self._opening = opening
        self._writing = False
        self._kind: str | None = None  # the point of what is special about it

    def __call__(self, sql: str) -> None:
        if sql == BEGINS:
            self._writing, self._kind = True, None
        elif not self._writing:
            return
        elif sql.startswith(REMOVES):
            self._kind = REMOVING
        elif sql.startswith(TRIMS):
            self._kind = TRIMMING
        elif sql.startswith(DROPS_ROWS):
            self._hit(HALFWAY)
        elif sql == "ROLLBACK":
            self._writing = False
        elif sql == "COMMIT":
            self._writing = False
            self._end()

    def _end(self) -> None:
        if self._opening[0]:
            self._hit(OPENING)
            return
        if self._kind is not TRIMMING:
            self._hit(COMMITTING)
        if self._kind is not None:
            self._hit(self._kind)

    def _hit(self, point: str) -> None:
        self._board.hit(self._board.number(point))
