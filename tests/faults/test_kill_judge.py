"""The judge of the crash harness: each kind of fault in the books is found, and has its figure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from bench.crash_judge import STEPS, Kept, Logged, Tally, judge
from bench.crash_load import Book
from bench.crash_readers import Reader, Told

SCAN: Final = "scan:s"
REWARD: Final = {"points": 3, "character": {"id": "bo"}}


def story() -> list[Logged]:
    told = [
        {"seq": seq, "step": step, "status": status}
        for seq, (step, status) in enumerate(STEPS, start=1)
    ]
    told[-1]["reward"] = REWARD
    return [Logged(seq, SCAN, data) for seq, data in enumerate(told, start=1)]


PUBLISHED: Final = Logged(6, "app:one", {"id": "p1"})


def good() -> Kept:
    events = [*story(), PUBLISHED]
    return Kept(events, frozenset(), frozenset({"s"}), frozenset(), [("s", 3, "bo")], "ok")


def reader() -> Reader:
    made = Reader(cast(Any, None), cast(Any, None), (SCAN, "app:one"), (), "reader", ordered=True)
    made.begins["app:one"] = 5
    made.seen = [Told(e.channel, f"e-{e.place:x}", e.data) for e in good().events]
    return made


def book() -> Book:
    return Book({"s": 0}, {"p1": ("app:one", "e-6", 0)}, readers=[reader()])


def figures(tally: Tally) -> dict[str, int]:
    names = ("lost", "double_rewards", "holes", "repeats", "publish_lost", "publish_repeats")
    return {name: count for name in names if (count := getattr(tally, name))}


def test_a_log_without_fault_is_one() -> None:
    """Nothing is found, and what was accepted is counted as finished."""
    tally = judge(good(), book())
    assert (tally.faults, tally.accepted, tally.finished, tally.published) == (0, 1, 1, 1)
    assert figures(tally) == {}


def without(place: int) -> Kept:
    return replace(good(), events=[e for e in good().events if e.place != place])


def again(place: int) -> Kept:
    events = good().events
    return replace(good(), events=[*events, events[place - 1]._replace(place=7)])


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (without(3), {"lost": 1, "holes": 1, "repeats": 1}),
        (without(5), {"lost": 1, "repeats": 1}),
        (again(3), {"lost": 1, "repeats": 1, "holes": 1}),
        (again(5), {"lost": 1, "repeats": 1, "holes": 1, "double_rewards": 1}),
        (replace(good(), unfinished=frozenset({"s"})), {"lost": 1}),
        (replace(good(), scans=frozenset()), {"lost": 1}),
        (replace(good(), rewards=[]), {}),
        (replace(good(), rewards=[("s", 4, "bo")]), {}),
        (replace(good(), rewards=[("s", 3, "bo")] * 2), {"double_rewards": 1}),
        (replace(good(), rewards=[("s", 3, "bo"), ("t", 3, "bo")]), {}),
        (replace(good(), pictures=frozenset({"s"})), {}),
        (replace(good(), integrity="row 1 missing"), {}),
        (without(6), {"publish_lost": 1, "repeats": 1}),
        (again(6), {"publish_repeats": 1, "holes": 1}),
    ],
)
def test_a_fault_of_the_log_is_found(kept: Kept, found: dict[str, int]) -> None:
    """Something is said of it, and it counts as what it is, for the log and for its reader."""
    tally = judge(kept, book())
    assert tally.said
    assert figures(tally) == found


def forget(reader: Reader) -> None:
    del reader.seen[2]


def repeat(reader: Reader) -> None:
    reader.seen.insert(3, reader.seen[2])


def swap(reader: Reader) -> None:
    reader.seen[1:3] = [reader.seen[2], reader.seen[1]]


def change(reader: Reader) -> None:
    reader.seen[2] = reader.seen[2]._replace(data={"seq": 3, "step": "other"})


def move(reader: Reader) -> None:
    reader.seen[2] = reader.seen[2]._replace(cursor="e-4")


def never_begin(reader: Reader) -> None:
    reader.begins.clear()


def complain(reader: Reader) -> None:
    reader.lost({"dropped": 1})


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (forget, {"holes": 1}),
        (repeat, {"repeats": 1}),
        (swap, {}),
        (change, {}),
        (move, {}),
        (never_begin, {}),
        (complain, {}),
    ],
)
def test_a_reader_that_was_told_something_else_is_found(
    what: Callable[[Reader], None], found: dict[str, int]
) -> None:
    """What is missing is a hole, what comes again a repeat; and all else is a fault, too."""
    seen = book()
    what(seen.readers[0])
    tally = judge(good(), seen)
    assert tally.faults == 1
    assert figures(tally) == found
