"""The crash harness: what it starts is a server of its own, and what is wrong it finds."""

import asyncio
import itertools
import os
import random
from pathlib import Path
from typing import Final

import pytest

from bench import crash_phase
from bench.crash_judge import Tally
from bench.crash_kills import Kill, at_points, at_random
from bench.crash_phase import Settings, phase
from bench.crash_points import POINTS, Phase
from bench.crash_server import Server, Zygote
from bench.crash_stages import SPREAD

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANTED: Final = "tests.faults.planted"

RUNS: Final = 4
"""A planted fault is found in one of so many."""


async def run(
    parent: Zygote, data_dir: Path, fault: str, kills: list[Kill], seed: int = 1
) -> Tally:
    settings = Settings(stand_ins=(SPREAD, f"{PLANTED}:{fault}"))
    tally, _ = await phase(parent, data_dir, kills, seed, settings)
    return tally


def again_and_again(point: str) -> list[Kill]:
    return [Kill(Phase.SERVING, point, nth) for nth in (3, 5, 2, 7)]


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("fault", "point", "found"),
    [
        ("answers_early", "before a commit", "lost"),
        ("offers_early", "before a commit", "repeats"),
        ("rewards_twice", "before a commit", "double_rewards"),
        ("forgets_what_was_done", "before the answer step", "repeats"),
        ("resumes_one_too_late", "after a publish", "holes"),
        ("resumes_one_too_early", "after a publish", "repeats"),
        ("forgets_keys", "before a reply to a publisher", "publish_repeats"),
    ],
)
async def test_a_planted_fault_is_found(
    parent: Zygote,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    point: str,
    found: str,
) -> None:
    """The figure that is to be 0 is not, and the report has words for it.

    A kill has to come between two moments, which it does in most runs, not in each.
    """
    monkeypatch.setattr(crash_phase, "PATIENCE_S", 3.0)  # a scan that is lost never ends
    for seed in range(1, RUNS + 1):
        tally = await run(parent, data_dir / str(seed), fault, again_and_again(point), seed)
        if getattr(tally, found) > 0:
            break
    assert getattr(tally, found) > 0, tally
    assert tally.faults
    assert tally.said


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("fault", "point", "says"),
    [
        ("removes_in_two", "after a commit that removes scans", "is not gone, and has lost events"),
        ("removes_unfinished", "before the answer step", "is gone, and was not over"),
        ("trims_without_a_word", "after a step of a trim", "reader late"),
    ],
)
async def test_a_planted_fault_of_retention_is_found(
    parent: Zygote,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    point: str,
    says: str,
) -> None:
    """The report has words for it, whatever else comes of it; in most runs, as above."""
    monkeypatch.setattr(crash_phase, "PATIENCE_S", 3.0)
    settings = Settings(small=True, stand_ins=(SPREAD, f"{PLANTED}:{fault}"))
    for seed in range(1, RUNS + 1):
        place = data_dir / str(seed)
        tally, _ = await phase(parent, place, again_and_again(point), seed, settings)
        if any(says in text for text in tally.said):
            break
    assert any(says in text for text in tally.said), tally


async def test_a_point_that_is_never_passed_is_a_fault(
    parent: Zygote, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without vision nobody looks at a picture: the run says so, and does not pass."""
    monkeypatch.setattr("bench.crash_server.PATIENCE_S", 1.0)
    kills = [Kill(Phase.SERVING, "before the vision step")]
    tally, _ = await phase(parent, data_dir, kills, 1, Settings())
    assert tally.said[0].startswith("before the vision step (1) was not passed")


async def test_a_server_has_nothing_of_its_parent(parent: Zygote, data_dir: Path) -> None:
    """Its input and output lead nowhere, and no pipe of the parent is open in it but the log."""
    server = Server(parent, data_dir)
    await server.start()

    def files(pid: int) -> dict[str, str]:
        folder = f"/proc/{pid}/fd"
        return {each: os.readlink(f"{folder}/{each}") for each in os.listdir(folder)}

    its, parents = await asyncio.to_thread(lambda: (files(server.pid), files(parent.process.pid)))
    assert its["0"] == its["1"] == os.devnull
    assert {*its.values()} & {*parents.values()} == {parents["2"]}
    assert any(name.endswith("/data/lock") for name in its.values())
    server.kill()
    assert await server.ended() == -9


async def test_two_servers_do_not_share_what_is_random(parent: Zygote, tmp_path: Path) -> None:
    """Each has an operator's token of its own, though they are forks of one process."""
    tokens = set()
    for name in ("one", "other"):
        server = Server(parent, tmp_path / name)
        await server.start()
        server.kill()
        await server.ended()
        tokens.add((tmp_path / name / "operator-token").read_text())
    assert len(tokens) == 2


async def test_a_data_directory_is_locked_by_the_server_and_not_by_its_parent(
    parent: Zygote, data_dir: Path
) -> None:
    """While one runs a second process is refused; once it was killed it is not."""
    server = Server(parent, data_dir)
    await server.start()

    async def other() -> int | None:
        process = await asyncio.create_subprocess_exec(
            *("flock", "--nonblock", str(data_dir / "lock"), "true")
        )
        return await process.wait()

    assert await other() == 1
    server.kill()
    await server.ended()
    assert await other() == 0


async def test_no_start_is_killed_twice_in_a_row() -> None:
    """A scan that is killed three times in the same step fails, rightly."""
    rng = random.Random(3)
    starts = (Phase.STARTING, Phase.RESUMING)
    for kills in (at_points(rng, POINTS, 3), at_random(rng, 500)):
        phases = [kill.phase for kill in kills]
        pairs = itertools.pairwise(phases)
        assert not any(one in starts and other in starts for one, other in pairs)
