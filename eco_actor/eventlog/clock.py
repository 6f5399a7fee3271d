"""The clock by which things in the log grow old: near the wall's, and it never goes back. Pure."""

import time
from collections.abc import Callable
from typing import Final

SET_MS: Final = 1_704_067_200_000
"""The beginning of 2024: a wall clock before it was never set."""


JUMP_MS: Final = 2000
"""A wall clock that is so far from where it was is not being adjusted: it was set."""


def wall_ms() -> int:
    """The wall clock, milliseconds since 1970: it may jump either way."""
    return time.time_ns() // 1_000_000


class SteadyClock:
    """Milliseconds that pass at the rate of *monotonic*, which counts seconds.

    It begins at the wall time of its first start. Within a process it knows no wall, so no jump of
    that makes anything old. From one process to the next it goes on by the wall time that passed
    in between: not backwards, and not at all where one of the two was never set, as on a board
    without a battery.
    """

    def __init__(
        self,
        wall: Callable[[], int] = wall_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = wall() - self._passed()
        self._wall_ahead = 0  # of the steady one, when it was saved last
        self._read_ahead = 0  # the same, when it was read last
        self._resumed = False
        self._then: tuple[int, int] | None = None  # the reading that it resumed from

    def _passed(self) -> int:
        return int(self._monotonic() * 1000)

    def now_ms(self) -> int:
        """Steady milliseconds, as of now; to be called from any thread."""
        return self._passed() + self._ahead

    def resume(self, saved: tuple[int, int] | None, newest_ms: int = 0) -> None:
        """Go on from a `reading` that an earlier process saved, and not before *newest_ms*.

        A clock that did so already has run on since, whatever was saved.
        """
        wall = self._wall()
        now = self.now_ms() if self._resumed else wall
        if saved is not None and not self._resumed:
            steady, then = saved
            now = steady + (max(0, wall - then) if min(wall, then) >= SET_MS else 0)
        self._ahead = max(now, newest_ms) - self._passed()
        if not self._resumed and saved is not None:
            self._then = (self.now_ms(), saved[1])
        self._resumed = True
        self.reading()
        self.saved()

    def reading(self) -> tuple[int, int]:
        """What to save: steady and wall time at the same moment.

        A wall clock that is behind what it was is wrong now, or was then: so that the time which it
        makes up for is not taken for time that passed, the later of the two goes on.
        """
        steady, wall = self.now_ms(), self._wall()
        self._read_ahead = wall - steady
        if self._then is not None:
            since, then = self._then
            wall = max(wall, then + steady - since)
        return steady, wall

    def saved(self) -> None:
        """That the last reading is what the next process will find."""
        self._wall_ahead = self._read_ahead

    def jumped(self) -> bool:
        """Whether the wall clock was set since the reading that was saved last.

        It should be saved anew: the next process would take the jump for time that passed.
        """
        return abs(self._wall() - self.now_ms() - self._wall_ahead) > JUMP_MS
