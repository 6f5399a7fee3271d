"""Stages that a caller brings: their order, what is refused, and where a scan goes on. Pure."""

from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.events import first_event, step_event
from eco_actor.scan.own_stages import (
    MAX_FIELDS,
    PROGRESS,
    BadFields,
    BadStage,
    arranged,
    checked_stages,
    order_of,
    plain_fields,
)
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.state import STEPS, ScanState, Steps
from tests.scan_world import FIELDS, NOW, fake_stage


def nothing(given: StageInput) -> Fields:
    return {}


async def waits(given: StageInput) -> Fields:
    return {}


def own(name: str, progress: int = 60, after: str = "rule", **about: Any) -> Stage:
    return Stage(name, progress, nothing, after=after, **about)


# ---- their order


def test_they_come_behind_the_step_they_name_in_their_own_order() -> None:
    """Also behind one another, whoever is named first."""
    given = [own("c", 70, "b"), own("b", 60), own("d", 80), own("x", 40, "vision")]
    expected = ("vision", "x", "rule", "b", "c", "d", "answer", "reward")
    assert order_of(checked_stages(given)) == expected
    names = [stage.name for stage in arranged(map(fake_stage, STEPS), given)]
    assert tuple(names) == expected


def test_one_with_the_name_of_a_standard_step_takes_its_place() -> None:
    """The order stays; a reward's failure never fails the scan."""
    mine = [Stage("rule", 50, nothing, deadline=1.0), Stage("reward", 100, nothing)]
    table = arranged(map(fake_stage, STEPS), checked_stages(mine))
    assert [stage.name for stage in table] == [*STEPS]
    assert table[1].deadline == 1.0
    assert table[3].fallback == {"reward": None}


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([own("Weigh")], "'Weigh' cannot be the name"),
        ([own("")], "'' cannot be the name"),
        ([own("a" * 33)], "at most 32 characters"),
        ([own("completed")], "cannot be the name"),
        ([own("a b")], "cannot be the name"),
        ([own("a"), own("a", 70)], "a: there are two stages"),
        ([own("a", 50)], "a: progress is above 50 .rule. and below 100 .answer., not 50"),
        ([own("a", 100)], "not 100"),
        ([own("a", 60), own("b", 60)], "a: progress is above 50 .rule. and below 60 .b., not 60"),
        ([own("a", 70), own("b", 60)], "a: progress is above 50 .rule. and below 60 .b."),
        ([own("a", 40, "vision"), own("b", 41, "rule")], "b: progress is above 50"),
        ([own("a", 60.5)], "a: progress is a whole number"),  # type: ignore[arg-type]
        ([Stage("rule", 51, nothing)], "rule: progress is 50, not 51"),
        ([own("a", after="answer")], "a: after='answer': the answer is out by then"),
        ([own("a", after="b")], "a: after='b': one of vision, rule, or an own step"),
        ([own("a", after="a")], "a: after='a'"),
        ([own("a", after="b"), own("b", 70, "a")], "a: after='b'"),
        ([Stage("a", 60, waits)], "a: run is a plain function"),  # type: ignore[arg-type]
        ([Stage("a", 60, "run")], "a: run is a plain function"),  # type: ignore[arg-type]
        ([own("a", workers=0)], "a: workers and attempts"),
        ([own("a", attempts=0)], "a: workers and attempts"),
        ([own("a", deadline=0.0)], "deadline"),
        ([own("a", fallback={"seq": 1})], "a: fallback: 'seq' means something else"),
        ([own(f"a{n}") for n in range(33)], "33 stages: at most 32"),
    ],
)
def test_what_cannot_be_is_refused_by_name(stages: list[Stage], told: str) -> None:
    """With what would do."""
    with pytest.raises(BadStage, match=told):
        checked_stages(stages)


# ---- what they say


class Colour(IntEnum):
    RED = 1


DEEP: Any = []
for _ in range(20):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (None, "a stage returns a dict, not a NoneType"),
        ([1], "a stage returns a dict, not a list"),
        ({"seq": 1}, "'seq' means something else"),
        ({"status": "x", "at": 1}, "'at' means something else"),
        ({"error": {}}, "'error' means"),
        ({"result": {}}, "'result' means"),
        ({"delta": ""}, "'delta' means"),
        ({1: 2}, "fields: 1 is no name"),
        ({"a": {None: 2}}, "a: None is no name"),
        ({"a": [1, {"b": {2}}]}, r"a\[1\].b: \{2\} \(set\) is not JSON"),
        ({"a": b"x"}, "bytes"),
        ({"a": float("nan")}, "nan"),
        ({"a": float("inf")}, "inf"),
        ({"a": 2**64}, "is not JSON"),
        ({"a": Colour.RED}, "Colour"),
        ({"a": DEEP}, "more than 16 maps and lists"),
        ({"a": "\ud800"}, "it cannot be packed"),
        ({"a": "x" * MAX_FIELDS}, f"bytes are more than {MAX_FIELDS}"),
    ],
)
def test_what_no_event_can_have_is_refused_with_its_place(fields: object, told: str) -> None:
    """Nothing of it gets into the log."""
    with pytest.raises(BadFields, match=told):
        plain_fields("weigh", fields)


SEEN = FIELDS["vision"]


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("vision", {}, "'alternatives' is missing"),
        ("vision", SEEN | {"category": "gold"}, "no category 'gold'"),
        ("vision", SEEN | {"unsure": True}, "unsure: true when"),
        ("vision", SEEN | {"alternatives": [{"category": "glass"}]}, "confidence"),
        ("vision", SEEN | {"confidence": "high"}, "high"),
        ("rule", {}, "'bin' is missing"),
        ("answer", {"result": []}, "result: an object"),
        ("reward", {"reward": {"points": 1}}, "reward: null, or an object with points"),
        ("reward", {"reward": {"points": "1", "character": {"id": "x"}}}, "reward: null"),
        ("reward", {"reward": {"points": -1, "character": {"id": "x"}}}, "points: a whole number"),
        ("reward", {"reward": {"points": 2**63, "character": {"id": "x"}}}, "points: a whole"),
        ("reward", {"reward": {"points": True, "character": {"id": "x"}}}, "points: a whole"),
        ("reward", {}, "'reward' is missing"),
    ],
)
def test_who_takes_the_place_of_a_step_returns_what_that_does(
    name: str, fields: Fields, told: str
) -> None:
    """Whatever the scan or a client relies on."""
    with pytest.raises(BadFields, match=told):
        plain_fields(name, fields)


def test_good_fields_are_copied() -> None:
    """What the stage keeps of them may change later; a tuple is a list."""
    kept: list[Any] = [1, 2.5, "글", None, True]
    fields = {"a": kept, "b": (1,), "c": {"d": {}}}
    copied = plain_fields("weigh", fields)
    kept.append(3)
    assert copied == {"a": [1, 2.5, "글", None, True], "b": [1], "c": {"d": {}}}
    assert plain_fields("vision", SEEN) == SEEN
    most = {"points": 2**63 - 1, "character": {"id": "iseul"}}
    for reward in (None, {"points": 3, "character": {"id": "iseul"}, "more": 1}, most):
        assert plain_fields("reward", {"reward": reward}) == {"reward": reward}


# ---- where a scan goes on

NAMES = ("a", "b", "c", "d")


@st.composite
def orders(draw: st.DrawFn) -> Steps:
    """Some of four own steps, anywhere between vision and answer."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, 4))]
    cut = draw(st.integers(0, len(names)))
    return Steps(("vision", *names[:cut], "rule", *names[cut:], "answer", "reward"), own=True)


def completed(state: ScanState, step: str) -> None:
    """As the scan would say it."""
    fields = FIELDS.get(step, {"found": step})
    progress = PROGRESS.get(step, 60)
    state.apply(step_event("t", state.seq + 1, step, "completed", progress, NOW, **fields))


@given(st.lists(st.tuples(orders(), st.integers(0, 8)), min_size=1, max_size=4))
def test_whatever_changes_between_two_starts_no_step_is_repeated_or_left_out(
    lives: list[tuple[Steps, int]],
) -> None:
    """Standard steps once each, in order; own ones at most once; a scan that began ends."""
    events: list[Any] = [first_event("t", NOW, NOW).data]
    said: list[str] = []
    lives = [*lives, (lives[-1][0], 100)]
    for steps, most in lives:
        state = ScanState.fold(events, steps)
        for _ in range(most):
            step = state.next_step
            if step is None:
                break
            assert step in steps.order
            completed(state, step)
            said.append(step)
            fields = FIELDS.get(step, {"found": step})
            events.append(step_event("t", len(events) + 1, step, "completed", 60, NOW, **fields))
    assert [step for step in said if step in STEPS] == [*STEPS]
    assert len(said) == len({*said})
    assert said[0] == "vision"
    assert ScanState.fold(events, lives[-1][0]).next_step is None


@given(orders())
def test_without_a_change_all_are_done_in_order(steps: Steps) -> None:
    """As they were arranged."""
    state = ScanState.fold([first_event("t", NOW, NOW).data], steps)
    for step in steps.order:
        assert state.next_step == step
        completed(state, step)
    assert state.next_step is None


@pytest.mark.parametrize(
    ("order", "done", "behind"),
    [
        (("rule", "answer"), ("rule", "a"), "answer"),  # a is gone
        (("rule", "a", "b", "answer"), ("rule", "b"), "answer"),  # a is new, and too late
        (("rule", "b", "a", "answer"), ("rule", "b"), "a"),
        (("rule", "a", "answer"), ("a",), "rule"),  # a came before the rule
        (("rule", "a", "answer"), ("a", "rule"), "answer"),
        (("a", "rule", "answer"), ("rule",), "answer"),  # a is new, and too late
    ],
)
def test_it_goes_on_behind_the_last_that_is_done(
    order: tuple[str, ...], done: tuple[str, ...], behind: str
) -> None:
    """Those of `done` were said, in this order, behind vision; `behind` is next."""
    state = ScanState.fold(
        [first_event("t", NOW, NOW).data], Steps(("vision", *order, "reward"), own=True)
    )
    for step in ("vision", *done):
        completed(state, step)
    assert state.next_step == behind


def test_a_step_finds_what_those_before_it_found() -> None:
    """By name, without what every event has."""
    state = ScanState.fold([first_event("t", NOW, NOW).data], Steps(own=True))
    for step in ("vision", "rule", "weigh"):
        completed(state, step)
    assert state.found() == {
        "vision": FIELDS["vision"], "rule": FIELDS["rule"], "weigh": {"found": "weigh"},
    }  # fmt: skip
