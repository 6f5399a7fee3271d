"""What is known of a scan: the fold of its events. Pure; the same for the running scan, for a
snapshot that a client asks for, and for going on after a crash.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

STEPS: Final = ("vision", "rule", "answer", "reward")

ENDED: Final = frozenset({"failed", "cancelled"})


class ScanState:
    """Folds events with `apply`; starts as "nothing has happened yet"."""

    __slots__ = ("classification", "error", "progress", "result", "reward", "seq", "status", "step")

    def __init__(self) -> None:
        self.seq = 0
        self.step = STEPS[0]
        self.progress = 0
        self.status = "processing"  # of the scan: completed from the answer on
        self.classification: Mapping[str, Any] | None = None
        self.result: Mapping[str, Any] | None = None
        self.reward: Mapping[str, Any] | None = None
        self.error: Mapping[str, Any] | None = None

    @classmethod
    def fold(cls, events: Iterable[Mapping[str, Any]]) -> "ScanState":
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take account of the next event of the scan."""
        self.seq = event["seq"]
        self.step, self.progress = event["step"], event["progress"]
        status = event["status"]
        if status in ENDED and self.step != "reward":
            self.status = status
            self.error = event.get("error")
        elif status == "completed" and self.step == "vision":
            self.classification = {
                key: event[key]
                for key in ("category", "confidence", "alternatives", "unsure", "backend")
            }
        elif status == "completed" and self.step == "answer":
            self.status = "completed"
            self.result = event["result"]
        elif self.step == "reward":
            self.reward = event["reward"]

    @property
    def next_step(self) -> str | None:
        """The first step that is not done; None when the scan is over."""
        if self.classification is None:
            return None if self.status in ENDED else "vision"
        if self.status in ENDED or self.step == "reward":
            return None
        return STEPS[STEPS.index(self.step) + 1]
