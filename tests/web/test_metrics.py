"""What `GET /metrics` tells, and what it looks at for that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from eco_actor.delivery.traffic import END_CODES, GAP_REASONS, RULES, TRANSPORTS
from eco_actor.eventlog import Draft
from eco_actor.runtime import Overflow
from tests.web.client import Client
from tests.web.measured import Crowd, World, measured, samples, scraped, serving


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with measured() as world:
        yield world


@pytest.fixture
async def client(session: aiohttp.ClientSession, world: World) -> AsyncIterator[Client]:
    async with serving(session, world) as client:
        yield client


async def test_each_count_of_the_traffic_is_told_by_transport(world: World) -> None:
    """What was counted, with the label of where, and nothing else moved."""
    before = world.told()
    traffic = world.sources.traffic
    traffic.sse.opened += 5
    traffic.sse.end("gone")
    traffic.sse.end("what is this")
    traffic.websocket.opened += 2
    traffic.websocket.deliveries += 7
    traffic.websocket.bytes += 70
    traffic.websocket.refuse(resuming=True)
    traffic.poll.resumes["partial"] += 1
    traffic.sse.subscribed, traffic.sse.behind, traffic.sse.paging = 9, 2, 3
    traffic.gap(Overflow.COALESCE, "coalesced", 11)
    traffic.published_transient += 4
    traffic.polls_waiting = 6
    after = world.told()
    changed = {key: after[key] for key in after if after[key] != before[key]}
    on_sse, on_websocket = ("transport", "sse"), ("transport", "websocket")
    gap = (("reason", "coalesced"), ("rule", "coalesce"))
    assert changed == {
        ("eco_streams_opened_total", (on_sse,)): 5,
        ("eco_streams", (on_sse,)): 3,
        ("eco_streams_ended_total", (("code", "gone"), on_sse)): 1,
        ("eco_streams_ended_total", (("code", "error"), on_sse)): 1,
        ("eco_streams_opened_total", (on_websocket,)): 2,
        ("eco_streams", (on_websocket,)): 2,
        ("eco_events_delivered_total", (on_websocket,)): 7,
        ("eco_written_bytes_total", (on_websocket,)): 70,
        ("eco_streams_refused_total", (("client", "resuming"), on_websocket)): 1,
        ("eco_resumes_total", (("transport", "poll"), ("verdict", "partial"))): 1,
        ("eco_subscriptions", (("state", "in_step"), on_sse)): 4,
        ("eco_subscriptions", (("state", "behind"), on_sse)): 2,
        ("eco_subscriptions", (("state", "paging"), on_sse)): 3,
        ("eco_gaps_total", gap): 1,
        ("eco_events_lost_total", gap): 11,
        ("eco_events_published_total", (("kind", "transient"),)): 4,
        ("eco_polls_waiting", ()): 6,
    }


async def test_all_that_can_be_counted_is_there_from_the_start(world: World) -> None:
    """At nought: a rate of something that has never happened is 0, not unknown."""
    told = world.told()
    assert {dict(labels)["code"] for name, labels in told if "ended" in name} == {*END_CODES}
    assert {dict(labels).get("transport") for _, labels in told} == {None, *TRANSPORTS}
    gaps = [dict(labels) for name, labels in told if name == "eco_gaps_total"]
    assert len(gaps) == len(RULES) * len(GAP_REASONS)


async def test_admission_log_and_drain_are_told(world: World) -> None:
    """Who was let in, how far the log is, what it promises, and whether it drains."""
    gate = world.sources.gate
    for _ in range(12):
        gate.admit(0.0, resuming=False)
    gate.admit(0.0, resuming=True)
    await world.log.commit([Draft("app:a", {}, 0), Draft("app:a", {}, 0)])
    world.sources.drained.begin(0.0, 1.0, 0)
    told = world.told()

    def admissions(client: str, outcome: str) -> float:
        return told["eco_admissions_total", (("client", client), ("outcome", outcome))]

    assert (admissions("fresh", "admitted"), admissions("fresh", "refused")) == (9, 3)
    assert (admissions("resuming", "admitted"), admissions("resuming", "refused")) == (1, 0)
    assert told["eco_log_head_position", ()] == 2
    assert told["eco_store_waiting_appends", ()] == 0
    assert told["eco_log_info", (("durability", "off"),)] == 1
    assert told["eco_draining", ()] == 1


async def test_restarts_and_queues_are_told_by_actor(world: World) -> None:
    """By its path in the tree: which one fails, and which one falls behind."""
    one = world.cell("/eco/work/one")
    one.kill()
    await until(lambda: one.incarnation == 2 and one.actor is not None)
    one.suspend()
    one.tell("a")
    one.tell("b")
    told = world.told()
    assert told["eco_actor_restarts_total", (("actor", "/eco/work/one"),)] == 1
    assert told["eco_actor_restarts_total", (("actor", "/eco/work"),)] == 0
    assert told["eco_mailbox_messages", (("actor", "/eco/work/one"),)] == 2
    assert told["eco_actors", (("supervisor", "/eco/work"),)] == 2
    assert told["eco_actors", (("supervisor", "/eco"),)] == 1
    assert ("eco_loop_stalls_total", ()) in told
    one.resume()


async def test_a_crowd_is_counted_and_not_looked_at(world: World) -> None:
    """Ten thousand connections add no line, and cost no look at any of them."""
    before = world.told()
    world.crowd(10_000)
    Crowd.looked = 0
    after = world.told()
    assert after["eco_actors", (("supervisor", "/eco/work/crowd"),)] == 10_000
    assert after["eco_actors_max", (("supervisor", "/eco/work/crowd"),)] == 20_000
    assert after.keys() == before.keys()
    assert Crowd.looked == 0


async def test_without_a_running_system_the_rest_is_told(client: Client, world: World) -> None:
    """As in the moment of a start or a stop."""
    system, world.system = world.system, None
    try:
        text = (await scraped(client)).body
    finally:
        world.system = system
    assert b"eco_streams{" in text
    assert b"eco_actors" not in text


async def test_the_process_is_told_of(client: Client) -> None:
    """Memory, descriptors and processor time, under the names that all dashboards know."""
    told = samples(parse_text((await scraped(client)).body.decode()))
    for name in (
        "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
        "process_cpu_seconds_total", "process_start_time_seconds",
    ):  # fmt: skip
        assert told[name, ()] > 0
    assert told["eco_loop_lag_seconds", ()] >= 0


async def test_scrapes_do_not_disturb_each_other(client: Client, world: World) -> None:
    """Many at a time get the same figures, and leave nothing registered anywhere."""
    world.sources.traffic.sse.opened = 7
    answers = await asyncio.gather(*(scraped(client) for _ in range(10)))
    for answer in answers:
        assert b'eco_streams_opened_total{transport="sse"} 7.0\n' in answer.body
    everybody = await asyncio.to_thread(generate_latest, REGISTRY)
    assert b"eco_" not in everybody


async def until(is_so: Callable[[], Any]) -> None:
    """Until it is so."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never is")
