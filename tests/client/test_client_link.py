"""When a connection is tried again, after how long, and over which transport: the pure part."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.client import Bounds, Problem, Unreachable
from eco_actor.client.ends import ENDS, Then, ended, of_answer, of_bye, of_close, retry_after
from eco_actor.client.link import Asked, Choice, Link, jittered

BOUNDS = Bounds()
CUT = ended("cut").end


def always(value: float = 1.0) -> "Link":
    """A link whose chance is always the same."""
    return Link(0.0, BOUNDS, lambda: value)


def test_waits_double_up_to_a_bound() -> None:
    """At the worst throw of the dice; from 1 s to 30 s."""
    link = always()
    waits = [link.ended(CUT, 0.0) for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.1, 3600), st.floats(0.1, 3600))
def test_a_wait_is_anything_up_to_its_bound(
    failures: int, chance: float, first_s: float, most_s: float
) -> None:
    """Full jitter: never more than the bound, and in proportion to chance."""
    wait = jittered(failures, first_s, most_s, chance)
    assert 0.0 <= wait <= most_s
    assert wait == pytest.approx(chance * jittered(failures, first_s, most_s, 1.0))


def test_the_waits_are_spread() -> None:
    """A thousand clients do not come back together."""
    chance = random.Random(1).random
    waits = sorted(Link(0.0, BOUNDS, chance).ended(CUT, 0.0) or 0.0 for _ in range(1000))
    assert max(b - a for a, b in itertools.pairwise(waits)) < 0.05


@pytest.mark.parametrize(
    ("lived", "moved", "failures"), [(9.9, False, 4), (10.0, False, 1), (0.0, True, 1)]
)
def test_progress_makes_the_waits_start_over(lived: float, moved: bool, failures: int) -> None:
    """A connection that brought something or lasted; not one that only opened."""
    link = always()
    for _ in range(3):
        link.ended(CUT, 0.0)
    link.opened(100.0)
    if moved:
        link.moved()
    link.ended(CUT, 100.0 + lived)
    assert link.failures == failures
    link.ended(CUT, 200.0)
    assert link.failures == failures + 1  # what it was is not counted twice


def test_what_the_server_asks_for_is_waited() -> None:
    """A hint wins over chance, within bounds; a retry field is the first bound."""
    link = always(0.0)
    bye = of_bye({"code": "going_away", "reason": "", "reconnect": True, "retry_ms": 2500})
    assert link.ended(bye.end, 0.0) == 2.5
    assert link.ended(of_bye({"code": "busy", "reconnect": True, "retry_ms": 0}).end, 0.0) == 0.1
    link = always()
    link.retry(5000)
    assert link.ended(CUT, 0.0) == 5.0
    assert link.ended(CUT, 0.0) == 10.0


def test_it_is_given_up_when_nothing_came_through_for_so_long() -> None:
    """Counted from when something was open last; the wait that would go beyond is not waited."""
    link = Link(0.0, BOUNDS, lambda: 1.0, give_up_s=20.0)
    link.opened(50.0)
    assert link.ended(CUT, 100.0) == 1.0
    assert link.ended(CUT, 101.0) == 2.0
    assert link.ended(CUT, 115.0) == 4.0
    with pytest.raises(Unreachable) as caught:
        link.ended(ended("unreachable", "no route").end, 119.0)
    assert (caught.value.code, caught.value.detail) == ("unreachable", "no route")
    with pytest.raises(Unreachable):
        Link(0.0, BOUNDS, lambda: 0.0, give_up_s=0.0).ended(CUT, 0.0)
    endless = always()
    assert all(endless.ended(CUT, 1e9 * n) == 30.0 for n in range(6, 99) if endless.failures > 5)


def test_tries_have_a_bound_where_there_is_one() -> None:
    """The last failure is the end."""
    link = Link(0.0, BOUNDS, lambda: 0.0, None, 3)
    assert [link.ended(CUT, 0.0), link.ended(CUT, 0.0)] == [0.0, 0.0]
    with pytest.raises(Unreachable):
        link.ended(CUT, 0.0)


@pytest.mark.parametrize("code", [code for code, then in ENDS.items() if then is Then.REFUSED])
def test_a_refusal_is_the_end(code: str) -> None:
    """It is not tried again."""
    with pytest.raises(Problem) as caught:
        always().ended(ended(code, "why").end, 0.0)
    assert (caught.value.code, caught.value.detail) == (code, "why")


def test_complete_is_over() -> None:
    """Without an error, and without another try."""
    assert always().ended(ended("complete").end, 0.0) is None
    assert always().ended(of_bye({"code": "complete", "reconnect": False}).end, 0.0) is None


@pytest.mark.parametrize(
    ("close", "code"),
    [(1000, "complete"), (1001, "going_away"), (1008, "not_allowed"), (4008, "slow_consumer"),
     (4013, "too_many"), (1013, "busy"), (1006, "cut"), (None, "cut"), (4999, "cut")],
)  # fmt: skip
def test_close_codes_are_those_of_the_table(close: int | None, code: str) -> None:
    """And any other is an end without a word."""
    assert of_close(close, "").end.code == code
    assert ENDS[code] is of_close(close, "").end.then


def test_a_bye_that_forbids_to_come_back_is_obeyed() -> None:
    """Also under a code that there is not yet; and one that allows it, likewise."""
    assert of_bye({"code": "new", "reconnect": False}).end.then is Then.REFUSED
    assert of_bye({"code": "new", "reconnect": True}).end.then is Then.AGAIN


@pytest.mark.parametrize(
    ("status", "code", "wait"),
    [(503, "unavailable", 7.0), (429, "unavailable", 7.0), (408, "unavailable", 7.0),
     (425, "unavailable", 7.0), (500, "unavailable", 7.0), (502, "unavailable", 7.0),
     (400, "refused", None), (401, "refused", None), (403, "refused", None), (404, "refused", None),
     (409, "refused", None), (410, "refused", None), (413, "refused", None),
     (421, "refused", None), (308, "refused", None)],
)  # fmt: skip
def test_statuses_are_passing_or_not(status: int, code: str, wait: float | None) -> None:
    """What may be otherwise later is asked again, when the server says."""
    end = of_answer(status, {"Retry-After": "7"}, b"<html>", 0.0).end
    assert (end.code, end.status, end.said, end.wait_s) == (code, status, f"http_{status}", wait)


def test_a_key_that_is_being_accepted_is_asked_again() -> None:
    """409, but a passing one."""
    body = b'{"code":"idempotency_key_in_use","detail":"wait"}'
    end = of_answer(409, {}, body, 0.0).end
    assert (end.code, end.said, end.detail) == ("unavailable", "idempotency_key_in_use", "wait")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7.0), ("0", 0.1), ("99999999", 3600.0), (None, None), ("soon", None), ("-1", None),
     ("Fri, 13 Feb 2009 23:31:40 GMT", 10.0), ("Fri, 13 Feb 2009 23:31:20 GMT", 0.1)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(given: str | None, seconds: float | None) -> None:
    """Within bounds; all else says nothing."""
    assert retry_after(given, 1_234_567_890.0) == seconds


@pytest.mark.parametrize(
    ("ends", "turns"),
    [
        ([("connect_timeout", False)], True),
        ([("not_a_stream", False)], True),
        ([("silent", True)], False),
        ([("silent", True), ("silent", True)], True),
        ([("cut", False), ("cut", False)], True),
        ([("cut", False), ("silent", True)], True),
        ([("unreachable", False)] * 9, False),
        ([("busy", False)] * 9, False),
        ([("unavailable", False)] * 9, False),
        ([("going_away", True)] * 9, False),
        ([("refused", False)], False),
    ],
)
def test_auto_turns_to_polling_where_streams_do_not_come_through(
    ends: list[tuple[str, bool]], turns: bool
) -> None:
    """Not where the server is away or busy; a transport that was asked for stays."""
    asked: Asked
    for asked in ("auto", "sse", "ws"):
        choice = Choice(asked)
        turned = [choice.turn(ended(code).end, opened=o, moved=False) for code, o in ends]
        assert turned[-1] == (turns and asked == "auto")
        assert not any(turned[:-1])
        assert (choice.current == "poll") == turned[-1]


def test_what_comes_through_ends_the_doubts() -> None:
    """Two silences with something in between are no reason to leave."""
    choice = Choice("auto")
    silent = ended("silent").end
    assert not choice.turn(silent, opened=True, moved=False)
    assert not choice.turn(silent, opened=True, moved=True)
    assert not choice.turn(silent, opened=True, moved=False)


def test_a_transport_that_there_is_not_is_named() -> None:
    """ValueError."""
    with pytest.raises(ValueError, match="carrier pigeon"):
        Choice("carrier pigeon")  # type: ignore[arg-type]
