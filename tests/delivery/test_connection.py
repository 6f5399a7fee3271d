"""A client's connection, from the opening to the bye, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eco_actor.delivery.connection import HEARTBEAT, PATIENCE, RETRY_MS, SPREAD_MS, Connection
from eco_actor.delivery.connection import Signal as Told
from eco_actor.delivery.frames import COMMENT, sse_event
from eco_actor.delivery.subscription import Subscription
from eco_actor.eventlog import Draft, EventLog
from eco_actor.runtime import (
    DynamicSupervisor,
    MailboxSpec,
    Ref,
    Restart,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.testing import run_virtual
from tests.fakes import FakeStore, FakeTransport

OPENING = (
    f"retry: {RETRY_MS}\n\n"
    'event: eco.open\nid: e-0\ndata: {"cursor":"e-0","resume":"fresh",'
    '"overflow":"buffer","capacity":4}\n\n'
).encode()


def draft(n: int, *, final: bool = False) -> Draft:
    return Draft("scan:x", {"n": n}, at_ms=1, opens=n == 1, terminal=final, final=final)


class Server:
    """A log and a supervisor of connections."""

    def __init__(self, log: EventLog, system: System) -> None:
        self.log = log
        self.system = system

    @property
    def connections(self) -> DynamicSupervisor:
        cell = self.system.find("/eco/connections")
        assert cell is not None
        assert isinstance(cell.actor, DynamicSupervisor)
        return cell.actor

    def connect(self, transport: FakeTransport, after: str | None = None) -> Ref[Any]:
        subscription = Subscription(self.log, "scan:x", after, MailboxSpec(4))
        name = str(len(self.connections))
        return self.connections.start_child_nowait(
            child(name, Connection, transport, subscription, restart=Restart.TEMPORARY)
        )


@asynccontextmanager
async def serving(store: FakeStore | None = None) -> AsyncIterator[Server]:
    log = EventLog(store or FakeStore())
    await log.open()
    tree = [child("connections", DynamicSupervisor, 10)]
    async with System(child("eco", Supervisor, tree)) as system:
        yield Server(log, system)


def frames(log: EventLog) -> bytes:
    """All events of the log as a client is to see them."""
    assert isinstance(log.store, FakeStore)
    return b"".join(map(sse_event, log.store.events))


def last_bye(sent: bytes) -> dict[str, Any]:
    retry, name, data = sent.decode().removesuffix("\n\n").rsplit("\n\n", 1)[-1].split("\n")
    assert name == "event: eco.bye"
    told: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert retry == f"retry: {told['retry_ms']}"
    return told


def test_a_stream_is_the_opening_every_event_and_the_bye() -> None:
    """Events from before and after the connection, then complete, and nothing more."""

    async def main() -> None:
        async with serving() as server:
            await server.log.commit([draft(1), draft(2)])
            client = FakeTransport()
            ref = server.connect(client)
            await asyncio.sleep(1)
            assert client.sent == OPENING + frames(server.log)
            await server.log.commit([draft(3)])
            await server.log.commit([draft(4, final=True)])
            await asyncio.sleep(1)
            events = frames(server.log)
            assert client.sent.startswith(OPENING + events + b"retry: ")
            assert last_bye(client.sent) == {
                "code": "complete",
                "reason": "this was the last event",
                "reconnect": False,
                "retry_ms": RETRY_MS,
            }
            assert client.sent.count(b"eco.bye") == 1
            assert client.closed_at is not None
            assert not client.aborted
            assert not ref.alive
            assert len(server.log.hub) == 0

    run_virtual(main())


def test_a_stream_of_what_is_over_is_one_write() -> None:
    """Opening, history and bye go out together when all of it is there."""

    async def main() -> None:
        async with serving() as server:
            await server.log.commit([draft(1), draft(2, final=True)])
            client = FakeTransport()
            server.connect(client, "e-1")
            await asyncio.sleep(1)
            (sent,) = client.writes
            opening = OPENING.replace(b"e-0", b"e-1").replace(b"fresh", b"recovered")
            (_, second) = map(sse_event, server.log.store.events)  # type: ignore[attr-defined]
            assert sent.startswith(opening + second + b"retry: ")
            assert last_bye(sent)["code"] == "complete"

    run_virtual(main())


def test_a_client_with_an_unknown_cursor_is_told_of_a_gap() -> None:
    """The opening says reset, an `eco.gap` follows, then everything from the beginning."""

    async def main() -> None:
        async with serving() as server:
            await server.log.commit([draft(1)])
            client = FakeTransport()
            server.connect(client, "other-7")
            await asyncio.sleep(1)
            gap = (
                b'event: eco.gap\nid: e-0\ndata: {"channel":"scan:x","from":"e-0","to":"e-0",'
                b'"dropped":0,"reason":"reset"}\n\n'
            )
            opening = OPENING.replace(b"fresh", b"reset")
            assert client.sent == opening + gap + frames(server.log)

    run_virtual(main())


def test_more_events_than_its_mailbox_holds_reach_a_client_that_stalls_for_a_while() -> None:
    """The rule buffer: after the stall the rest is read from the log, in order."""

    async def main() -> None:
        async with serving() as server:
            client = FakeTransport(stalled=True)
            server.connect(client)
            for n in range(1, 301):
                await server.log.commit([draft(n, final=n == 300)])
            client.resumed.set()
            await asyncio.sleep(1)
            assert client.sent.startswith(OPENING + frames(server.log) + b"retry: ")
            assert last_bye(client.sent)["code"] == "complete"

    run_virtual(main())


def test_a_comment_breaks_every_silence_and_only_silence() -> None:
    """15 s after the last write, and again 15 s later; while data flows there is none."""

    async def main() -> None:
        async with serving() as server:
            client = FakeTransport()
            server.connect(client)
            for n in range(1, 11):
                await asyncio.sleep(HEARTBEAT - 1)
                await server.log.commit([draft(n)])
            await asyncio.sleep(1)
            assert COMMENT not in client.writes
            spoke = client.times[-1]
            assert spoke == 10 * (HEARTBEAT - 1)
            await asyncio.sleep(2 * HEARTBEAT)
            assert client.writes[-2:] == [COMMENT, COMMENT]
            assert client.times[-2:] == pytest.approx([spoke + HEARTBEAT, spoke + 2 * HEARTBEAT])

    run_virtual(main())


@pytest.mark.parametrize("when", ["at once", "later", "in a heartbeat"])
def test_a_client_that_reads_nothing_is_given_up_after_a_while(when: str) -> None:
    """20 s of a stalled write, whatever it was; the transport is closed and nothing is left."""

    async def main() -> None:
        async with serving() as server:
            loop = asyncio.get_running_loop()
            client = FakeTransport(stalled=when == "at once")
            ref = server.connect(client)
            await asyncio.sleep(1)
            client.stalled = True
            match when:
                case "at once":
                    began = 0.0
                case "later":
                    began = loop.time()
                    await server.log.commit([draft(1)])
                case _:
                    began = HEARTBEAT
            await asyncio.sleep(began + PATIENCE - loop.time() - 0.1)
            assert client.closed_at is None
            await asyncio.sleep(1)
            assert client.closed_at == pytest.approx(began + PATIENCE)
            assert client.aborted, "what it has not read is dropped, not waited for"
            assert not ref.alive
            assert len(server.log.hub) == len(server.system.jobs) == 0

    run_virtual(main())


@pytest.mark.parametrize("how", ["write fails", "gone"])
def test_a_client_that_is_gone_ends_its_connection(how: str) -> None:
    """By an error of its transport or by word of it; nobody is told goodbye."""

    async def main() -> None:
        async with serving() as server:
            client = FakeTransport()
            ref = server.connect(client)
            await asyncio.sleep(1)
            if how == "gone":
                ref.tell(Told.GONE)
            else:
                client.error = ConnectionResetError("gone")
                await server.log.commit([draft(1)])
            await asyncio.sleep(1)
            assert not ref.alive
            assert client.sent == OPENING
            assert client.closed_at is not None
            assert len(server.log.hub) == server.system.dead_letters == 0

    run_virtual(main())


def test_a_stop_says_goodbye_with_a_slot_of_its_own_to_each_client() -> None:
    """going_away, come back, at moments spread over five seconds; a stalled one is not awaited."""

    async def main() -> list[FakeTransport]:
        async with serving() as server:
            clients = [FakeTransport() for _ in range(10)]
            for client in clients:
                server.connect(client)
            await asyncio.sleep(1)
            clients[0].stalled = True
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 2
        return clients

    stalled, *clients = run_virtual(main())
    assert stalled.sent == OPENING
    assert stalled.closed_at is not None
    byes = [last_bye(client.sent) for client in clients]
    assert {(bye["code"], bye["reconnect"]) for bye in byes} == {("going_away", True)}
    slots = [bye["retry_ms"] for bye in byes]
    assert all(RETRY_MS <= slot < RETRY_MS + SPREAD_MS for slot in slots)
    assert len(set(slots)) > 1
    assert all(client.closed_at is not None for client in clients)


def test_an_idle_connection_has_no_task() -> None:
    """A hundred minutes of heartbeats later there is still none between them."""

    async def main() -> None:
        async with serving() as server:
            client = FakeTransport()
            server.connect(client)
            await asyncio.sleep(1)
            assert len(server.system.jobs) == 0
            await asyncio.sleep(6000)
            assert len(server.system.jobs) == 0
            assert len(client.writes) == 1 + 6001 // HEARTBEAT

    run_virtual(main())


def test_a_log_that_cannot_be_read_ends_the_connection_without_a_bye() -> None:
    """The client comes back with its cursor; it is told nothing that is not so."""

    async def main() -> None:
        store = FakeStore()
        async with serving(store) as server:
            store.reads_fail = True
            client = FakeTransport()
            ref = server.connect(client)
            await asyncio.sleep(1)
            assert not ref.alive
            assert b"eco.bye" not in client.sent
            assert client.closed_at is not None
            assert len(server.log.hub) == 0

    run_virtual(main())
