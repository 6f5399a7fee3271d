"""When to restart, whom, and when to give up: OTP's rules as pure functions over tables.

An actor ends for a reason (`Exit`). Whether it comes back depends on its restart type alone
(`should_restart`), who is restarted with it on the strategy (`restart_group`), and whether the
supervisor gives up on how many restarts it has had lately (`RestartWindow`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class ExitKind(Enum):
    NORMAL = "normal"  # it ended by itself
    SHUTDOWN = "shutdown"  # it was told to, or its supervisor gave up
    KILLED = "killed"  # somebody ended it from outside: a kill, or a cancellation nobody asked for
    OVERFLOW = "overflow"  # its mailbox has the rule close, and was full
    CRASHED = "crashed"  # a handler, init or terminate raised


@dataclass(frozen=True, slots=True)
class Exit:
    """Why an incarnation ended; `error` is the exception of a crash."""

    kind: ExitKind
    error: BaseException | None = None

    @property
    def abnormal(self) -> bool:
        return self.kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    def __str__(self) -> str:
        if self.error is None:
            return self.kind.value
        return f"{self.kind.value}: {type(self.error).__name__}: {self.error}"


NORMAL: Final = Exit(ExitKind.NORMAL)
SHUTDOWN: Final = Exit(ExitKind.SHUTDOWN)
KILLED: Final = Exit(ExitKind.KILLED)
OVERFLOW: Final = Exit(ExitKind.OVERFLOW)


class Restart(Enum):
    """The restart type of a child."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # only after an abnormal end
    TEMPORARY = "temporary"  # never, and it is forgotten


class Strategy(Enum):
    """Who is restarted when one child is."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


def should_restart(restart: Restart, reason: Exit) -> bool:
    """Whether a child of this type comes back after ending for *reason*."""
    match restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return reason.abnormal
        case Restart.TEMPORARY:
            return False


def restart_group(strategy: Strategy, names: Sequence[str], failed: str) -> list[str]:
    """The children, in start order, that are restarted when *failed* is."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [failed]
        case Strategy.ONE_FOR_ALL:
            return list(names)
        case Strategy.REST_FOR_ONE:
            return list(names[names.index(failed) :])


class RestartWindow:
    """OTP's restart intensity: more than `intensity` restarts within `period` seconds is too many.

    A sliding log of the last restarts; both ends of the window count. The restart of a group counts
    once, a failed restart counts again.
    """

    __slots__ = ("_times", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        if type(intensity) is not int or intensity < 0:
            raise ValueError(f"intensity is a whole number, 0 or more, not {intensity!r}")
        if not period > 0:
            raise ValueError(f"period is a number of seconds above 0, not {period!r}")
        self.intensity = intensity
        self.period = period
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count a restart at *now* (seconds, monotonic); False when it is one too many."""
        times = self._times
        while times and times[0] < now - self.period:
            times.popleft()
        times.append(now)
        return len(times) <= self.intensity
