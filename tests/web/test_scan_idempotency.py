"""`Idempotency-Key` of scans: a repeat is told of the scan there is, and there is no second one."""

import asyncio
from collections.abc import Callable

import pytest

from eco_actor.app import Eco
from eco_actor.eventlog import EventLog
from eco_actor.web.idempotency import KEPT_MS
from tests.web.checks import check_problem, check_result
from tests.web.client import Answer, Client
from tests.web.credentials import SECRET, bearer
from tests.web.held import PICTURE, Held, Running
from tests.web.keyed_scans import keyed, keyed_picture, same, scans
from tests.web.pictures import drawn, encoded
from tests.web.test_classify import check_accepted

OTHER = encoded(drawn(), "PNG")


async def test_a_repeat_gets_the_same_answer(eco: Eco, running: Running) -> None:
    """Of a picture and of a category alike; another key, or none, is another scan."""
    async with running(eco) as client:
        for send in (keyed, keyed_picture):
            first = await send(client, send.__name__)
            check_accepted(first)
            for _ in range(3):
                assert same(await send(client, send.__name__), first)
        assert len(await scans(eco)) == 2
        await keyed(client, "other")
        await client.accepted("glass")
        assert len(await scans(eco)) == 4


async def test_the_answer_stays_as_it_was_when_the_scan_is_over(
    eco: Eco, running: Running, held: Held
) -> None:
    """Who did not wait for the result is told where it is, also of a scan that failed."""
    held.error = ValueError("the lens is dirty")
    held.gate.set()
    async with running(eco) as client:
        for send in (keyed, keyed_picture):
            first = await send(client, send.__name__)
            await client.events(first.json()["task_id"])
            assert same(await send(client, send.__name__), first)
        assert len(await scans(eco)) == 2


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"category":"glass","lang":"en","realtime":true}'),
        ("", b'{"user_input": null, "lang": "en",\n "category": "gl\\u0061ss"}'),
        ("?lang=en&realtime=1", b'{"category":"glass"}'),
        ("?category=glass", b'{"lang":"en"}'),
    ],
)
async def test_options_are_the_same_however_they_are_given(
    plain: Client, query: str, body: bytes
) -> None:
    """By query, by body, in another order, left out where that means the same."""
    key = f"given-{len(query)}-{len(body)}"
    first = await keyed(plain, key, lang="en")
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    assert same(await plain.post(f"/scan/classify{query}", data=body, headers=headers), first)


async def test_a_key_with_and_without_quotes_is_one(plain: Client) -> None:
    """As the standard for such fields has it."""
    first = await keyed(plain, "in-quotes")
    assert same(await keyed(plain, '"in-quotes"'), first)


@pytest.mark.parametrize(
    "options",
    [{"category": "metal"}, {"lang": "en"}, {"realtime": False}, {"user_input": "a jar"}],
)
async def test_other_options_are_another_request(plain: Client, options: dict[str, object]) -> None:
    """422, whichever it is that differs, and nothing is accepted."""
    key = f"other-{'-'.join(options)}"
    first = await keyed(plain, key)
    problem = await keyed(plain, key, **options)
    check_problem(problem, 422, "idempotency_key_reused")
    assert same(await keyed(plain, key), first)


async def test_another_picture_is_another_request(eco: Eco, running: Running) -> None:
    """Also where it is not looked at, because the category says what it is; and so is none."""
    async with running(eco) as client:
        await keyed_picture(client, "a")
        problem = await keyed_picture(client, "a", picture=OTHER)
        check_problem(problem, 422, "idempotency_key_reused")
        first = await keyed_picture(client, "b", "?category=glass")
        assert same(await keyed_picture(client, "b", "?category=glass"), first)
        for answer in (
            await keyed_picture(client, "b", "?category=glass", OTHER),
            await keyed(client, "b"),
        ):
            check_problem(answer, 422, "idempotency_key_reused")
        assert len(await scans(eco)) == 2


async def test_all_bytes_of_a_picture_count(vision: Client) -> None:
    """Also those far behind, that no decoder looks at."""
    large = PICTURE + bytes(600_000)
    first = await keyed_picture(vision, "large", picture=large)
    assert first.status == 202
    assert same(await keyed_picture(vision, "large", picture=large), first)
    for other in (large[:-1], large[:-1] + b"x", large + b"x"):
        problem = await keyed_picture(vision, "large", picture=other)
        check_problem(problem, 422, "idempotency_key_reused")


async def test_repeats_of_one_that_waits_get_the_same_result(
    eco: Eco, running: Running, held: Held
) -> None:
    """While the scan runs they wait, too; afterwards they get it at once. It is one scan."""
    async with running(eco) as client:
        first = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
        await waiting(eco, 1)
        repeats = [asyncio.create_task(keyed_picture(client, "k", "?realtime=0")) for _ in range(5)]
        await waiting(eco, 6)
        held.gate.set()
        answer = await first
        assert answer.status == 200
        check_result(answer.json(), "ko")
        repeats.append(asyncio.create_task(keyed_picture(client, "k", "?realtime=false")))
        assert all([same(await each, answer) for each in repeats])
        assert len(await scans(eco)) == 1


async def test_a_repeat_of_one_that_waited_too_long_gets_the_result(
    impatient: Eco, running: Running, held: Held
) -> None:
    """202 as long as there is none."""
    async with running(impatient) as client:
        first = await keyed_picture(client, "k", "?realtime=false")
        assert same(await keyed_picture(client, "k", "?realtime=false"), first)
        task_id = check_accepted(first)
        held.gate.set()
        await client.events(task_id)
        result = await client.get(f"/scan/{task_id}/result")
        again = await keyed_picture(client, "k", "?realtime=false")
        assert (again.status, again.body) == (200, result.body)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_a_key_is_free_once_its_client_was_told_that_the_scan_came_to_nothing(
    eco: Eco, running: Running, held: Held, end: str
) -> None:
    """409 for all that wait; the next is another scan, which may even be of another picture."""
    async with running(eco) as client:
        ask = "?realtime=false"
        both = [asyncio.create_task(keyed_picture(client, "k", ask))]
        await waiting(eco, 1)
        (task_id,) = await scans(eco)
        both.append(asyncio.create_task(keyed_picture(client, "k", ask)))
        await waiting(eco, 2)
        if end == "failed":
            held.error = ValueError("the lens is dirty")
            held.gate.set()
        else:
            assert (await client.ask("DELETE", f"/scan/{task_id}")).status == 202
        for each in both:
            assert check_problem(await each, 409)["task_id"] == task_id
        held.error = None
        held.gate.set()
        answer = await keyed_picture(client, "k", ask, OTHER)
        assert answer.status == 200
        assert answer.json()["task_id"] != task_id
        assert same(await keyed_picture(client, "k", ask, OTHER), answer)
        assert len(await scans(eco)) == 2


async def test_a_failure_that_nobody_was_told_of_is_told_once(
    eco: Eco, running: Running, held: Held
) -> None:
    """Its client left before: the repeat is told, instead of trying again without a word."""
    held.error = ValueError("the lens is dirty")
    async with running(eco) as client:
        first = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
        await waiting(eco, 1)
        (task_id,) = await scans(eco)
        first.cancel()
        await waiting(eco, 0)
        held.gate.set()
        await client.events(task_id)
        problem = check_problem(await keyed_picture(client, "k", "?realtime=false"), 409)
        assert problem["task_id"] == task_id
        problem = check_problem(await keyed_picture(client, "k", "?realtime=false"), 409)
        assert problem["task_id"] != task_id


async def test_a_publish_and_a_scan_do_not_share_keys(
    make: Callable[..., Eco], running: Running
) -> None:
    """The same key means two things in two places."""
    eco = await asyncio.to_thread(make, operator_token=SECRET)
    async with running(eco) as client:
        first = await keyed(client, "k")
        headers = {**bearer(SECRET), "Idempotency-Key": "k"}
        answer = await client.post("/channels/app:a/events", json={}, headers=headers)
        assert answer.status == 202
        assert same(await keyed(client, "k"), first)


async def test_a_key_is_free_after_a_day(
    make: Callable[..., Eco], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the log; not before."""
    real, later = EventLog.now_ms, [0]
    monkeypatch.setattr(EventLog, "now_ms", lambda log: real(log) + later[0])
    eco = await asyncio.to_thread(make)
    async with running(eco) as client:
        answers: list[Answer] = []
        for later[0] in (0, KEPT_MS - 60_000, KEPT_MS + 60_000, KEPT_MS + 60_001):
            answers.append(await keyed(client, "k"))
        assert same(answers[0], answers[1])
        assert same(answers[2], answers[3])
        assert answers[0].body != answers[2].body
        assert (await keyed(client, "k", lang="en")).status == 422


async def waiting(eco: Eco, many: int) -> None:
    """Until so many requests wait for a result."""
    async with asyncio.timeout(20):
        while len(eco.views._waiters) != many:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0)
