"""The real store, without its thread: what it does takes virtual time, and is told later.

Queue, batches, commits, withdrawals, states of health are those of the program. In place of the
thread there is a task, which waits where the thread would wait for the disk; in place of the
readers' threads there are timers.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from bench.simulation_disk import Crashed, Disk
from eco_actor.eventlog import Durability, SqliteStore, SteadyClock, StoreError, Tables
from eco_actor.eventlog.committer import Append
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.health import Health
from eco_actor.eventlog.readers import Query
from eco_actor.eventlog.store import Offer
from eco_actor.eventlog.writer import CLOSED, PROBE_S, Read, Settle, Trim, Writer, _Pause

WRITE_S: Final = (0.0, 0.0, 0.001, 0.01, 0.2)
READ_S: Final = (0.0, 0.0, 0.001, 0.02)
TELL_S: Final = (0.0, 0.0, 0.0, 0.001, 0.02)
"""Seconds that these take, one picked at each."""


class Machine(Protocol):
    """What a process runs on."""

    disk: Disk
    clock: SteadyClock
    rng: Random
    severed: bool  # the process has ended: nothing that it still does has an effect
    hang: float  # seconds that the next write takes
    reads_fail: bool

    def own(self, task: "asyncio.Task[None]") -> None: ...
    def opened(self) -> None: ...


class VirtualStore(SqliteStore):
    """A store on the disk of a machine."""

    def __init__(
        self, machine: Machine, durability: Durability, tables: Sequence[Tables], capacity: int
    ) -> None:
        super().__init__(Path("eco.db"), durability, tables, capacity, machine.clock)
        self.machine = machine

    async def open(self, offer: Offer, recovered: Callable[[], None] = lambda: None, /) -> int:
        self._offer, self._recovered = offer, recovered
        self._health = Health()
        machine = self.machine
        await asyncio.sleep(machine.rng.choice(WRITE_S))
        if machine.severed:
            raise StoreError(CLOSED)
        try:
            self._database = Database(
                None, self._durability, self._tables, self._clock, connection=machine.disk
            )
        except Crashed:
            raise StoreError(CLOSED) from None
        machine.disk.synced()  # as the store does with a file
        machine.opened()
        self._writer = VirtualWriter(self._database, self._settle, machine)
        self._writer.start()
        return self._database.position

    async def close(self) -> None:
        if self.machine.severed:
            self._writer = None
        await super().close()

    def append(self, *what: Any, **more: Any) -> None:
        if self.machine.severed:
            raise StoreError(CLOSED)
        super().append(*what, **more)

    def _read(self, query: Query) -> Awaitable[Any]:
        if self._writer is None or self.machine.severed:
            raise StoreError(CLOSED)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        loop.call_later(self.machine.rng.choice(READ_S), self._look, query, answer)
        return answer

    def _look(self, query: Query, answer: "asyncio.Future[Any]") -> None:
        machine, then = self.machine, asyncio.get_running_loop().call_later
        if machine.severed:
            return
        later = machine.rng.choice(READ_S)
        try:
            if machine.reads_fail:
                raise StoreError("simulated: the disk cannot be read")
            then(later, self._tell_reader, answer, query(machine.disk), None)
        except Exception as error:
            then(later, self._tell_reader, answer, None, StoreError(str(error)))

    def _tell_reader(
        self, answer: "asyncio.Future[Any]", value: Any, error: StoreError | None
    ) -> None:
        if answer.done() or self.machine.severed:
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)


class VirtualWriter(Writer):
    """The writer, as a task."""

    def __init__(self, database: Database, settle: Settle, machine: Machine) -> None:
        super().__init__(database, settle)
        self._machine = machine
        self._more = asyncio.Event()
        self._told: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        queue_up = self._queue.put

        def put(work: Any) -> None:
            queue_up(work)
            self._more.set()

        self.put = put

    def start(self) -> None:
        self._machine.own(self._loop.create_task(self._main(), name="writer"))

    def close(self) -> None:
        super().close()
        self._more.set()

    def probe(self) -> None:
        super().probe()
        self._more.set()

    async def _main(self) -> None:
        with contextlib.suppress(Crashed):
            await self._work()

    async def _work(self) -> None:
        trims: deque[Trim] = deque()
        then: Read | Trim | _Pause = _Pause.EMPTY
        while then is not _Pause.CLOSE:
            while not trims and not self._queue.qsize():
                await self._wait()
            appends, then = self._gather(wait=False)
            await self._write(appends)
            if isinstance(then, Trim):
                trims.append(then)
            elif then is _Pause.PROBE:
                await self._probe_slowly()
            if trims:
                self._busy_since = self._loop.time()
                await self._disk_takes()
                if self._trim_step(trims[0]):
                    trims.popleft()
        for trim in trims:
            self._call_loop(trim.told, StoreError(CLOSED))
        try:
            self._database.close(in_order=not self._left)
        except Exception:  # the program says so in its log
            self._machine.disk.abandon()
        self._call_loop(self._end)

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def _wait(self) -> None:
        """Until something is there, or the disk is to be tried again."""
        self._more.clear()
        now, fault = self._loop.time(), self._committer.fault
        if fault is not None and self._probe_at is None:
            self._probe_at = now + PROBE_S
        left = self._probe_at - now if fault is not None and self._probe_at is not None else None
        if left is not None and left <= 0:
            await self._probe_slowly()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._more.wait()

    async def _probe_slowly(self) -> None:
        self._busy_since = self._loop.time()
        await self._disk_takes()
        self._probe()

    async def _write(self, appends: Sequence[Append]) -> None:
        if not appends:
            return
        self._in_hand, self._busy_since = appends, self._loop.time()
        await self._disk_takes()
        settled = self._committer.commit(appends)
        await self._disk_takes()
        self._in_hand, self._busy_since = (), None
        self._call_loop(self._committed, settled, self._committer.met, self._committer.fault)

    async def _disk_takes(self) -> None:
        seconds, self._machine.hang = self._machine.hang, 0.0
        await asyncio.sleep(seconds or self._machine.rng.choice(WRITE_S))

    def _call_loop(self, callback: Callable[..., None], *args: Any) -> None:
        self._told.append((callback, args))
        self._loop.call_later(self._machine.rng.choice(TELL_S), self._tell_next)

    def _tell_next(self) -> None:
        callback, args = self._told.popleft()  # in order, whichever timer it is
        if not self._machine.severed:
            callback(*args)
