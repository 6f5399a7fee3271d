"""Warnings for what an event loop suffers from: long turns, long queues, a loop that stands still.

A turn that is too long is named when it is over. A loop that stands still cannot say so itself: a
thread looks at its heart-beat, and writes to the log where the loop's thread is stuck, while it is.
"""

import asyncio
import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from eco_actor.runtime.dispatcher import Turnable
from eco_actor.runtime.incarnation import Incarnation

log = logging.getLogger(__name__)

QUIET_S: Final = 10.0
"""Seconds between two warnings of one kind about one actor; what happens in between is counted."""

MOST_NAMED: Final = 256
"""Actors whose last warning is remembered."""

FRAMES: Final = 4
"""Innermost frames of a stuck loop that are shown."""


@dataclass(slots=True)
class Warnings:
    """How often each threshold was passed."""

    slow_turns: int = 0
    long_delays: int = 0
    loop_stalls: int = 0


class Watchdog:
    """Watches one system; all thresholds in seconds. Without one, none of this costs anything.

    `slow_turn`: of one turn, which holds up all others. `queue_delay`: that a message waits to be
    taken. One message an actor is followed at a time, the newest when the one before was taken.
    `loop_stall`: that the loop does not come round.
    """

    def __init__(
        self, slow_turn: float = 0.1, queue_delay: float = 1.0, loop_stall: float = 0.25
    ) -> None:
        for name, seconds in (
            ("slow_turn", slow_turn),
            ("queue_delay", queue_delay),
            ("loop_stall", loop_stall),
        ):
            if not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        self.slow_turn = slow_turn
        self.queue_delay = queue_delay
        self.loop_stall = loop_stall
        self.alarm = min(slow_turn, queue_delay)
        self.counted = Warnings()
        self._quiet: dict[tuple[str, str], float] = {}  # until when, by kind and path
        self._followed: dict[Incarnation, tuple[int | None, float]] = {}
        # Of those with more to do: which message, by its number, is looked at since when.
        self._heart: _Heart | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch *loop*, which runs in this thread."""
        if self._heart is not None:
            raise RuntimeError("a Watchdog watches one system: make another")
        beat = min(self.loop_stall, self.queue_delay) / 2
        self._heart = _Heart(loop, beat, self.loop_stall, self._look, self._stalled)

    def stop(self) -> None:
        if self._heart is not None:
            self._heart.stop()
        self._followed.clear()

    @property
    def thread(self) -> threading.Thread | None:
        """What listens; it ends by itself some time after `stop`."""
        return self._heart.listener if self._heart is not None else None

    def turned(self, who: Turnable, scheduled: float, began: float, ended: float) -> None:
        if not isinstance(who, Incarnation):
            return
        took = ended - began
        if took >= self.slow_turn:
            self.counted.slow_turns += 1
            self._warn("slow turn", who, ended, f"took {took:.3f} s and held up all others")
        if began - scheduled >= self.queue_delay:
            self._late(who, ended, began - scheduled)
        if not who.asleep:  # it has more to do, or a job that may take long
            self._followed.setdefault(who, (None, ended))

    def _look(self, now: float) -> None:
        """Which of the messages that are followed were taken, and which wait for too long?"""
        for who, (number, since) in list(self._followed.items()):
            mailbox = who.cell.mailbox
            queued = len(mailbox)
            if who.over or (who.asleep and not queued):
                del self._followed[who]
            elif number is not None and mailbox.accepted - queued < number:
                if now - since >= self.queue_delay:
                    self._late(who, now, now - since)
                    self._followed[who] = (number, math.inf)  # said once
            else:  # taken, or none was followed yet: follow the newest there is
                self._followed[who] = (mailbox.accepted if queued else None, now)

    def _late(self, who: Incarnation, now: float, waited: float) -> None:
        self.counted.long_delays += 1
        queued = len(who.cell.mailbox)
        self._warn("queue delay", who, now, f"a message waited {waited:.2f} s, {queued} are queued")

    def _warn(self, kind: str, who: Incarnation, now: float, detail: str) -> None:
        path = who.cell.path
        if now < self._quiet.get((kind, path), 0.0):
            return
        if len(self._quiet) >= MOST_NAMED:
            self._quiet.clear()
        self._quiet[kind, path] = now + QUIET_S
        log.warning("%s: %s: %s", path, kind, detail)

    def _stalled(self, seconds: float, where: str | None) -> None:
        if where is not None:
            log.warning("the loop has stood still for %.2f s, in %s", seconds, where)
            return
        self.counted.loop_stalls += 1
        log.warning("the loop stood still for %.2f s", seconds)


class _Heart:
    """Beats in the loop, and is listened to by a thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        beat: float,
        limit: float,
        look: Callable[[float], None],
        stalled: Callable[[float, str | None], None],
    ) -> None:
        self._loop = loop
        self._every = beat
        self._limit = limit
        self._look = look
        self._stalled = stalled
        self._watched = threading.get_ident()
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._beat()
        self.listener = threading.Thread(target=self._listen, name="eco-watchdog", daemon=True)
        self.listener.start()

    def stop(self) -> None:
        """The thread ends by itself: waiting for it would hold up the loop."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = time.monotonic()
        late = now - self._last
        self._last = now
        self._timer = self._loop.call_later(self._every, self._beat)
        if late >= self._limit:
            self._stalled(late, None)
        self._look(now)

    def _listen(self) -> None:
        """Look about twice in the time that a stall may take; say once where a stall is."""
        said = 0.0
        while not self._stopped.wait(self._limit / 2):
            last = self._last
            silent = time.monotonic() - last
            if silent >= self._limit and last != said:
                said = last
                self._stalled(silent, _where(sys._current_frames().get(self._watched)))


def _where(frame: FrameType | None) -> str:
    if frame is None:
        return "a thread that has ended"
    inner = traceback.extract_stack(frame)[-FRAMES:]
    return " < ".join(f"{at.name} ({at.filename}:{at.lineno})" for at in reversed(inner))
