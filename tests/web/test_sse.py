"""`/scan/{task_id}/stream`, from its headers to its last word."""

import asyncio
import re
from datetime import datetime

import pytest

from tests.web.checks import check_events, check_problem
from tests.web.client import Client, control, data_of, is_data

CONNECTIONS = "/eco/work/connections/"
AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_the_headers_keep_proxies_from_holding_anything_back(plain: Client) -> None:
    """The content type, and what tells caches, nginx and others to pass events on at once."""
    task_id = await plain.accepted()
    async with plain.stream(task_id) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-cache, no-transform"
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert stream.headers["Incremental"] == "?1"
        assert "Content-Encoding" not in stream.headers
        assert "Content-Length" not in stream.headers


async def test_a_stream_opens_tells_five_events_in_order_and_says_goodbye(plain: Client) -> None:
    """retry, eco.open, the events with their fields, eco.bye complete, the end."""
    task_id, messages = await plain.scanned("glass")
    first, opening, *rest = messages
    assert first.retry is not None
    assert (first.event, first.data, first.id) == (None, None, None)
    assert opening.event == "eco.open"
    told = opening.json()
    assert told["resume"] == "fresh"
    assert (told["overflow"], told["capacity"]) == ("buffer", 256)
    assert told.keys() == {"cursor", "resume", "overflow", "capacity"}
    assert opening.id == told["cursor"]
    events = check_events(rest, task_id)
    assert (events[1]["category"], events[1]["confidence"]) == ("glass", 1.0)
    assert events[3]["result"]["task_id"] == task_id
    assert events[4]["reward"].keys() == {"points", "character"}
    bye = rest[-1]
    assert len(rest) == 6
    assert bye.event == "eco.bye"
    assert bye.json().keys() == {"code", "reason", "reconnect", "retry_ms"}
    assert (bye.json()["code"], bye.json()["reconnect"]) == ("complete", False)
    assert bye.retry == bye.json()["retry_ms"]
    assert bye.id is None


async def test_times_are_utc_with_milliseconds_and_do_not_run_backwards(plain: Client) -> None:
    """`at` is RFC 3339 in UTC."""
    _, messages = await plain.scanned()
    times = [event["at"] for event in data_of(messages)]
    assert all(AT.fullmatch(at) for at in times)
    assert sorted(times, key=datetime.fromisoformat) == times


async def test_events_come_as_utf8_without_escapes(plain: Client) -> None:
    """Korean text stands in the stream as itself."""
    _, messages = await plain.scanned("glass", lang="ko")
    answer = next(
        message for message in messages if is_data(message) and "result" in message.json()
    )
    assert answer.data is not None
    assert answer.json()["result"]["answer"]["text"] in answer.data


async def test_many_watchers_of_one_scan_all_see_all_of_it(plain: Client) -> None:
    """Twenty streams opened at once, whatever the scan's state, tell the same events and ids."""
    task_id = await plain.accepted()
    told = await asyncio.gather(*(plain.events(task_id) for _ in range(20)))
    seen = [[(m.id, m.data) for m in messages if is_data(m)] for messages in told]
    check_events(told[0], task_id)
    assert all(each == seen[0] for each in seen)


async def test_many_scans_at_once_do_not_mix(plain: Client) -> None:
    """Forty scans followed at the same time: each stream has its own five events."""

    async def one(category: str) -> None:
        task_id, messages = await plain.scanned(category)
        assert check_events(messages, task_id)[1]["category"] == category

    await asyncio.gather(*(one(category) for category in ("glass", "metal", "paper", "film") * 10))


async def test_nothing_is_left_of_streams_that_ended_or_were_left(plain: Client) -> None:
    """Neither a finished stream nor one that its client leaves keeps an actor."""
    task_id = await plain.accepted()
    for _ in range(5):
        async with plain.stream(task_id) as stream:
            await stream.next()
            stream.response.close()
    await plain.events(task_id)
    await no_connection(plain)


async def no_connection(client: Client) -> None:
    """Wait until no connection of a stream is left. TimeoutError when one stays."""
    async with asyncio.timeout(10):
        while any(each["path"].startswith(CONNECTIONS) for each in await client.actors()):
            pass


@pytest.mark.parametrize("capacity", [1, 2, 4096])
async def test_any_capacity_within_bounds_gets_everything(plain: Client, capacity: int) -> None:
    """Under buffer nothing is lost however small the mailbox; eco.open tells its size."""
    task_id = await plain.accepted()
    messages = await plain.events(task_id, f"?capacity={capacity}&overflow=buffer")
    assert control(messages, "open")[0].json()["capacity"] == capacity
    assert control(messages, "gap") == []
    check_events(messages, task_id)


@pytest.mark.parametrize(
    "query",
    ["overflow=", "overflow=nonsense", "overflow=latest&capacity=0",
     "overflow=latest&interval_ms=0", "overflow=drop&interval_ms=5", "capacity=0", "capacity=-1",
     "capacity=4097", "capacity=", "capacity=x", "capacity=1.5", "capacity=%d9%a3",
     "capacity=99999999999999999999", "capacity=" + "9" * 5000, "interval_ms=100"],
)  # fmt: skip
async def test_a_mailbox_that_cannot_be_had_is_a_problem(plain: Client, query: str) -> None:
    """422 for capacities and intervals out of bounds, and for rules that there are not."""
    task_id, _ = await plain.scanned()
    answer = await plain.get(f"/scan/{task_id}/stream?{query}")
    check_problem(answer, 422, "bad_option")


async def test_a_stream_of_a_running_scan_with_a_head_request_is_no_leak(plain: Client) -> None:
    """HEAD on a stream is answered without a body, and leaves no connection behind."""
    task_id = await plain.accepted()
    answer = await plain.ask("HEAD", f"/scan/{task_id}/stream")
    assert answer.status in (200, 204, 405)
    assert answer.body == b""
    await no_connection(plain)
