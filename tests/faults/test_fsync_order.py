"""The system calls of the real server show that what it promises is what it does."""

import asyncio
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.faults.log_order import Order, event_fact, order_of, position_fact, too_early
from tests.faults.syscalls import (
    CHANGES,
    OPENS,
    OPTIONS,
    SYNCS,
    WRITES,
    Call,
    calls,
    touched,
    unsynced,
)
from tests.web.client import Client
from tests.web.contract_clients import Follower
from tests.web.contract_sockets import CHANNELS, SCANS, WsJson, WsMsgpack
from tests.web.contract_world import World, channel
from tests.web.credentials import SECRET
from tests.web.serving import Server

TRACED: Final = str(Path(__file__).with_name("traced.py"))
CATEGORIES: Final = ("glass", "paper", "metal", "textile")
POSTERS, SCANS_EACH = 6, 4
PUBLISHERS, EVENTS_EACH = 4, 8
EVENTS_OF_A_SCAN: Final = 5


@pytest.fixture(scope="module")
def strace() -> None:
    """Skips where nothing can be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        ["strace", *OPTIONS, "-etrace=write", "-o", "/dev/null", "true"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")


Traced = Callable[..., tuple[Server, Path]]


@pytest.fixture
def traced(strace: None, server: Callable[..., Server], tmp_path: Path) -> Traced:
    """Starts a server whose calls of these names are recorded in a file."""

    def start(durability: str, names: frozenset[str]) -> tuple[Server, Path]:
        record = tmp_path / "record"
        started = server(
            options=["--durability", durability],
            env={"ECO_OPERATOR_TOKEN": SECRET, "PYTHONDONTWRITEBYTECODE": "1"},
            program=(TRACED, str(record), ",".join(sorted(names))),
        )
        return started, record

    return start


@asynccontextmanager
async def talking_to(session: aiohttp.ClientSession, server: Server) -> AsyncIterator[World]:
    world = World(session, server.url, SECRET)
    try:
        yield world
    finally:
        world.close()


# ---- clients, and what each of them was told


async def scan_and_follow(world: World, kind: type[Follower], category: str) -> set[str]:
    """Post a scan and follow it to its end."""
    task_id = await world.client.accepted(category, lang="en")
    follower = await world.open(kind, f"scan:{task_id}", after="earliest")
    facts = {event_fact(task_id, 1)}
    for told in await follower.events(EVENTS_OF_A_SCAN):
        facts.add(event_fact(task_id, told.data["seq"]))
        if told.cursor is not None:
            facts.add(position_of(told.cursor))
    return facts


async def scan_and_wait(client: Client) -> set[str]:
    """Post a scan, be answered with its result."""
    answer = await client.post(json={"category": "glass", "realtime": False})
    assert answer.status == 200, answer.body
    return {event_fact(answer.json()["task_id"], 1)}


async def post_scans(world: World, kinds: "itertools.cycle[type[Follower]]") -> set[str]:
    facts = await scan_and_wait(world.client)
    for category in CATEGORIES[:SCANS_EACH]:
        facts |= await scan_and_follow(world, next(kinds), category)
    return facts


async def publish(world: World, room: str, begin: int) -> set[str]:
    """By POST, one event in two with a key."""
    facts = set()
    for number in range(begin, begin + EVENTS_EACH):
        key = {"Idempotency-Key": f"{room}-{number}"} if number % 2 else {}
        answer = await world.client.post(
            f"/channels/{room}/events", json={"n": number}, headers=world.operator | key
        )
        assert answer.status == 202, answer.body
        facts.add(position_of(answer.json()["cursor"]))
    return facts


async def publish_on_socket(world: World, kind: type[WsJson | WsMsgpack], room: str) -> set[str]:
    socket = await world.open(kind, headers=world.operator)
    facts = set()
    for number in range(EVENTS_EACH):
        reply = await socket.ask("publish", channel=room, data={"n": 1000 + number})
        facts.add(position_of(reply["cursor"]))
    return facts


async def follow(follower: Follower, number: int) -> set[str]:
    told = await follower.events(number)
    return {position_of(each.cursor) for each in told if each.cursor is not None}


def position_of(cursor: str) -> str:
    return position_fact(int(cursor.rpartition("-")[2], 16))


async def use(world: World) -> set[str]:
    """Scans, publishers and followers, all at once; every fact that any of them was told."""
    room = channel()
    followers = [await world.open(kind, room) for kind in CHANNELS]
    published = PUBLISHERS * EVENTS_EACH + 2 * EVENTS_EACH
    kinds = itertools.cycle(SCANS)
    async with asyncio.timeout(40):
        told = await asyncio.gather(
            *(post_scans(world, kinds) for _ in range(POSTERS)),
            *(publish(world, room, each * EVENTS_EACH) for each in range(PUBLISHERS)),
            *(publish_on_socket(world, kind, room) for kind in (WsJson, WsMsgpack)),
            *(follow(each, published) for each in followers),
        )
    return set().union(*told)


async def recorded(
    session: aiohttp.ClientSession, traced: Traced, durability: str
) -> tuple[list[Call], Order]:
    """What a server did when it was used, up to its end; all that clients were told is in it."""
    server, record = traced(durability, WRITES | SYNCS)
    async with talking_to(session, server) as world:
        told = await use(world)
    server.stop()
    with record.open() as lines:
        made = calls(lines)
    order = order_of(made, str(server.data_dir / "eco.db-wal"))
    assert told <= {fact for fact, _ in order.sent}
    assert told <= order.written.keys()
    return made, order


# ---- the three promises


async def test_full_tells_of_nothing_before_its_fsync(
    session: aiohttp.ClientSession, traced: Traced
) -> None:
    """No answer and no event leaves before a sync that began after its commit has returned."""
    _, order = await recorded(session, traced, "full")
    assert too_early(order, order.synced) == []


async def test_full_tells_of_nothing_before_the_way_to_its_log_is_synced(
    session: aiohttp.ClientSession, traced: Traced
) -> None:
    """The entries of the database, its log and of each new directory on the way last as well."""
    server, record = traced("full", WRITES | SYNCS | OPENS | {"mkdir"})
    await Client(session, server.url).accepted()
    server.stop()
    with record.open() as lines:
        made = calls(lines)
    path = server.data_dir / "eco.db"
    first = min(moment for _, moment in order_of(made, f"{path}-wal").sent)
    assert unsynced(made, [f"{path}-wal", str(path), str(path.parent)], first) == []


async def test_one_thread_at_a_time_writes_to_the_database(
    session: aiohttp.ClientSession, traced: Traced
) -> None:
    """The one that opens it, then the writer for good: SQLite before 3.51.3 can damage a database
    that two connections write to, be it only a checkpoint."""
    made, _ = await recorded(session, traced, "full")
    names = ("eco.db", "eco.db-wal")
    writers = [call.thread for call in made if call.name in WRITES and call.target.endswith(names)]
    turns = [thread for thread, _ in itertools.groupby(writers)]
    assert len(turns) == len(set(turns)) == 2


async def test_normal_tells_of_nothing_before_it_is_written(
    session: aiohttp.ClientSession, traced: Traced
) -> None:
    """The system has it, so that it survives the process; the disk has not, which is found.

    All of it: so few pages are written that no checkpoint comes in between, which would sync them.
    """
    _, order = await recorded(session, traced, "normal")
    assert too_early(order, order.written) == []
    early = too_early(order, order.synced)
    assert {each.partition(": ")[0] for each in early} == {fact for fact, _ in order.sent}


async def test_off_touches_no_disk(session: aiohttp.ClientSession, traced: Traced) -> None:
    """No file is opened to be written, made or changed; there is not even a data directory."""
    server, record = traced("off", WRITES | SYNCS | OPENS | CHANGES)
    async with talking_to(session, server) as world:
        assert await use(world)
    server.stop()
    with record.open() as lines:
        made = calls(lines)
    assert {"openat", "write"} <= {call.name for call in made}
    assert list(touched(made)) == []
    assert not server.data_dir.exists()
