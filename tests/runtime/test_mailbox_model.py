"""Every kind of mailbox against a model that is a plain tuple: at random, and all short runs."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime.mailbox import Mailbox, MailboxSpec, Outcome, Overflow

REFUSED = {
    Overflow.BUFFER: Outcome.FULL,
    Overflow.LATEST: Outcome.DROPPED,
    Overflow.DROP: Outcome.DROPPED,
    Overflow.CLOSE: Outcome.CLOSED,
    Overflow.COALESCE: Outcome.DROPPED,
}
LETS_LEAVE = (Overflow.LATEST, Overflow.COALESCE)


class Item(NamedTuple):
    name: str | None
    size: int = 1
    terminal: bool = False
    number: int = 0


def merged(old: Item, new: Item) -> Item:
    return new._replace(size=old.size + new.size)


@dataclass(frozen=True)
class Kind:
    """A mailbox that can be: None and 0 for what it does without."""

    rule: Overflow
    capacity: int
    max_bytes: int | None = None
    reserve: int = 0
    merges: bool = False

    @property
    def keyed(self) -> bool:
        return self.rule is Overflow.COALESCE

    def build(self) -> Mailbox[Item]:
        return MailboxSpec[Item](
            self.capacity,
            self.rule,
            key=(lambda item: item.name) if self.keyed else None,
            merge=merged if self.merges and self.keyed else None,
            max_bytes=self.max_bytes,
            size=None if self.max_bytes is None else lambda item: item.size,
            reserve=self.reserve,
            terminal=(lambda item: item.terminal) if self.reserve else None,
        ).build()

    def last_word(self, item: Item) -> bool:
        return item.terminal and self.reserve > 0


class Model(NamedTuple):
    """What each rule means, said in the slowest and plainest way, and what the senders were told.

    An offer tries to leave everything as it is, then to do without the oldest ordinary message,
    without the two oldest, and so on; the first of these that leaves room is what happens.
    """

    kind: Kind
    queue: tuple[Item, ...] = ()
    accepted: int = 0
    refused: int = 0
    dropped: int = 0
    coalesced: int = 0
    replaced: int = 0
    handled: int = 0
    dead: int = 0
    expired: int = 0
    high_water: int = 0

    def same(self, item: Item) -> Item | None:
        """The queued message that gives way to *item*."""
        if not self.kind.keyed or item.name is None or self.kind.last_word(item):
            return None
        for queued in self.queue:
            if queued.name == item.name and not self.kind.last_word(queued):
                return queued
        return None

    def room(self, rest: tuple[Item, ...], item: Item, swapped: bool) -> bool:
        """Whether *item* may join *rest*."""
        kind = self.kind
        if kind.last_word(item):
            return len(rest) < kind.capacity + kind.reserve
        if not swapped and len(rest) >= kind.capacity:
            return False
        if kind.max_bytes is None:
            return True
        return sum(i.size for i in (*rest, item) if not kind.last_word(i)) <= kind.max_bytes

    def queues(self, item: Item) -> Iterator[tuple[Item, ...]]:
        """What may stay: all, all but the oldest ordinary one, all but the two oldest ..."""
        rest = [queued for queued in self.queue if queued is not self.same(item)]
        yield tuple(rest)
        for oldest in [queued for queued in rest if not self.kind.last_word(queued)]:
            rest.remove(oldest)
            yield tuple(rest)

    def becomes(self, item: Item) -> Item:
        old = self.same(item)
        return merged(old, item) if old is not None and self.kind.merges else item

    def fits(self, item: Item) -> bool:
        as_it_is = next(self.queues(item))
        return self.room(as_it_is, self.becomes(item), self.same(item) is not None)

    def offer(self, item: Item) -> tuple["Model", Outcome]:
        old, new = self.same(item), self.becomes(item)
        for gone, rest in enumerate(self.queues(item)):
            if gone and self.kind.rule not in LETS_LEAVE:
                break
            if self.room(rest, new, old is not None):
                after = self._replace(
                    queue=(*rest, new),
                    accepted=self.accepted + 1,
                    replaced=self.replaced + gone,
                    coalesced=self.coalesced + (old is not None),
                    high_water=max(self.high_water, len(rest) + 1),
                )
                if old is not None:
                    return after, Outcome.COALESCED
                return after, Outcome.REPLACED if gone else Outcome.ENQUEUED
        told = REFUSED[self.kind.rule]
        dropped = self.dropped + (told is Outcome.DROPPED)
        return self._replace(refused=self.refused + 1, dropped=dropped), told

    def take(self, end: str) -> "Model":
        count = {"done": "handled", "died": "dead", "lapsed": "expired"}[end]
        changes: dict[str, Any] = {count: getattr(self, count) + 1}
        return self._replace(queue=self.queue[1:], **changes)

    def discard(self) -> "Model":
        return self._replace(queue=(), dead=self.dead + len(self.queue))


COUNTERS = (
    *("accepted", "refused", "dropped", "coalesced", "replaced"),
    *("handled", "dead", "expired", "high_water"),
)
counters = attrgetter(*COUNTERS)


def differences(mailbox: Mailbox[Item], model: Model) -> list[str]:
    """Where the two part, in order, counters or bounds."""
    wrong = []
    if counters(mailbox) != counters(model):
        wrong += [name for name in COUNTERS if getattr(mailbox, name) != getattr(model, name)]
    if tuple(mailbox) != model.queue or len(mailbox) != len(model.queue):
        wrong.append(f"queue {list(mailbox)}")
    kind = model.kind
    weight = sum(item.size for item in model.queue if not kind.last_word(item))
    out_of_bytes = kind.max_bytes is not None and weight >= kind.max_bytes
    full = len(model.queue) >= kind.capacity or out_of_bytes
    if mailbox.blocked is not (kind.rule is Overflow.BUFFER and full):
        wrong.append("blocked")
    if kind.max_bytes is not None and mailbox.statistics()["bytes"] != weight:
        wrong.append("bytes")
    if mailbox.in_hand or mailbox.quick or mailbox.offered != model.accepted + model.refused:
        wrong.append("in_hand, quick or offered")
    return wrong


kinds = st.builds(
    Kind,
    st.sampled_from(Overflow),
    st.integers(1, 4),
    st.none() | st.integers(1, 12),
    st.integers(0, 2),
    st.booleans(),
)
items = st.builds(
    Item,
    st.sampled_from([None, "a", "b", "c"]),
    st.integers(0, 6),
    st.sampled_from([False, False, True]),
)
ends = st.sampled_from(["done", "died", "lapsed"])


@given(kind=kinds, steps=st.lists(items | items | ends, max_size=60))
def test_a_mailbox_does_what_its_model_does_whatever_is_done_to_it(
    kind: Kind, steps: list[Item | str]
) -> None:
    """Order, outcome, bounds and counters are those of the model after every step of any run."""
    mailbox, model = kind.build(), Model(kind)
    for number, step in enumerate(steps):
        if isinstance(step, Item):
            item = step._replace(number=number)
            fits = mailbox.fits(item)
            assert fits is model.fits(item)
            limit = kind.max_bytes if not kind.last_word(item) else None
            assert mailbox.never_fits(item) is (limit is not None and item.size > limit)
            replaced = mailbox.replaced
            model, expected = model.offer(item)
            outcome = mailbox.offer(item)
            assert outcome is expected
            assert fits is (outcome.accepted and mailbox.replaced == replaced)
        elif model.queue:
            assert mailbox.take() == model.queue[0]
            assert mailbox.in_hand == 1
            getattr(mailbox, step)()
            model = model.take(step)
        assert not differences(mailbox, model)
    assert tuple(mailbox.discard()) == model.queue
    assert not differences(mailbox, model.discard())


@pytest.mark.parametrize("rule", [rule for rule in Overflow if rule is not Overflow.COALESCE])
def test_a_mailbox_that_was_full_knows_it_though_its_owner_never_marked(rule: Overflow) -> None:
    """An offer that meets a full mailbox takes note of it: the owner may take without `take`."""
    mailbox = Kind(rule, 2).build()
    for _ in range(3):
        mailbox.offer(Item(None))
    mailbox.queue.clear()
    assert mailbox.high_water == 2


# ---- all runs


def words(kind: Kind) -> list[Item | str]:
    """What may be done to a mailbox of this kind, each thing that makes a difference once."""
    steps: list[Item | str] = [Item("a"), "done", "died"]
    if kind.keyed or kind.max_bytes:
        steps.append(Item("a", size=2))
    if kind.keyed:
        steps.append(Item("b"))
    if kind.max_bytes:
        steps.append(Item("big", size=kind.max_bytes + 1))
    if kind.reserve:
        steps.append(Item("a", terminal=True))
    return steps


def twin(mailbox: Mailbox[Item]) -> Mailbox[Item]:
    other = copy.copy(mailbox)
    other.queue = mailbox.queue.copy() if mailbox.queue != () else ()
    return other


def run_all(
    mailbox: Mailbox[Item], model: Model, steps: list[Item | str], depth: int, ran: list[Item | str]
) -> int:
    """Take every one of *steps* from here, and all runs from there; how many runs there were."""
    runs = 1
    for step in steps if depth else ():
        if isinstance(step, Item):
            there, item = twin(mailbox), step._replace(number=depth)
            after, expected = model.offer(item)
            assert there.offer(item) is expected, [*ran, step]
        elif model.queue:
            there, after = twin(mailbox), model.take(step)
            assert there.take() == model.queue[0], [*ran, step]
            getattr(there, step)()
        else:
            continue
        wrong = differences(there, after)
        assert not wrong, (wrong, [*ran, step], after)
        runs += run_all(there, after, steps, depth - 1, [*ran, step])
    assert tuple(mailbox.discard()) == model.queue, ran
    assert counters(mailbox) == counters(model.discard()), ran
    return runs


@pytest.mark.parametrize("rule", Overflow)
@pytest.mark.parametrize("reserve", [0, 1])
@pytest.mark.parametrize("max_bytes", [None, 3])
def test_no_short_run_of_anything_parts_a_mailbox_from_its_model(
    rule: Overflow, max_bytes: int | None, reserve: int
) -> None:
    """All runs of six steps (five, where there are many), and the discard after any of them."""
    kind = Kind(rule, 2, max_bytes, reserve, merges=max_bytes is not None)
    steps = words(kind)
    depth = 6 if len(steps) < 6 else 5
    assert run_all(kind.build(), Model(kind), steps, depth, []) > 2**depth, "all were taken"
