"""What is known of a history that was trimmed: marks, places to resume from, pages."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability, EventLog, Excess, Place, Resume, SqliteStore
from eco_actor.eventlog.recent import Recent
from tests.eventlog.filled import draft, filled, positions

MakeStore = Callable[..., SqliteStore]


async def test_marks_and_positions_survive_a_restart(tmp_path: Path) -> None:
    """Even of a channel that is trimmed to nothing: no position is ever given again."""
    path = tmp_path / "log.db"
    log = await filled(SqliteStore(path, Durability.FULL), "ababb")
    await log.trim(Excess("app:b", events=3))
    await log.trim(Excess("app:a", events=1))
    await log.close()
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    assert (log.trimmed("app:a"), log.trimmed("app:b"), log.head) == (1, 5, 5)
    page = await log.page(["app:b"], 0)
    assert (page.events, page.upto) == ([], 5)
    (event,) = await log.commit([draft("next", "app:b")])
    assert event.position == 6
    assert await positions(log, "app:a") == [3]
    await log.close()


async def test_who_comes_back_is_told_what_was_trimmed(make_store: MakeStore) -> None:
    """Partial behind the mark, with what is missing; recovered at or behind it; others unharmed."""
    log = await filled(make_store(), "abaab")
    await log.trim(Excess("app:a", events=2))
    upto = log.cursor(3)

    def partial(position: int) -> Place:
        return Place(Resume.PARTIAL, 3, (log.cursor(position), upto))

    for position in (0, 1, 2):
        assert log.resume("app:a", str(log.cursor(position)), 5) == partial(position)
    assert log.resume("app:a", "earliest", 5) == partial(0)
    for position in (3, 4, 5):
        place = log.resume("app:a", str(log.cursor(position)), 5)
        assert place == Place(Resume.RECOVERED, position)
    assert log.resume("app:a", "rubbish", 5) == Place(Resume.RESET, 3, (upto, upto))
    assert log.resume("app:a", None, 5) == Place(Resume.FRESH, 5)
    assert log.resume("app:b", "earliest", 5) == Place(Resume.RECOVERED, 0)
    await log.close()


async def test_a_trim_in_the_middle_of_paging_is_noticed(tmp_path: Path) -> None:
    """A page that finds less than there was comes with the mark, though nobody was told of it yet.

    The loop has not heard of the trim: another connection made it. When the page is there,
    `trimmed` lies above the reader's position, and all of the page lies behind it.
    """
    path = tmp_path / "log.db"
    log = await filled(SqliteStore(path, Durability.FULL), "aaaaaa")
    log._recent = Recent(0)
    await log.commit([draft(7, "app:b")])
    page = await log.page(["app:a"], 0, 2)
    assert [event.position for event in page.events] == [1, 2]
    await asyncio.to_thread(_trim_behind_its_back, path)
    assert log.trimmed("app:a") == 0
    page = await log.page(["app:a"], 2, 2)
    assert log.trimmed("app:a") == 4
    assert [event.position for event in page.events] == [5, 6]
    await log.close()


def _trim_behind_its_back(path: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute("DELETE FROM events WHERE channel = 'app:a' AND position <= 4")
        db.execute("INSERT INTO trimmed VALUES ('app:a', 4)")
    db.close()


async def test_a_page_that_was_read_before_a_trim_shows_nothing_of_it(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read before, there after: events up to the mark are left out, as the reader tells a gap."""
    store = make_store()
    log = await filled(store, "aaaaaa")
    log._recent = Recent(0)
    await log.commit([draft(7, "app:b")])
    read = store.page

    async def slow(*how: object) -> object:
        page = await read(*how)  # type: ignore[arg-type]
        await log.trim(Excess("app:a", events=4))
        return page

    async def slower(*how: object) -> object:
        page = await read(*how)  # type: ignore[arg-type]
        await log.trim(Excess("app:a", events=2))
        return page

    monkeypatch.setattr(store, "page", slow)
    page = await log.page(["app:a"], 0)
    assert log.trimmed("app:a") == 4
    assert [event.position for event in page.events] == [5, 6]
    monkeypatch.setattr(store, "page", slower)
    page = await log.page(["app:a"], 4, 1)
    assert (page.events, page.upto, log.trimmed("app:a")) == ([], 6, 6)
    await log.close()
