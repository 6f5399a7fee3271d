"""The rows of idempotency keys: the table itself takes a key once, whatever is in memory."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, StoreError
from eco_actor.eventlog.schema import MIGRATIONS
from eco_actor.web.idempotency import FREE, KEPT_MS, TABLES, Idempotency

NOW = 1_700_000_000_000


class Keys:
    """Keys in a log; `now_ms` is its clock."""

    def __init__(self, path: Path) -> None:
        self.log = EventLog(SqliteStore(path / "log.db", Durability.FULL, [TABLES]))
        self.now_ms = NOW

    def idempotency(self) -> Idempotency:
        """Another memory, which knows of no claim of the others."""
        return Idempotency(self.log, lambda: self.now_ms)

    async def told(self) -> list[str]:
        """What is in the log, by the notes of its events."""
        return [event.data["note"] for event in (await self.log.page(["app:a"], 0)).events]


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    made = Keys(tmp_path)
    await made.log.open()
    yield made
    await made.log.close()


async def use(keys: Keys, idempotency: Idempotency, note: str, key: str = "k") -> None:
    """Accept a request with *key*, and note *note*, as far as the table lets it."""
    claim = await idempotency.claim("s", key, b"r")
    assert claim.note is None
    draft = Draft("app:a", {"note": note}, claim.at_ms)
    try:
        await keys.log.commit([draft], claim.rows(note.encode()))
    finally:
        claim.release()


async def test_a_key_in_use_fails_the_whole_transaction(keys: Keys) -> None:
    """Two that do not know of each other, as after a write whose end was never heard of."""
    one, other = keys.idempotency(), keys.idempotency()
    late = await other.claim("s", "k", b"r")
    await use(keys, one, "first")
    with pytest.raises(StoreError):
        await keys.log.commit([Draft("app:a", {"note": "late"}, NOW)], late.rows(b"late"))
    late.release()
    assert await keys.told() == ["first"]
    assert (await other.claim("s", "k", b"r")).note == b"first"


async def test_of_two_in_one_batch_one_is_taken(keys: Keys) -> None:
    """And another key beside them, too."""
    results: list[StoreError | None] = []
    for number in range(3):
        claim = await keys.idempotency().claim("s", "k" if number < 2 else "l", b"r")
        draft = Draft("app:a", {"note": f"{number}"}, NOW)
        rows = claim.rows(b"%d" % number)
        keys.log.append([draft], rows, lambda events, error: results.append(error))
    await keys.log.commit(())
    assert [error is None for error in results] == [True, False, True]
    assert await keys.told() == ["0", "2"]


async def test_what_is_over_gives_way(keys: Keys) -> None:
    """To the next with its key, from the very moment at which it is not found any more."""
    await use(keys, keys.idempotency(), "first")
    keys.now_ms += KEPT_MS
    assert (await keys.idempotency().claim("s", "k", b"r")).note == b"first"
    keys.now_ms += 1
    await use(keys, keys.idempotency(), "second")
    assert await keys.told() == ["first", "second"]
    assert (await keys.idempotency().claim("s", "k", b"r")).note == b"second"


async def test_only_the_note_that_is_meant_is_freed(keys: Keys) -> None:
    """Who is late frees nothing of the next one's."""
    idempotency = keys.idempotency()
    await use(keys, idempotency, "first")
    await use(keys, idempotency, "beside", key="l")
    await idempotency.free("s", "k", b"first")
    assert not await idempotency.has("s", "k")
    await use(keys, idempotency, "second")
    await idempotency.free("s", "k", b"first")
    await idempotency.free("other", "k", b"second")
    assert (await idempotency.claim("s", "k", b"r")).note == b"second"
    assert (await idempotency.claim("s", "l", b"r")).note == b"beside"


async def test_a_row_is_freed_without_a_walk_over_all(keys: Keys) -> None:
    """By the key of the table."""
    plan = await keys.log.query(f"EXPLAIN QUERY PLAN {FREE.sql(2)}", ("s", "k", b"") * 2)
    assert any("SEARCH keys USING PRIMARY KEY" in step[-1] for step in plan), plan


async def test_the_position_of_the_first_event_is_noted(keys: Keys) -> None:
    """Its own, in a batch with others; none for an event that is not in the log."""
    idempotency = keys.idempotency()
    for number, kinds in enumerate(["", "e", "te", "t", "ee"]):
        claim = await idempotency.claim("s", f"k{number}", b"r")
        drafts = [Draft("app:a", {"note": kinds}, NOW, transient=each == "t") for each in kinds]
        keys.log.append(drafts, claim.rows(b"n"))
        claim.release()
    await keys.log.commit(())
    found = [(await idempotency.claim("s", f"k{number}", b"r")).position for number in range(5)]
    assert found == [None, 1, 2, None, 3]


async def test_answers_of_before_are_kept(tmp_path: Path) -> None:
    """Those of the first version; where one is missing, a cursor that leads to the same event."""
    with closing(sqlite3.connect(tmp_path / "log.db")) as old, old:
        for step in MIGRATIONS[:2]:
            for ddl in step:
                old.execute(ddl)
        old.execute("PRAGMA user_version=2")
        old.execute("INSERT INTO epochs (begins, token) VALUES (1, 'aaa'), (9, 'bbb')")
        for ddl in TABLES.migrations[0]:
            old.execute(ddl)
        for key, body in ("whole", b'{"cursor":"aaa-1f"}'), ("torn", None):
            row = ("s", key, b"r", NOW, 31, 202, body)
            old.execute("INSERT INTO answers VALUES (?,?,?,?,?,?,?)", row)
    keys = Keys(tmp_path)
    await keys.log.open()
    for key, note in ("whole", b'{"cursor":"aaa-1f"}'), ("torn", b'{"cursor":"bbb-1f"}'):
        claim = await keys.idempotency().claim("s", key, b"r")
        assert (claim.note, claim.position) == (note, None)
    await keys.log.close()
