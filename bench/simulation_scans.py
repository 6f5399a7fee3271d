"""A random world of scans: the server over its log, on a disk that fails, crashing and restarting.

As `simulation.py` is for actors. The server is the real one, but for threads, sockets and clocks.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.simulation import Violation
from bench.simulation_audit import Audit
from bench.simulation_clients import Follower
from bench.simulation_disk import new_disk
from bench.simulation_process import Process, virtual_world
from bench.simulation_requests import Requests
from bench.simulation_scan_steps import ScanSteps
from bench.simulation_truth import Truth
from eco_actor.config import Config
from eco_actor.eventlog import Durability
from eco_actor.runtime.virtual import Seeded, VirtualTimeLoop

WORLD_STEPS: Final = 150
"""Steps in one world of scans."""

CALM: Final = 40
"""Steps after which a world calms down, and everything has to come to its end."""

BEGINS_MS: Final = 1_800_000_000_000
"""The wall clock of a new world."""

PATIENCE_S: Final = 900
"""Seconds within which a calm world comes to its end: late pictures hold up those behind them."""


@dataclass(frozen=True)
class ScansTold:
    """What one world came to."""

    steps: int
    scans: int
    events: int
    crashes: int
    checks: int
    trace: str


class ScanWorld:
    def __init__(self, seed: int, number: int, steps: int) -> None:
        self.seed, self.number, self.steps = seed, number, steps
        self.rng = rng = random.Random(f"scans {seed} {number}")
        ordered = rng.random() < 0.3
        self.loop = VirtualTimeLoop(None if ordered else Seeded(rng.getrandbits(32)))
        forgetful = rng.random() < 0.3
        self.disk = new_disk(random.Random(rng.getrandbits(32)), forgetful=forgetful)
        self.truth = Truth(self.disk, self.loop.time, forgetful=forgetful)
        self.disk.committed = self.truth.committed
        self.requests = Requests(self.truth)
        self.followers: list[Follower] = []
        self.wall_ahead = 0  # milliseconds that the wall clock was set by
        self.keep_hours = rng.choice((0.02, 0.1, 24.0))
        self.config = Config(
            data_dir=Path("virtual"),
            durability=Durability.NORMAL if forgetful else Durability.FULL,
            vision_workers=rng.randint(1, 2),
            max_scans=rng.choice((4, 16, 256, 256)),
            max_decodes=rng.choice((1, 4)),
            keep_scan_hours=self.keep_hours,
            keep_scans=rng.choice((10, 1000, 1000)),
        )
        self.process: Process | None = None
        self.last: deque[str] = deque(maxlen=30)
        self.audit = Audit(self)

    def wall_ms(self) -> int:
        return BEGINS_MS + int(self.loop.time() * 1000) + self.wall_ahead

    # ---- processes

    @property
    def serving(self) -> Process | None:
        """The process, if one is there and takes requests."""
        process = self.process
        return process if process is not None and process.up else None

    async def start(self) -> bool:
        """Bury the process that has ended, and start another; whether that is up."""
        await self.end()
        seed = random.Random(self.rng.getrandbits(32))
        self.audit.starts()
        process = self.process = Process(self.disk, self.truth, seed, self.config, self.wall_ms)
        await process.settled.wait()
        return process.up

    async def end(self) -> None:
        """Wait for the end of the process that was stopped or has crashed."""
        process, self.process = self.process, None
        if process is not None:
            await process.bury()
            for follower in self.followers:
                follower.leave()

    def come(self, follower: Follower, process: Process) -> None:
        """Let it connect, unless it has, or has nothing to come for."""
        if not (follower.here or follower.coming or follower.over):
            follower.coming = True
            task = self.requests.go(process, follower.come(process))
            task.add_done_callback(follower.has_come)

    # ---- its course

    def run(self) -> ScansTold:
        """All of its steps and its end. Raises Violation."""
        truth, state = self.truth, random.getstate()
        random.seed(self.rng.getrandbits(32))
        chance = random.Random(self.rng.getrandbits(32))
        self.loop.set_exception_handler(
            lambda _, context: truth.broken(f"the loop reports {context}")
        )
        try:
            with (
                quiet(),
                virtual_world(self.loop, chance),
                asyncio.Runner(loop_factory=lambda: self.loop) as runner,
            ):
                runner.run(self._run())
        except Violation:
            raise
        except Exception as error:
            truth.broken(f"the world ends by {error!r}")
        finally:
            random.setstate(state)
            self.disk.scrap()
        self._look("the end")
        scans, events = len(truth.stories), len(truth.events)
        return ScansTold(self.steps, scans, events, truth.crashes, truth.checks, truth.trace)

    async def _run(self) -> None:
        steps = ScanSteps(self)
        await self.start()
        for step in range(self.steps):
            self.last.append(f"{step}: {await steps.one()}")
            self.truth.note(self.last[-1])
            self.audit.step()
            self._look(f"step {step}")
            if step % CALM == CALM - 1 or step == self.steps - 1:
                await self.calm_down()
                self._look(f"step {step}, calm")
        if self.process is not None:
            self.process.stop()
        await self.end()
        for task in list(self.requests.open):
            task.cancel()
        await self.loop.idle()
        if asyncio.all_tasks() - {asyncio.current_task()}:
            self.truth.broken("tasks are left")

    async def calm_down(self) -> None:
        """No more faults: everything comes to its end, whatever was done to it."""
        self.disk.faulty = self.disk.dies_in = 0
        if self.process is not None:
            self.process.hang, self.process.reads_fail = 0.0, False
        until = self.loop.time() + PATIENCE_S
        while self.loop.time() < until and not self.truth.violations:
            if self.serving is None and not await self.start():
                await asyncio.sleep(1.0)
                continue
            for follower in self.followers:
                if follower.wire is not None and follower.wire.stalled:
                    follower.wire.go_on()
                if self.serving is not None:
                    self.come(follower, self.serving)
            await asyncio.sleep(1.0)
            if self.audit.quiet():
                break
        await asyncio.sleep(3.0)
        await self.loop.idle()
        if not self.truth.violations:
            await self.audit.calm()

    def _look(self, where: str) -> None:
        if self.truth.violations:
            steps = "\n  ".join(self.last)
            said = "\n  ".join(self.truth.violations[:5])
            raise Violation(
                f"seed {self.seed}, world {self.number} of scans, {where}:\n  {said}\n"
                f"the last steps:\n  {steps}\nagain:\n"
                f"  python -m bench.simulate --what scans --seed {self.seed}"
                f" --world {self.number}"
                + (f" --world-steps {self.steps}" if self.steps != WORLD_STEPS else "")
            )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Faults are what this is about: nobody wants to read of them in the log."""
    logger = logging.getLogger("eco_actor")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
