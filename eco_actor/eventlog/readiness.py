"""Whether a log can work: asked of the log itself, not of what is known about it."""

import asyncio
from typing import Final

from eco_actor.eventlog.log import EventLog
from eco_actor.eventlog.store import StoreError

PATIENCE_S: Final = 2.0
"""Seconds that its writer and its readers have to answer."""


async def obstacle(log: EventLog) -> str | None:
    """Why *log* cannot be worked with at the moment; None when its writer and readers answer."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await log.commit([])
            await log.query("SELECT 1 FROM epochs")
    except StoreError as error:
        return f"store: {error.reason}"
    except TimeoutError:
        return "store: it does not answer"
    return None
