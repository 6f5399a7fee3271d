"""What is known of a scan: the fold of its events. Pure; the same for the running scan, for a
snapshot that a client asks for, and for going on after a crash.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

STEPS: Final = ("vision", "rule", "answer", "reward")
"""The standard steps. Every scan goes through them; others may come between vision and answer."""

ENDED: Final = frozenset({"failed", "cancelled"})

ABOUT: Final = frozenset({"task_id", "seq", "step", "status", "progress", "at"})
"""What every event has; the rest are fields of its step."""


class Steps:
    """The order in which the steps of a server's scans come. `own`: some are not the standard's."""

    __slots__ = ("_following", "order", "own")

    def __init__(self, order: Sequence[str] = STEPS, *, own: bool = False) -> None:
        self.order = tuple(order)
        self.own = own
        pairs = zip(self.order, self.order[1:], strict=False)
        # Where both are standard ones nothing else can be the matter.
        self._following = {a: b for a, b in pairs if a in STEPS and b in STEPS}

    def behind(self, step: str, done: Mapping[str, Any]) -> str:
        """The step that follows when *step* was the last, and *done* has what was done but vision.

        The log may know of steps that are no longer there, or do not know of new ones. No standard
        step is left out, and no other one done twice: it is the first behind the last that is done,
        of those from the last standard one on.
        """
        following = self._following.get(step)
        if following is not None:
            return following
        last = next(name for name in reversed(STEPS) if name in done or name == STEPS[0])
        at = self.order.index(last)
        for place in range(at + 1, len(self.order)):
            if self.order[place] in STEPS:
                break
            if self.order[place] in done:
                at = place
        return self.order[at + 1]


STANDARD: Final = Steps()

NOTHING: Final[Mapping[str, Mapping[str, Any]]] = {}


class ScanState:
    """Folds events with `apply`; starts as "nothing has happened yet".

    `done` has the completed steps between vision and answer, each with its event. The order of
    *steps* only matters for what comes next.
    """

    __slots__ = (
        "classification",
        "done",
        "error",
        "progress",
        "result",
        "reward",
        "seq",
        "status",
        "step",
        "steps",
    )

    def __init__(self, steps: Steps = STANDARD) -> None:
        self.steps = steps
        self.done: dict[str, Mapping[str, Any]] = {}
        self.seq = 0
        self.step = STEPS[0]
        self.progress = 0
        self.status = "processing"  # of the scan: completed from the answer on
        self.classification: Mapping[str, Any] | None = None
        self.result: Mapping[str, Any] | None = None
        self.reward: Mapping[str, Any] | None = None
        self.error: Mapping[str, Any] | None = None

    @classmethod
    def fold(cls, events: Iterable[Mapping[str, Any]], steps: Steps = STANDARD) -> "ScanState":
        state = cls(steps)
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
        elif status == "completed":
            self.done[self.step] = event

    @property
    def next_step(self) -> str | None:
        """The first step that is not done; None when the scan is over."""
        if self.classification is None:
            return None if self.status in ENDED else "vision"
        if self.status in ENDED or self.step == "reward":
            return None
        return self.steps.behind(self.step, self.done)

    def found(self) -> Mapping[str, Mapping[str, Any]]:
        """The fields of each step that is done, by its name; nothing where no own step asks."""
        if not self.steps.own:
            return NOTHING
        found: dict[str, Mapping[str, Any]] = {
            step: {name: value for name, value in event.items() if name not in ABOUT}
            for step, event in self.done.items()
        }
        if self.classification is not None:
            found["vision"] = self.classification
        return found
