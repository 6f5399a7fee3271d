"""The actor that owns the open log: first to start, last to stop."""

from enum import Enum
from typing import Final

from eco_actor.eventlog.log import EventLog
from eco_actor.runtime import Actor, Exit, MailboxSpec, Overflow

INTERVAL: Final = 1.0
"""Seconds between two looks at the storage."""


class Look(Enum):
    DUE = "it is time to look"


class LogOwner(Actor[Look]):
    """Opens the log when it starts, looks after its storage, and closes it when it ends."""

    mailbox = MailboxSpec(1, Overflow.LATEST)
    shutdown = 6.0  # what waits is still written, and that may take the disk a while

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def init(self) -> None:
        await self._log.open()
        self.start_timer("look", INTERVAL, Look.DUE)

    def handle(self, message: Look) -> None:
        self._log.check()
        self.start_timer("look", INTERVAL, Look.DUE)

    async def terminate(self, reason: Exit) -> None:
        await self._log.close()
