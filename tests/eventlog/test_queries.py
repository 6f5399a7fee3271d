"""Rows of side tables, and the queries that read them."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from eco_actor.eventlog import Draft, EventLog, SqliteStore, Statement, StoreError, Tables, Write

MakeStore = Callable[..., SqliteStore]

ADD = Statement("INSERT INTO things (name) VALUES ", "(?)")
DROP = Statement("DELETE FROM things WHERE name IN (", "?", ")")
THINGS = Tables("things", (("CREATE TABLE things (name TEXT PRIMARY KEY)",),), (ADD, DROP))


def draft(n: object) -> Draft:
    return Draft("app:a", {"n": n}, at_ms=1)


async def test_rows_of_one_batch_are_written_in_the_order_of_their_statements(
    make_store: MakeStore,
) -> None:
    """A thing is added before it is dropped, more of them than one statement takes."""
    log = EventLog(make_store([THINGS]))
    await log.open()
    names = [str(n) for n in range(300)]
    writes = [Write(statement, (name,)) for name in names for statement in (DROP, ADD)]
    await log.commit([draft("all")], [*writes, Write(ADD, ("kept",))])
    assert await log.query("SELECT name FROM things") == [("kept",)]
    await log.close()


def test_a_statement_knows_its_text_and_its_width() -> None:
    """Head, rows with commas between them, tail."""
    assert DROP.sql(3) == "DELETE FROM things WHERE name IN (?,?,?)"
    assert Statement("INSERT INTO t VALUES ", "(?,?)").sql(2) == "INSERT INTO t VALUES (?,?),(?,?)"
    assert Statement("", "(?,?)").width == 2


async def test_a_query_sees_what_was_committed_before_it(make_store: MakeStore) -> None:
    """Reading one's own writes, over and over."""
    log = EventLog(make_store([THINGS]))
    await log.open()
    for n in range(1, 21):
        await log.commit([], [Write(ADD, (str(n),))])
        assert await log.query("SELECT count(*) FROM things") == [(n,)]
    await log.close()


async def test_rows_without_events_are_written_too(make_store: MakeStore) -> None:
    """An append of rows alone, or of nothing at all, is durable when it is told."""
    log = EventLog(make_store([THINGS]))
    await log.open()
    assert await log.commit([], [Write(ADD, ("a",))]) == []
    assert await log.commit([]) == []
    assert await log.query("SELECT name FROM things") == [("a",)]
    assert log.head == 0
    await log.close()


async def test_a_query_that_fails_leaves_the_store_alive(make_store: MakeStore) -> None:
    """Wrong SQL is a StoreError for who asked, and nobody else's concern."""
    log = EventLog(make_store())
    await log.open()
    with pytest.raises(StoreError, match="no such table"):
        await log.query("SELECT * FROM nowhere")
    assert await log.query("SELECT ?", (1,)) == [(1,)]
    assert len(await log.commit([draft(1)])) == 1
    await log.close()


async def test_a_query_that_cannot_be_is_an_error_and_leaves_the_store_alive(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parameter that SQLite cannot hold is an OverflowError there, a StoreError here."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    log = EventLog(make_store())
    await log.open()
    try:
        async with asyncio.timeout(0.5):
            with pytest.raises(StoreError):
                await log.query("SELECT ?", (2**70,))
            assert len(await log.commit([draft(1)])) == 1
    finally:
        await log.close()
