"""The tables of OTP: who comes back, with whom, and when it is too often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime import KILLED, NORMAL, OVERFLOW, SHUTDOWN, Exit, ExitKind, Restart
from eco_actor.runtime.restarts import RestartWindow, Strategy, restart_group, should_restart

CRASH = Exit(ExitKind.CRASHED, ValueError("boom"))


@pytest.mark.parametrize(
    ("restart", "comes_back"),
    [
        (Restart.PERMANENT, {NORMAL, SHUTDOWN, KILLED, OVERFLOW, CRASH}),
        (Restart.TRANSIENT, {KILLED, OVERFLOW, CRASH}),
        (Restart.TEMPORARY, set()),
    ],
)
def test_the_restart_type_and_the_reason_decide_who_comes_back(
    restart: Restart, comes_back: set[Exit]
) -> None:
    """Permanent always, transient after an abnormal end, temporary never."""
    for reason in (NORMAL, SHUTDOWN, KILLED, OVERFLOW, CRASH):
        assert should_restart(restart, reason) is (reason in comes_back)


@pytest.mark.parametrize(
    ("strategy", "group"),
    [
        (Strategy.ONE_FOR_ONE, ["b"]),
        (Strategy.ONE_FOR_ALL, ["a", "b", "c"]),
        (Strategy.REST_FOR_ONE, ["b", "c"]),
    ],
)
def test_the_strategy_decides_who_is_restarted_too(strategy: Strategy, group: list[str]) -> None:
    """One, all, or the failed one and those started after it."""
    assert restart_group(strategy, ["a", "b", "c"], "b") == group


@given(
    gaps=st.lists(st.floats(0, 3), max_size=40),
    intensity=st.integers(0, 4),
    period=st.floats(0.5, 5),
)
def test_more_than_intensity_restarts_within_period_are_too_many(
    gaps: list[float], intensity: int, period: float
) -> None:
    """The window says no exactly when the last period holds more than intensity restarts."""
    window, now, times = RestartWindow(intensity, period), 0.0, list[float]()
    for gap in gaps:
        now += gap
        times.append(now)
        recent = [time for time in times if time >= now - period]
        assert window.add(now) is (len(recent) <= intensity)


@pytest.mark.parametrize(("intensity", "period"), [(-1, 5.0), (1.5, 5.0), (1, 0), (1, -2)])
def test_a_window_that_cannot_be_is_refused(intensity: int, period: float) -> None:
    """A negative or broken intensity and an empty period are errors at once."""
    with pytest.raises(ValueError, match=r"intensity|period"):
        RestartWindow(intensity, period)
