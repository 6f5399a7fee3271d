"""Snapshots of trees: few rows whatever the tree, and nothing that is lost in folding."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.runtime import Mailbox, MailboxSpec, Overflow, State
from eco_actor.runtime.fold import ALIKE, ROWS, Folding
from eco_actor.runtime.tally import ERROR_CHARS, MEMBERS, MIXED, Place, Row

SUMS = (
    "depth", "offered", "accepted", "handled", "refused", "dropped", "replaced", "coalesced",
    "dead", "expired",
)  # fmt: skip
STATES = (State.RUNNING, State.RUNNING, State.DOWN, State.STARTING)
RULES = (Overflow.BUFFER, Overflow.LATEST, Overflow.DROP, Overflow.CLOSE)


@dataclass
class Actor:
    """What stands for a cell: a path, a mailbox with a past, and children."""

    path: str
    kind: str
    mailbox: Mailbox[Any]
    incarnation: int = 1
    state: State = State.RUNNING
    last_error: str | None = None
    rate: float | None = None
    suspended: bool = False
    is_traced: bool = False
    children: list["Actor"] = field(default_factory=list)

    @property
    def shown_mailbox(self) -> Mailbox[Any]:
        return self.mailbox

    def snapshot(self) -> Row:
        return {
            "path": self.path,
            "kind": self.kind,
            "incarnation": self.incarnation,
            "state": self.state.value,
            "restarts": self.incarnation - 1,
            "last_error": self.last_error,
            "mailbox": self.mailbox.statistics(),
        }

    def everybody(self) -> Iterator["Actor"]:
        waiting = [self]
        while waiting:
            actor = waiting.pop()
            yield actor
            waiting.extend(reversed(actor.children))

    def add(self, name: str, kind: str = "Worker", **given: Any) -> "Actor":
        given.setdefault("mailbox", MailboxSpec[Any](8).build())
        child = Actor(f"{self.path}/{name}", kind, **given)
        self.children.append(child)
        return child


def root() -> Actor:
    return Actor("/eco", "Supervisor", MailboxSpec[Any](8).build())


def rows(top: Actor, most: int = ROWS) -> list[Row]:
    """The tree as it is shown."""
    folding = Folding()
    waiting: list[tuple[Place, Actor]] = [(folding.top, top)]
    while waiting:
        parent, actor = waiting.pop()
        place = folding.add(parent, actor.kind, actor, actor.rate)
        waiting.extend((place, child) for child in reversed(actor.children))
    return folding.rows(most)


def used(seed: random.Random, overflow: Overflow) -> Mailbox[Any]:
    """A mailbox after some messages."""
    box = MailboxSpec[Any](seed.randrange(1, 5), overflow).build()
    for n in range(seed.randrange(8)):
        box.offer(n)
        if box and seed.random() < 0.6:
            box.take()
            seed.choice((box.done, box.died, box.lapsed))()
    return box


def grown(seed: random.Random, size: int, kinds: int, depth: int) -> Actor:
    """A tree of *size* actors with *kinds* kinds, at most *depth* deep."""
    top = root()
    inner = [(top, 1)]
    for n in range(size - 1):
        parent, level = seed.choice(inner)
        child = parent.add(
            str(n),
            f"Kind{seed.randrange(kinds)}",
            mailbox=used(seed, seed.choice(RULES)),
            incarnation=seed.choice((1, 1, 1, 2, 5)),
            state=seed.choice(STATES),
            last_error=seed.choice((None, None, "crashed: it did")),
            rate=seed.choice((None, 0.0, 2.5)),
        )
        if level + 1 < depth and seed.random() < 0.3:
            inner.append((child, level + 1))
    return top


trees = st.builds(
    grown,
    st.integers(0, 2**32).map(random.Random),
    st.integers(1, 400),
    st.integers(1, 40),
    st.integers(2, 9),
)


def total(shown: list[Row], name: str) -> int:
    return sum(row["mailbox"][name] for row in shown)


@given(trees, st.integers(2, 60))
def test_there_are_never_more_rows_than_that(top: Actor, most: int) -> None:
    """Any tree fits, with as few members shown in full as a row may have."""
    shown = rows(top, most)
    assert len(shown) <= most
    assert all(len(row.get("members", ())) <= MEMBERS for row in shown)


@given(trees, st.sampled_from([3, 20, ROWS]))
def test_no_actor_and_no_message_is_lost_in_folding(top: Actor, most: int) -> None:
    """Sums over the rows are the sums over all actors: counters, restarts, states, rates."""
    shown = rows(top, most)
    actors = list(top.everybody())
    for name in SUMS:
        assert total(shown, name) == sum(each.mailbox.statistics()[name] for each in actors), name  # type: ignore[misc]  # these are numbers
    assert sum(row.get("count", 1) for row in shown) == len(actors)
    assert sum(row["restarts"] for row in shown) == sum(a.incarnation - 1 for a in actors)
    states: Counter[str] = Counter()
    for row in shown:
        states.update(row.get("states") or {row["state"]: 1})
    assert states == Counter(each.state.value for each in actors)
    assert sum(row["rate"] or 0.0 for row in shown) == pytest.approx(
        sum(each.rate or 0.0 for each in actors)
    )


@given(trees, st.sampled_from([3, 20, ROWS]))
def test_extremes_survive_folding(top: Actor, most: int) -> None:
    """The deepest mailbox and the highest water mark are seen, folded or not."""
    shown = rows(top, most)
    boxes = [row["mailbox"] for row in shown]
    actors = list(top.everybody())
    deepest = max(box.get("depth_max", box["depth"]) for box in boxes)
    assert deepest == max(len(each.mailbox) for each in actors)
    assert max(box["high_water"] for box in boxes) == max(a.mailbox.high_water for a in actors)


@given(trees)
def test_rows_are_a_tree_in_walking_order(top: Actor) -> None:
    """The root is first at level 1; no row is more than one level below the row before it."""
    shown = rows(top)
    assert shown[0]["path"] == "/eco"
    levels = [row["level"] for row in shown]
    assert levels[0] == 1
    assert all(1 < level <= before + 1 for before, level in itertools.pairwise(levels))
    plain = [row["path"] for row in shown if "count" not in row]
    assert len(set(plain)) == len(plain)


def test_a_small_tree_is_shown_as_it_is() -> None:
    """Every actor has a row with all that `/actors` says of it, and its rate and level."""
    top = root()
    top.add("a").add("b", rate=1.5)
    top.add("c", kind="Pool")
    told = [(row["path"], row["level"], row["rate"]) for row in rows(top)]
    assert told == [("/eco", 1, None), ("/eco/a", 2, None), ("/eco/a/b", 3, 1.5),
                    ("/eco/c", 2, None)]  # fmt: skip
    first = rows(top)[1]
    assert first == {**top.children[0].snapshot(), "rate": None, "level": 2}


def test_one_more_than_a_few_children_of_a_kind_fold() -> None:
    """Twelve have rows of their own, thirteen one together, in the place of the first."""
    top = root()
    top.add("before", kind="Store")
    for n in range(ALIKE):
        top.add(str(n))
    top.add("after", kind="Server")
    assert len(rows(top)) == ALIKE + 3
    top.add("one more")
    shown = rows(top)
    assert [row["path"] for row in shown] == ["/eco", "/eco/before", "/eco/*", "/eco/after"]
    assert (shown[2]["kind"], shown[2]["count"]) == ("Worker", ALIKE + 1)
    assert shown[2]["states"] == {"running": ALIKE + 1}
    assert (shown[2]["mailbox"]["capacity"], shown[2]["mailbox"]["overflow"]) == (8, "buffer")


def test_children_of_the_folded_fold_with_their_like() -> None:
    """What is below a folded row are the children of all its members, folded if they are many."""
    top = root()
    for n in range(ALIKE + 1):
        inner = top.add(str(n), kind="Supervisor")
        inner.add("a", kind="Reader")
        if n < 2:
            inner.add("b", kind="Writer")
    shown = [(r["path"], r["kind"], r.get("count"), r["level"]) for r in rows(top)]
    assert shown == [
        ("/eco", "Supervisor", None, 1),
        ("/eco/*", "Supervisor", ALIKE + 1, 2),
        ("/eco/*/*", "Reader", ALIKE + 1, 3),
        ("/eco/0/b", "Writer", None, 3),
        ("/eco/1/b", "Writer", None, 3),
    ]


def test_the_most_interesting_members_are_shown_in_full() -> None:
    """Among thousands: the deepest, who lost most, who was restarted, who failed, the busiest."""
    top = root()
    for n in range(1000):
        top.add(str(n), rate=0.0)
    odd = {n: top.children[n] for n in (17, 170, 300, 500, 900)}
    for _ in range(3):
        odd[17].mailbox.offer("waits")
    odd[170].mailbox.refuse()
    odd[300].incarnation = 4
    odd[500].last_error = "crashed: it did"
    odd[900].rate = 7.0
    (folded,) = [row for row in rows(top) if "count" in row]
    assert {row["path"] for row in folded["members"]} == {each.path for each in odd.values()}
    assert folded["members"][0]["mailbox"]["depth"] == 3
    assert folded["rate"] == 7.0


def test_who_is_suspended_or_traced_is_counted_and_found() -> None:
    """Among thousands, whatever else there is to tell: the row has how many, and shows them."""
    top = root()
    for n in range(1000):
        top.add(str(n), rate=float(n), incarnation=n + 2, last_error="crashed: it did")
    for n in (10, 20, 30):
        top.children[n].suspended = True
    top.children[30].is_traced = True
    (folded,) = [row for row in rows(top) if "count" in row]
    assert (folded["suspended"], folded["traced"]) == (3, 1)
    first = [row["path"] for row in folded["members"][:3]]
    assert first == ["/eco/30", "/eco/10", "/eco/20"]
    top.children.append(Actor("/eco/x", "Other", MailboxSpec[Any](8).build(), is_traced=True))
    (_, mixed) = rows(top, 2)
    assert (mixed["kind"], mixed["suspended"], mixed["traced"]) == (MIXED, 3, 2)


def test_members_of_which_there_is_nothing_to_tell_are_not_shown() -> None:
    """A thousand idle actors are one number."""
    top = root()
    for n in range(1000):
        top.add(str(n))
    assert [row["members"] for row in rows(top) if "count" in row] == [[]]


def test_what_differs_among_the_members_is_called_mixed() -> None:
    """Bounds that are not the same for all are not told as if they were."""
    top = root()
    for n in range(20):
        box: Mailbox[Any] = MailboxSpec[Any](4 + n % 2, RULES[n % 2]).build()
        top.add(str(n), mailbox=box)
    (folded,) = [row for row in rows(top) if "count" in row]
    assert (folded["mailbox"]["capacity"], folded["mailbox"]["overflow"]) == (None, MIXED)


def test_a_tree_of_all_kinds_folds_from_its_leaves() -> None:
    """Where nothing is alike the deepest levels become one row each, and the top stays."""
    top = root()
    for n in range(40):
        inner = top.add(f"i{n}", kind=f"Inner{n}")
        for m in range(40):
            inner.add(f"l{m}", kind=f"Leaf{m}")
    shown = rows(top)
    assert len(shown) == 81
    assert [row["count"] for row in shown if row["kind"] == MIXED] == [40] * 40
    assert [(row["kind"], row.get("count")) for row in rows(top, 10)] == [
        ("Supervisor", None),
        (MIXED, 1640),
    ]


def test_a_long_last_error_is_cut() -> None:
    """A row keeps its beginning, so that rows are bounded, too."""
    top = root()
    top.last_error = "x" * 10_000
    (row,) = rows(top)
    assert len(row["last_error"]) == ERROR_CHARS
    assert row["last_error"].endswith("…")
