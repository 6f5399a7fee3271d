"""What polls may ask for, and what each rule leaves out of an answer."""

import pytest

from eco_actor.delivery.traffic import SLOW_CONSUMER
from eco_actor.eventlog import Excess
from tests.web.checks import check_problem
from tests.web.edge import EVENTS, Edge, numbers, poll, publish


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/scan/nobody/events", 404, "unknown_task"), ("/scan/a%20b/events", 404, "unknown_task"),
        ("/channels/scan:nobody/events", 404, "unknown_task"),
        ("/channels/system:nothing/events", 404, "unknown_channel"),
        ("/channels/news:a/events", 404, "unknown_channel"),
        ("/channels/app/events", 422, "bad_channel"),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_told(
    plain_edge: Edge, path: str, status: int, code: str
) -> None:
    """Unknown scans and channels, and what is no name."""
    check_problem(await plain_edge.client.get(path), status, code)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("wait=61", "wait"), ("wait=-1", "wait"), ("wait=x", "wait"), ("wait=1e1", "wait"),
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=%D9%A1", "limit"),
        ("overflow=none", "overflow"), ("capacity=0", "capacity"), ("interval_ms=9", "interval_ms"),
        ("wait=1&wait=1", "wait"), ("zap=1&zip=1", "zap, zip"),
    ],
)  # fmt: skip
async def test_wrong_options_are_named(plain_edge: Edge, query: str, named: str) -> None:
    """Whatever is wrong with them."""
    for path in (EVENTS, "/scan/abc/events"):
        answer = await plain_edge.client.get(f"{path}?{query}")
        problem = check_problem(answer, 422, "bad_option")
        assert problem["detail"].startswith(f"{named}:")


async def test_empty_options_are_not_given(plain_edge: Edge) -> None:
    """As a client sends them that fills in a form."""
    query = "after=&limit=&overflow=&capacity=&interval_ms="
    assert (await poll(plain_edge, f"{query}&wait=0"))["resume"] == "fresh"


@pytest.mark.parametrize(
    ("rule", "there", "gap"),
    [
        ("overflow=buffer", [0, 1, 2, 3, 4, 5], None),
        ("overflow=latest", [5], (0, 4, 5, "overflow")),
        ("overflow=latest&capacity=2&interval_ms=500", [4, 5], (0, 3, 4, "overflow")),
        ("overflow=drop&capacity=2", [0, 1], (2, 5, 4, "overflow")),
        ("overflow=coalesce&capacity=2", [4, 5], (0, 3, 4, "coalesced")),
        ("overflow=close&capacity=6", [0, 1, 2, 3, 4, 5], None),
    ],
)
async def test_the_rule_applies_to_what_lies_behind_the_cursor(
    here: Edge, rule: str, there: list[int], gap: tuple[int, int, int, str] | None
) -> None:
    """What it leaves out is a gap, which can be read again."""
    events = await publish(here, 6)
    told = await poll(here, f"after=earliest&{rule}")
    assert numbers(told) == there
    assert told["cursor"] == str(here.log.cursor(here.log.head))
    if gap is None:
        assert told["gap"] is None
        return
    first, last, dropped, reason = gap
    begin = str(here.log.cursor(events[first].position - 1))
    end = str(events[last].cursor)
    assert told["gap"] == {
        "channel": "app:a", "from": begin, "to": end, "dropped": dropped, "reason": reason,
    }  # fmt: skip
    again = await poll(here, f"after={begin}&limit={dropped}")
    assert numbers(again) == list(range(first, last + 1))
    assert here.traffic.lost[rule_of(rule), reason] == dropped


def rule_of(query: str) -> str:
    return query.split("&")[0].removeprefix("overflow=")


async def test_close_refuses_who_is_too_far_behind(here: Edge) -> None:
    """More than its capacity."""
    await publish(here, 300)
    answer = await here.client.get(f"{EVENTS}?after=earliest&overflow=close")
    check_problem(answer, 409, "slow_consumer")
    assert here.traffic.poll.ended[SLOW_CONSUMER] == 1


async def test_an_unknown_cursor_is_told(here: Edge) -> None:
    """At once, with a gap, and everything that there is."""
    await publish(here, 2)
    told = await poll(here, "after=nonsense")
    assert (numbers(told), told["resume"]) == ([0, 1], "reset")
    assert (told["gap"]["reason"], told["gap"]["dropped"]) == ("reset", 0)
    told = await poll(here, "after=nonsense", "/channels/app:b/events")
    assert (told["events"], told["gap"]["reason"]) == ([], "reset")
    assert (await poll(here, f"after={told['cursor']}&wait=0"))["gap"] is None


async def test_what_was_trimmed_is_told(here: Edge) -> None:
    """The poll with the old cursor hears of the gap, those after it do not."""
    events = await publish(here, 6)
    old = str(events[0].cursor)
    await here.log.trim(Excess("app:a", events=3))
    told = await poll(here, f"after={old}")
    assert (numbers(told), told["resume"]) == ([3, 4, 5], "partial")
    assert (told["gap"]["from"], told["gap"]["reason"]) == (old, "trimmed")
    assert told["gap"]["to"] == str(events[2].cursor)
    told = await poll(here, f"after={events[3].cursor}")
    assert (numbers(told), told["resume"], told["gap"]) == ([4, 5], "recovered", None)


async def test_a_trim_between_the_pages_of_one_poll_is_told(
    here: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also then no loss is silent."""
    events = await publish(here, 600)
    page, turns = here.log.page, 0

    async def trimming(channels: list[str], after: int, limit: int = 256) -> object:
        nonlocal turns
        turns += 1
        if turns == 2:
            await here.log.trim(Excess("app:a", events=400))
        return await page(channels, after, limit)

    monkeypatch.setattr(here.log, "page", trimming)
    told = await poll(here, "after=earliest&limit=1000")
    assert numbers(told) == [*range(256), *range(400, 600)]
    begin, end = str(events[255].cursor), str(events[399].cursor)
    assert (told["gap"]["from"], told["gap"]["to"]) == (begin, end)
    assert told["gap"]["reason"] == "trimmed"
