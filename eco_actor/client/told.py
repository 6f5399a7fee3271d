"""What a client is told: events, gaps, tasks, and how its connection does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `cursor`: follow with `after=cursor` to go on behind it; None: it is transient,
    told to whoever is there, and in no log."""

    channel: str
    cursor: str | None
    data: Mapping[str, Any]

    @property
    def transient(self) -> bool:
        return self.cursor is None


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that are not told: `dropped` of them as far as known (0: not known), between `begin`,
    the cursor before the first, and `end`, that of the last.

    `reason`: overflow, coalesced, trimmed, reset.
    """

    channel: str
    begin: str
    end: str
    dropped: int
    reason: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Gap":
        """As it comes over the wire."""
        dropped, reason = int(told["dropped"]), str(told["reason"])
        return cls(str(told["channel"]), str(told["from"]), str(told["to"]), dropped, reason)


@dataclass(frozen=True, slots=True)
class Task:
    """A scan that was accepted, and where to look for it."""

    task_id: str
    stream_url: str
    events_url: str
    result_url: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection is open. `resume`: fresh, recovered, partial, reset."""

    transport: str
    resume: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A connection has ended, or was not to be had; the next try is in so many seconds.

    `failures`: how many there were in a row. `transport`: the one that is tried next.
    """

    code: str
    detail: str
    seconds: float
    failures: int
    transport: str


State = Opened | Waiting


def channel_of(task_id: str) -> str:
    """The channel of a scan."""
    return f"scan:{task_id}"


def is_scan(channel: str) -> bool:
    return channel.startswith("scan:")


def is_last(event: Event) -> bool:
    """Whether nothing comes behind it: the end of a scan."""
    if not is_scan(event.channel):
        return False
    step, status = event.data.get("step"), event.data.get("status")
    return status in ("failed", "cancelled") or (step == "reward" and status != "processing")
