"""Whether the storage takes writes: a table of states. Pure; belongs to the loop."""

from enum import Enum
from typing import Final

from eco_actor.eventlog.faults import Fault


class State(Enum):
    WELL = "well"
    TROUBLED = "troubled"  # a write failed, and none has worked since
    HANGING = "hanging"  # a write has not come back for long
    LOST = "lost"  # a write failed for good: only a restart may help


class Sign(Enum):
    WORKED = "a write worked"
    FAILED = "a write failed"
    FAILED_FOR_GOOD = "a write failed, and none will work"
    HANGS = "a write does not come back"


NEXT: Final = {
    State.WELL: {
        Sign.FAILED: State.TROUBLED,
        Sign.FAILED_FOR_GOOD: State.LOST,
        Sign.HANGS: State.HANGING,
    },
    State.TROUBLED: {
        Sign.WORKED: State.WELL,
        Sign.FAILED_FOR_GOOD: State.LOST,
        Sign.HANGS: State.HANGING,
    },
    State.HANGING: {
        Sign.WORKED: State.WELL,
        Sign.FAILED: State.TROUBLED,
        Sign.FAILED_FOR_GOOD: State.LOST,
    },
    State.LOST: {},
}
"""What is not here changes nothing."""


CURRENT: Final = {State.TROUBLED: Sign.FAILED, State.HANGING: Sign.HANGS}
"""Signs that change no state, but give its reason anew."""


class Health:
    """The state, and the reason while it is not well. `restart`: a restart is all it takes."""

    def __init__(self) -> None:
        self.state = State.WELL
        self.reason: str | None = None
        self.restart = False

    def worked(self) -> bool:
        """A write worked; whether that ended a trouble."""
        return self._take(Sign.WORKED, None)

    def failed(self, fault: Fault) -> bool:
        """A write failed for this; whether that is news."""
        sign = Sign.FAILED_FOR_GOOD if fault.lasting else Sign.FAILED
        news = self._take(sign, fault.reason)
        if news:
            self.restart = fault.restart
        return news

    def hangs(self, seconds: float) -> bool:
        """A write has not come back for so long; whether that is news."""
        return self._take(Sign.HANGS, f"a write has not come back for {seconds:.0f} s")

    def _take(self, sign: Sign, reason: str | None) -> bool:
        then = NEXT[self.state].get(sign)
        if then is None:
            if CURRENT.get(self.state) is sign:
                self.reason = reason
            return False
        self.state, self.reason = then, reason
        return True
