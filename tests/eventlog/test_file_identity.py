"""The file of a log: whose it is, and what happens when it is taken away while it is open."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, StoreError
from eco_actor.eventlog.recent import Recent
from tests.eventlog.storage import draft, on_writer, rows, stored


@pytest.fixture(autouse=True)
def probing_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it probed, it would be soon."""
    monkeypatch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.001)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def folder_is_a_file(path: Path) -> None:
    move_folder(path)
    path.parent.write_bytes(b"")


TAKEN = pytest.mark.parametrize("take", [remove, replace, move_folder, folder_is_a_file])


async def filled(path: Path) -> EventLog:
    path.parent.mkdir()
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    await log.commit([draft("before")])
    return log


@TAKEN
async def test_a_file_that_is_taken_away_is_noticed_by_the_next_write(
    tmp_path: Path, take: Callable[[Path], None]
) -> None:
    """It fails with the reason, and so does all that comes: nobody would find it later."""
    path = tmp_path / "data" / "log.db"
    log = await filled(path)
    await asyncio.to_thread(take, path)
    with pytest.raises(StoreError, match=r"removed or replaced .* restart the server"):
        await log.commit([draft("lost")])
    assert "removed or replaced" in str(log.trouble)
    assert log.needs_restart
    recovered: list[int] = []
    log.on_recovered(lambda: recovered.append(1))
    for _ in range(50):
        await on_writer(log.store, lambda db: None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="removed or replaced"):
        log.append([draft("refused")])
    assert recovered == []
    await log.close()


async def test_a_file_that_is_put_back_is_still_refused_until_a_restart(tmp_path: Path) -> None:
    """Somebody may have written there meanwhile; after a restart it goes on."""
    path = tmp_path / "data" / "log.db"
    log = await filled(path)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    with pytest.raises(StoreError, match="removed or replaced"):
        await log.commit([draft("lost")])
    aside.rename(path)
    with pytest.raises(StoreError, match="removed or replaced"):
        log.append([draft("refused")])
    await log.close()
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    (event,) = await log.commit([draft("after")])
    assert event.position == 2
    assert await stored(log.store) == ["before", "after"]  # type: ignore[arg-type]
    await log.close()


@TAKEN
async def test_closing_writes_nothing_to_a_file_that_was_put_in_its_place(
    tmp_path: Path, take: Callable[[Path], None]
) -> None:
    """Whatever stands there now is as it was."""
    path = tmp_path / "data" / "log.db"
    log = await filled(path)
    await asyncio.to_thread(take, path)
    before = path.read_bytes() if path.exists() else None
    await log.close()
    assert (path.read_bytes() if path.exists() else None) == before


async def test_reading_makes_no_file_where_there_is_none(tmp_path: Path) -> None:
    """A page or a query then fails or is answered, by readers old and new alike."""
    path = tmp_path / "data" / "log.db"
    log = await filled(path)
    path.unlink()
    await asyncio.gather(
        *(log.query("SELECT * FROM events") for _ in range(8)), return_exceptions=True
    )
    assert not path.exists()
    await log.close()


async def test_what_is_read_is_never_another_file_s(tmp_path: Path) -> None:
    """Its events would be told with this log's epoch, as if they had happened here."""
    other = tmp_path / "data" / "log.db"
    log = await filled(other)
    await log.commit([Draft("app:a", {"n": "another's"}, 1)])
    await log.close()
    path = tmp_path / "mine" / "log.db"
    log = await filled(path)
    await log.close()
    await log.open()  # all of it is in the file itself now
    await asyncio.to_thread(os.replace, other, path)
    log._recent = Recent()  # as after four thousand other events
    pages = await asyncio.gather(
        *(log.page(["app:a"], 0) for _ in range(8)), return_exceptions=True
    )
    for page in pages:
        if not isinstance(page, BaseException):
            assert [event.data["n"] for event in page.events] == ["before"]
        else:
            assert isinstance(page, StoreError)
    await log.close()


async def test_nobody_else_may_read_what_people_asked(tmp_path: Path) -> None:
    """The file and those that SQLite puts beside it have mode 600, whatever the umask."""
    path = tmp_path / "data" / "log.db"
    before = os.umask(0)
    try:
        log = await filled(path)
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"log.db": 0o600, "log.db-wal": 0o600, "log.db-shm": 0o600}
    await log.close()
    assert await asyncio.to_thread(rows, path, "SELECT count(*) FROM events") == [(1,)]
