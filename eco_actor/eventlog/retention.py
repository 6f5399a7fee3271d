"""The actor that keeps the history of channels within its bounds, by trimming what is oldest."""

import logging
from collections.abc import Callable
from enum import Enum
from typing import Final

from eco_actor.eventlog.log import EventLog
from eco_actor.eventlog.store import StoreError
from eco_actor.runtime import Actor, MailboxSpec, Overflow

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two looks, when nothing was over a bound."""

BUSY: Final = 0.1
"""Seconds between two looks, while something is over a bound each time: what gathers in between
goes in full steps, of which each is a transaction of its own."""

RECOVERY: Final = 30.0
"""Seconds until the next look when the store could not be read or written."""


class Look(Enum):
    DUE = "it is time to look"


class Retention(Actor[Look]):
    """Looks every so often which channels are over a bound of *log*, and trims them in steps.

    `now_ms` is the clock of the log (`EventLog.now_ms`). While something is over a bound it looks
    again soon, so it keeps up with whoever publishes: the store does a step after each batch. A
    store that fails is left alone for a while; a trim that was begun goes on when this actor ends.
    """

    interruptible = True  # a trim of a long history must not hold up a stop
    mailbox = MailboxSpec(1, Overflow.LATEST)

    def __init__(
        self,
        log: EventLog,
        now_ms: Callable[[], int],
        interval: float = INTERVAL,
        recovery: float = RECOVERY,
    ) -> None:
        self._log = log
        self._now_ms = now_ms
        self._interval = interval
        self._recovery = recovery

    def init(self) -> None:
        self._look_in(0.0)

    async def handle(self, message: Look) -> None:
        try:
            trimmed = await self._trim()
        except StoreError as error:
            log.warning("%s: no history was trimmed: %s", self.ref.path, error)
            self._look_in(self._recovery)
        else:
            self._look_in(min(BUSY, self._interval) if trimmed else self._interval)

    async def _trim(self) -> bool:
        """Trim what is over a bound now; whether anything went."""
        trimmed = False
        for excess in await self._log.excesses(self._now_ms()):
            trimmed = await self._log.trim(excess) or trimmed
        return trimmed

    def _look_in(self, seconds: float) -> None:
        self.start_timer("look", seconds, Look.DUE)
