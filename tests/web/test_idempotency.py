"""`Idempotency-Key`: a repeat gets the answer of the first time, and nothing happens twice."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.eventlog import Event, StoreFull
from eco_actor.web.idempotency import EXPIRED, KEPT_MS, fingerprint
from tests.web.checks import check_problem
from tests.web.client import Answer
from tests.web.credentials import SECRET, bearer
from tests.web.edge import Edge, Held, edge, started, waiting


async def keyed(here: Edge, key: str, data: object, query: str = "") -> Answer:
    return await here.publish(data, query, Idempotency_Key=key)


def rows(data_dir: Path, sql: str = "SELECT key FROM keys ORDER BY key") -> list[Any]:
    """Rows of the store, read or written beside it."""
    with sqlite3.connect(data_dir / "log.db") as db:
        found = db.execute(sql).fetchall()
    db.close()
    return found


@pytest.mark.parametrize("disk", [True, False])
async def test_a_repeat_gets_the_same_answer(
    session: aiohttp.ClientSession, tmp_path: Path, disk: bool
) -> None:
    """And there is one event; another key makes another."""
    async with edge(session, tmp_path if disk else None) as here:
        first = await keyed(here, "k", {"n": 1})
        assert first.status == 202
        await here.publish({"n": 2})
        for _ in range(2):
            again = await keyed(here, "k", {"n": 1})
            assert (again.status, again.body) == (202, first.body)
            assert again.headers["Content-Type"] == "application/json"
            assert again.headers["Cache-Control"] == "no-store"
        other = await keyed(here, "l", {"n": 1})
        assert other.json() != first.json()
        assert [each["n"] for each in await here.logged()] == [1, 2, 1]
        assert here.traffic.published_durable == 3


async def test_the_answer_outlives_the_server(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Byte for byte."""
    async with edge(session, tmp_path) as here:
        first = await keyed(here, "k", {"n": 1})
    async with edge(session, tmp_path) as here:
        again = await keyed(here, "k", {"n": 1})
        assert (again.status, again.body) == (202, first.body)
        assert await here.logged() == [{"n": 1}]


@pytest.mark.parametrize(
    ("data", "query"), [({"n": 2}, ""), ({"n": 1}, "?key=a"), ({"n": 1}, "?transient=1")]
)
async def test_a_key_is_of_one_request(
    session: aiohttp.ClientSession, data: object, query: str
) -> None:
    """Other data, and other options, are another request."""
    async with edge(session) as here:
        await keyed(here, "k", {"n": 1})
        check_problem(await keyed(here, "k", data, query), 422, "idempotency_key_reused")
        assert await here.logged() == [{"n": 1}]


async def test_another_channel_is_another_request(session: aiohttp.ClientSession) -> None:
    """Though the data are the same."""
    async with edge(session) as here:
        await keyed(here, "k", {"n": 1})
        headers = {**bearer(SECRET), "Idempotency-Key": "k"}
        answer = await here.client.post("/channels/app:b/events", json={"n": 1}, headers=headers)
        check_problem(answer, 422, "idempotency_key_reused")


@pytest.mark.parametrize("first", ["k", '"k"'])
async def test_what_counts_is_what_is_meant(session: aiohttp.ClientSession, first: str) -> None:
    """A key with and without quotes is one key; the same object in other letters is the same."""
    async with edge(session) as here:
        answers = []
        for key, body in (
            (first, b'{"a":1,"b":[2]}'),
            ('"k"', b'{"b": [2],\n "a": 1}'),
            ("k", b'{"a":1,"b":[2]}'),
        ):
            headers = {**bearer(SECRET), "Idempotency-Key": key}
            answers.append(
                await here.client.post("/channels/app:a/events", data=body, headers=headers)
            )
        assert {(each.status, each.body) for each in answers} == {(202, answers[0].body)}


@pytest.mark.parametrize(
    "key", ["", '""', '"', "a b", '"a b"', "ä", "k" * 256, '"' + "k" * 256 + '"', '"a"b"', '"a\\"']
)
async def test_what_is_no_key_is_400(session: aiohttp.ClientSession, key: str) -> None:
    """1 to 255 visible ASCII characters are."""
    async with edge(session) as here:
        check_problem(await keyed(here, key, {}), 400, "bad_idempotency_key")
        assert await here.logged() == []


@pytest.mark.parametrize("key", ["k" * 255, '"' + "k" * 255 + '"', '"a\\"b\\\\c"', "!~a\"b'"])
async def test_what_is_a_key_is_taken(session: aiohttp.ClientSession, key: str) -> None:
    """Up to the longest, and with quotes in it."""
    async with edge(session) as here:
        first = await keyed(here, key, {})
        assert first.status == 202
        assert (await keyed(here, key, {})).body == first.body


async def test_two_keys_are_none(session: aiohttp.ClientSession) -> None:
    """Which of them is meant, nobody can say."""
    async with edge(session) as here:
        headers = [("Authorization", f"Bearer {SECRET}")]
        headers += [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        answer = await here.client.post("/channels/app:a/events", json={}, headers=headers)
        check_problem(answer, 400, "bad_idempotency_key")


async def test_a_repeat_of_one_still_being_accepted_is_409(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once that is done, a repeat gets its answer."""
    async with edge(session) as here:
        held = Held(here, monkeypatch)
        first = asyncio.create_task(keyed(here, "k", {"n": 1}))
        await held.has(1)
        check_problem(await keyed(here, "k", {"n": 1}), 409, "idempotency_key_in_use")
        check_problem(await keyed(here, "k", {"n": 2}), 422, "idempotency_key_reused")
        held.let_go()
        answer = await first
        assert (await keyed(here, "k", {"n": 1})).body == answer.body
        assert await here.logged() == [{"n": 1}]


async def test_repeats_at_one_moment_are_one_event(session: aiohttp.ClientSession) -> None:
    """Whoever is not first is told to wait, or gets the answer."""
    async with edge(session) as here:
        answers = await asyncio.gather(*(keyed(here, "k", {"n": 1}) for _ in range(20)))
        assert {each.status for each in answers} <= {202, 409}
        assert len({each.body for each in answers if each.status == 202}) == 1
        assert await here.logged() == [{"n": 1}]


async def test_what_was_refused_keeps_no_key(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat is tried anew, and may even be another request."""
    async with edge(session) as here:
        with monkeypatch.context() as patched:

            def full(*given: object) -> None:
                raise StoreFull("as many as there may be are waiting")

            patched.setattr(here.log, "append", full)
            check_problem(await keyed(here, "k", {"n": 1}), 503)
        check_problem(await keyed(here, "k", [1]), 422, "bad_body")
        assert (await keyed(here, "k", {"n": 2})).status == 202
        assert await here.logged() == [{"n": 2}]


async def test_a_transient_event_is_shown_once(session: aiohttp.ClientSession) -> None:
    """Its answer is kept like any other."""
    async with edge(session) as here:
        waits = started(here)
        await waiting(here)
        first = await keyed(here, "k", {"n": 1}, "?transient=1")
        assert first.json() == {"cursor": None}
        assert (await waits)["events"] == [{"cursor": None, "data": {"n": 1}}]
        shown: list[Event] = []

        class Shown:
            def offer(self, event: Event) -> None:
                shown.append(event)

        here.log.subscribe("app:a", Shown())
        again = await keyed(here, "k", {"n": 1}, "?transient=1")
        assert (again.status, again.body, shown) == (202, first.body, [])


async def test_a_request_that_was_given_up_keeps_its_key(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client left while it was being accepted, and asks again."""
    async with edge(session) as here:
        held = Held(here, monkeypatch)
        first = asyncio.create_task(keyed(here, "k", {"n": 1}))
        await held.has(1)
        first.cancel()
        await asyncio.wait([first])
        check_problem(await keyed(here, "k", {"n": 1}), 409, "idempotency_key_in_use")
        held.let_go()
        await here.log.commit([])
        again = await keyed(here, "k", {"n": 1})
        assert again.status == 202
        (event,) = (await here.log.page(["app:a"], 0)).events
        assert again.json() == {"cursor": str(event.cursor)}


async def test_the_cursor_is_the_events_own(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among others of the same data, written at once, and after they are gone from the log."""
    async with edge(session, tmp_path) as here:
        held = Held(here, monkeypatch)
        asking = [asyncio.create_task(here.publish({"n": 1}))]
        asking += [asyncio.create_task(keyed(here, f"k{n}", {"n": 1})) for n in range(3)]
        await held.has(4)
        held.let_go()
        first = [await each for each in asking][1:]
        events = (await here.log.page(["app:a"], 0)).events
        known = {str(event.cursor) for event in events}
        assert {each.json()["cursor"] for each in first} < known
        assert len({each.body for each in first}) == 3
    rows(tmp_path, "DELETE FROM events")
    async with edge(session, tmp_path) as here:
        again = [await keyed(here, f"k{number}", {"n": 1}) for number in range(3)]
        assert [each.body for each in again] == [each.body for each in first]
        assert await here.logged() == []


async def test_the_cursor_stays_the_same_in_another_epoch(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Byte for byte: it names the same event there."""
    async with edge(session, tmp_path) as here:
        first = await keyed(here, "k", {"n": 1})
    rows(tmp_path, "INSERT INTO opened (durability) VALUES ('normal')")
    async with edge(session, tmp_path) as here:
        assert len(here.log.store.epochs) == 2
        assert (await keyed(here, "k", {"n": 1})).body == first.body
        assert (await keyed(here, "l", {"n": 1})).body[:20] != first.body[:20]


async def test_a_key_is_free_after_a_day(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Not before, and its row is gone with the next that is written."""
    async with edge(session, tmp_path) as here:
        first = await keyed(here, "k", {"n": 1})
        here.now_ms += KEPT_MS
        assert (await keyed(here, "k", {"n": 1})).body == first.body
        here.now_ms += 1
        assert (await keyed(here, "l", {"n": 1})).status == 202
        assert rows(tmp_path) == [("l",)]
        assert (await keyed(here, "k", {"n": 3})).status == 202
        assert len(await here.logged()) == 3


async def test_expired_rows_go_in_small_steps(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A bounded number with each that is written: more than that one."""
    async with edge(session, tmp_path) as here:
        await keyed(here, "first", {})
        rows(
            tmp_path,
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
            " INSERT INTO keys SELECT 'publish', 'k' || i, x'00', i, x'00', NULL FROM n",
        )
        expired, left = "SELECT count(*) FROM keys WHERE at_ms < 1000", 300
        while left:
            await keyed(here, f"new{left}", {})
            (now,) = rows(tmp_path, expired)[0]
            assert left - EXPIRED <= now < left - 1 or now == 0
            left = now
        assert ("first",) in rows(tmp_path)


def test_parts_of_a_fingerprint_do_not_run_together() -> None:
    """Where one ends and the next begins is part of it."""
    assert fingerprint([b"ab", b"c"]) != fingerprint([b"a", b"bc"]) != fingerprint([b"abc"])
    assert fingerprint([b"ab", b"c"]) == fingerprint([b"ab", b"c"])
