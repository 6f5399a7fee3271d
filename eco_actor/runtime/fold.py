"""A tree of any size as a bounded list of rows: children that are alike fold into one. Pure.

`Folding.add` is fed in the order of a walk: a parent before its children, all that is below an
actor before its next sibling. Memory follows the rows, not the actors.

    /eco/work/connections            a row
        /eco/work/connections/*      one row for 10,000 connections: sums, and the most interesting

More than `ALIKE` children of one kind fold. Their own children fold with their like, below the
folded row. Should there be more than `ROWS` rows even so, the deepest levels fold, whatever kind
they hold. What is folded is counted: the sums over all rows are the sums over all actors.
"""

from collections.abc import Iterator
from typing import Final

from eco_actor.runtime.tally import MIXED, Place, Row, Seen, Tally

ALIKE: Final = 12
"""Children of one kind that an actor may have before they fold."""

ROWS: Final = 300
"""Rows of a snapshot at most."""


class Folding:
    """One snapshot in the making."""

    def __init__(self) -> None:
        self.top = Place("", None)  # the root goes below it
        self.actors = 0
        self.restarts = 0
        self.rate: float | None = None

    def add(self, parent: Place, kind: str, seen: Seen, rate: float | None = None) -> Place:
        """Take note of an actor; its children are to be added to the place that is returned.

        *rate* is in messages a second, None when it is not known yet.
        """
        self.actors += 1
        if seen.incarnation > 1:
            self.restarts += seen.incarnation - 1
        if rate is not None:
            self.rate = (self.rate or 0.0) + rate
        alike = parent.kinds.get(kind)
        if type(alike) is not Tally:
            return _put(parent, Place(kind, seen, rate))
        alike.add(kind, seen, rate)
        return alike

    def rows(self, most: int = ROWS) -> list[Row]:
        """The rows, parents before what is below them, `level` 1 being the root's."""
        levels = [[self.top]]
        while levels[-1]:
            levels.append([place for parent in levels[-1] for place in parent.below])
        rows = sum(map(len, levels)) - 1  # the top is none
        while rows > most and len(levels) > 1:
            for parent in levels.pop():
                _level(parent)
            rows = sum(1 for _ in _walk(self.top.below))
        return list(_rows(self.top.below))


def _put(parent: Place, child: Place) -> Place:
    """Have *child* below *parent*; returns the place that the child's children go to."""
    alike = parent.kinds.get(child.kind, 0)
    if isinstance(alike, Tally):
        _take(alike, child)
        return alike
    parent.below.append(child)
    if isinstance(child, Tally) or alike == ALIKE:
        return _fold(parent, child.kind)
    parent.kinds[child.kind] = alike + 1
    return child


def _fold(parent: Place, kind: str) -> Tally:
    """All of *kind* below become one, where the first of them was."""
    alike = [child for child in parent.below if child.kind == kind]
    tally = Tally(f"{parent.path}/*", kind)
    parent.below[parent.below.index(alike[0])] = tally
    parent.below = [child for child in parent.below if child.kind != kind or child is tally]
    for child in alike:
        _take(tally, child)
    parent.kinds[kind] = tally
    return tally


def _take(tally: Tally, child: Place) -> None:
    """Count *child* in, and have what is below it below the tally."""
    tally.add_place(child)
    for grandchild in child.below:
        _put(tally, grandchild)


def _level(parent: Place) -> None:
    """All that is below becomes one row, whatever its kind."""
    if not parent.below or (len(parent.below) == 1 and not parent.below[0].below):
        return  # nothing would be saved
    tally = Tally(f"{parent.path}/*", MIXED)
    for place in _walk(parent.below):
        tally.add_place(place)
    parent.below = [tally]
    parent.kinds = {MIXED: tally}


def _walk(places: list[Place]) -> Iterator[Place]:
    """These and all below them, parents first."""
    waiting = list(reversed(places))
    while waiting:
        place = waiting.pop()
        yield place
        waiting.extend(reversed(place.below))


def _rows(places: list[Place]) -> Iterator[Row]:
    waiting = [(place, 1) for place in reversed(places)]
    while waiting:
        place, level = waiting.pop()
        yield {**place.row(), "level": level}
        waiting.extend((child, level + 1) for child in reversed(place.below))
