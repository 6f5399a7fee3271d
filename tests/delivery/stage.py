"""A log, a supervisor of connections and clients to read from them, in virtual time."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from eco_actor.delivery import cohort
from eco_actor.delivery.admission import Gate
from eco_actor.delivery.cohort import Fanout
from eco_actor.delivery.connection import Connection, Delivery
from eco_actor.delivery.directory import Directory
from eco_actor.delivery.frames import SSE_CHANNEL, SSE_SCAN, WS_JSON, WS_MSGPACK
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.liveness import Liveness, Wheel
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.rule import rule_asked
from eco_actor.delivery.sse import SseConnection
from eco_actor.delivery.subscription import Subscription
from eco_actor.delivery.traffic import Traffic
from eco_actor.delivery.websocket import WebSocketConnection
from eco_actor.eventlog import Draft, Event, EventLog
from eco_actor.eventlog.history import Excess
from eco_actor.runtime import DynamicSupervisor, Restart, Supervisor, System, child
from eco_actor.runtime.cell import Cell
from tests.delivery.inline_store import InlineStore
from tests.delivery.paced import PacedTransport
from tests.delivery.wire import End, Hole, Opened, Reader, Said, SseReader, Told, WsReader
from tests.ws_bytes import BINARY, PONG, TEXT, masked

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
LIVE = "system:test"
SOON = 0.05
"""Longer than a flush waits, much less than a second."""


class Client:
    """One connection, and what its client makes of it."""

    def __init__(self, transport: PacedTransport, reader: Reader, cell: Cell) -> None:
        self.transport = transport
        self.reader = reader
        self.cell = cell
        self.answers_pings = True
        self._read = 0
        self._ponged = 0
        transport.arrived = self._arrived
        self._arrived()

    def _arrived(self) -> None:
        self.reader.feed(bytes(self.transport.received[self._read :]))
        self._read = len(self.transport.received)
        if isinstance(self.reader, WsReader) and self.answers_pings:
            for ping in self.reader.pings[self._ponged :]:
                self._ponged += 1
                loop = asyncio.get_running_loop()
                loop.call_soon(self.transport.bring, masked(PONG, ping))

    @property
    def actor(self) -> Connection:
        assert isinstance(self.cell.actor, Connection)
        return self.cell.actor

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        return self.actor.subscriptions

    @property
    def sse(self) -> SseReader:
        assert isinstance(self.reader, SseReader)
        return self.reader

    @property
    def ws(self) -> WsReader:
        assert isinstance(self.reader, WsReader)
        return self.reader

    def counters(self) -> list[dict[str, int | str]]:
        """The counters of each subscription, as `/actors` shows them."""
        shown: Any = self.actor.details()["client"]
        return [each["mailbox"] for each in shown["subscriptions"]]

    def _items(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.reader.items if isinstance(each, kind)]

    @property
    def events(self) -> list[Told]:
        return self._items(Told)

    @property
    def gaps(self) -> list[Hole]:
        return self._items(Hole)

    @property
    def opened(self) -> list[Opened]:
        return self._items(Opened)

    @property
    def said(self) -> list[dict[str, Any]]:
        return [each.told for each in self._items(Said)]

    @property
    def byes(self) -> list[End]:
        return self._items(End)

    @property
    def bye(self) -> End:
        (only,) = self.byes
        assert self.reader.items[-1] is only, "nothing comes behind a bye"
        return only

    def numbers(self, channel: str | None = None) -> list[int]:
        """The `n` of each event, of one channel or all."""
        return [e.data["n"] for e in self.events if channel in (None, e.channel)]

    def say(self, **told: Any) -> None:
        """Send a command."""
        if self.ws._packed:
            self.transport.bring(masked(BINARY, msgpack.packb(told)))
        else:
            self.transport.bring(masked(TEXT, json.dumps(told).encode()))


class Stage:
    """What connections need, and ways to make some."""

    def __init__(self) -> None:
        self.store = InlineStore()
        self.log = EventLog(self.store)
        self.traffic = Traffic()
        self.wheel = Wheel()
        self.live = LiveChannel(LIVE, self.log)
        self.fanout = Fanout(self.log, self.traffic)
        self.directory = Directory(self.log, {LIVE: self.live})
        self.gate = Gate(20.0, 10_000)
        shared = self.log, self.directory, self.fanout, self.wheel, self.traffic
        self.delivery = Delivery(*shared, self.gate)
        self.publisher = Publisher(self.log, self.directory, self.traffic)
        self.clients: list[Client] = []
        self._numbers = itertools.count()
        tree = [
            child("connections", DynamicSupervisor, 10_000),
            child("liveness", Liveness, self.wheel),
        ]
        self.system = System(child("eco", Supervisor, tree))

    @property
    def connections(self) -> DynamicSupervisor:
        cell = self.system.find("/eco/connections")
        assert cell is not None
        assert isinstance(cell.actor, DynamicSupervisor)
        return cell.actor

    async def connect(
        self,
        *channels: str,
        kind: str = "sse",
        after: str | None = None,
        overflow: str | None = None,
        capacity: int | None = None,
        interval_ms: int | None = None,
        room: int | None = None,
        publishes: bool = False,
    ) -> Client:
        """A client over *kind*: sse, scan (bare events), json or msgpack."""
        rule = rule_asked(overflow, capacity, interval_ms)
        wanted = [(await self.directory.place(each, after), rule) for each in channels]
        transport = PacedTransport(room)
        made: tuple[Any, ...]
        reader: Reader
        if kind in ("sse", "scan"):
            format = SSE_CHANNEL if kind == "sse" else SSE_SCAN
            made = (SseConnection, transport, False, self.delivery, format, wanted, HEAD)
            reader = SseReader(enveloped=kind == "sse")
        else:
            packing = WS_JSON if kind == "json" else WS_MSGPACK
            publisher = self.publisher if publishes else None
            made = (WebSocketConnection, transport, False, self.delivery, packing, wanted, HEAD)
            made = (*made, publisher)
            reader = WsReader(packed=kind == "msgpack")
        spec = child(str(next(self._numbers)), *made, restart=Restart.TEMPORARY)
        cell = self.connections.start_child_nowait(spec)
        assert isinstance(cell, Cell)
        client = Client(transport, reader, cell)
        self.clients.append(client)
        return client

    async def publish(self, channel: str, *numbers: int, **how: Any) -> list[Event]:
        """Append events with these numbers in one transaction, each as large as `pad` says."""
        return await self.log.commit([draft(channel, n, **how) for n in numbers])

    def show(self, channel: str, *numbers: int, **how: Any) -> None:
        """Show transient events with these numbers."""
        for n in numbers:
            self.log.show(draft(channel, n, transient=True, **how))

    async def trim(self, channel: str, events: int) -> None:
        """Let go of the first *events* of a channel."""
        await self.log.trim(Excess(channel, events))


def draft(channel: str, n: int, pad: int = 0, **how: Any) -> Draft:
    data: dict[str, Any] = {"n": n}
    if pad:
        data["pad"] = "x" * pad
    if how.get("final"):
        how["terminal"] = True
    return Draft(channel, data, 1, **how)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A stage that runs; cohorts go by the loop's clock."""
    stage = Stage()
    await stage.log.open()
    with pytest.MonkeyPatch.context() as patch:
        clock = SimpleNamespace(monotonic=asyncio.get_running_loop().time)
        patch.setattr(cohort, "time", clock)
        async with stage.system:
            yield stage
    await stage.log.close()


async def soon() -> None:
    """Let happen what happens by itself."""
    await asyncio.sleep(SOON)


async def said(client: Client, **told: Any) -> Any:
    """The one answer to a command."""
    before = len(client.reader.items)
    client.say(**told)
    await soon()
    (answer,) = client.reader.items[before:]
    return answer.told if isinstance(answer, (Said, Opened)) else answer
