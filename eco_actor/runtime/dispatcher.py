"""Who gets the next turn: one run queue a system, run from one callback of the loop.

An actor with messages stands in the queue at most once. A turn is bounded by its budget, a run of
turns by TURNS and by RUN_S; what is left then goes on in the next iteration of the loop, so
sockets, timers and other callbacks are never further away than one run.
"""

import contextvars
import time
from asyncio import AbstractEventLoop
from collections import deque
from typing import Final, Protocol

TURNS: Final = 256
"""Turns in one run."""

RUN_S: Final = 0.002
"""Seconds after which a run ends early, looked at after every LOOK turns."""

LOOK: Final = 4

TURN_BUDGET: Final = 64
"""Messages that one actor handles in one turn, before others get theirs."""


class Turnable(Protocol):
    """Somebody who can be given a turn."""

    asleep: bool
    """Whether it has nothing left to do, after its turn."""

    def turn(self, budget: int) -> None:
        """Handle at most *budget* messages; must not raise."""


class Schedule(Protocol):
    """Decides in tests what is otherwise first in, first out."""

    def pick(self, n: int) -> int:
        """Which of *n* waiting turns is next, 0 to n - 1; *n* is at least 1."""

    def budget(self, most: int) -> int:
        """How many messages the next turn may handle, 1 to *most*."""


class TurnWatch(Protocol):
    """Looks at turns that were long, or long in coming, or left something to do."""

    alarm: float
    """Seconds, from when it was scheduled to its end, after which a turn is worth a look."""

    def turned(self, who: Turnable, scheduled: float, began: float, ended: float) -> None:
        """*who* had a turn; the times are of the monotonic clock, in seconds."""


class Dispatcher:
    """First in, first out."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[Turnable] = deque()
        self._armed = False
        # Turns see the context in which the system was started, not that of whoever told first.
        self._context = contextvars.copy_context()

    def fresh_context(self) -> contextvars.Context:
        """What code sees that belongs to the system, not to whoever happens to run now."""
        return self._context.copy()

    def schedule(self, who: Turnable) -> None:
        """Give *who* a turn soon, after those that were scheduled before it."""
        self._ready.append(who)
        if not self._armed:
            self._loop.call_soon(self._run, context=self.fresh_context())
            self._armed = True  # not before: from another thread it may raise

    def _run(self) -> None:
        ready, clock = self._ready, time.monotonic
        until = clock() + RUN_S
        try:
            for turn in range(TURNS):
                if not ready or (turn % LOOK == 0 and clock() > until):
                    break
                ready.popleft().turn(TURN_BUDGET)
        finally:  # even a turn that breaks the rule and raises stops nobody else
            self._armed = bool(ready)
            if ready:
                self._loop.call_soon(self._run, context=self.fresh_context())


class ScheduledDispatcher(Dispatcher):
    """In the order that a schedule picks, one turn a run: for tests."""

    def __init__(self, loop: AbstractEventLoop, schedule: Schedule) -> None:
        super().__init__(loop)
        self._schedule = schedule

    def _run(self) -> None:
        ready = self._ready
        try:
            ready.rotate(-self._schedule.pick(len(ready)))
            ready.popleft().turn(self._schedule.budget(TURN_BUDGET))
        finally:
            self._armed = bool(ready)
            if ready:
                self._loop.call_soon(self._run, context=self.fresh_context())


class WatchedDispatcher(Dispatcher):
    """First in, first out, with a look at the clock around each turn."""

    def __init__(self, loop: AbstractEventLoop, watch: TurnWatch) -> None:
        super().__init__(loop)
        self._watch = watch
        self._since: deque[float] = deque()  # when each of _ready was scheduled

    def schedule(self, who: Turnable) -> None:
        self._since.append(time.monotonic())  # a loop's own clock may stand still while it works
        self._ready.append(who)
        if not self._armed:
            self._loop.call_soon(self._run, context=self.fresh_context())
            self._armed = True  # not before: from another thread it may raise

    def _run(self) -> None:
        ready, since, clock = self._ready, self._since, time.monotonic
        watch = self._watch
        alarm = watch.alarm
        began = clock()
        until = began + RUN_S
        try:
            for _ in range(TURNS):
                if not ready or began > until:
                    break
                who, scheduled = ready.popleft(), since.popleft()
                who.turn(TURN_BUDGET)
                ended = clock()
                if ended - scheduled >= alarm or not who.asleep:
                    watch.turned(who, scheduled, began, ended)
                began = ended
        finally:
            self._armed = bool(ready)
            if ready:
                self._loop.call_soon(self._run, context=self.fresh_context())
