"""What the contract says of things that take long: history that goes, silence, scans that are gone.

The servers are in this process and on real sockets, and their clocks are hurried.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor import Stage, StageInput
from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.delivery import liveness
from eco_actor.eventlog import Draft
from eco_actor.eventlog.retention import Look
from eco_actor.scan import retention
from eco_actor.scan.stages import Fields
from tests.web.checks import check_problem
from tests.web.client import Client, data_of
from tests.web.contract_clients import Follower, Lost, Sse, Told
from tests.web.contract_inside import Inside, inside, until_so
from tests.web.contract_sockets import Poll, WebSocket, WsJson, WsMsgpack
from tests.web.contract_world import channel, numbers
from tests.web.keyed_scans import keyed

SOCKETS = pytest.mark.parametrize("kind", [WsJson, WsMsgpack])
HOUR = 3_600_000
PING_S, PONG_S, TICK = 25.0, 10.0, 1.0


@pytest.fixture
async def world(session: aiohttp.ClientSession, make: Callable[..., Eco]) -> AsyncIterator[Inside]:
    async with inside(session, make) as world:
        yield world


async def published(world: Inside, name: str, count: int, **how: Any) -> None:
    """So many events {"n": 0, 1, …} at once; `age_ms` old, with a text of `pad` bytes."""
    at_ms = world.eco.log.now_ms() - how.get("age_ms", 0)
    pad = {"pad": "x" * how["pad"]} if "pad" in how else {}
    for start in range(0, count, 1000):
        numbered = range(start, min(count, start + 1000))
        await world.eco.log.commit([Draft(name, {"n": n, **pad}, at_ms) for n in numbered])


async def left(world: Inside, name: str) -> list[int]:
    """What a client still finds, told whole by polls; the first begins with a gap."""
    poll = await world.open(Poll, name, after="earliest", limit=1000)
    assert poll.verdict == "partial"
    gap = await poll.next()
    assert isinstance(gap, Lost)
    assert gap.reason == "trimmed"
    cursor, seen = poll.cursor, numbers([each for each in poll.waiting if isinstance(each, Told)])
    while True:
        path = f"/channels/{name}/events?after={cursor}&limit=1000&wait=0"
        told = (await world.client.get(path)).json()
        if not told["events"]:
            return seen
        seen += [each["data"]["n"] for each in told["events"]]
        cursor = told["cursor"]


async def trimmed(world: Inside, name: str) -> None:
    """Until the server has looked after the channel, which it does every other second."""
    keeper = world.eco.find("/eco/work/retention")
    assert keeper is not None
    keeper.tell(Look.DUE)
    await until_so(lambda: world.eco.log.trimmed(name) > 0)
    await until_so(lambda: not world.eco.log._histories.excesses(world.eco.log.now_ms()))


@pytest.mark.parametrize(
    ("count", "how", "kept"),
    [
        (10_050, {}, range(50, 10_050)),
        (300, {"pad": 64_000}, None),
        (20, {"age_ms": 24 * HOUR + 60_000}, range(20, 21)),
    ],
    ids=["events", "bytes", "age"],
)
async def test_history_is_kept_within_its_bounds(
    world: Inside, count: int, how: dict[str, int], kept: range | None
) -> None:
    """10,000 events, 24 hours, 16 MiB a channel: what is beyond goes, oldest first, with a gap."""
    name = channel()
    await published(world, name, count, **how)
    if "age_ms" in how:
        await world.numbers(name, count)
    await trimmed(world, name)
    seen = await left(world, name)
    if kept is None:
        assert seen == list(range(count - len(seen), count))
        assert 16 * 2**20 - 2 * 64_100 < len(seen) * 64_000 < 16 * 2**20
    else:
        assert seen == list(kept)


@SOCKETS
async def test_who_does_not_answer_a_ping_is_left(world: Inside, kind: type[WebSocket]) -> None:
    """A ping after 25 s; who answers stays, who does not within 10 s is closed."""
    good, mute = await world.open(kind, channel()), await world.open(kind, channel())
    wheel = world.eco.delivery.wheel
    now = asyncio.get_running_loop().time()

    def passes(seconds: float) -> None:
        nonlocal now
        upto = now + seconds
        while now < upto:
            now += TICK
            wheel.turn(now)
            wheel.look(now)

    passes(PING_S - 2 * TICK)
    await good.ask("ping")
    assert good.pings == []
    passes(3 * TICK)
    while not good.pings:
        await good.more()
    await good.ask("ping")  # its pong has gone before
    passes(PONG_S - 2 * TICK)
    await good.ask("ping")
    assert len(world.connections()) == 2
    passes(3 * TICK)
    await until_so(lambda: len(world.connections()) == 1)
    assert world.ended("websocket") == {"pong": 1}
    assert (await good.ask("ping"))["op"] == "pong"
    while mute.connected.was_reset is False and await mute.connected.receive():
        pass


@pytest.fixture
def forgetful(make: Callable[..., Eco], monkeypatch: pytest.MonkeyPatch) -> Eco:
    """It keeps one scan that is over, and looks often."""
    for name in ("PAUSE_S", "INTERVAL_S", "REST_S"):
        monkeypatch.setattr(retention, name, 0.01)
    return make(vision=False, keep_scans=1)


async def test_a_scan_that_was_removed_is_gone(
    session: aiohttp.ClientSession, forgetful: Eco
) -> None:
    """410 on each of its routes and for each transport, and not 404; one with a key stays."""
    async with forgetful.running(http=True):
        client = Client(session, forgetful.address.url)
        kept = (await keyed(client, "k", realtime=False)).json()["task_id"]
        first, messages = await client.scanned()
        last = messages[-2].id
        for _ in range(2):
            await client.scanned()
        async with asyncio.timeout(20):
            while (await client.get(f"/scan/{first}")).status != 410:
                pass
        for tail in ("", "/result", "/stream", f"/stream?after={last}", "/events?wait=0"):
            check_problem(await client.get(f"/scan/{first}{tail}"), 410, "gone")
        check_problem(await client.ask("DELETE", f"/scan/{first}"), 410, "gone")
        for path in ("/stream?channel=", "/channels/"):
            tail = "/events" if "channels" in path else ""
            check_problem(await client.get(f"{path}scan:{first}{tail}"), 410, "gone")
        async with session.ws_connect(f"{client.base}/ws") as ws:
            await ws.send_json({"op": "subscribe", "id": 1, "channel": f"scan:{first}"})
            told = await ws.receive_json()
            assert (told["op"], told["id"], told["code"]) == ("error", 1, "gone")
        assert (await client.get(f"/scan/{kept}/result")).status == 200
        repeated = await keyed(client, "k", realtime=False)
        assert (repeated.status, repeated.json()["task_id"]) == (200, kept)


async def test_a_reward_that_fails_leaves_the_scan_completed(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Its event says null, the result is there, and the stream ends as any other."""

    def broken(given: StageInput) -> Fields:
        raise ValueError("the character has left")

    config = Config(port=0, data_dir=tmp_path, vision=False)
    stages = [Stage("reward", 100, broken)]
    eco = await asyncio.to_thread(lambda: Eco(config, stages=stages))
    async with eco.running(http=True):
        client = Client(session, eco.address.url)
        task_id, messages = await client.scanned()
        events = data_of(messages)
        assert [each["seq"] for each in events] == [1, 2, 3, 4, 5]
        assert (events[-1]["step"], events[-1]["reward"]) == ("reward", None)
        assert messages[-1].json()["code"] == "complete"
        snapshot = (await client.get(f"/scan/{task_id}")).json()
        assert (snapshot["status"], snapshot["reward"]) == ("completed", None)
        assert (await client.get(f"/scan/{task_id}/result")).json() == events[3]["result"]
        told = (await client.get(f"/scan/{task_id}/events?limit=5")).json()
        assert told["done"] is True


@pytest.mark.parametrize("kind", [Sse, WsJson])
async def test_who_does_not_read_is_ended_whatever_the_rule(
    session: aiohttp.ClientSession,
    make: Callable[..., Eco],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Follower],
) -> None:
    """20 s without a byte, here less: a rule that drops events keeps nobody's connection."""
    assert liveness.PATIENCE == 20.0
    monkeypatch.setattr(liveness, "TICK", 0.02)
    monkeypatch.setattr(liveness, "PATIENCE", 0.2)
    name, rules = channel(), ("buffer", "latest", "drop", "close", "coalesce")
    async with inside(session, make) as world:
        for rule in rules:
            await world.open(kind, name, overflow=rule, small=True)
        assert len(world.connections()) == len(rules)
        await world.flood(name, 60, key="k")
        await until_so(lambda: not world.connections())
        ended = world.ended("sse" if kind is Sse else "websocket")
        assert sum(ended.values()) == len(rules)
        assert ended["progress"] >= len(rules) - 1
        assert set(ended) <= {"progress", "slow_consumer"}
