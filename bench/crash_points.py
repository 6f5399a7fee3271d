"""Where the crash harness can end a server: a table of names and of what is wrapped there.

A point is passed before or after a call; see `crash_install` for how.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from eco_actor.eventlog.database import FORGET


class Phase(Enum):
    """When in the life of a server a point is passed."""

    STARTING = "starting"
    RESUMING = "resuming"  # a start that finds unfinished scans
    SERVING = "serving"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Point:
    """`call`: module:name of what is wrapped; several with blanks between.

    `only`: for calls of which just some count. `written`: it is passed once what the call has
    written is with the kernel.
    """

    name: str
    group: str
    call: str
    after: bool
    phase: Phase = Phase.SERVING
    only: Callable[..., bool] | None = None
    written: bool = False
    vision: bool = False  # passed only where pictures are looked at
    small: bool = False  # passed only where little is kept


def _both(
    what: str,
    group: str,
    call: str,
    *,
    phase: Phase = Phase.SERVING,
    only: Callable[..., bool] | None = None,
    written: bool = False,
    vision: bool = False,
    small: bool = False,
) -> tuple[Point, Point]:
    """The points before and after a call."""
    before = Point(f"before {what}", group, call, False, phase, only, False, vision, small)
    return before, replace(before, name=f"after {what}", after=True, written=written)


def _writes(database: Any, items: Sequence[Any]) -> bool:
    return any(item.writes or any(item.packed) for item in items)


def _removes(database: Any, items: Sequence[Any]) -> bool:
    return any(write.statement is FORGET for item in items for write in item.writes)


def _offers(hub: Any, events: Sequence[Any]) -> bool:
    return bool(events)


def _sends(outlet: Any, data: bytes) -> bool:
    return bool(data)


def _says(step: str) -> Callable[..., bool]:
    return lambda scan, said, *_: said == step


COMMITTING: Final = "in a transaction, before its end"
OPENING: Final = "in the first transactions of a start, before their end"
REMOVING: Final = "in a removal of scans, before its end"
HALFWAY: Final = "in a removal of scans, when their events are gone and their rows are not"
TRIMMING: Final = "in a step of a trim, before its end"
BETWEEN: Final = "between two clients that one event is written to"

LOG: Final = "eco_actor.eventlog.log:EventLog"
DATABASE: Final = "eco_actor.eventlog.database:Database"
SCAN: Final = "eco_actor.scan.scan:Scan"
ADMISSION: Final = "eco_actor.scan.admission:Admission"
RECOVERY: Final = "eco_actor.scan.recovery:Recovery"
HTTP: Final = "eco_actor.web.server:HttpServer"
CLASSIFY: Final = "eco_actor.web.classify:ClassifyRoute"
POLLS: Final = "eco_actor.web.polls:PollRoutes"
OUTLET: Final = "eco_actor.delivery.outlet:Outlet"
STAGE: Final = "stage"  # the steps, which are functions in a table of the application
TRACE: Final = "trace"  # the statements of a transaction
FLUSH: Final = "flush"  # the writes to those that are in step

POINTS: Final[tuple[Point, ...]] = (
    *_both("an append", "append", f"{LOG}.append"),
    *_both("a commit", "commit", f"{DATABASE}.commit", only=_writes),
    Point(COMMITTING, "commit", TRACE, False),
    *_both("a commit is told", "commit", "eco_actor.eventlog.writer:Writer._committed"),
    *_both("a publish", "publish", "eco_actor.eventlog.hub:Hub.offer", only=_offers),
    *_both("an acceptance", "accept", f"{ADMISSION}._accept"),
    *_both("a scan starts", "accept", f"{ADMISSION}.start"),
    *_both("a picture is decoded", "accept", f"{ADMISSION}.decode", vision=True),
    *_both("the category is taken", "step", "eco_actor.scan.scan:chosen"),
    *_both("the vision step", "step", f"{STAGE}:vision", vision=True),
    *_both("the rule step", "step", f"{STAGE}:rule"),
    *_both("the answer step", "step", f"{STAGE}:answer"),
    *_both("the reward step", "step", f"{STAGE}:reward"),
    *_both("vision is said", "said", f"{SCAN}._say", only=_says("vision")),
    *_both("the rule is said", "said", f"{SCAN}._say", only=_says("rule")),
    *_both("the answer is said", "said", f"{SCAN}._say", only=_says("answer")),
    *_both("the reward is said", "said", f"{SCAN}._say", only=_says("reward")),
    *_both("a reply to a scan", "reply", f"{CLASSIFY}.classify", written=True),
    *_both(
        "a reply to a publisher",
        "reply",
        "eco_actor.web.channels:ChannelRoutes.publish",
        written=True,
    ),
    *_both("a reply to a poll", "reply", f"{POLLS}.scan {POLLS}.channel", written=True),
    *_both("a write to a stream", "reply", f"{OUTLET}.send {FLUSH}", only=_sends, written=True),
    Point(BETWEEN, "reply", FLUSH, False),
    *_both("a key is claimed", "accept", "eco_actor.web.idempotency:Idempotency.claim"),
    *_both("scans are removed", "removal", f"{LOG}.forget", small=True),
    *_both(
        "a commit that removes scans", "removal", f"{DATABASE}.commit", only=_removes, small=True
    ),
    Point(HALFWAY, "removal", TRACE, False, small=True),
    Point(REMOVING, "removal", TRACE, False, small=True),
    *_both("a step of a trim", "trim", "eco_actor.eventlog.committer:trim_step", small=True),
    Point(TRIMMING, "trim", TRACE, False, small=True),
    *_both("a trim is told", "trim", f"{LOG}._note", small=True),
    *_both("the database opens", "start", f"{DATABASE}.__init__", phase=Phase.STARTING),
    Point(OPENING, "start", TRACE, False, Phase.STARTING),
    *_both("the log opens", "start", f"{LOG}.open", phase=Phase.STARTING),
    *_both("the server listens", "start", f"{HTTP}.init", phase=Phase.STARTING),
    *_both("recovery looks", "recovery", f"{RECOVERY}.handle", phase=Phase.RESUMING),
    *_both("recovery resumes a scan", "recovery", f"{RECOVERY}._start", phase=Phase.RESUMING),
    *_both("http closes", "close", f"{HTTP}.terminate", phase=Phase.CLOSING),
    *_both("a stream closes", "close", f"{OUTLET}.close", phase=Phase.CLOSING),
    *_both("the log closes", "close", f"{LOG}.close", phase=Phase.CLOSING),
    *_both("the database closes", "close", f"{DATABASE}.close", phase=Phase.CLOSING),
)
