"""How many scans one address may start."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.web.rate import RateLimit
from tests.web.client import Client
from tests.web.serving import Server

GLASS: Final = {"category": "glass"}


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 10), max_size=200),
)
def test_in_any_time_no_more_come_in_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """Whenever somebody comes: at most `burst` and what the rate gives in that time."""
    limit, now, came = RateLimit(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if limit.wait_s("a", now) == 0.0:
            came.append(now)
    for first, since in enumerate(came):
        for last in range(first, len(came)):
            assert last - first + 1 <= burst + (came[last] - since) * rate + 1e-6


@given(st.floats(0.01, 1000), st.integers(1, 50), st.integers(0, 100))
def test_who_waits_as_long_as_it_was_told_comes_in(rate: float, burst: int, tries: int) -> None:
    """The wait is as long as needed, and no refused try makes it longer."""
    limit, now = RateLimit(rate, burst), 0.0
    for _ in range(tries):
        wait = limit.wait_s("a", now)
        if wait:
            assert limit.wait_s("a", now) == wait
            now += wait
            assert limit.wait_s("a", now) == 0.0


def test_after_a_rest_the_whole_burst_comes_in_and_not_one_more() -> None:
    """A long absence is worth the burst."""
    limit = RateLimit(2.0, 3)
    for at in (0.0, 1000.0):
        waits = [limit.wait_s("a", at) for _ in range(4)]
        assert waits == [0.0, 0.0, 0.0, 0.5]


def test_each_client_has_a_limit_of_its_own_and_few_are_remembered() -> None:
    """One that is refused keeps nobody else out; the memory is bounded."""
    limit = RateLimit(1.0, 1, most_clients=2)
    assert limit.wait_s("a", 0.0) == 0.0
    assert limit.wait_s("a", 0.0) == 1.0
    assert [limit.wait_s(name, 0.0) for name in ("b", "c")] == [0.0, 0.0]
    assert len(limit) == 2
    assert limit.wait_s("a", 0.0) == 0.0  # forgotten


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (float("inf"), 1), (1.0, 0)])
def test_numbers_with_which_nobody_could_come_in_are_refused(rate: float, burst: int) -> None:
    """ValueError, at once."""
    with pytest.raises(ValueError, match="rate is above 0"):
        RateLimit(rate, burst)


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Client]:
    """A server where one address may start three scans, and another one each half hour."""
    env = {"ECO_SCAN_RATE": "0.0005", "ECO_SCAN_BURST": "3"}
    server = Server(tmp_path / "data", options=("--durability", "off"), env=env)
    await asyncio.to_thread(server.start)
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, server.url)
    finally:
        await asyncio.to_thread(server.stop)


async def test_over_the_limit_nothing_is_accepted_and_the_answer_says_when(limited: Client) -> None:
    """429 with Retry-After and a code; a repeat of what was accepted gets its old answer."""
    key = {"Idempotency-Key": "one"}
    first = await limited.post(json=GLASS, headers=key)
    assert first.status == 202
    for _ in range(2):
        assert (await limited.post(json=GLASS)).status == 202
    refused = await limited.post(json=GLASS)
    assert refused.status == 429
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    assert refused.json()["code"] == "too_many_scans"
    assert 1900 < int(refused.headers["Retry-After"]) <= 2000
    again = await limited.post(json=GLASS, headers=key)
    assert (again.status, again.json()) == (202, first.json())
    assert (await limited.post(json=GLASS, headers={"Idempotency-Key": "two"})).status == 429
    assert (await limited.get("/scan/categories")).status == 200
