"""`python -m bench.crash`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from bench import crash
from bench.crash_judge import Tally

ASKED = {"kills", "accepted", "finished", "lost", "double_rewards", "holes", "repeats"}


def test_it_prints_one_line_with_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A few kills that do no harm: the figures that are to be 0 are, and so is the status."""
    assert crash.main(["--kills", "4", "--seed", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told.keys() >= ASKED
    assert told["kills"] >= 4
    assert told["accepted"] == told["finished"] > 0
    assert [told[name] for name in ("lost", "double_rewards", "holes", "repeats")] == [0] * 4


def test_a_fault_ends_it_with_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Status 1, and words that name the seed and where the data is."""

    async def run(*about: object) -> tuple[Tally, list[object], list[str]]:
        tally = Tally(kills=1)
        tally.fault("scan s is gone")
        return tally, [], ["a line of the log"]

    monkeypatch.setattr(crash, "run", run)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    assert crash.main(["--seed", "7"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["faults"] == 1
    assert all(text in told.err for text in ("seed 7", str(tmp_path), "scan s is gone"))
