"""What a poll keeps aside while it is held back, and what becomes of it in the answer."""

from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.poll import POLL_CHANNEL, Answer
from eco_actor.delivery.rule import Rule
from eco_actor.eventlog import Cursor, Draft, Event, Place, Resume
from eco_actor.runtime import Overflow

CHANNEL = "app:a"


def cursor(position: int) -> Cursor:
    return Cursor("e", position)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([None, "a", "b"])), max_size=30),
    st.sampled_from([Overflow.LATEST, Overflow.COALESCE]),
    st.integers(1, 6),
)
def test_what_was_kept_aside_takes_its_place(
    kinds: list[tuple[bool, str | None]], overflow: Overflow, capacity: int
) -> None:
    """Transient events that are given in between the others leave the answer they would have."""
    history: list[Event] = []
    position = 0
    for n, (logged, key) in enumerate(kinds):
        position += logged
        draft = Draft(CHANNEL, {"n": n}, 1, key=key, transient=not logged)
        history.append(Event(draft, position, "e" if logged else None, 100 * logged))
    rule = Rule(overflow, capacity)
    aside, answer, whole = (
        Answer(CHANNEL, Place(Resume.RECOVERED, 0), rule, 100, POLL_CHANNEL.size) for _ in range(3)
    )
    for each in history:
        whole.add(each)
        if each.transient:
            aside.add(each)
    for each in history:
        if not each.transient:
            aside.give(answer, each.position)
            answer.add(each)
    aside.give(answer)
    told, direct = answer.told(cursor), whole.told(cursor)
    assert (told.events, told.cursor) == (direct.events, direct.cursor)
    assert (told.gap is None) == (direct.gap is None)
    if told.gap is not None and direct.gap is not None:
        assert (told.gap.dropped, told.gap.reason) == (direct.gap.dropped, direct.gap.reason)
        if direct.gap.begin != direct.gap.end:
            assert told.gap == direct.gap
    assert not aside
