"""The rules of a mailbox one by one: tables, bounds, and what cannot be. Models are next door."""

from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime.mailbox import Mailbox, MailboxSpec, Outcome, Overflow


class Note(NamedTuple):
    """A message: `a3!` is of key a, has three bytes, and is terminal."""

    key: str
    size: int
    terminal: bool

    def __str__(self) -> str:
        return f"{self.key}{self.size}{'!' if self.terminal else ''}"


KEY, SIZE, TERMINAL = (attrgetter(name) for name in Note._fields)


def note(text: str) -> Note:
    return Note(text[0], int(text[1]), text.endswith("!"))


def box(rule: Overflow, capacity: int, max_bytes: int = 0, reserve: int = 0) -> Mailbox[Note]:
    """A mailbox of that kind; 0 for a bound that it does without."""
    return MailboxSpec[Note](
        capacity,
        rule,
        key=KEY if rule is Overflow.COALESCE else None,
        max_bytes=max_bytes or None,
        size=SIZE if max_bytes else None,
        reserve=reserve,
        terminal=TERMINAL if reserve else None,
    ).build()


def queued(mailbox: Mailbox[Note]) -> str:
    return " ".join(map(str, mailbox))


def after(mailbox: Mailbox[Note], texts: str) -> tuple[Outcome, str]:
    """What the last of *texts* was told, and what is queued then."""
    outcome = [mailbox.offer(note(text)) for text in texts.split()][-1]
    return outcome, queued(mailbox)


ENQUEUED, REPLACED, COALESCED = Outcome.ENQUEUED, Outcome.REPLACED, Outcome.COALESCED
DROPPED, FULL, CLOSED = Outcome.DROPPED, Outcome.FULL, Outcome.CLOSED
REFUSING = [(Overflow.BUFFER, FULL), (Overflow.DROP, DROPPED), (Overflow.CLOSE, CLOSED)]
MAKING_ROOM = [Overflow.LATEST, Overflow.COALESCE]


@pytest.mark.parametrize(
    ("rule", "outcome", "left"),
    [
        (Overflow.BUFFER, FULL, "a1 b1"),
        (Overflow.LATEST, REPLACED, "b1 c1"),
        (Overflow.DROP, DROPPED, "a1 b1"),
        (Overflow.CLOSE, CLOSED, "a1 b1"),
        (Overflow.COALESCE, REPLACED, "b1 c1"),
    ],
)
def test_the_rule_says_what_becomes_of_a_message_that_meets_a_full_mailbox(
    rule: Overflow, outcome: Outcome, left: str
) -> None:
    """The table of the five rules, with two places and a third message."""
    assert after(box(rule, 2), "a1 b1 c1") == (outcome, left)


@pytest.mark.parametrize(
    ("texts", "outcome", "left"),
    [
        ("a1 b1 a2", COALESCED, "b1 a2"),  # the newest, at the tail
        ("a1 b1 c1 a1", REPLACED, "c1 a1"),  # it was replaced before it could give way
        ("a3 b1 a4", COALESCED, "a4"),  # the other one makes room for the bytes
        ("a3 b1 a5", DROPPED, "a3 b1"),  # too large by itself: the old one stays
        ("a1! a1 a1", COALESCED, "a1! a1"),  # a last word gives way to nobody
        ("a1 a1! a1!", ENQUEUED, "a1 a1! a1!"),  # and nobody to a last word
        ("a2 b2 c1! d1! a3", COALESCED, "c1! d1! a3"),  # it needs bytes, and has a place
    ],
)
def test_a_queued_message_gives_way_to_a_newer_one_of_its_key(
    texts: str, outcome: Outcome, left: str
) -> None:
    """Coalesce with two places, four bytes, and two more places for last words."""
    assert after(box(Overflow.COALESCE, 2, 4, 2), texts) == (outcome, left)


def test_merge_makes_the_message_that_takes_the_place_of_two() -> None:
    """Text deltas under coalesce are concatenated, in order, and weigh what they weigh together."""
    key, merge = (lambda text: text[0]), (lambda old, new: old + new[1:])
    spec = MailboxSpec[str](2, Overflow.COALESCE, key=key, merge=merge, max_bytes=5, size=len)
    mailbox = spec.build()
    assert [mailbox.offer(text) for text in ("a1", "b1", "a23")] == [ENQUEUED, ENQUEUED, COALESCED]
    assert list(mailbox) == ["a123"], "b1 made room: six bytes are one too many"
    assert mailbox.offer("a45") is DROPPED
    assert list(mailbox) == ["a123"]


@pytest.mark.parametrize(("rule", "refusal"), REFUSING)
def test_bytes_bound_a_mailbox_as_well_as_their_number(rule: Overflow, refusal: Outcome) -> None:
    """A rule that refuses does so at the first byte too many, and takes what is small enough."""
    mailbox = box(rule, 9, max_bytes=5)
    assert after(mailbox, "a3 b3") == (refusal, "a3")
    assert not mailbox.blocked
    assert after(mailbox, "c2") == (ENQUEUED, "a3 c2")
    assert mailbox.blocked is (rule is Overflow.BUFFER)
    assert mailbox.statistics()["bytes"] == mailbox.statistics()["max_bytes"] == 5
    mailbox.take()
    assert mailbox.statistics()["bytes"] == 2


@pytest.mark.parametrize("rule", MAKING_ROOM)
def test_as_many_of_the_oldest_leave_as_the_newest_needs_and_none_in_vain(rule: Overflow) -> None:
    """Each that leaves counts as replaced; for one larger than the bound nothing leaves."""
    mailbox = box(rule, 9, max_bytes=6)
    assert after(mailbox, "a2 b2 c2 d3") == (REPLACED, "c2 d3")
    assert (mailbox.replaced, mailbox.accepted, mailbox.high_water) == (2, 4, 3)
    assert after(mailbox, "e7") == (DROPPED, "c2 d3")
    assert (mailbox.replaced, mailbox.refused, mailbox.dropped) == (2, 1, 1)


@pytest.mark.parametrize(("rule", "refusal"), REFUSING)
def test_only_the_last_word_gets_into_the_reserve(rule: Overflow, refusal: Outcome) -> None:
    """Full of ordinary messages, a mailbox takes `reserve` terminal ones and then none."""
    mailbox = box(rule, 2, max_bytes=2, reserve=1)
    assert after(mailbox, "a1 b1 c9!") == (ENQUEUED, "a1 b1 c9!")
    assert after(mailbox, "d1") == (refusal, "a1 b1 c9!")
    assert after(mailbox, "e1!") == (refusal, "a1 b1 c9!")
    assert mailbox.statistics()["bytes"] == 2, "the bytes of the last word do not count"


@pytest.mark.parametrize("rule", MAKING_ROOM)
def test_the_last_word_never_leaves_for_another(rule: Overflow) -> None:
    """It is ordinary messages that make room; when there are none left, newcomers are dropped."""
    mailbox = box(rule, 1, reserve=1)
    assert after(mailbox, "a1 b1! c1") == (DROPPED, "a1 b1!")
    assert after(mailbox, "d1!") == (REPLACED, "b1! d1!")
    assert after(mailbox, "e1!") == (DROPPED, "b1! d1!")
    assert (mailbox.replaced, mailbox.dropped) == (1, 2)


def test_a_sender_learns_whether_to_wait_and_whether_that_is_in_vain() -> None:
    """`fits` is about now, `never_fits` about ever, and a last word waits for no bytes."""
    mailbox = box(Overflow.BUFFER, 9, max_bytes=4, reserve=1)
    mailbox.offer(note("a3"))
    answers = {
        text: (mailbox.fits(note(text)), mailbox.never_fits(note(text)))
        for text in ("b1", "b2", "b4", "b5", "b5!")
    }
    now, later, never = (True, False), (False, False), (False, True)
    assert answers == {"b1": now, "b2": later, "b4": later, "b5": never, "b5!": now}


@pytest.mark.parametrize(
    ("name", "broken", "error"),
    [
        ("size", lambda m: -1, ValueError),
        ("size", lambda m: 1.0, ValueError),
        ("key", lambda m: [m], TypeError),
        *(
            (name, lambda *m: 1 // 0, ZeroDivisionError)
            for name in ("size", "key", "merge", "terminal")
        ),
    ],
)
def test_a_function_that_fails_fails_the_offer_and_changes_nothing(
    name: str, broken: Callable[..., Any], error: type[Exception]
) -> None:
    """Whatever the mailbox asks of a message is asked before it does anything."""
    functions: dict[str, Any] = {"key": KEY, "merge": max, "size": SIZE, "terminal": TERMINAL}
    works = functions[name]
    functions[name] = lambda *m: (broken if m[-1].size == 5 else works)(*m)
    spec = MailboxSpec[Note](2, Overflow.COALESCE, max_bytes=9, reserve=1, **functions)
    for texts in ("", "a1", "a1 b1", "a1 b1 c1!")[name == "merge" :]:
        mailbox = spec.build()
        for text in texts.split():
            mailbox.offer(note(text))
        before = mailbox.statistics()
        for ask in (mailbox.offer, mailbox.fits):
            with pytest.raises(error):
                ask(note("a5"))
        assert (queued(mailbox), mailbox.statistics()) == (texts, before)


def test_what_gave_way_to_a_newer_message_is_shown_when_that_one_is_in() -> None:
    """The owner hears of each, oldest first, and finds the mailbox as it is afterwards."""
    for rule, max_bytes in ((Overflow.LATEST, 0), (Overflow.LATEST, 4), (Overflow.COALESCE, 4)):
        mailbox, heard = box(rule, 2, max_bytes), list[str]()
        mailbox.gave_way = lambda gone, box=mailbox, to=heard: to.append(f"{gone}: {queued(box)}")
        after(mailbox, "a2 b2 c2 d4")
        bounded = ["b2: d4", "c2: d4"] if max_bytes else ["b2: c2 d4"]
        assert heard == ["a2: b2 c2", *bounded]


@given(
    capacity=st.integers(1, 4),
    rule=st.sampled_from([rule for rule in Overflow if rule is not Overflow.COALESCE]),
    script=st.lists(st.sampled_from(["tell", "tell", "turn"]), max_size=40),
)
def test_a_message_appended_by_its_sender_counts_like_one_that_was_offered(
    capacity: int, rule: Overflow, script: list[str]
) -> None:
    """An awake owner that lets senders append has the bounds and counters of one that does not."""
    quick, slow = MailboxSpec[int](capacity, rule).build(), MailboxSpec[int](capacity, rule).build()
    told = 0
    for number, step in enumerate(script):
        if step == "tell" and len(quick.queue) < quick.quick:
            quick.queue.append(number)
            assert slow.offer(number) is ENQUEUED
            told += 1
        elif step == "tell":
            outcome = quick.offer(number)
            assert outcome is slow.offer(number)
            told += outcome.accepted
            quick.quick = capacity  # it wakes up
        elif step == "turn" and quick:
            quick.mark()
            message, quick.in_hand = quick.queue.popleft(), 1
            assert message == slow.take()
            assert quick.accepted == slow.accepted == told, "also while it is in hand"
            quick.handled, quick.in_hand = quick.handled + 1, 0
            slow.done()
        elif not quick:
            quick.queue, quick.quick = (), 0  # it sleeps
        assert quick.accepted == told
        assert quick.statistics() == slow.statistics()
    assert quick.discard() == slow.discard()
    assert (quick.queue, quick.quick) == ((), 0)


def test_nobody_gets_past_the_offer_of_a_mailbox_with_more_than_one_bound() -> None:
    """Where the number queued does not decide alone, `quick` cannot be but 0."""
    assert box(Overflow.DROP, 1).appendable
    for mailbox in box(Overflow.COALESCE, 1), box(Overflow.DROP, 1, 1), box(Overflow.DROP, 1, 0, 1):
        assert not mailbox.appendable
        mailbox.quick = 0
        with pytest.raises(ValueError, match="not appendable"):
            mailbox.quick = 1


def test_an_owner_that_is_gone_leaves_no_queue_and_takes_no_message() -> None:
    """What was queued counts as dead, what comes later as refused; the queue is what it was."""
    mailbox, idle = box(Overflow.BUFFER, 2), box(Overflow.LATEST, 1)
    after(mailbox, "a1 b1")
    assert (mailbox.queue, idle.queue) == (deque([note("a1"), note("b1")]), ())
    assert mailbox.discard() == [note("a1"), note("b1")]
    mailbox.refuse()
    assert (mailbox.offered, mailbox.refused, mailbox.dead, mailbox.high_water) == (3, 1, 2, 2)
    assert mailbox.queue is idle.queue, "one empty queue for all that have none"


def test_an_empty_mailbox_has_nothing_to_take() -> None:
    """Taking from an empty mailbox is an IndexError under every rule, before and after use."""
    for mailbox in [box(rule, 1, *bounds) for rule in Overflow for bounds in ((), (1, 1))]:
        with pytest.raises(IndexError):
            mailbox.take()
        mailbox.offer(note("a1"))
        mailbox.take()
        with pytest.raises(IndexError):
            mailbox.take()


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        *(
            ({name: number}, ValueError, f"{name} .* at least 1, not {number}")
            for name in ("capacity", "max_bytes")
            for number in (0, -1, True, 1.5)
        ),
        ({"capacity": None}, ValueError, "capacity .* at least 1, not None"),
        ({"overflow": "latest"}, ValueError, "overflow is one of buffer"),
        ({"overflow": Overflow.COALESCE}, ValueError, "key function"),
        ({"key": str}, ValueError, "key function"),
        ({"merge": max}, ValueError, "merge function"),
        ({"key": "id"}, TypeError, "key is a function"),
        ({"size": len}, ValueError, "max_bytes and size come together"),
        ({"max_bytes": 5}, ValueError, "max_bytes and size come together"),
        ({"reserve": 1}, ValueError, "reserve and terminal come together"),
        ({"terminal": bool}, ValueError, "reserve and terminal come together"),
        ({"terminal": bool, "reserve": -1}, ValueError, "reserve .* at least 0, not -1"),
        ({"terminal": True, "reserve": 1}, TypeError, "terminal is a function"),
    ],
)
def test_a_mailbox_that_cannot_be_is_refused_with_a_sentence(
    make: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    """There is no unbounded mailbox, and no rule or bound that is half configured."""
    with pytest.raises(error, match=sentence):
        MailboxSpec(**{"capacity": 1, **make})
