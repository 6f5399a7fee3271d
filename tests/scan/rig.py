"""The work half of a server over a real store, and what an earlier process may have left in it."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from eco_actor.eventlog import Draft, Durability, EventLog, SqliteStore, Write
from eco_actor.runtime import DynamicSupervisor, Strategy, Supervisor, System, child
from eco_actor.scan.admission import Admission
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture, Picture
from eco_actor.scan.recovery import Recovery
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.tables import ADD_PICTURE, ADD_REWARD, ADD_SCAN, FINISH_SCAN, TABLES
from eco_actor.scan.task_id import TaskIds
from eco_actor.scan.views import Views
from eco_actor.scan.workers import Pool, pool_spec
from tests.fakes import InlineExecutor
from tests.scan_world import FIELDS, NOW, PIXELS, PROGRESS, fake_stage, story

STEPS: Final = [(step, "completed") for step in PROGRESS]
GOOD: Final = [("vision", "processing"), *STEPS]
OVER: Final = ("failed", "cancelled")


def open_log(path: Path | None, durability: Durability = Durability.FULL) -> EventLog:
    return EventLog(SqliteStore(path, durability, [TABLES]))


async def leave(
    log: EventLog,
    *parts: tuple[str, str],
    picture: bytes | None = b"jpeg",
    number: int = 0,
    tried: tuple[str | None, int] = (None, 0),
    at_ms: int = NOW,
    keyed: bool = False,
) -> str:
    """Write what a process would have left of a scan after *parts*; returns its id."""
    task_id = TaskIds().make(at_ms + number)
    options = Options() if picture else Options(category="glass")
    events = story(*parts, task_id=task_id)
    drafts = [
        Draft(channel(task_id), event, at_ms, opens=n == 0, final=n == 4 or event["status"] in OVER)
        for n, event in enumerate(events)
    ]
    writes = [Write(ADD_SCAN, (task_id, at_ms, options.pack(), int(keyed), *tried))]
    if picture and not parts:
        writes.append(Write(ADD_PICTURE, (task_id, picture)))
    if drafts[-1].final:
        writes.append(Write(FINISH_SCAN, (task_id, at_ms)))
    if ("reward", "completed") in parts:
        writes.append(Write(ADD_REWARD, (task_id, 3, "iseul", at_ms)))
    await log.commit(drafts, writes)
    return task_id


async def tried(log: EventLog, task_id: str) -> tuple[str | None, int]:
    """The step and the tries that are in the scan's row."""
    sql = "SELECT step, tries FROM scans WHERE task_id = ?"
    ((step, tries),) = await log.query(sql, (task_id,))
    return step, tries


async def crash_copy(path: Path, copy: Path) -> Path:
    """What the disk would have, should the process that has *path* open die now."""

    def files() -> None:
        copy.mkdir()
        for each in path.parent.glob(f"{path.name}*"):
            if not each.name.endswith("-shm"):
                shutil.copy(each, copy / each.name)

    await asyncio.to_thread(files)
    return copy / path.name


def look(given: StageInput) -> Fields:
    if given.pixels is None:
        raise RuntimeError("no picture")
    return FIELDS["vision"]


def decode(body: bytes) -> Picture:
    if body == b"bad":
        raise BadPicture("not a picture")
    return Picture(PIXELS, body)


class Gate:
    """A blocking vision stage with real threads, in which scans wait until it is opened.

    `seen` has them in the order in which workers began. With `only`, the others pass.
    """

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(16)
        self.seen: list[str] = []
        self.only: set[str] | None = None
        self._open = threading.Event()

    def _run(self, given: StageInput) -> Fields:
        self.seen.append(given.task_id)
        if self.only is None or given.task_id in self.only:
            assert self._open.wait(30), "nobody opened the gate"
        return look(given)

    def stage(self, workers: int = 1) -> Stage:
        return replace(fake_stage("vision", self._run), blocking=True, workers=workers)

    def open(self) -> None:
        self._open.set()

    async def reached(self, task_id: str, times: int = 1) -> None:
        """A worker has begun with this scan for so many times."""
        async with asyncio.timeout(30):
            while self.seen.count(task_id) < times:  # noqa: ASYNC110  # a thread says so
                await asyncio.sleep(0)


class Rig:
    """The work half of a server over *log*."""

    def __init__(
        self,
        log: EventLog,
        max_scans: int = 8,
        stages: Iterable[Stage] = (),
        threads: Executor | None = None,
    ) -> None:
        self.log = log
        self.views = Views(log)
        table = {name: fake_stage(name, look if name == "vision" else None) for name in PROGRESS}
        table |= {stage.name: stage for stage in stages}
        self.pools = {name: Pool(self.counting(stage), 64) for name, stage in table.items()}
        self.runs: list[tuple[str, str]] = []
        self.threads = threads or InlineExecutor()
        self.decoded: list[bytes] = []
        self.admission = Admission(
            Pipeline(log, self.pools), self.scans, self.decode, self.threads, max_decodes=1
        )
        self.max_scans = max_scans
        self.most = 0
        self.system: System

    def counting(self, stage: Stage) -> Stage:
        def run(given: StageInput) -> Fields:
            self.runs.append((given.task_id, stage.name))
            self.most = max(self.most, len(self.scans() or ()))
            return stage.run(given)

        return replace(stage, run=run)

    def decode(self, body: bytes) -> Picture:
        self.decoded.append(body)
        return decode(body)

    def scans(self) -> DynamicSupervisor | None:
        cell = self.system.find("/work/scans")
        actor = cell.actor if cell is not None else None
        return actor if isinstance(actor, DynamicSupervisor) else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        parts = [
            child(
                "pipeline", Supervisor, [pool_spec(p, self.threads) for p in self.pools.values()]
            ),
            child("scans", DynamicSupervisor, self.max_scans),
            child("recovery", Recovery, self.log, self.admission, self.views),
        ]
        async with System(child("work", Supervisor, parts, Strategy.REST_FOR_ONE)) as self.system:
            yield self

    async def recovery_rests(self) -> None:
        """Wait until recovery has done all that it can do for now."""
        cell = self.system.find("/work/recovery")
        assert cell is not None
        async with asyncio.timeout(30):
            while cell.mailbox.in_hand or len(cell.mailbox):
                await self.log.commit([])

    async def ended(self, ids: Iterable[str]) -> None:
        """Wait until all of *ids* are over."""
        async with asyncio.timeout(30):
            for task_id in ids:
                while not (await self.views.events(task_id))[-1].final:
                    await self.log.commit([])

    async def finished(self, ids: Iterable[str]) -> None:
        """Wait until all of *ids* are over and no actor is left."""
        await self.ended(ids)
        async with asyncio.timeout(30):
            while self.scans():  # None while it restarts, false when there is no scan
                await self.log.commit([])

    async def steps(self, task_id: str) -> list[tuple[str, str]]:
        """Step and status of each event in the store; seq is without hole or repeat."""
        page = await self.log.store.page([channel(task_id)], 0, 100)
        seqs = [event.data["seq"] for event in page.events]
        assert seqs == list(range(1, len(seqs) + 1))
        return [(event.data["step"], event.data["status"]) for event in page.events]
