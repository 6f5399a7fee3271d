"""Coming back to a stream: a cursor leads to exactly what lies behind it."""

import pytest

from tests.web.checks import check_events, check_problem
from tests.web.client import Client, Message, control, is_data

PLACES = range(5)  # behind eco.open, then behind each of the first four events

UNKNOWN = (
    "garbage", "-", "0", "abcdef-1", "zzzzzz-1", "ffffff-", "abcdef-ffffffffffffffff", "A" * 5000,
    "latest",
)  # fmt: skip


def ids_of(messages: list[Message]) -> list[str]:
    """The cursors a client can have at hand: that of eco.open, then one an event."""
    kept = [message.id for message in messages if message.id is not None]
    assert len(kept) == 6
    return kept


@pytest.mark.parametrize("way", ["header", "query", "both"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_cursor_leads_to_the_rest_and_nothing_else(
    plain: Client, place: int, way: str
) -> None:
    """Last-Event-ID or after=, and the header wins over the query; recovered, no gap."""
    task_id, messages = await plain.scanned()
    ids = ids_of(messages)
    query = {"header": "", "query": f"?after={ids[place]}", "both": f"?after={ids[4]}"}[way]
    headers = None if way == "query" else {"Last-Event-ID": ids[place]}
    again = await plain.events(task_id, query, headers)
    opening = control(again, "open")[0]
    assert opening.json()["resume"] == "recovered"
    assert opening.id == opening.json()["cursor"] == ids[place]
    assert control(again, "gap") == []
    check_events(again, task_id, first=place + 1)
    assert control(again, "bye")[0].json()["code"] == "complete"


@pytest.mark.parametrize("way", ["header", "query"])
async def test_behind_the_last_event_there_is_nothing_more(plain: Client, way: str) -> None:
    """204, which stops an EventSource for good."""
    task_id, messages = await plain.scanned()
    last = ids_of(messages)[-1]
    query = f"?after={last}" if way == "query" else ""
    headers = {"Last-Event-ID": last} if way == "header" else {}
    answer = await plain.get(f"/scan/{task_id}/stream{query}", headers=headers)
    assert (answer.status, answer.body) == (204, b"")


async def test_the_cursor_of_the_snapshot_is_one_of_the_streams(plain: Client) -> None:
    """A page that took the snapshot first goes on from there, here to nothing more."""
    task_id, messages = await plain.scanned()
    cursor = (await plain.get(f"/scan/{task_id}")).json()["cursor"]
    assert cursor == ids_of(messages)[-1]
    assert (await plain.get(f"/scan/{task_id}/stream?after={cursor}")).status == 204


async def test_the_cursor_of_a_later_scan_is_past_the_end_of_an_earlier_one(
    plain: Client,
) -> None:
    """Cursors name a place in the one log: behind a later one nothing of this scan is left."""
    earlier, _ = await plain.scanned()
    _, messages = await plain.scanned()
    answer = await plain.get(f"/scan/{earlier}/stream?after={ids_of(messages)[1]}")
    assert answer.status == 204


async def test_earliest_asks_for_all_of_it(plain: Client) -> None:
    """after=earliest tells all events, as recovered, without a gap."""
    task_id, _ = await plain.scanned()
    again = await plain.events(task_id, "?after=earliest")
    assert control(again, "open")[0].json()["resume"] == "recovered"
    assert control(again, "gap") == []
    check_events(again, task_id)


@pytest.mark.parametrize(("way", "cursor"), [
    *(("query", cursor) for cursor in (*UNKNOWN, "%00", "%ed%95%9c")),
    *(("header", cursor) for cursor in UNKNOWN),
])  # fmt: skip
async def test_an_unknown_cursor_starts_over_and_says_so(
    plain: Client, cursor: str, way: str
) -> None:
    """Garbage and cursors of another log: reset, a gap of that reason, then everything."""
    task_id, _ = await plain.scanned()
    query = f"?after={cursor}" if way == "query" else ""
    again = await plain.events(task_id, query, {"Last-Event-ID": cursor} if not query else None)
    assert control(again, "open")[0].json()["resume"] == "reset"
    (gap,) = control(again, "gap")
    assert gap.json().keys() == {"channel", "from", "to", "dropped", "reason"}
    assert (gap.json()["reason"], gap.json()["channel"]) == ("reset", f"scan:{task_id}")
    assert gap.id == gap.json()["to"]
    check_events(again, task_id)


async def test_a_cursor_ahead_of_the_log_is_unknown(plain: Client) -> None:
    """A place that this log never reached, in its own epoch: reset."""
    task_id, messages = await plain.scanned()
    epoch = ids_of(messages)[0].rpartition("-")[0]
    again = await plain.events(task_id, f"?after={epoch}-fffffffffffffff")
    assert control(again, "open")[0].json()["resume"] == "reset"
    check_events(again, task_id)


async def test_an_empty_cursor_is_none(plain: Client) -> None:
    """What an EventSource sends before it has an id: from the beginning, fresh."""
    task_id, _ = await plain.scanned()
    again = await plain.events(task_id, "?after=")
    assert control(again, "open")[0].json()["resume"] == "fresh"
    check_events(again, task_id)


async def test_a_client_that_leaves_after_each_event_sees_each_once(plain: Client) -> None:
    """Five connections, each left after one event and resumed by its id, make one whole stream."""
    task_id = await plain.accepted()
    seen: list[Message] = []
    for seq in range(1, 6):
        headers = {"Last-Event-ID": seen[-1].id or ""} if seen else None
        async with plain.stream(task_id, headers=headers) as stream:
            seen += [message for message in await stream.until(seq) if is_data(message)]
            stream.response.close()
    check_events(seen, task_id)


@pytest.mark.parametrize("query", ["", "?after=earliest", "?after=garbage"])
async def test_an_unknown_task_has_no_stream(plain: Client, query: str) -> None:
    """404 for the request, whatever the cursor."""
    check_problem(await plain.get(f"/scan/{'A' * 22}/stream{query}"), 404, "unknown_task")
