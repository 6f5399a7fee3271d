"""A server that keeps little, for the crash harness: of what it has, something goes all the time.

What is removed is remembered in tables of the database beside those of the server, by triggers, so
that it can be judged in the end as well as what is left.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

from bench.crash_kept import RECORD
from eco_actor import app, parts
from eco_actor.eventlog import EventLog, trimming
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.history import Bounds
from eco_actor.eventlog.retention import Retention
from eco_actor.scan import retention

SMALL: Final = f"{__name__}:small"
"""As a stand-in of the harness."""

KEEP_SCANS: Final = 24

KEYED: Final = 6
"""Scans with a key, which stay, at most: well below KEEP_SCANS, so that others do, too."""

KEEP_EVENTS: Final = 40
"""Of a channel."""

ENVIRONMENT: Final[Mapping[str, str]] = {"ECO_KEEP_SCANS": str(KEEP_SCANS)}

LOOK_S: Final = 0.03
"""Between two looks for what is too much."""

STEP: Final = 4
"""Scans, or events, that go in one transaction: removing what is too much takes several."""


class Eager(Retention):
    """Looks often."""

    def __init__(self, log: Any, now_ms: Any) -> None:
        super().__init__(log, now_ms, LOOK_S)


def small() -> None:
    """Let this process keep little, and remember what it removes."""
    made = Database.__init__

    @functools.wraps(made)
    def opened(self: Database, *args: Any, **named: Any) -> None:
        made(self, *args, **named)
        for statement in RECORD:
            self.connection.execute(statement)

    bounds = Bounds(events=KEEP_EVENTS)
    _put(Database, "__init__", opened)
    _put(parts, "EventLog", lambda store: EventLog(store, bounds))
    _put(app, "Retention", Eager)
    _put(trimming, "STEP", STEP)
    _put(retention, "STEP", STEP)
    _put(retention, "INTERVAL_S", LOOK_S)
    _put(retention, "REST_S", LOOK_S)
    _put(retention, "PAUSE_S", 0.0)


def _put(owner: Any, name: str, made: Any) -> None:
    getattr(owner, name)  # AttributeError for one that is no longer there
    setattr(owner, name, made)
