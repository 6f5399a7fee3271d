"""The five overflow rules, against a model that is a plain list."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime import Mailbox, MailboxSpec, Outcome, Overflow

Item = tuple[str | None, int]


def spec(rule: Overflow, capacity: int) -> MailboxSpec[Item]:
    key = (lambda item: item[0]) if rule is Overflow.COALESCE else None
    return MailboxSpec(capacity, rule, key=key)


@dataclass
class Model:
    """What each rule means, said in the slowest and plainest way."""

    rule: Overflow
    capacity: int
    queue: list[Item] = field(default_factory=list)

    def offer(self, item: Item) -> Outcome:
        if self.rule is Overflow.COALESCE and item[0] is not None:
            for queued in self.queue:
                if queued[0] == item[0]:
                    self.queue.remove(queued)
                    self.queue.append(item)
                    return Outcome.COALESCED
        if len(self.queue) < self.capacity:
            self.queue.append(item)
            return Outcome.ENQUEUED
        match self.rule:
            case Overflow.BUFFER:
                return Outcome.FULL
            case Overflow.DROP:
                return Outcome.DROPPED
            case Overflow.CLOSE:
                return Outcome.CLOSED
            case _:
                self.queue.pop(0)
                self.queue.append(item)
                return Outcome.REPLACED


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 99)),
        st.sampled_from(["done", "died", "lapsed"]),
    ),
    max_size=60,
)


def conserved(mailbox: Mailbox[Any]) -> bool:
    return mailbox.accepted == (
        mailbox.handled
        + mailbox.replaced
        + mailbox.coalesced
        + mailbox.dead
        + mailbox.expired
        + mailbox.in_hand
        + len(mailbox)
    )


@given(rule=st.sampled_from(Overflow), capacity=st.integers(1, 5), steps=steps)
def test_each_rule_does_what_its_model_does_and_conserves_messages(
    rule: Overflow, capacity: int, steps: list[Any]
) -> None:
    """Order, outcome, bound and counters are those of the model after every step."""
    mailbox, model = spec(rule, capacity).build(), Model(rule, capacity)
    offered, high_water = 0, 0
    for step in steps:
        if isinstance(step, str):
            if model.queue:
                assert mailbox.take() == model.queue.pop(0)
                assert mailbox.in_hand == 1
                getattr(mailbox, step)()
        else:
            assert mailbox.offer(step) is model.offer(step)
            offered += 1
        high_water = max(high_water, len(model.queue))
        assert list(mailbox) == model.queue
        assert len(mailbox) <= capacity
        assert mailbox.high_water == high_water
        assert mailbox.offered == offered
        assert conserved(mailbox)
    left = mailbox.discard()
    assert left == model.queue
    assert len(mailbox) == 0
    assert conserved(mailbox)


def test_merge_makes_the_message_that_takes_the_place_of_two() -> None:
    """Text deltas under coalesce are concatenated, in order."""
    mailbox = MailboxSpec[Item](
        2,
        Overflow.COALESCE,
        key=lambda item: item[0],
        merge=lambda old, new: (new[0], old[1] * 10 + new[1]),
    ).build()
    for number in (1, 2, 3):
        mailbox.offer(("text", number))
    assert list(mailbox) == [("text", 123)]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MailboxSpec(0), "at least 1, not 0"),
        (lambda: MailboxSpec(None), "at least 1, not None"),  # type: ignore[arg-type]
        (lambda: MailboxSpec(True), "at least 1, not True"),
        (lambda: MailboxSpec(1, "latest"), "overflow is one of buffer"),  # type: ignore[arg-type]
        (lambda: MailboxSpec(1, Overflow.COALESCE), "key function"),
        (lambda: MailboxSpec(1, key=lambda m: m), "key function"),
        (lambda: MailboxSpec(1, merge=lambda a, b: a), "merge function"),
    ],
)
def test_a_mailbox_that_cannot_be_is_refused_with_a_sentence(
    make: Callable[[], object], sentence: str
) -> None:
    """There is no unbounded mailbox, and no rule that is half configured."""
    with pytest.raises(ValueError, match=sentence):
        make()


def test_an_empty_mailbox_has_nothing_to_take() -> None:
    """Taking from an empty mailbox is an IndexError under every rule, before and after use."""
    for rule in Overflow:
        mailbox = spec(rule, 1).build()
        mailbox.offer(("a", 1))
        mailbox.take()
        with pytest.raises(IndexError):
            mailbox.take()
