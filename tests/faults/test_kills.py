"""kill -9 at named points and at random instants, with clients on all transports all the while."""

import random
from pathlib import Path
from typing import Final

import pytest

from bench.crash_judge import Tally
from bench.crash_kills import Kill, at_points, at_random
from bench.crash_phase import Settings, phase
from bench.crash_points import POINTS, Point
from bench.crash_server import Zygote
from bench.crash_stages import SPREAD

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED: Final = 5

ASKED: Final = 200
"""Kills that all tests here together are to make."""

HERE: Final = [point for point in POINTS if not point.vision]
GROUPS: Final = list(dict.fromkeys(point.group for point in HERE))

RANDOM: Final = 25
"""Random instants, under each promise."""


SPREADING: Final = ("step", "said", "recovery")
"""Groups whose scans are to be found between any two of their events."""


SMALL: Final = (("removal", "full"), ("trim", "normal"), ("random", "normal"))
"""Where little is kept, and the rest goes all the time. Points of that are passed nowhere else."""

COPIED: Final = "removal"
"""The group while which backups are taken, the last of them restored elsewhere in the end."""


def of(group: str) -> list[Point]:
    return [point for point in HERE if point.group == group]


def kills_of(group: str, durability: str) -> list[Kill]:
    """Each point of the group; under the promise that is kept by default, twice."""
    rng = random.Random(f"{SEED} {group} {durability}")
    if group == "random":
        return at_random(rng, RANDOM)
    once = durability != "full" or (group, durability) in SMALL
    return at_points(rng, of(group), 1 if once else 2)


def report(tally: Tally, history: list[Kill]) -> str:
    kills = [f"{number}: {kill}" for number, kill in enumerate(history, start=1)]
    return "\n".join([*tally.said, "the kills:", *kills])


RUNS: Final = [
    (group, durability)
    for group in [*GROUPS, "random"]
    for durability in ("full", "normal")
    if (group, durability) in SMALL or not any(point.small for point in of(group))
]


@pytest.mark.parametrize(("group", "durability"), RUNS)
async def test_nothing_is_lost_or_told_twice(
    parent: Zygote, data_dir: Path, group: str, durability: str
) -> None:
    """Whatever was promised is in the log once, and each client was told exactly the log."""
    kills = kills_of(group, durability)
    stand_ins = (SPREAD,) if group in SPREADING else ()
    small, copies = (group, durability) in SMALL, group == COPIED
    settings = Settings(durability, stand_ins=stand_ins, small=small, copies=copies)
    tally, history = await phase(parent, data_dir, kills, SEED, settings)
    assert not tally.faults, report(tally, history)
    assert tally.finished == tally.accepted > 0
    assert tally.published > 0
    assert tally.resumes > tally.kills  # the clients were there all the while
    assert bool(tally.removed) == small
    assert tally.copies == copies
    if group == "trim":
        assert tally.gaps
    if group == "step":
        assert tally.left.keys() == {1, 2, 3, 4}, tally.left
    if group != "random":
        assert {kill.point for kill in history} >= {point.name for point in of(group)}


async def test_there_are_as_many_kills_as_were_asked_for() -> None:
    """Without those that come about by other tests."""
    assert sum(len(kills_of(*each)) for each in RUNS) >= ASKED
