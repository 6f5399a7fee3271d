"""The tables of OTP: who comes back, with whom, and when it is too often."""

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime.restarts import (
    KILLED,
    NORMAL,
    OVERFLOW,
    SHUTDOWN,
    Backoff,
    Exit,
    ExitKind,
    Restart,
    RestartWindow,
    Strategy,
    restart_group,
    should_restart,
)

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


def naive_add_restart(restarts: list[int], now: int, intensity: int, period: int) -> bool:
    """OTP's add_restart/1, line by line: prepend, keep while in period, count."""
    restarts.insert(0, now)
    for place, then in enumerate(restarts):
        if not now <= then + period:
            del restarts[place:]
            break
    return len(restarts) <= intensity


@given(
    gaps=st.lists(
        st.tuples(st.floats(0, 3) | st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from("abc")),
        max_size=40,
    ),
    start=st.floats(0, 1e6),
    intensity=st.integers(0, 4),
    period=st.integers(1, 5),
)
def test_more_than_intensity_restarts_within_period_are_too_many(
    gaps: list[tuple[float, str]], start: float, intensity: int, period: int
) -> None:
    """The window says what OTP says, restart by restart, and knows who it was until it says no."""
    window, now = RestartWindow(intensity, period), start
    restarts, who = list[int](), list[str]()
    for gap, name in gaps:
        now += gap
        enough = naive_add_restart(restarts, int(now), intensity, period)
        who = [name, *who][: len(restarts)]
        assert window.add(now, name) is enough
        if not enough:
            break
    assert window.spent() == Counter(who)
    assert list(window.spent().values()) == sorted(Counter(who).values(), reverse=True)


def test_the_window_counts_whole_seconds_and_both_of_its_ends() -> None:
    """Almost a second more than the period is within it; the next whole second is not."""
    window = RestartWindow(1, 5)
    assert window.add(10.0, "a")
    assert not window.add(15.999, "a"), "from second 10 to second 15 is five"
    window = RestartWindow(1, 5)
    assert window.add(10.999, "a")
    assert window.add(16.0, "a"), "from second 10 to second 16 is six, though it was hardly five"


def test_intensity_0_makes_the_first_restart_one_too_many() -> None:
    """As in OTP: such a supervisor hands every failure to its own."""
    window = RestartWindow(0, 1)
    assert not window.add(0.0, "a")
    assert window.spent() == {"a": 1}


def test_who_spent_the_budget_is_named_most_first() -> None:
    """Only what is in the window counts, however long the supervisor has run."""
    window = RestartWindow(4, 10)
    for now, who in [(0, "old"), (20, "b"), (21, "a"), (22, "c"), (23, "a")]:
        assert window.add(now, who)
    assert list(window.spent().items()) == [("a", 2), ("b", 1), ("c", 1)]


def test_a_window_that_goes_on_after_its_no_stays_bounded_and_says_no() -> None:
    """It keeps one restart more than there may be, which is enough to go on saying no."""
    window = RestartWindow(2, 60)
    assert [window.add(now, "a") for now in range(100)] == [True, True] + [False] * 98
    assert window.spent() == {"a": 3}


@pytest.mark.parametrize(
    ("intensity", "period", "sentence"),
    [
        (-1, 5, "intensity is a whole number, 0 or more, not -1"),
        (1.5, 5, "intensity is a whole number"),
        (True, 5, "intensity is a whole number"),
        (1, 0, "period is a whole number of seconds, 1 or more"),
        (1, -2, "period is a whole number"),
        (1, 5.0, r"OTP counts in whole seconds\), not 5.0"),
        (1, True, "period is a whole number"),
    ],
)
def test_a_window_that_cannot_be_is_refused_with_a_sentence(
    intensity: int, period: int, sentence: str
) -> None:
    """A broken intensity, an empty period and fractions of seconds are errors at once."""
    with pytest.raises(ValueError, match=sentence):
        RestartWindow(intensity, period)


def test_each_failure_in_a_row_doubles_the_delay_up_to_the_most() -> None:
    """Half a second, one, two, and from then on three; chance adds at most a fifth."""
    backoff = Backoff(0.5, 3.0)
    assert [backoff.delay(failures, 0.0) for failures in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.delay(1, 0.5) == pytest.approx(1.1)


@given(
    first=st.floats(1e-3, 1e3),
    ratio=st.floats(1, 1e6),
    jitter=st.floats(0, 1),
    failures=st.integers(0, 40) | st.integers(0, 10**30),
    random_unit=st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_that_of_the_formula_for_any_number_of_failures(
    first: float, ratio: float, jitter: float, failures: int, random_unit: float
) -> None:
    """min(most, first * 2**failures) * (1 + chance * jitter), exactly, and never an overflow."""
    most = first * ratio
    doubled = min(Fraction(most), Fraction(first) * 2 ** min(failures, 100))
    delay = Backoff(first, most, jitter).delay(failures, random_unit)
    assert delay == pytest.approx(float(doubled) * (1 + random_unit * jitter))
    assert first <= delay <= most * (1 + jitter)


@pytest.mark.parametrize(("reset_after", "quiet"), [(None, 30.0), (4.0, 4.0)])
def test_a_run_without_failure_makes_those_before_it_forgotten(
    reset_after: float | None, quiet: float
) -> None:
    """After `reset_after` seconds, or as many as the longest delay, the next failure is a first."""
    backoff = Backoff(1.0, 30.0, reset_after=reset_after)
    assert backoff.remembered(7, quiet - 0.01) == 7
    assert backoff.remembered(7, quiet) == 0
    assert backoff.remembered(0, 0.0) == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Backoff(0, 1), "first is a number of seconds above 0, not 0"),
        (lambda: Backoff(-1, 1), "first is"),
        (lambda: Backoff(math.nan, 1), "first is .* not nan"),
        (lambda: Backoff("1", 1), "first is .* not '1'"),  # type: ignore[arg-type]
        (lambda: Backoff(2, 1), r"most is a number of seconds, at least first \(2\), not 1"),
        (lambda: Backoff(1, math.inf), "most is .* not inf"),
        (lambda: Backoff(1, 2, jitter=-0.1), "jitter is a share of the delay, from 0 to 1"),
        (lambda: Backoff(1, 2, jitter=1.1), "jitter is"),
        (lambda: Backoff(1, 2, reset_after=0), "reset_after is a number of seconds above 0"),
        (lambda: Backoff(1, 2).delay(-1, 0.0), "failures is a number of times"),
    ],
)
def test_a_backoff_that_cannot_be_is_refused_with_a_sentence(
    make: Callable[[], object], sentence: str
) -> None:
    """No delay of nothing, none without end, no chance beyond the delay itself."""
    with pytest.raises(ValueError, match=sentence):
        make()
