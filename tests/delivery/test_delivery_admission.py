"""Who may open a stream: the bucket's bound, resumes first, slots for those who are turned away."""

import copy
import heapq
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.admission import IN_VAIN, LEAST_S, MOST_S, Gate

KEY = b"any sixteen byte"
EXACT = 1e-6  # of what floating point leaves of a token

steps = st.lists(
    st.tuples(st.floats(-1, 5), st.booleans(), st.booleans()), max_size=120
)  # seconds on, whether it resumes, whether the gate is closed
gates = st.tuples(st.floats(0.1, 50), st.integers(1, 20), st.floats(0, 1)).map(
    lambda made: Gate(made[0], made[1], int(made[1] * made[2]), key=KEY)
)


@given(gates, steps)
def test_no_window_has_more_than_the_burst_and_what_was_made_in_it(
    gate: Gate, steps: list[tuple[float, bool, bool]]
) -> None:
    """From any admission to any later one: burst + rate * seconds, whoever came, and however."""
    now, latest = 100.0, 0.0
    admitted: list[float] = []
    for seconds, resuming, _ in steps:
        now += seconds  # some clocks go back
        latest = max(latest, now)
        if gate.admit(now, resuming):
            admitted.append(latest)
    for (i, begin), (j, end) in itertools.combinations(enumerate(admitted), 2):
        assert j - i + 1 <= gate.burst + gate.rate * (end - begin) + EXACT


@given(gates, steps)
def test_who_resumes_is_never_refused_where_a_new_one_would_come_in(
    gate: Gate, steps: list[tuple[float, bool, bool]]
) -> None:
    """In any state the gate can get into."""
    now = 0.0
    for seconds, resuming, closed in steps:
        now += abs(seconds)
        gate.closed = closed
        if copy.copy(gate).admit(now, False):
            assert copy.copy(gate).admit(now, True)
        gate.admit(now, resuming)


@given(gates, steps)
def test_each_who_asked_is_counted_once(gate: Gate, steps: list[tuple[float, bool, bool]]) -> None:
    """Admitted or refused, by whether it resumed; closed, all are refused."""
    now = 0.0
    counted: Counter[tuple[bool, bool]] = Counter()
    for seconds, resuming, closed in steps:
        now += seconds
        gate.closed = closed
        admitted = gate.admit(now, resuming)
        counted[admitted, resuming] += 1
        assert not (closed and admitted)
    assert gate.admitted_fresh == counted[True, False]
    assert gate.admitted_resuming == counted[True, True]
    assert gate.refused_fresh == counted[False, False]
    assert gate.refused_resuming == counted[False, True]


def test_the_last_tokens_are_for_those_who_resume() -> None:
    """New ones are refused while fewer than the reserve are left, resumes while there is none."""
    gate = Gate(1.0, 5, 3)
    assert [gate.admit(0.0, False) for _ in range(4)] == [True, True, True, False]
    assert [gate.admit(0.0, True) for _ in range(3)] == [True, True, False]
    assert not gate.admit(2.0, False)  # two tokens, and the reserve is three
    assert gate.admit(2.0, True)
    assert gate.admit(4.0, False)  # one was left, and two were made


def test_without_a_reserve_there_is_no_difference() -> None:
    """Each takes the last token, and none less than a whole one."""
    gate = Gate(2.0, 1)
    assert gate.admit(0.0, False)
    assert not gate.admit(0.49, True)
    assert gate.admit(0.5, False)


def test_a_rest_is_worth_the_burst_and_no_more() -> None:
    """After a day as many come in at once as at the start."""
    gate = Gate(10.0, 7)
    assert sum(gate.admit(0.0, True) for _ in range(20)) == 7
    assert sum(gate.admit(86_400.0, True) for _ in range(20)) == 7


def test_a_clock_that_goes_back_makes_no_tokens() -> None:
    """However often it swings between two times."""
    gate = Gate(1.0, 1)
    assert gate.admit(100.0, True)
    assert not any(gate.admit(now, True) for now in (90.0, 100.0) * 10)


def test_a_closed_gate_opens_again_with_what_it_has_made() -> None:
    """Closed, it takes no token of those that are refused."""
    gate = Gate(1.0, 4)
    gate.closed = True
    assert not any(gate.admit(0.0, resuming) for resuming in (True, False) * 10)
    gate.closed = False
    assert sum(gate.admit(0.0, False) for _ in range(20)) == 4


@pytest.mark.parametrize(
    ("rate", "burst", "reserve"),
    [(0, 1, 0), (-1, 1, 0), (float("nan"), 1, 0), (float("inf"), 1, 0), (1, 0, 0), (1, 2, 3),
     (1, 2, -1)],
)  # fmt: skip
def test_a_gate_that_lets_nobody_in_cannot_be_made(rate: float, burst: int, reserve: int) -> None:
    """ValueError with what would do."""
    with pytest.raises(ValueError, match=r"rate|burst"):
        Gate(rate, burst, reserve)


# ---- slots


def empty(rate: float, burst: int = 1) -> Gate:
    """A gate without a token left at the time 0."""
    gate = Gate(rate, burst, key=KEY)
    while gate.admit(0.0, True):
        pass
    gate._absent_resuming = 0.0
    return gate


def turned_away(
    gate: Gate, count: int, *, resuming: bool = True, name: str = "client {n}"
) -> list[float]:
    """The slots, in seconds, of so many clients that are refused at the time 0."""
    slots = []
    for n in range(count):
        assert not gate.admit(0.0, resuming)
        slots.append(gate.retry_ms(name.format(n=n), resuming) / 1000)
    return slots


def chi_square(slots: list[float], begin: float, end: float, bins: int = 20) -> float:
    counted = Counter(min(bins - 1, int((s - begin) / (end - begin) * bins)) for s in slots)
    expected = len(slots) / bins
    return sum((counted[n] - expected) ** 2 / expected for n in range(bins))


@pytest.mark.parametrize("name", ["client {n}", "127.0.0.1"])
@pytest.mark.parametrize("rate", [20.0, 50.0, 200.0])
def test_a_thousand_slots_are_near_uniform_over_the_time_that_they_need(
    rate: float, name: str
) -> None:
    """Up to the 1,000th token of the bucket, in each twentieth of that time about a twentieth;
    also of clients that share an address."""
    slots = turned_away(empty(rate), 1023, name=name)
    end = LEAST_S + 1024 / rate
    assert all(LEAST_S <= slot <= end for slot in slots)
    assert chi_square(slots, LEAST_S, end) < 43.8  # 19 degrees of freedom: 1 in 1,000 is above


def test_with_more_than_a_minute_is_enough_for_slots_are_uniform_over_it() -> None:
    """Ten thousand at one a second: they cannot all have one, and the load is even nevertheless."""
    slots = turned_away(empty(1.0), 10_000)[100:]
    assert all(LEAST_S <= slot <= MOST_S for slot in slots)
    assert chi_square(slots, LEAST_S, MOST_S) < 43.8


@pytest.mark.parametrize("closed", [True, False])
def test_who_knocks_in_vain_is_sent_away_for_longer(closed: bool) -> None:
    """A closed gate, or no room: no token is taken, and slots are IN_VAIN times farther apart."""
    gate = Gate(1000.0, 5, key=KEY)
    gate.closed = closed
    slots = []
    for n in range(1023):
        if closed:
            assert not gate.admit(0.0, resuming=True)
        else:
            gate.refuse(0.0, resuming=True)
        slots.append(gate.retry_ms(f"client {n}", True) / 1000)
    assert chi_square(slots, LEAST_S, LEAST_S + IN_VAIN * 1024 / 1000) < 43.8
    assert gate.refused_resuming == 1023
    gate.closed = False
    assert sum(gate.admit(0.0, True) for _ in range(20)) == 5
    assert gate.retry_ms("client", True) / 1000 <= LEAST_S + 2 * 1040 / 1000


def test_a_full_house_is_not_kept_busy_by_those_outside() -> None:
    """However many they are: in total they knock as often as their slots are far apart."""
    gate = Gate(1000.0, 1, key=KEY)
    due = [(0.0, n) for n in range(2000)]
    knocks = 0
    while due and due[0][0] < 200.0:
        now, n = heapq.heappop(due)
        knocks += now > 100.0
        gate.refuse(now, resuming=True)
        heapq.heappush(due, (now + gate.retry_ms(f"client {n}", True) / 1000, n))
    assert knocks < 100 * 1.2 * gate.rate / IN_VAIN


@given(gates, steps, st.text(), st.booleans())
def test_a_slot_is_within_its_bounds(
    gate: Gate, steps: list[tuple[float, bool, bool]], client: str, resuming: bool
) -> None:
    """1 s to 60 s, for whoever asks, in any state."""
    now = 0.0
    for seconds, resumes, gate.closed in steps:
        now += seconds
        gate.admit(now, resumes)
    assert LEAST_S * 1000 <= gate.retry_ms(client, resuming) <= MOST_S * 1000


def test_a_slot_is_a_matter_of_who_asks_and_not_of_chance() -> None:
    """Whoever asks twice is told the same; others are told something else."""
    gate = empty(10.0)
    turned_away(gate, 100)
    assert gate.retry_ms("a", True) == gate.retry_ms("a", True)
    assert len({gate.retry_ms(str(n), True) for n in range(100)}) > 90


def test_the_order_of_slots_depends_on_the_key() -> None:
    """Nobody outside can pick a name that is early; without a key each gate has its own."""

    def order(gate: Gate) -> list[str]:
        return sorted(map(str, range(20)), key=lambda who: gate.retry_ms(who, True))

    assert order(Gate(1.0, 1)) != order(Gate(1.0, 1))


@pytest.mark.parametrize("resuming", [True, False])
def test_the_spread_grows_with_refusals_and_shrinks_with_time(resuming: bool) -> None:
    """The more were sent away lately, the later; once they are due back, early again."""
    gate = empty(10.0)
    latest = [max(turned_away(gate, 100, resuming=resuming)) for _ in range(4)]
    assert latest == sorted(latest)
    assert latest[-1] > 2 * latest[0]
    assert gate.admit(40.0, resuming)
    assert not gate.admit(40.0, resuming)
    assert gate.retry_ms("a", resuming) < 1300


def test_who_resumes_comes_back_before_who_does_not() -> None:
    """The slots of new ones lie behind those of all who resume."""
    gate = empty(50.0)
    resuming = turned_away(gate, 255)
    fresh = turned_away(gate, 255, resuming=False, name="new {n}")
    assert max(resuming) < min(fresh) + 0.1


def test_a_storm_is_over_in_the_time_that_the_bucket_needs() -> None:
    """2,000 clients that keep to their slots: few are refused twice, none loses its patience."""
    rate, clients = 100.0, 2000
    gate = Gate(rate, 50, 10, key=KEY)
    chance = random.Random(1)
    due = sorted((chance.random() * 0.5, n, 0) for n in range(clients))
    over, refused = 0.0, 0
    while due:
        now, n, times = heapq.heappop(due)
        if gate.admit(now, resuming=True):
            over = now
            continue
        refused = max(refused, times + 1)
        again = now + gate.retry_ms(f"client {n}", True) / 1000
        heapq.heappush(due, (again, n, times + 1))
    assert over < 1.5 * clients / rate
    assert refused <= 5
