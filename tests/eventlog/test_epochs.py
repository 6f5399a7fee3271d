"""Where an epoch ends: by what was promised, how it stopped, and whether the file is a copy."""

import sqlite3
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability
from eco_actor.eventlog.database import Database, Item
from tests.eventlog.storage import draft, rows

FULL, NORMAL, OFF = Durability.FULL, Durability.NORMAL, Durability.OFF


def run(path: Path, durability: Durability, events: int, *, clean: bool) -> list[tuple[str, int]]:
    """A process that writes *events* and stops; the epochs that it knew."""
    database = Database(path, durability, ())
    for n in range(events):
        database.commit([Item([draft(n)], [b"\x81\xa1n\x01"], ())])
    if clean:
        database.close()
    else:
        database.connection.close()
    return list(database.epochs)


def mark(path: Path, *what: str) -> None:
    """Add rows to what the start of a process finds."""
    with sqlite3.connect(path) as db:
        db.executemany("INSERT INTO opened VALUES (?)", [(each,) for each in what])
    db.close()


@pytest.mark.parametrize("later", Durability)
@pytest.mark.parametrize(
    ("earlier", "clean", "marks", "ends"),
    [
        (FULL, True, (), False),
        (NORMAL, True, (), False),
        (FULL, False, (), False),
        (NORMAL, False, (), True),
        (OFF, False, (), True),
        (FULL, True, ("copy",), True),
        (NORMAL, True, ("copy",), True),
        (FULL, False, ("copy",), True),
        (NORMAL, False, ("copy",), True),
        (FULL, True, ("full",), False),
        (FULL, True, ("what a later version may say",), True),
    ],
)
def test_an_epoch_ends_where_history_may_have_been_reissued(
    tmp_path: Path,
    earlier: Durability,
    clean: bool,
    marks: tuple[str, ...],
    ends: bool,
    later: Durability,
) -> None:
    """After an unclean stop with less than full, and in a copy; whatever is promised now."""
    path = tmp_path / "log.db"
    (first,) = run(path, earlier, 3, clean=clean)
    mark(path, *marks)
    epochs = run(path, later, 1, clean=True)
    assert epochs[0] == first == (first[0], 1)
    assert len(epochs) == 1 + ends
    if ends:
        assert epochs[1][1] == 4
        assert epochs[1][0] != first[0]
    assert run(path, FULL, 0, clean=True) == epochs  # once is enough


@pytest.mark.parametrize("durability", Durability)
def test_while_it_is_open_the_file_says_what_was_promised(
    tmp_path: Path, durability: Durability
) -> None:
    """One row, whatever was there before; none after an orderly end."""
    path = tmp_path / "log.db"
    run(path, FULL, 1, clean=False)
    mark(path, "copy", "full")
    database = Database(path, durability, ())
    assert rows(path, "SELECT durability FROM opened") == [(durability.value,)]
    database.close()
    assert rows(path, "SELECT durability FROM opened") == []


def test_an_epoch_of_which_nothing_is_left_still_ends_behind_what_was_given(tmp_path: Path) -> None:
    """Removed events had positions, too: the next epoch begins behind them."""
    path = tmp_path / "log.db"
    run(path, NORMAL, 3, clean=False)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM events")
        db.execute("UPDATE floor SET position = 7")
    db.close()
    assert [begins for _, begins in run(path, FULL, 0, clean=True)] == [1, 8]
