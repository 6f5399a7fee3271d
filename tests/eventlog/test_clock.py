"""The steady clock: whatever the wall clock does, it never goes back and makes nothing old."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.eventlog.clock import SET_MS, SteadyClock, wall_ms

HOUR = 3_600_000
NOW = SET_MS + 1000 * HOUR


@dataclass
class Board:
    """A computer's clocks: `wall` in milliseconds, `up` in seconds since it was switched on."""

    wall: int = NOW
    up: float = 5.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.up)

    def started(self, saved: tuple[int, int] | None, newest_ms: int = 0) -> SteadyClock:
        clock = self.clock()
        clock.resume(saved, newest_ms)
        return clock

    def run(self, ms: int) -> None:
        self.wall += ms
        self.up += ms / 1000


SPANS = st.integers(0, 100 * HOUR)
JUMPS = st.one_of(st.integers(-(NOW + HOUR), 20_000 * HOUR), st.sampled_from([-HOUR, HOUR]))


@given(st.lists(st.tuples(SPANS, JUMPS)))
def test_within_a_process_it_counts_what_passes_however_the_wall_jumps(
    steps: list[tuple[int, int]],
) -> None:
    """To the millisecond, and never back."""
    board = Board()
    clock = board.started(None)
    begin, passed, before = clock.now_ms(), 0, clock.now_ms()
    for span, jump in steps:
        board.run(span)
        board.wall += jump
        passed += span
        now = clock.now_ms()
        assert now >= before
        assert abs(now - begin - passed) <= 1  # a millisecond may be cut off
        before = now


@given(st.lists(st.tuples(SPANS, JUMPS, JUMPS, st.floats(0, 1e6))))
def test_across_restarts_it_adds_the_wall_time_that_passed_and_never_goes_back(
    steps: list[tuple[int, int, int, float]],
) -> None:
    """Clamped to zero where the wall went back, and nothing where it was not set on either side."""
    board = Board()
    clock = board.started(None)
    before: tuple[int, int] | None = None  # the reading of the process before
    begun = clock.now_ms()
    for span, jump, gap, up in steps:
        board.run(span)
        board.wall += jump
        now = clock.now_ms()
        latest = board.wall if before is None else max(board.wall, before[1] + now - begun)
        saved = before = clock.reading()
        assert saved == (now, latest)
        board.wall += gap
        board.up = up  # it may have been switched off and on
        clock = board.started(saved)
        begun = clock.now_ms()
        both_set = min(saved[1], board.wall) >= SET_MS
        expected = saved[0] + (max(0, board.wall - saved[1]) if both_set else 0)
        assert begun == expected >= saved[0]


def test_what_a_wrong_clock_makes_up_for_has_not_passed() -> None:
    """Started five hours behind and then right again: ten minutes passed, and no five hours."""
    board = Board()
    saved = board.started(None).reading()
    board.wall -= 5 * HOUR
    clock = board.started(saved)
    board.run(HOUR // 6)
    saved = clock.reading()
    board.wall += 5 * HOUR
    assert board.started(saved).now_ms() == NOW + HOUR // 6


@pytest.mark.parametrize(
    ("then", "now", "added"),
    [
        (NOW, NOW, 0),
        (NOW, NOW + HOUR, HOUR),
        (NOW, NOW - 1, 0),
        (NOW, NOW - HOUR, 0),
        (SET_MS, SET_MS + 1, 1),
        (SET_MS - 1, SET_MS + HOUR, 0),
        (SET_MS - 1, NOW, 0),
        (0, NOW, 0),
        (NOW, 0, 0),
        (NOW, SET_MS - 1, 0),
        (0, HOUR, 0),
        (-HOUR, NOW, 0),
    ],
)
def test_a_wall_clock_that_was_never_set_makes_nothing_old(then: int, now: int, added: int) -> None:
    """A reading from before 2024 on either side of a restart adds nothing."""
    assert Board(wall=now).started((NOW, then)).now_ms() == NOW + added


@pytest.mark.parametrize("wall", [0, SET_MS - 1, NOW])
def test_the_first_start_is_at_the_wall_time(wall: int) -> None:
    """Whatever that is: there is nothing yet that could grow old by it."""
    assert Board(wall=wall).clock().now_ms() == wall
    assert Board(wall=wall).started(None).now_ms() == wall


@given(st.one_of(st.none(), st.tuples(JUMPS, JUMPS)), JUMPS, JUMPS)
def test_it_goes_on_from_the_newest_event_at_least(
    saved: tuple[int, int] | None, wall: int, newest: int
) -> None:
    """What was written after the last reading was saved is not in the future."""
    now = Board(wall=wall).started(saved, newest).now_ms()
    assert now == max(Board(wall=wall).started(saved, -(10**18)).now_ms(), newest)


@given(SPANS, SPANS, JUMPS, st.booleans())
def test_a_log_that_is_opened_again_in_the_same_process_goes_on_as_if_it_had_not_been(
    before: int, since: int, jump: int, known: bool
) -> None:
    """Even when its last reading is old or was lost, and the wall jumped since: it ran on."""
    board = Board()
    clock = board.started(None)
    board.run(before)
    saved = clock.reading() if known else None
    board.run(since)
    board.wall += jump
    now = clock.now_ms()
    clock.resume(saved)
    assert clock.now_ms() == now


def test_without_arguments_it_is_the_clock_of_this_computer() -> None:
    """Near the wall's, which is in milliseconds since 1970, and rising."""
    before = wall_ms()
    clock = SteadyClock()
    now = clock.now_ms()
    assert before - 1 <= now <= wall_ms() + 1
    assert clock.now_ms() >= now
