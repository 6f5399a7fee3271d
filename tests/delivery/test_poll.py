"""What a poll is told of a history, under each rule: nothing is lost without a gap that says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.gap import Gap
from eco_actor.delivery.poll import POLL_CHANNEL, POLL_SCAN, Answer, Told
from eco_actor.delivery.rule import MAX_WAITING, RESERVE, Refused, Rule
from eco_actor.eventlog import Cursor, Draft, Event, Place, Resume
from eco_actor.runtime import Overflow

CHANNEL = "app:a"
BIG = MAX_WAITING // 3

RULES = st.builds(Rule, st.sampled_from(Overflow), st.integers(1, 12))


def cursor(position: int) -> Cursor:
    return Cursor("e", position)


def event(position: int, size: int = 100, **how: object) -> Event:
    plain = Draft(CHANNEL, {"n": position}, 1)
    return Event(replace(plain, **how), position, "e", size)  # type: ignore[arg-type]


def transient(position: int, n: int, **how: object) -> Event:
    """One that was shown when the log's head was *position*."""
    plain = Draft(CHANNEL, {"t": n}, 1, transient=True)
    return Event(replace(plain, **how), position, None)  # type: ignore[arg-type]


def poll(
    history: Sequence[Event], rule: Rule, limit: int = 100, place: Place | None = None
) -> Told:
    """The answer to a poll that reads all of *history*."""
    begins = place or Place(Resume.RECOVERED, 0)
    answer = Answer(CHANNEL, begins, rule, limit, POLL_CHANNEL.size)
    for each in history:
        answer.add(each)
    return answer.told(cursor)


def places(told: Told) -> list[int]:
    return [each.position for each in told.events]


def gap(begin: int, end: int, dropped: int, reason: str) -> Gap:
    return Gap(CHANNEL, cursor(begin), cursor(end), dropped, reason)


@dataclass(frozen=True)
class History:
    """The events of a channel, with those of others in between, so positions have holes."""

    events: list[Event]

    @property
    def head(self) -> int:
        return self.events[-1].position if self.events else 0


@st.composite
def histories(draw: st.DrawFn) -> History:
    events: list[Event] = []
    position = 0
    for _ in range(draw(st.integers(0, 30))):
        position += draw(st.sampled_from([1, 1, 1, 2, 5]))
        events.append(
            event(
                position,
                draw(st.sampled_from([10, 10, 10, BIG, MAX_WAITING + 1])),
                key=draw(st.sampled_from([None, "a", "b", "c"])),
                terminal=draw(st.sampled_from([False, False, False, True])),
            )
        )
    return History(events)


@given(histories(), RULES, st.integers(1, 12), st.integers(0, 60))
def test_no_loss_is_silent(history: History, rule: Rule, limit: int, after: int) -> None:
    """Over all polls up to the head, what is told and what lies in gaps is all that there was."""
    told_places: list[int] = []
    lost: list[int] = []
    while behind := [each for each in history.events if each.position > after]:
        try:
            told = poll(behind, rule, limit, Place(Resume.RECOVERED, after))
        except Refused as error:
            refused = (error.code, rule.overflow, len(behind) > rule.capacity)
            assert refused == ("slow_consumer", Overflow.CLOSE, True)
            return
        assert rule.overflow is not Overflow.CLOSE or len(behind) <= rule.capacity
        told_here = places(told)
        assert all(a < b for a, b in pairwise([after, *told_here]))
        assert told.cursor.position > after, "a poll that has something behind it goes on"
        covered = [p for each in behind if (p := each.position) <= told.cursor.position]
        lost_here = sorted(set(covered) - set(told_here))
        assert (told.gap is not None) == bool(lost_here)
        if told.gap is not None:
            assert told.gap.dropped == len(lost_here)
            assert told.gap.begin.position == lost_here[0] - 1 >= after
            assert told.gap.end.position == lost_here[-1] <= told.cursor.position
        told_places += told_here
        lost += lost_here
        after = told.cursor.position
    terminal = {each.position for each in history.events if each.terminal}
    assert terminal.isdisjoint(lost)
    if rule.overflow in (Overflow.BUFFER, Overflow.CLOSE):
        assert not lost
    assert all(a < b for a, b in pairwise(told_places))


@given(histories(), RULES, st.integers(1, 12))
def test_an_answer_is_bounded(history: History, rule: Rule, limit: int) -> None:
    """In events and in bytes, whatever lies behind the cursor."""
    try:
        told = poll(history.events, rule, limit)
    except Refused:
        return
    room = limit if rule.overflow in (Overflow.BUFFER, Overflow.CLOSE) else rule.capacity
    ordinary = [each for each in told.events if not each.terminal]
    assert len(ordinary) <= room
    assert len(told.events) <= room + 2 * RESERVE
    assert sum(each.size for each in ordinary[1:]) <= MAX_WAITING


@given(histories(), st.integers(1, 12))
def test_latest_is_the_newest_and_the_terminal(history: History, capacity: int) -> None:
    """Where bytes do not count: the newest so many, terminal ones before them, a gap."""
    events = [event(each.position, 1, terminal=each.terminal) for each in history.events]
    if sum(each.terminal for each in events) >= RESERVE:
        return
    told = poll(events, Rule(Overflow.LATEST, capacity))
    newest = events[-capacity:]
    assert told.events == [each for each in events if each.terminal or each in newest]
    assert told.cursor.position == history.head


def test_buffer_is_the_first_so_many() -> None:
    """The rest stays behind the cursor."""
    told = poll([event(n) for n in range(1, 11)], Rule(), limit=4)
    assert (places(told), told.gap, told.cursor) == ([1, 2, 3, 4], None, cursor(4))


def test_buffer_gives_a_terminal_event_no_room_beyond_the_limit() -> None:
    """It is not lost: the next poll has it."""
    told = poll([event(1), event(2, terminal=True, final=True)], Rule(), limit=1)
    assert (places(told), told.final) == ([1], False)


def test_latest_tells_of_those_before_as_a_gap() -> None:
    """From just before the first lost to the last lost."""
    told = poll([event(n) for n in range(3, 13)], Rule(Overflow.LATEST, 2))
    assert (places(told), told.gap) == ([11, 12], gap(2, 10, 8, "overflow"))
    assert told.cursor == cursor(12)


def test_drop_tells_the_first_and_a_gap_to_the_head() -> None:
    """What comes after the capacity is gone, but for terminal events."""
    history = [event(n, terminal=n == 8) for n in range(1, 11)]
    told = poll(history, Rule(Overflow.DROP, 3))
    assert (places(told), told.gap) == ([1, 2, 3, 8], gap(3, 10, 6, "overflow"))
    assert told.cursor == cursor(10)


def test_drop_takes_nothing_after_the_first_that_it_drops() -> None:
    """Also when that one was too large and a later one is small: the first ones are told."""
    told = poll([event(1), event(2, MAX_WAITING), event(3)], Rule(Overflow.DROP, 9))
    assert (places(told), told.gap) == ([1], gap(1, 3, 2, "overflow"))


@pytest.mark.parametrize(("count", "limit"), [(3, 100), (3, 2), (3, 1)])
def test_close_is_buffer_within_its_capacity(count: int, limit: int) -> None:
    """As many as the limit allows, as long as no more than the capacity lie behind."""
    told = poll([event(n) for n in range(1, count + 1)], Rule(Overflow.CLOSE, 3), limit)
    assert places(told) == list(range(1, min(count, limit) + 1))
    with pytest.raises(Refused, match="slow_consumer"):
        poll([event(n) for n in range(1, 5)], Rule(Overflow.CLOSE, 3), limit)


def test_coalesce_keeps_the_newest_of_each_key() -> None:
    """What has no key stands for itself."""
    keys = ("a", "b", None, "a", None, "b", "a")
    history = [event(n, key=key) for n, key in enumerate(keys, start=1)]
    told = poll(history, Rule(Overflow.COALESCE, 9))
    assert (places(told), told.gap) == ([3, 5, 6, 7], gap(0, 4, 3, "coalesced"))


def test_coalesce_keeps_the_newest_where_keys_do_not_help() -> None:
    """As latest, then."""
    told = poll([event(n, key=str(n)) for n in range(1, 7)], Rule(Overflow.COALESCE, 2))
    assert (places(told), told.gap) == ([5, 6], gap(0, 4, 4, "coalesced"))


def test_a_terminal_event_is_not_coalesced() -> None:
    """Though a newer one has its key."""
    history = [event(1, key="a", terminal=True), event(2, key="a"), event(3, key="a")]
    assert places(poll(history, Rule(Overflow.COALESCE, 9))) == [1, 3]


def test_pieces_of_one_text_become_one() -> None:
    """Nothing of the text is lost, so there is no gap."""
    pieces = [
        transient(4, n, key="text", data={"step": "answer", "pos": pos, "delta": delta})
        for n, (pos, delta) in enumerate([(0, "a"), (1, "bc"), (3, "d")])
    ]
    told = poll(pieces, Rule(Overflow.COALESCE, 9), place=Place(Resume.RECOVERED, 4))
    assert [each.data for each in told.events] == [{"step": "answer", "pos": 0, "delta": "abcd"}]
    assert told.gap is None


def test_lost_transient_events_are_counted_only() -> None:
    """They were never in the log, so their range is empty; they do not move the cursor."""
    shown = [transient(7, n) for n in range(3)]
    told = poll(shown, Rule(Overflow.LATEST, 1), place=Place(Resume.RECOVERED, 7))
    assert [each.data for each in told.events] == [{"t": 2}]
    assert (told.gap, told.cursor) == (gap(7, 7, 2, "overflow"), cursor(7))


def test_what_was_taken_in_before_is_ignored() -> None:
    """A page and a live event may be the same one."""
    told = poll([event(3), event(3), event(2), transient(3, 1), event(4)], Rule())
    assert [each.position for each in told.events] == [3, 3, 4]
    assert [each.transient for each in told.events] == [False, True, False]


@pytest.mark.parametrize(
    ("resume", "reason"), [(Resume.PARTIAL, "trimmed"), (Resume.RESET, "reset")]
)
def test_what_the_place_misses_is_told(resume: Resume, reason: str) -> None:
    """Also when nothing lies behind it: an answer with a gap is one."""
    place = Place(resume, 9, (cursor(4), cursor(9)))
    told = poll([], Rule(), place=place)
    assert (told.events, told.gap, told.cursor) == ([], gap(4, 9, 0, reason), cursor(9))


def test_a_gap_of_the_log_and_one_of_the_rule_are_one() -> None:
    """From the first that is missing to the last."""
    place = Place(Resume.PARTIAL, 9, (cursor(4), cursor(9)))
    told = poll([event(n) for n in range(10, 15)], Rule(Overflow.LATEST, 1), place=place)
    assert (places(told), told.gap) == ([14], gap(4, 13, 4, "trimmed"))


def test_what_is_trimmed_during_the_reading_is_told() -> None:
    """From where the reading was."""
    answer = Answer(CHANNEL, Place(Resume.FRESH, 0), Rule(), 100, POLL_CHANNEL.size)
    answer.add(event(2))
    answer.trimmed(1)
    answer.trimmed(6)
    answer.add(event(7))
    answer.reaches(9)
    told = answer.told(cursor)
    assert (places(told), told.gap, told.cursor) == ([2, 7], gap(2, 6, 0, "trimmed"), cursor(9))


def test_a_full_answer_stays_where_it_is() -> None:
    """What is behind its cursor is left for the next poll, gaps included."""
    answer = Answer(CHANNEL, Place(Resume.FRESH, 0), Rule(), 1, POLL_CHANNEL.size)
    for n in (1, 2):
        answer.add(event(n))
    assert answer.enough
    answer.trimmed(5)
    answer.reaches(9)
    told = answer.told(cursor)
    assert (places(told), told.gap, told.cursor) == ([1], None, cursor(1))


def test_terminal_events_beyond_the_reserve_are_left_for_the_next_poll() -> None:
    """So that an answer stays bounded, and none of them is lost."""
    history = [event(n, terminal=True) for n in range(1, 3 * RESERVE)]
    for overflow in (Overflow.LATEST, Overflow.DROP, Overflow.COALESCE):
        told = poll(history, Rule(overflow, 1))
        assert told.gap is None
        assert places(told) == list(range(1, told.cursor.position + 1))
        assert told.cursor.position < history[-1].position


def test_an_answer_is_one_object_of_the_contract() -> None:
    """Bare or with cursors, with or without a gap, and encoded once per event."""
    told = poll([event(1), event(2), transient(2, 9)], Rule(Overflow.LATEST, 2))
    assert POLL_CHANNEL.answer(told, Resume.RECOVERED, done=False) == (
        b'{"events":[{"cursor":"e-2","data":{"n":2}},{"cursor":null,"data":{"t":9}}],'
        b'"cursor":"e-2","resume":"recovered","gap":{"channel":"app:a","from":"e-0","to":"e-1",'
        b'"dropped":1,"reason":"overflow"},"done":false}'
    )
    told = poll([event(1)], Rule())
    bare = b'{"events":[{"n":1}],"cursor":"e-1","resume":"fresh","gap":null,"done":true}'
    assert POLL_SCAN.answer(told, Resume.FRESH, done=True) == bare
    assert told.events[0].frames == {"poll scan": b'{"n":1}'}
