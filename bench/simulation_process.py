"""One process of the simulated server: the real application, on virtual disk, threads and time.

It ends in order, or it is cut off: `sever` makes that nothing which it still does has an effect,
and what is left of it is then stopped for the sake of tidiness alone.
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from bench.simulation_disk import Crashed, Disk
from bench.simulation_store import VirtualStore
from bench.simulation_truth import Truth, WatchedHub
from eco_actor import app, parts, provision
from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.delivery import cohort
from eco_actor.eventlog import Durability, SteadyClock
from eco_actor.eventlog import database as log_database
from eco_actor.eventlog import sqlite as log_sqlite
from eco_actor.eventlog import writer as log_writer
from eco_actor.runtime import StartFailed, System, dispatcher
from eco_actor.runtime.virtual import Seeded
from eco_actor.scan import task_id
from eco_actor.scan.picture import BadPicture, Picture
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.site import Site
from eco_actor.scan.vision import Guess, Verdict
from eco_actor.scan.workers import Work
from eco_actor.web.classify import ClassifyRoute
from eco_actor.web.opening import Opening

DECODE_S: Final = (0.0, 0.005, 0.05)
CAPACITY: Final = 400
"""Appends that may wait: few enough to be reached now and then."""

PICTURES: Final = {
    "good": 10, "unsure": 2, "raises": 2, "slow": 6, "late": 1, "poison": 1, "broken": 1,
}  # fmt: skip
"""What a picture does to those that look at it, by weight. late: longer than the step may take."""

LOOKS_S: Final = {"slow": 2.0, "late": 75.0}


no_site: Final = functools.cache(Site.none)
"""Its rules never change, and reading them takes longer than most that is done here."""


def picture(number: int, kind: str) -> bytes:
    """The bytes of a picture of which it is known what it does."""
    return f"{number} {kind}".encode()


def kind_of(pixels: Any) -> str:
    return str(pixels).partition(" ")[2]


def decode(body: bytes) -> Picture:
    if kind_of(body.decode()) == "broken":
        raise BadPicture("simulated")
    pixels: Any = body.decode()
    return Picture(pixels, body)


class Eyes:
    """The classifier: what it sees is written in the picture."""

    backend = "eyes"

    def __init__(self, process: "Process") -> None:
        self._process = process

    def classify(self, pixels: Any) -> Verdict:
        self._process.truth.looked_at(str(pixels))
        match kind_of(pixels):
            case "poison":
                self._process.crash()
                raise Crashed
            case "raises":
                raise ValueError("simulated")
            case "unsure":
                return Verdict(None, 0.3, (Guess("glass", 0.3), Guess("metal", 0.2)), "eyes")
        return Verdict("glass", 0.9, (Guess("glass", 0.9), Guess("metal", 0.1)), "eyes")


class VirtualThreads(Executor):
    """So many threads: each call takes virtual seconds."""

    _threads: Final = ()  # of those that are real

    def __init__(self, process: "Process", threads: int) -> None:
        self._process = process
        self._free = threads
        self._waiting: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, fn, args))
        self._begin()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._free = 0

    def _begin(self) -> None:
        while self._free > 0 and self._waiting:
            future, fn, args = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                self._free -= 1
                seconds = self._process.rng.choice(DECODE_S)
                for each in args:
                    if isinstance(each, Work):
                        seconds = LOOKS_S.get(kind_of(each.given.pixels), seconds)
                self._process.loop.call_later(seconds, self._finish, future, fn, args)

    def _finish(self, future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._process.severed:
            return
        self._free += 1
        try:
            future.set_result(fn(*args))
        except Crashed:
            return
        except Exception as error:
            future.set_exception(error)
        self._begin()


class Undisputed:
    """A data directory that nobody else wants."""

    def __init__(self, config: Config) -> None:
        pass

    def take(self) -> None:
        pass

    def release(self) -> None:
        pass


class Process:
    """A server on *disk*, from its start to its end, orderly or not. `up`: it takes requests."""

    def __init__(
        self,
        disk: Disk,
        truth: Truth,
        rng: Random,
        config: Config,
        wall: Callable[[], int],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.disk, self.truth, self.rng = disk, truth, rng
        self.severed = self.up = False
        self._hindered = False  # at its orderly end
        self.hang = 0.0
        self.reads_fail = False
        self.system: System | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.on_severed: list[Callable[[], None]] = []
        begun = self.loop.time() - rng.random() * 1000
        self.clock = SteadyClock(wall, lambda: self.loop.time() - begun)
        disk.dies = self.sever
        with self._composed(wall):
            self.eco = Eco(config, classifier=Eyes(self))
            self.eco.load()
        self.eco.log.hub = WatchedHub(self)
        self.opening = Opening(self.eco.delivery, self.eco.gate, self.eco.connections)
        self.route = ClassifyRoute(
            self.eco.admission,
            self.eco.views,
            self.eco.idempotency,
            vision=True,
            sync_wait_s=config.sync_wait_s,
        )
        self.settled = asyncio.Event()  # it is up, or will not be
        self.main = self.loop.create_task(self._main(wall), name="process")

    @contextlib.contextmanager
    def _composed(self, wall: Callable[[], int]) -> Iterator[None]:
        """In place of threads, the disk and the wall clock, what this world has."""

        def store(path: Path | None, durability: Durability, tables: Any) -> VirtualStore:
            return VirtualStore(self, durability, tables, CAPACITY)

        with (
            patch.object(provision, "SqliteStore", store),
            patch.multiple(
                parts,
                WorkThreads=lambda threads, name: VirtualThreads(self, threads),
                Pipeline=functools.partial(Pipeline, wall_ms=wall),
                Site=SimpleNamespace(none=no_site),
                decoder=lambda vision: decode,
            ),
            patch.multiple(
                app,
                System=functools.partial(System, schedule=Seeded(self.rng.getrandbits(32))),
                Watchdog=lambda: None,
                DataDirectory=Undisputed,
            ),
        ):
            yield

    async def _main(self, wall: Callable[[], int]) -> None:
        try:
            running = self.eco.running(http=False)
            with self._composed(wall):
                self.system = await running.__aenter__()
        except StartFailed:
            self.truth.note("the start failed")
            self.settled.set()
            return
        self.up = not self.severed
        self.settled.set()
        try:
            await self.system.wait_ended()
        finally:
            self.up = False
            await running.__aexit__(None, None, None)

    # ---- what it runs on, see `Machine`

    def own(self, task: "asyncio.Task[None]") -> None:
        """Something of it that a process takes along when it ends."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def opened(self) -> None:
        self.truth.opened()

    # ---- its end

    def stop(self) -> None:
        """As SIGTERM."""
        self.up = False
        self._hindered = bool(self.disk.faulty or self.hang or self.eco.log.trouble)
        self.eco.stop()

    def crash(self) -> None:
        """As kill -9, at this very moment."""
        if not self.severed:
            self.disk.abandon()
            self.sever()

    def sever(self) -> None:
        if self.severed:
            return
        self.severed, self.up = True, False
        self.settled.set()
        self.truth.crashed()
        for callback in self.on_severed:
            callback()

    async def bury(self) -> None:
        """Wait until nothing of it is left. After a crash none of this has an effect."""
        self.eco.stop()
        await asyncio.wait([self.main])
        if not self.severed and (self._hindered or self._left_open()):
            self.sever()  # the disk may not have taken its last words
        self.severed, self.up = True, False
        for callback in self.on_severed:
            callback()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        self.disk.abandon()
        if self.main.exception() is not None:
            raise self.main.exception()  # type: ignore[misc]

    def _left_open(self) -> bool:
        ask = self.disk.ask
        known = ask("SELECT 1 FROM sqlite_master WHERE name = 'opened'")
        return bool(known and ask("SELECT 1 FROM opened"))


async def at_once(name: str, call: Callable[[], Any]) -> Any:
    """In place of a thread of its own."""
    return call()


@contextlib.contextmanager
def virtual_world(loop: asyncio.AbstractEventLoop, rng: Random) -> Iterator[None]:
    """Let chance be of a seed, and all clocks be the loop's."""
    clock = SimpleNamespace(monotonic=loop.time)
    chance = SimpleNamespace(token_bytes=rng.randbytes, token_hex=lambda n: rng.randbytes(n).hex())
    with (
        patch.object(log_database, "secrets", chance),
        patch.object(task_id, "secrets", chance),
        patch.object(log_writer, "time", clock),
        patch.object(log_sqlite, "in_thread", at_once),
        patch.object(cohort, "time", clock),
        patch.object(dispatcher, "time", clock),
    ):
        yield
