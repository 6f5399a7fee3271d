"""What bench.actors measures, with what others offer: the BEAM, Pykka, asyncio.Queue and a task.

None of them is supervised, and what has no bound (the mailboxes of the BEAM and of Pykka) goes
without: that favours them. Where a peer is slow, it is given fewer messages; a rate is a rate.
Each function is called in a process of its own; what it returns is as bench.actors has it.
"""

import argparse
import asyncio
import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.server import cores

CAPACITY: Final = 1024
LOOPS: Final = ("uvloop", "asyncio")
PATIENCE_S: Final = 600.0
"""A measurement that takes longer has lost a message."""

Figures = dict[str, float]
Measure = Callable[[int], Figures | Coroutine[Any, Any, Figures]]
"""Measure with so many messages, round trips or actors; what needs a loop is a coroutine."""


@dataclass(frozen=True, slots=True)
class Contestant:
    measures: Mapping[str, Measure]
    fewer: Mapping[str, int] = field(default_factory=dict)
    """By what the count is divided for kinds that would take too long."""
    missing: str | None = None
    """Why it cannot be measured here."""


# ---- measuring


def rss_bytes() -> int:
    """Resident memory of this process, after everything that is garbage has gone."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split(maxsplit=1)[0]) * 1024


def finished(figures: Figures | Coroutine[Any, Any, Figures], loop: str) -> Figures:
    """What a measure measured, on the loop of that name if it needs one."""
    if isinstance(figures, dict):
        return figures
    factory = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(figures)


def apart(measure: Callable[..., Figures], *arguments: Any) -> Figures:
    """Measure in a process of its own, which has the last core to itself as far as we go."""
    core = {cores()[-1]}
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, os.sched_setaffinity, (0, core)) as pool:
        return pool.submit(measure, *arguments).result()


def one_round(
    contestants: Mapping[str, Contestant],
    counts: Mapping[str, int],
    measure: Callable[[str, str, int], Figures],
) -> dict[str, Figures]:
    """Everything once, kind by kind, so that what is compared is measured side by side."""
    found: dict[str, Figures] = {name: {} for name in contestants}
    for kind, count in counts.items():
        for name, contestant in contestants.items():
            for prefix in ("", "async_"):
                if prefix + kind in contestant.measures:
                    amount = max(1, count // contestant.fewer.get(prefix + kind, 1))
                    figures = measure(name, prefix + kind, amount)
                    found[name] |= {prefix + key: figure for key, figure in figures.items()}
    return found


def medians(rounds: Sequence[Figures]) -> Figures:
    return {key: round(statistics.median(each[key] for each in rounds)) for key in rounds[0]}


def ratios(ours: Sequence[Figures], theirs: Sequence[Figures]) -> dict[str, float | None]:
    """Ours by theirs, of figures of the same name; our async ones, too. None where theirs is 0."""
    found: dict[str, float | None] = {}
    for key in ours[0]:
        same = key.removeprefix("async_")
        pairs = [(our[key], their[same]) for our, their in zip(ours, theirs, strict=True)]
        found[key] = None
        if all(their for _, their in pairs):
            found[key] = round(statistics.median(our / their for our, their in pairs), 2)
    return found


def positive(text: str) -> int:
    """A number on the command line."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number, at least 1, not {text!r}")
    return int(text)


# ---- asyncio.Queue and a task


async def queue_fan_in(messages: int) -> Figures:
    """One task puts, another gets, with room for as many as our mailbox has."""
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)

    async def sink() -> None:
        for number in range(messages):
            assert await queue.get() == number

    begun = time.perf_counter()
    task = asyncio.create_task(sink())
    for number in range(messages):
        await queue.put(number)
    await task
    return {"fan_in_msg_s": messages / (time.perf_counter() - begun)}


async def queue_ping_pong(round_trips: int) -> Figures:
    """Two tasks, each with a queue, hand a number to and fro."""
    to_ping: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
    to_pong: asyncio.Queue[int] = asyncio.Queue(CAPACITY)

    async def pong() -> None:
        for _ in range(round_trips):
            await to_ping.put(await to_pong.get() + 1)

    ball, begun = 0, time.perf_counter()
    task = asyncio.create_task(pong())
    for _ in range(round_trips):
        await to_pong.put(ball + 1)
        ball = await to_ping.get()
    seconds = time.perf_counter() - begun
    await task
    assert ball == 2 * round_trips
    return {"ping_pong_rt_s": round_trips / seconds}


async def queue_spawn(actors: int) -> Figures:
    """Tasks that wait for the first message of a queue of their own."""
    before, begun = rss_bytes(), time.perf_counter()
    tasks = set()
    for number in range(actors):
        queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
        tasks.add(asyncio.create_task(queue.get(), name=f"idle-{number}"))
    await asyncio.sleep(0)  # each has its first step, and waits
    seconds = time.perf_counter() - begun
    grown = rss_bytes() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"spawn_s": actors / seconds, "idle_bytes": grown / actors}


# ---- Pykka: a thread an actor


def pykka_fan_in(messages: int) -> Figures:
    """This thread tells one actor."""
    pykka: Any = importlib.import_module("pykka")
    over = threading.Event()

    class Sink(pykka.ThreadingActor):  # type: ignore[misc]  # it need not be installed
        seen = 0

        def on_receive(self, number: int) -> None:
            assert number == self.seen
            self.seen = number + 1
            if self.seen == messages:
                over.set()

    sink = Sink.start()
    begun = time.perf_counter()
    for number in range(messages):
        sink.tell(number)
    assert over.wait(PATIENCE_S)
    seconds = time.perf_counter() - begun
    sink.stop()
    return {"fan_in_msg_s": messages / seconds}


def pykka_ping_pong(round_trips: int) -> Figures:
    """Two actors tell one another."""
    pykka: Any = importlib.import_module("pykka")
    over = threading.Event()

    class Player(pykka.ThreadingActor):  # type: ignore[misc]  # it need not be installed
        def on_receive(self, message: tuple[Any, int]) -> None:
            opponent, ball = message
            if ball < 2 * round_trips:
                opponent.tell((self.actor_ref, ball + 1))
            else:
                over.set()

    ping, pong = Player.start(), Player.start()
    begun = time.perf_counter()
    ping.tell((pong, 0))
    assert over.wait(PATIENCE_S)
    seconds = time.perf_counter() - begun
    pykka.ActorRegistry.stop_all()
    return {"ping_pong_rt_s": round_trips / seconds}


def pykka_spawn(actors: int) -> Figures:
    """Actors, each with its thread, that wait for a first message."""
    pykka: Any = importlib.import_module("pykka")
    before, begun = rss_bytes(), time.perf_counter()
    for _ in range(actors):
        pykka.ThreadingActor.start()
    seconds = time.perf_counter() - begun
    grown = rss_bytes() - before
    pykka.ActorRegistry.stop_all()
    return {"spawn_s": actors / seconds, "idle_bytes": grown / actors}


# ---- the BEAM, with one scheduler


def beam(kind: str, count: int) -> Figures:
    """One figure by bench/yardstick.erl, compiled before the clock runs."""
    source = Path(__file__).with_name("yardstick.erl")
    program = (
        f'{{ok, M, B}} = compile:file("{source}", [binary]),'
        f'{{module, M}} = code:load_binary(M, "yardstick", B), M:main({kind}, {count}), halt().'
    )
    processes = str(max(262_144, 2 * count if kind == "spawn" else 0))
    done = subprocess.run(
        ["erl", "+S", "1", "+P", processes, "-noshell", "-eval", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"erl ended with {done.returncode}: {done.stdout}{done.stderr}")
    figures: Figures = json.loads(done.stdout)
    return figures


# ---- all of them

BEAM: Final = Contestant(
    {kind: partial(beam, kind) for kind in ("fan_in", "ping_pong", "spawn")},
    missing=None if shutil.which("erl") else "erl is not on the path",
)
PYKKA: Final = Contestant(
    {"fan_in": pykka_fan_in, "ping_pong": pykka_ping_pong, "spawn": pykka_spawn},
    fewer={"fan_in": 20, "ping_pong": 20, "spawn": 200},
    missing=None if importlib.util.find_spec("pykka") else "pykka is not installed",
)
ASYNCIO_QUEUE: Final = Contestant(
    {"fan_in": queue_fan_in, "ping_pong": queue_ping_pong, "spawn": queue_spawn},
    fewer={"fan_in": 3, "ping_pong": 3, "spawn": 4},
)
PEERS: Final = {"beam": BEAM, "pykka": PYKKA, "asyncio_queue": ASYNCIO_QUEUE}
