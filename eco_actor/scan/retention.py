"""The actor that lets go of scans that are over, oldest first, in small steps.

Of a scan that is gone its id is left for a month, so that whoever asks is told so.
"""

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from typing import Final

from eco_actor.eventlog import EventLog, StoreError, StoreUncertain, Write
from eco_actor.runtime import Actor, MailboxSpec, Overflow
from eco_actor.scan.events import channel
from eco_actor.scan.tables import (
    ADD_GONE,
    DROP_GONE,
    DROP_PICTURE,
    DROP_REWARD,
    DROP_SCAN,
    GONE_COUNT,
    KEYED_COUNT,
    OLDEST,
    OLDEST_GONE,
    VOLUME,
)
from eco_actor.scan.volume import GONE_MOST, GONE_MS, KEYED_MS, Keep, Row, Volume, choose

log = logging.getLogger(__name__)

STEP: Final = 64
"""Scans that are looked at, and at most removed, at a time; the same for ids of those gone."""

PAUSE_S: Final = 0.02
"""Between two steps: others write in between."""

INTERVAL_S: Final = 2.0
"""Between two looks at the counters, which are in memory."""

REST_S: Final = 30.0
"""Between two looks for what is too old; after those over count or bytes that have to stay; and
after the store could not be read or written."""


class Look(Enum):
    DUE = "it is time to look"


class ScanRetention(Actor[Look]):
    """Keeps the scans in *log* within *keep*, and the ids of those gone within `GONE_MOST`.

    It walks the scans from the oldest on, a few at a time, until none can be in excess: all of
    those when there are too many that have to stay, else only as far as some are old. *volume*
    counts what is in the log.
    """

    interruptible = True
    mailbox = MailboxSpec(1, Overflow.LATEST)

    def __init__(
        self, log: EventLog, volume: Volume, keep: Keep, most_gone: int = GONE_MOST
    ) -> None:
        self._log = log
        self._volume = volume
        self._keep = keep
        self._most_gone = most_gone
        self._gone: int | None = None  # ids of scans that are gone
        self._after = ""  # how far the walk is
        self._due = self._due_gone = self._over_due = 0.0  # by the clock of timers

    def init(self) -> None:
        self._volume.loaded = False  # the log may be another one by now
        self._look_in(0.0)

    async def handle(self, message: Look) -> None:
        try:
            await self._count()
            again = await self._step()
            again = await self._step_gone() or again
        except StoreError as error:
            log.warning("%s: no scan was removed: %s", self.ref.path, error.reason)
            self._look_in(REST_S)
        else:
            self._look_in(PAUSE_S if again else INTERVAL_S)

    def _look_in(self, seconds: float) -> None:
        self.start_timer("look", seconds, Look.DUE)

    async def _count(self) -> None:
        """Count what was there before, unless that was done. StoreError."""
        volume = self._volume
        if not volume.loaded:
            volume.begin()
            ((scans, size),) = await self._log.query(VOLUME, (self._log.head,))
            volume.load(scans, size)
        if self._gone is None:
            ((self._gone,),) = await self._log.query(GONE_COUNT)

    async def _step(self) -> bool:
        """Remove the next few of those in excess; whether the walk goes on. StoreError."""
        now = self.now()
        scans, size = self._volume.excess(self._keep)
        over = (scans or size) and now >= self._over_due
        if not (self._after or over or now >= self._due):
            return False
        if scans or size:
            scans, size = await self._without_keyed(scans, size)
        rows = [Row(*row) for row in await self._log.query(OLDEST, (self._after, STEP))]
        choice = choose(rows, self._keep, self._log.now_ms(), scans, size)
        # one that is followed stays: its follower may be reading it, and waits for its last event
        rows_to_go = [row for row in choice.rows if channel(row.task_id) not in self._log.hub]
        if rows_to_go:
            await self._remove(rows_to_go)
        if len(rows) == STEP and not choice.last:
            self._after = rows[-1].task_id
            return True
        self._after = ""
        self._due = now + REST_S
        # what is too much now has to stay
        self._over_due = self._due if any(self._volume.excess(self._keep)) else 0.0
        return False

    async def _without_keyed(self, scans: int, size: int) -> tuple[int, int]:
        """What is too much, those left out that have to stay: else they would push all others out.

        Their bytes are reckoned by the mean of all. StoreError.
        """
        since_ms = self._log.now_ms() - KEYED_MS
        ((keyed,),) = await self._log.query(KEYED_COUNT, (since_ms,))
        mean = self._volume.size // max(1, self._volume.scans)
        return max(0, scans - keyed), max(0, size - keyed * mean)

    async def _remove(self, rows: Sequence[Row]) -> None:
        now_ms = self._log.now_ms()
        ids = [row.task_id for row in rows]
        drops = (DROP_SCAN, DROP_REWARD, DROP_PICTURE)
        writes = [Write(drop, (task_id,)) for drop in drops for task_id in ids]
        writes += [Write(ADD_GONE, (task_id, now_ms)) for task_id in ids]
        try:
            await self._log.forget([channel(task_id) for task_id in ids], writes)
        except (StoreUncertain, asyncio.CancelledError):
            self._volume.loaded, self._gone = False, None  # nobody knows: count again
            raise
        self._volume.removed(rows)
        self._gone = (self._gone or 0) + len(rows)

    async def _step_gone(self) -> bool:
        """Forget a few ids of scans that are long gone; whether more follow. StoreError."""
        now, gone = self.now(), self._gone or 0
        if gone <= self._most_gone and now < self._due_gone:
            return False
        surplus, before_ms = gone - self._most_gone, self._log.now_ms() - GONE_MS
        rows = await self._log.query(OLDEST_GONE, (STEP,))
        ids = [id_ for n, (id_, at_ms) in enumerate(rows) if n < surplus or at_ms < before_ms]
        if ids:
            await self._log.commit((), [Write(DROP_GONE, (task_id,)) for task_id in ids])
            self._gone = gone - len(ids)
        if len(ids) == STEP:
            return True
        self._due_gone = now + REST_S
        return False
