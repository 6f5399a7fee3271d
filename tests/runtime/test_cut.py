"""Values as text: cut to a size before they are written out."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pytest

from eco_actor.runtime.inspection import CUT, cut


class Loud:
    """Counts how often it is written out."""

    times = 0

    def __repr__(self) -> str:
        Loud.times += 1
        return "loud"


@dataclass
class Holder:
    inside: object
    more: object = None
    hidden: str = field(default="secret", repr=False)


def looped() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


MANY: Final = [Loud()] * 100_000
HUGE: Final = (
    MANY, tuple(MANY), deque(MANY), dict.fromkeys(range(100_000), MANY[0]), Holder(MANY, MANY),
    defaultdict(Loud, dict.fromkeys(range(100_000), MANY[0])), ValueError(*MANY),
    partial(print, *MANY), [[[MANY] * 9] * 9] * 9, Holder(Holder(MANY)), MANY[0].__repr__,
    {Loud() for _ in range(100_000)},
)  # fmt: skip


@pytest.mark.parametrize("value", HUGE, ids=lambda value: type(value).__name__)
def test_of_a_huge_value_only_the_beginning_is_written_out(value: object) -> None:
    """Whatever holds the items, hardly any of them is asked for its text."""
    Loud.times = 0
    assert len(cut(value)) <= CUT
    assert Loud.times < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, "{'a': 1}"), ((1,), "(1,)"), ([], "[]"), (set(), "set()"), ({1}, "{1}"),
        (deque([1]), "deque(1)"), (b"abc", "b'abc'"), (None, "None"), (True, "True"),
        (Holder(1, "x"), "Holder(inside=1, more='x')"), (ValueError("x", 1), "ValueError('x', 1)"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"), (looped(), "[[[[list(...)]]]]"),
        (bytes(10**6), "<bytes of 1,000,000 bytes>"), (1 << 10**6, "<int of 1,000,001 bits>"),
        ("\u202e\udc80", r"'\u202e\udc80'"), ("x" * 10**6, "'" + "x" * (CUT - 4) + "..."),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_small_value_is_written_as_it_is(value: object, text: str) -> None:
    """As python would, without what is not to be shown; what is too long or deep is marked."""
    assert cut(value) == text
