"""Writers of the event log for `bench.log`: tasks that commit one event after another, and a loop
that is kept busy meanwhile.
"""

import asyncio
import gc
import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgpack
import uvloop

from bench.contenders import Figures
from bench.server import cores
from eco_actor.cli import SWITCH_INTERVAL_S
from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, writer
from eco_actor.runtime import settle_memory

CHANNEL: Final = "app:bench"
WARM_UP: Final = 0.15
"""Of the time that is measured, the share that runs before it."""

TURNS_S: Final = (0.001, 0.004, 0.002, 0.005, 0.003)
"""How long the turns of a busy loop take, in this order, again and again."""

SPINS: Final = 50  # between two looks at the clock

DEFAULT_INTERVAL_S: Final = 0.005  # of sys.setswitchinterval


@contextmanager
def as_the_server(switch_interval_s: float = SWITCH_INTERVAL_S) -> Iterator[None]:
    """Two cores, the interpreter's switch interval and its collector as the server sets them."""
    affinity, interval = os.sched_getaffinity(0), sys.getswitchinterval()
    thresholds = gc.get_threshold()
    os.sched_setaffinity(0, set(cores()))
    sys.setswitchinterval(switch_interval_s)
    settle_memory()
    try:
        yield
    finally:
        os.sched_setaffinity(0, affinity)
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Load:
    """So many *writers*, each with an event of *size* bytes in the log, for *seconds*.

    `alone`: one transaction an event, where else those that wait share one; nothing else differs.
    `busy`: the loop has work for all of its time.
    """

    durability: Durability
    writers: int
    seconds: float
    size: int
    alone: bool = False
    busy: bool = False

    def put_on(self, directory: Path) -> Figures:
        """Write to a new log in *directory*: rows a second, how long each waited, and how much of
        its time the loop had for itself."""
        most = 1 if self.alone else writer.BATCH
        with patch.object(writer, "BATCH", most):
            return uvloop.run(self._measure(directory))

    async def _measure(self, directory: Path) -> Figures:
        off = self.durability is Durability.OFF
        log = EventLog(SqliteStore(None if off else directory / "bench.db", self.durability))
        await log.open()
        busy = Busy()
        meter = Meter(self.seconds)
        try:
            if self.busy:
                busy.turn()
            async with asyncio.TaskGroup() as group:
                for _ in range(self.writers):
                    group.create_task(meter.write(log, padded(self.size)))
                group.create_task(meter.end(busy))
        finally:
            busy.stop()
            await log.close()
        return meter.figures()


@dataclass(slots=True)
class Meter:
    """Counts the rows that become durable between its beginning, after a warm-up, and its end."""

    seconds: float
    rows: int = 0
    spins: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    begins_ns: int = 0
    ends_ns: int = 0

    def __post_init__(self) -> None:
        self.begins_ns = time.perf_counter_ns() + int(self.seconds * WARM_UP * 1e9)
        self.ends_ns = self.begins_ns + int(self.seconds * 1e9)

    async def write(self, log: EventLog, data: dict[str, Any]) -> None:
        """Commit one event after another. The last may come back after the end."""
        at_ms = int(time.time() * 1000)
        while (begun := time.perf_counter_ns()) < self.ends_ns:
            await log.commit((Draft(CHANNEL, data, at_ms),))
            durable = time.perf_counter_ns()
            if self.begins_ns <= durable < self.ends_ns:
                self.rows += 1
            if durable >= self.begins_ns:
                self.latencies_ns.append(durable - begun)

    async def end(self, busy: "Busy") -> None:
        """Let the loop rest at the end, or those that wait would not come back."""
        await asyncio.sleep(max(0, self.begins_ns - time.perf_counter_ns()) / 1e9)
        before = busy.spins
        await asyncio.sleep(max(0, self.ends_ns - time.perf_counter_ns()) / 1e9)
        self.spins = busy.spins - before
        busy.stop()

    def figures(self) -> Figures:
        """Percentiles are of all that came back behind the warm-up."""
        self.latencies_ns.sort()
        return {
            "rows_s": self.rows / self.seconds,
            "p50_ms": quantile_ms(self.latencies_ns, 0.5),
            "p99_ms": quantile_ms(self.latencies_ns, 0.99),
            "spins_s": self.spins / self.seconds,
        }


class Busy:
    """Turns of the loop, one right behind the other, that hold the interpreter as writing to many
    clients does. `spins` counts what they got done."""

    def __init__(self) -> None:
        self.spins = 0
        self._lengths = itertools.cycle(TURNS_S)
        self._next: asyncio.Handle | None = None

    def turn(self) -> None:
        over = time.perf_counter() + next(self._lengths)
        self._next = asyncio.get_running_loop().call_soon(self.turn)
        spins = 0
        while time.perf_counter() < over:
            for _ in range(SPINS):
                pass
            spins += 1
        self.spins += spins

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()


def spins_alone(seconds: float) -> float:
    """What a busy loop gets done in a second when nobody writes."""

    async def measure() -> float:
        busy = Busy()
        busy.turn()
        meter = Meter(seconds)
        await meter.end(busy)
        return meter.spins / seconds

    return uvloop.run(measure())


def padded(size: int) -> dict[str, Any]:
    """Data that takes *size* bytes in the log."""
    pad = 0
    for _ in range(3):  # how long the length is depends on the length
        pad += size - len(msgpack.packb({"pad": "x" * pad}))
    return {"pad": "x" * pad}


def quantile_ms(ordered: list[int], share: float) -> float:
    return ordered[int((len(ordered) - 1) * share)] / 1e6 if ordered else 0.0
