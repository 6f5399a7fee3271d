"""The events of scans, as clients see them and as drafts for the log."""

import functools
from datetime import UTC, datetime
from typing import Any

from eco_actor.eventlog import Draft
from eco_actor.scan.state import ENDED, STEPS


def channel(task_id: str) -> str:
    return f"scan:{task_id}"


def step_event(
    task_id: str, seq: int, step: str, status: str, progress: int, wall_ms: int, /, **fields: Any
) -> dict[str, Any]:
    """The data of an event as clients see it."""
    return {
        "task_id": task_id,
        "seq": seq,
        "step": step,
        "status": status,
        "progress": progress,
        "at": f"{_to_the_second(wall_ms // 1000)}.{wall_ms % 1000:03d}Z",
        **fields,
    }


@functools.lru_cache(maxsize=2)  # many events a second, one second after the other
def _to_the_second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def first_event(task_id: str, at_ms: int, wall_ms: int) -> Draft:
    """The event that comes with the acceptance of a scan."""
    data = step_event(task_id, 1, "vision", "processing", 10, wall_ms)
    return Draft(channel(task_id), data, at_ms, opens=True)


def said(event: dict[str, Any], at_ms: int) -> Draft:
    """A later event of a scan, made by `step_event`."""
    step, status = event["step"], event["status"]
    final = step == STEPS[-1] or status in ENDED
    terminal = final or step == "answer"
    return Draft(channel(event["task_id"]), event, at_ms, terminal=terminal, final=final)
