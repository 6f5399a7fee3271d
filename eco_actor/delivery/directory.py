"""Which channels there are, and where a client begins to read on each."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.rule import Refused
from eco_actor.eventlog import Event, EventLog, Place, Resume
from eco_actor.eventlog.log import PAGE

OPEN_KINDS: Final = frozenset({"app", "room", "user"})
"""Kinds of channels that publishers may write to. They are there as soon as somebody names them."""

SCAN: Final = "scan"

REMEMBERED: Final = 4096
"""Names of publishable channels that need no second look."""

NAME: Final = re.compile(r"([a-z]+):([A-Za-z0-9_.-]{1,128})")

_SHOWN: Final = 200
"""Characters of a wrong name that its sender gets back."""


@dataclass(frozen=True, slots=True)
class Found:
    """A channel, and where a client begins on it.

    `live` is set for a channel without a log. `last` is the final event of a scan that is over:
    whoever begins at its position or behind it has nothing to wait for.
    """

    channel: str
    place: Place
    live: LiveChannel | None = None
    last: Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether the client has all of a scan that has ended."""
        return self.last is not None and self.place.position >= self.last.position


async def _never(task_id: str) -> bool:
    return False


class Directory:
    """Finds channels by name: those of *log*, and the *live* ones, which are in no log.

    *gone* says of a task id of which the log has nothing whether there was such a scan.
    """

    def __init__(
        self,
        log: EventLog,
        live: Mapping[str, LiveChannel],
        gone: Callable[[str], Awaitable[bool]] = _never,
    ) -> None:
        self._log = log
        self._live = live
        self._gone = gone
        self._publishable: set[str] = set()

    async def place(self, channel: str, after: str | None) -> Found:
        """Where a client with the cursor *after* begins on *channel*.

        Without a cursor a scan is read from its beginning, any other channel from now on. Refused:
        `bad_channel` for what is no name, `unknown_task` for a scan of which the log has nothing,
        `gone` for one that was removed, `unknown_channel` for all else that is not there.
        StoreError. It comes back in the same turn of the loop, unless a scan has to be read from
        the disk.
        """
        found = self.place_now(channel, after)
        return self._scan(channel, after, await self._last(channel)) if found is None else found

    def place_now(self, channel: str, after: str | None) -> Found | None:
        """The same at once; None where a scan has to be read from the disk."""
        live = self._live.get(channel)
        if live is not None:
            return Found(channel, self._now(channel, after), live)
        kind = "" if channel in self._publishable else _kind(channel)
        if not kind or kind in OPEN_KINDS:
            return Found(channel, self._log.resume(channel, after, self._log.head))
        if kind != SCAN:
            raise Refused("unknown_channel", f"{channel[:_SHOWN]}: there is no such channel")
        page = self._log.page_now([channel], 0)
        if page is None or not page.events or len(page.events) == PAGE:
            return None
        return self._scan(channel, after, page.events[-1])

    def _scan(self, channel: str, after: str | None, last: Event) -> Found:
        place = self._log.resume(channel, after, 0)
        return Found(channel, place, last=last if last.final else None)

    def publishable(self, channel: str) -> None:
        """Refused for a channel that takes no events from outside: `bad_channel` for what is no
        name, `not_publishable` for what only the server writes to."""
        if channel in self._publishable:
            return
        if _kind(channel) not in OPEN_KINDS:
            open_kinds = ", ".join(f"{kind}:…" for kind in sorted(OPEN_KINDS))
            shown = channel[:_SHOWN]
            detail = f"{shown}: only the server writes to it; open to publishers: {open_kinds}"
            raise Refused("not_publishable", detail)
        if len(self._publishable) >= REMEMBERED:
            self._publishable.clear()
        self._publishable.add(channel)

    def _now(self, channel: str, after: str | None) -> Place:
        """The place of a client on a live channel: it has no history, so always the present."""
        log = self._log
        place = log.resume(channel, after, log.head)
        here = log.cursor(log.head)
        missing = (here, here) if place.resume is Resume.RESET else None
        return replace(place, position=log.head, missing=missing)

    async def _last(self, channel: str) -> Event:
        """The last event of a scan so far. Refused when it has none."""
        last: Event | None = None
        more = True
        while more:
            page = await self._log.page([channel], last.position if last else 0, PAGE)
            if page.events:
                last = page.events[-1]
            more = len(page.events) == PAGE
        if last is None:
            task_id = channel.partition(":")[2]
            if await self._gone(task_id):
                raise Refused(
                    "gone", f"the scan {task_id!r} was removed: scans are kept for a while"
                )
            raise Refused("unknown_task", f"there is no scan {task_id!r}")
        return last


def _kind(channel: str) -> str:
    """What stands before the colon. Refused for what is no name of a channel."""
    found = NAME.fullmatch(channel)
    if found is None:
        detail = f"{channel[:_SHOWN]!r}: channels are written kind:name, as app:news"
        raise Refused("bad_channel", detail)
    return found[1]
