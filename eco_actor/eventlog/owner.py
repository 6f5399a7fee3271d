"""The actor that owns the open log: first to start, last to stop."""

from typing import Any

from eco_actor.eventlog.log import EventLog
from eco_actor.runtime import Actor, Exit


class LogOwner(Actor[Any]):
    """Opens the log when it starts and closes it when it ends; takes no messages."""

    shutdown = 10.0  # what waits is still written, and that may take the disk a while

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def init(self) -> None:
        await self._log.open()

    async def terminate(self, reason: Exit) -> None:
        await self._log.close()
