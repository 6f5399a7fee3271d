"""The state of a scan as the fold of its events."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.events import first_event, step_event
from eco_actor.scan.options import Options
from eco_actor.scan.state import ENDED, STEPS, ScanState
from tests.scan_world import FIELDS, NOW, story

GOOD = [(step, "completed") for step in STEPS]


@pytest.mark.parametrize(
    ("parts", "status", "next_step", "progress"),
    [
        ([], "processing", "vision", 10),
        (GOOD[:1], "processing", "rule", 33),
        (GOOD[:2], "processing", "answer", 50),
        (GOOD[:3], "completed", "reward", 100),
        (GOOD, "completed", None, 100),
        ([*GOOD[:3], ("reward", "failed")], "completed", None, 100),
        ([("vision", "failed")], "failed", None, 33),
        ([("vision", "cancelled")], "cancelled", None, 33),
        ([*GOOD[:1], ("rule", "failed")], "failed", None, 50),
        ([*GOOD[:1], ("rule", "cancelled")], "cancelled", None, 50),
        ([*GOOD[:2], ("answer", "failed")], "failed", None, 100),
    ],
)
def test_the_fold_says_where_a_scan_stands(
    parts: list[tuple[str, str]], status: str, next_step: str | None, progress: int
) -> None:
    """Status, next step and progress after each way that a scan can have gone."""
    state = ScanState.fold(story(*parts))
    assert (state.status, state.next_step, state.progress) == (status, next_step, progress)
    assert state.seq == len(parts) + 1
    assert (state.error is not None) == (status == "failed")
    assert (state.result is not None) == (status == "completed")


def test_the_fold_keeps_what_the_steps_found_out() -> None:
    """Classification, result and reward are those of the events, whole."""
    state = ScanState.fold(story(*GOOD))
    assert state.classification == FIELDS["vision"]
    assert state.result == FIELDS["answer"]["result"]
    assert state.reward == FIELDS["reward"]["reward"]


def test_a_failed_reward_leaves_the_scan_completed() -> None:
    """No reward, no error: the answer stands."""
    state = ScanState.fold(story(*GOOD[:3], ("reward", "failed")))
    assert (state.status, state.reward, state.error) == ("completed", None, None)


@given(st.integers(0, 4), st.sampled_from(["completed", "failed", "cancelled"]))
def test_a_scan_goes_on_exactly_while_it_is_not_over(done: int, last: str) -> None:
    """There is a next step unless it failed, was cancelled or had its last one."""
    parts = GOOD[:done]
    if done < 3 and last in ENDED:
        parts = [*parts, (STEPS[done], last)]
    state = ScanState.fold(story(*parts))
    over = done == 4 or len(parts) > done
    assert (state.next_step is None) == over
    if not over:
        assert state.next_step == STEPS[done]


@given(st.integers(0, 4_102_444_800_000))
def test_the_time_of_an_event_is_exact_to_the_millisecond(at_ms: int) -> None:
    """RFC 3339 in UTC with three digits, which reads back as the same moment."""
    at = step_event("t", 1, "vision", "processing", 10, at_ms)["at"]
    assert len(at) == len("2023-11-14T22:13:20.000Z")
    assert at.endswith("Z")
    parsed = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert (parsed - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 == pytest.approx(
        at_ms, abs=0.1
    )


def test_the_first_event_opens_its_channel() -> None:
    """It says that vision has begun, and that nothing of this scan came before."""
    draft = first_event("abc", NOW, NOW)
    assert draft.channel == "scan:abc"
    assert (draft.opens, draft.terminal, draft.final) == (True, False, False)
    assert list(draft.data.items()) == [
        ("task_id", "abc"),
        ("seq", 1),
        ("step", "vision"),
        ("status", "processing"),
        ("progress", 10),
        ("at", "2023-11-14T22:13:20.000Z"),
    ]


@given(
    st.builds(
        Options,
        lang=st.sampled_from(["ko", "en"]),
        category=st.none() | st.text(max_size=8),
        tags=st.lists(st.text(max_size=8), max_size=3).map(tuple),
        user_input=st.none() | st.text(max_size=50),
    )
)
def test_options_are_kept_as_they_were_said(options: Options) -> None:
    """Packed and unpacked they are the same."""
    assert Options.unpack(options.pack()) == options
