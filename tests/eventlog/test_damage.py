"""Damage that a reader finds: from then on nothing is written."""

import asyncio
from pathlib import Path

import pytest

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, StoreError


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * (path.stat().st_size // 3))


async def test_what_a_reader_finds_damaged_is_told_to_who_writes(tmp_path: Path) -> None:
    """The read fails with the reason, and so does every append: a damaged file is not written."""
    path = tmp_path / "log.db"
    log = EventLog(SqliteStore(path, Durability.FULL))
    await log.open()
    for n in range(200):
        await log.commit([Draft("app:a", {"text": f"{n}" * 100}, 1)])
    await log.close()
    await asyncio.to_thread(damage, path)
    await log.open()
    with pytest.raises(StoreError, match="damaged"):
        await log.query("SELECT sum(length(data)) FROM events")
    assert log.trouble is not None
    with pytest.raises(StoreError, match="damaged"):
        log.append([Draft("app:b", {}, 1)])
    await log.close()
