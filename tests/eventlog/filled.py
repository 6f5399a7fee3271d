"""Logs with something in them, and reading them as a client does."""

from eco_actor.eventlog import Bounds, Draft, EventLog, SqliteStore


def draft(n: object, channel: str = "app:a", at_ms: int = 1) -> Draft:
    return Draft(channel, {"n": n}, at_ms)


async def filled(store: SqliteStore, channels: str, bounds: Bounds | None = None) -> EventLog:
    """A log in which the events stand on these channels a, b … in this order."""
    log = EventLog(store, bounds or Bounds())
    await log.open()
    drafts = [draft(n, f"app:{letter}", at_ms=n) for n, letter in enumerate(channels, start=1)]
    await log.commit(drafts)
    return log


async def positions(log: EventLog, channel: str, after: int = 0) -> list[int]:
    """What a client is given of the channel that reads on behind *after*, page by page."""
    found: list[int] = []
    while True:
        page = await log.page([channel], after, 7)
        found += [event.position for event in page.events]
        if not page.events:
            return found
        after = found[-1]
