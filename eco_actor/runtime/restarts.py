"""When to restart, whom, and when to give up: OTP's rules as pure functions over tables.

An actor ends for a reason (`Exit`). Whether it comes back depends on its restart type alone
(`should_restart`), who is restarted with it on the strategy (`restart_group`), whether the
supervisor gives up on how many restarts it has had lately (`RestartWindow`), and, which OTP leaves
to others, how long it waits before it tries again (`Backoff`).
"""

import math
from collections import Counter, deque
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


_ORDERLY: Final = frozenset({ExitKind.NORMAL, ExitKind.SHUTDOWN})


def describe(error: BaseException | None) -> str:
    """Kind and text of *error*, whatever its own `__str__` does."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception:
        return f"{kind}, whose text cannot be made"


def forget_frames(error: BaseException) -> None:
    """Let *error* go without what it was raised in: it may outlive that for long, as a reason."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


@dataclass(frozen=True, slots=True)
class Exit:
    """Why an incarnation ended; `error` is the exception of a crash."""

    kind: ExitKind
    error: BaseException | None = None

    @property
    def abnormal(self) -> bool:
        return self.kind not in _ORDERLY

    def __str__(self) -> str:
        if self.error is None:
            return self.kind.value
        return f"{self.kind.value}: {describe(self.error)}"


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


_COMES_BACK: Final = {
    Restart.PERMANENT: frozenset(ExitKind),
    Restart.TRANSIENT: frozenset(ExitKind) - _ORDERLY,
    Restart.TEMPORARY: frozenset[ExitKind](),
}


def should_restart(restart: Restart, reason: Exit) -> bool:
    """Whether a child of this type comes back after ending for *reason*."""
    return reason.kind in _COMES_BACK[restart]


def restart_group(strategy: Strategy, names: Sequence[str], failed: str) -> list[str]:
    """Which of *names* (all children, in start order) are restarted when *failed* is."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [failed]
        case Strategy.ONE_FOR_ALL:
            return list(names)
        case Strategy.REST_FOR_ONE:
            return list(names[names.index(failed) :])


class RestartWindow:
    """OTP's restart intensity: more than `intensity` restarts within `period` seconds is too many.

    To the letter of `supervisor:add_restart/1`: a sliding log of the last restarts in whole
    monotonic seconds, both ends of the window counting, one log a supervisor. The restart of a
    group counts once, a restart that failed counts again. With intensity 0 the first is too many.
    """

    __slots__ = ("_log", "intensity", "period")

    def __init__(self, intensity: int, period: int) -> None:
        if type(intensity) is not int or intensity < 0:
            raise ValueError(f"intensity is a whole number, 0 or more, not {intensity!r}")
        if type(period) is not int or period < 1:
            raise ValueError(
                "period is a whole number of seconds, 1 or more"
                f" (OTP counts in whole seconds), not {period!r}"
            )
        self.intensity = intensity
        self.period = period
        # One more than there may be is enough to say no, however often it is asked after that.
        self._log: deque[tuple[int, str]] = deque(maxlen=intensity + 1)

    def add(self, now: float, who: str) -> bool:
        """Count a restart of *who* at *now* (seconds, monotonic); False when it is one too many."""
        second = math.floor(now)
        log = self._log
        while log and log[0][0] < second - self.period:
            log.popleft()
        log.append((second, who))
        return len(log) <= self.intensity

    def spent(self) -> dict[str, int]:
        """Whose restarts are in the window as of the last one, and how many: most first."""
        return dict(Counter(who for _, who in self._log).most_common())


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a supervisor waits before a restart: twice as long after each failure, up to `most`.

    All in seconds. Up to `jitter` (a share of the delay) is added by chance, so that children
    which failed together do not all come back together; a delay is at most `most * (1 + jitter)`.
    """

    first: float
    most: float
    jitter: float = 0.2
    reset_after: float | None = None
    """After how long a run without failure those before it are forgotten; None: after `most`."""

    def __post_init__(self) -> None:
        if not (_finite(self.first) and self.first > 0):
            raise ValueError(f"first is a number of seconds above 0, not {self.first!r}")
        if not (_finite(self.most) and self.most >= self.first):
            raise ValueError(
                f"most is a number of seconds, at least first ({self.first}), not {self.most!r}"
            )
        if not (_finite(self.jitter) and 0 <= self.jitter <= 1):
            raise ValueError(f"jitter is a share of the delay, from 0 to 1, not {self.jitter!r}")
        if self.reset_after is not None and not (
            _finite(self.reset_after) and self.reset_after > 0
        ):
            raise ValueError(
                f"reset_after is a number of seconds above 0, or None, not {self.reset_after!r}"
            )

    def delay(self, failures: int, random_unit: float) -> float:
        """The wait after *failures* earlier ones in a row; *random_unit* is by chance, in [0, 1).

        delay = min(most, first * 2**failures) * (1 + random_unit * jitter)
        """
        if failures < 0:
            raise ValueError(f"failures is a number of times, 0 or more, not {failures!r}")
        try:
            doubled = min(self.most, math.ldexp(self.first, failures))
        except OverflowError:  # past any float, so past most
            doubled = self.most
        return doubled * (1 + random_unit * self.jitter)

    def remembered(self, failures: int, ran: float) -> int:
        """How many of *failures* still count when the child fails after it *ran* so many seconds.

        Counted from its start, not from the failure before: that one's delay may have been longer
        than `reset_after` all by itself.
        """
        quiet = self.most if self.reset_after is None else self.reset_after
        return 0 if ran >= quiet else failures


def _finite(number: object) -> bool:
    return type(number) in (int, float) and math.isfinite(number)  # type: ignore[arg-type]
