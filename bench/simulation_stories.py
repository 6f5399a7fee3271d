"""What becomes of a scan, as its events tell it, and of what clients asked for. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

STEPS: Final = ("vision", "rule", "answer", "reward")
DONE: Final = len(STEPS)


@dataclass
class Story:
    """One scan, as its events tell it."""

    task_id: str
    marker: int
    picture: bool
    begun: tuple[float, int]  # virtual time, and the time in the log
    thing: str  # the first scan of what it is about
    seq: int = 1
    next: int = 0  # of STEPS; DONE: over
    status: str = "processing"
    unsure: bool = False
    rewarded: bool = False
    deaths: Counter[str] = field(default_factory=Counter)  # of processes, by the step it was at
    ended: tuple[float, int] | None = None
    gone: bool = False

    @property
    def over(self) -> bool:
        return self.next == DONE

    def take(self, data: Any, now: float, at_ms: int) -> None:
        """The next event, which may come now."""
        step, status = data["step"], data["status"]
        self.seq = data["seq"]
        if self.seq == 1:
            return
        if step != "reward" and (status != "completed" or step == "answer"):
            self.status = status
        self.unsure = self.unsure or data.get("unsure") is True
        self.rewarded = step == "reward" and data.get("reward") is not None
        ends = status != "completed" or step == "reward"
        self.next = DONE if ends else self.next + 1
        if ends:
            self.ended = (now, at_ms)


@dataclass
class Asked:
    """A request for a scan, or an event that was published, by a client."""

    what: str
    key: str | None = None
    state: str = "open"  # accepted | refused
    task_ids: list[str] = field(default_factory=list)  # what it was told
    stored: list[str] = field(default_factory=list)  # what there is in the log
