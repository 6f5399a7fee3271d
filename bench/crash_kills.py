"""Which kills there are to be, one after the other."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.crash_points import Phase, Point

MOST_HITS: Final = 12
"""Which time that a point is passed is the end of the process, at most."""

LATEST_S: Final = {Phase.STARTING: 0.05, Phase.SERVING: 0.05, Phase.CLOSING: 0.03}
"""The latest random instant, from the fork, the first requests, the SIGTERM."""

LEAVES_WORK: Final = "before the answer step"
"""A point that leaves a scan unfinished."""

STARTS: Final = (Phase.STARTING, Phase.RESUMING)


@dataclass(frozen=True, slots=True)
class Kill:
    """At the *nth* time that a point is passed; without one, *delay* seconds into the phase."""

    phase: Phase
    point: str | None = None
    nth: int = 1
    delay: float = 0.0

    def __str__(self) -> str:
        if self.point is None:
            return f"{self.delay * 1000:.1f} ms into {self.phase.value}"
        return f"{self.point} ({self.nth})"


def at_points(
    rng: random.Random, points: Sequence[Point], times: int = 1, most_hits: int = MOST_HITS
) -> list[Kill]:
    """Each point so many times. A start is never killed twice in a row, so that no step of a scan
    is ended three times, which would be the end of the scan."""
    kills: list[Kill] = []
    for _ in range(times):
        for point in rng.sample(points, len(points)):
            if point.phase is Phase.RESUMING or (kills and kills[-1].phase in STARTS):
                kills.append(Kill(Phase.SERVING, LEAVES_WORK))
            nth = 1 if point.phase is not Phase.SERVING else rng.randint(1, most_hits)
            kills.append(Kill(point.phase, point.name, nth))
    return kills


def at_random(rng: random.Random, count: int) -> list[Kill]:
    """Random instants of all phases, most while it serves."""
    kills: list[Kill] = []
    while len(kills) < count:
        phase = rng.choice((Phase.SERVING, Phase.SERVING, Phase.STARTING, Phase.CLOSING))
        if phase is Phase.STARTING and kills and kills[-1].phase is phase:
            phase = Phase.SERVING
        kills.append(Kill(phase, delay=rng.random() * LATEST_S[phase]))
    return kills
