"""The judge of the crash harness: each kind of fault in the books is found, and has its figure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from bench.crash_book import Book
from bench.crash_judge import STEPS, Tally, judge, judge_epochs, judge_history
from bench.crash_kept import Kept, Logged
from bench.crash_readers import Gap, Reader, Told

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
    reader.lost({"channel": "app:one", "from": "e-5", "to": "e-5", "reason": "trimmed"})


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


# ---- where little is kept


def let_go() -> Kept:
    """The scan is gone, and the channel is trimmed."""
    return Kept(
        (),
        frozenset(),
        frozenset(),
        frozenset(),
        [("s", 3, "bo")],
        "ok",
        removed=good().events,
        gone=frozenset({"s"}),
        trimmed={"app:one": 6},
    )


def late() -> Book:
    """Its reader was told two events of the scan, then that it is gone; and of the trim."""
    seen = book()
    (reader,) = seen.readers
    del reader.seen[2:]
    reader.gone.add(SCAN)
    reader.gaps.append(Gap("app:one", 5, 6))
    return seen


def test_what_was_let_go_of_whole_is_no_fault() -> None:
    """The scan counts as finished; who was told more has seen it before."""
    for seen in (late(), book()):
        tally = judge(let_go(), seen)
        assert (tally.faults, tally.finished, tally.removed, figures(tally)) == (0, 1, 1, {})


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (replace(let_go(), gone=frozenset()), {"lost": 1}),
        (replace(let_go(), scans=frozenset({"s"})), {"lost": 1}),
        (replace(let_go(), removed=good().events[1:]), {"lost": 1, "holes": 2, "repeats": 1}),
        (replace(let_go(), events=good().events[:1]), {"lost": 1, "holes": 1, "repeats": 1}),
        (replace(let_go(), trimmed={}), {}),
        (replace(let_go(), rewards=[]), {}),
        (replace(let_go(), parts=["scan s is gone, and has a row"]), {}),
    ],
)
def test_what_was_let_go_of_in_part_is_found(kept: Kept, found: dict[str, int]) -> None:
    """A scan is whole, or gone; and what a reader was told to be gone is so."""
    tally = judge(kept, late())
    assert tally.said
    assert figures(tally) == found


def test_a_position_that_was_given_twice_is_found() -> None:
    """Even when what it was given to first is gone."""
    kept = replace(good(), removed=[Logged(6, "app:two", {"id": "p0"})])
    assert "position 6 was given 2 times" in judge(kept, book()).said


def skip_unseen(reader: Reader) -> None:
    reader.gaps.clear()


def skip_too_much(reader: Reader) -> None:
    reader.gaps[0] = Gap("app:one", 5, 7)


def skip_within(reader: Reader) -> None:
    del reader.seen[0]


@pytest.mark.parametrize("what", [skip_unseen, skip_too_much, skip_within])
def test_a_loss_that_nobody_was_told_of_is_found(what: Callable[[Reader], None]) -> None:
    """Only what lies in a gap, or behind what it saw of a scan that is gone, need not be told."""
    seen = late()
    what(seen.readers[0])
    assert judge(let_go(), seen).faults == 1


COPY: Final = replace(good(), epochs=[("a", 1)], head=6)
GONE_ON: Final = replace(COPY, epochs=[("a", 1), ("b", 7)])


@pytest.mark.parametrize(
    ("after", "original"),
    [
        (COPY, COPY),
        (replace(COPY, epochs=[("a", 1), ("b", 6)]), COPY),
        (GONE_ON, GONE_ON),
        (replace(GONE_ON, epochs=[("b", 7)]), COPY),
    ],
)
def test_a_copy_without_an_epoch_of_its_own_is_found(after: Kept, original: Kept) -> None:
    """What follows in it would be taken for what followed in the original."""
    seen = book()
    judge_epochs(COPY, GONE_ON, COPY, seen)
    assert not seen.wrong
    judge_epochs(COPY, after, original, seen)
    assert len(seen.wrong) == 1


@pytest.mark.parametrize(
    "copy",
    [
        replace(without(3), head=6),
        replace(COPY, events=[*COPY.events[:-1], PUBLISHED._replace(data={"id": "p2"})]),
        replace(COPY, events=[*COPY.events, PUBLISHED._replace(place=7)]),
    ],
)
def test_a_copy_that_is_not_how_the_original_was_is_found(copy: Kept) -> None:
    """It has all up to its last position, as it was, and nothing else."""
    seen = book()
    later = replace(COPY, removed=COPY.events, events=[PUBLISHED._replace(place=8)], head=8)
    judge_history(COPY, later, seen)
    assert not seen.wrong
    judge_history(copy, later, seen)
    assert len(seen.wrong) == 1
