"""What a client may ask for as an overflow rule, and how pieces of text are joined. Pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.rule import (
    CAPACITY,
    MAX_CAPACITY,
    MAX_INTERVAL_MS,
    Refused,
    Rule,
    merged,
    rule_asked,
)
from eco_actor.eventlog import Draft, Event
from eco_actor.runtime import Overflow


def piece(pos: int, delta: str, position: int = 5, **how: Any) -> Event:
    draft = Draft("scan:x", {"pos": pos, "delta": delta, **how}, 1, key="text", transient=True)
    return Event(draft, position, None)


def test_nothing_asked_for_is_buffer() -> None:
    """With the capacity of the contract; latest alone keeps one."""
    assert rule_asked(None, None, None) == Rule(Overflow.BUFFER, CAPACITY, 0.0)
    assert CAPACITY == 256
    for overflow in Overflow:
        default = 1 if overflow is Overflow.LATEST else CAPACITY
        assert rule_asked(overflow.value, None, None) == Rule(overflow, default, 0.0)


@pytest.mark.parametrize("given", [1, 4096, "1", "0012", "4096"])
def test_a_capacity_may_come_as_text(given: object) -> None:
    """As in a query."""
    assert rule_asked("drop", given, None).capacity == int(str(given))


@pytest.mark.parametrize(
    "given", [0, -1, MAX_CAPACITY + 1, "0", "4097", "", " 5", "5.0", "１", "9" * 50, 1.5, True, []]
)
def test_a_capacity_that_is_none_is_refused(given: Any) -> None:
    """Out of bounds, or no whole number in plain digits."""
    if given == []:
        given = (1,)
    with pytest.raises(Refused, match="capacity") as refused:
        rule_asked("drop", given, None)
    assert refused.value.code == "bad_option"


@pytest.mark.parametrize("given", ["", "LATEST", "spill", 5, ("latest",)])
def test_an_unknown_rule_is_refused_with_those_there_are(given: Any) -> None:
    """All five are named."""
    with pytest.raises(Refused, match="buffer, latest, drop, close, coalesce"):
        rule_asked(given, None, None)


def test_an_interval_goes_with_latest_and_coalesce() -> None:
    """In milliseconds, up to an hour; with the others it is refused."""
    assert rule_asked("latest", None, "250").interval == 0.25
    assert rule_asked("coalesce", None, MAX_INTERVAL_MS).interval == 3600
    for overflow in ("buffer", "drop", "close"):
        with pytest.raises(Refused, match="interval_ms"):
            rule_asked(overflow, None, 100)
    for wrong in (0, -5, MAX_INTERVAL_MS + 1, "x"):
        with pytest.raises(Refused, match="interval_ms"):
            rule_asked("latest", None, wrong)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6), st.integers(0, 9))
def test_pieces_that_follow_each_other_are_one_text(deltas: list[str], pos: int) -> None:
    """The first place, all of the text, and what the newest says otherwise."""
    whole: Event | None = None
    at = pos
    for n, delta in enumerate(deltas):
        new = piece(at, delta, position=n, progress=n)
        whole = new if whole is None else merged(whole, new)
        at += len(delta)
    assert whole is not None
    last = len(deltas) - 1
    assert whole.data == {"pos": pos, "delta": "".join(deltas), "progress": last}
    assert (whole.position, whole.transient) == (last, True)


def test_what_does_not_follow_is_replaced() -> None:
    """A hole, an overlap, other data, or an event that is in the log."""
    old = piece(0, "ab")
    for new in (piece(3, "d"), piece(1, "bc"), piece(0, "ab")):
        assert merged(old, new) is new
    other = Event(Draft("scan:x", {"n": 1}, 1, key="text", transient=True), 5, None)
    assert merged(old, other) is other
    assert merged(other, old) is old
    logged = Event(Draft("scan:x", {"pos": 2, "delta": "c"}, 1, key="text"), 6, "e")
    assert merged(old, logged) is logged
