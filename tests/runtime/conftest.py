"""What several tests of the runtime need."""

import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from eco_actor.runtime.testing import Kit, Replay, explore, simulate

Main = Callable[[Kit], Coroutine[Any, Any, None]]
LIMIT: Final = int(os.environ.get("ECO_SCHEDULES", "100"))
"""Schedules of a whole race, those nearest to first in, first out; more are for a quiet hour."""


@pytest.fixture
def no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of crashes, and all of them meant."""
    caplog.set_level(logging.CRITICAL, "eco_actor.runtime")


@pytest.fixture
def interleave(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Runs a scenario in all orders; fails when they are fewer than they were, at least *least*."""

    def run(main: Main, depth: int, least: int) -> None:
        def scenario(replay: Replay) -> None:
            replay.paused = True  # until the race
            simulate(main, schedule=replay)

        every = explore(scenario, depth, limit=1000)
        assert every.complete, f"a thousand schedules were not all to depth {depth}"
        far = explore(scenario, depth=100, limit=LIMIT)
        schedules = every.schedules + far.schedules
        record_property("schedules", schedules)
        assert schedules >= least, f"only {schedules} schedules, {least} there were once"

    return run


@pytest.fixture
def no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests about seeds, where none may come from outside."""
    monkeypatch.delenv("ECO_SEED", raising=False)
