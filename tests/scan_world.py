"""Scans over scripted workers, in virtual time, and the story of a scan as its events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from eco_actor.eventlog import EventLog
from eco_actor.runtime import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    MailboxSpec,
    Supervisor,
    System,
    child,
)
from eco_actor.scan.admission import Admission
from eco_actor.scan.events import first_event, step_event
from eco_actor.scan.picture import Picture
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.stages import Fields, Stage, StageInput, chosen
from eco_actor.scan.workers import Done, Failed, Pool, Work, pool_spec
from tests.fakes import FakeStore, InlineExecutor

NOW: Final = 1_700_000_000_000
PIXELS: Final[Any] = "pixels"  # nobody looks at them
FIELDS: Final[dict[str, Fields]] = {
    "vision": chosen("glass"),
    "rule": {"rule": {"bin": "glass"}},
    "answer": {"result": {"answer": {"text": "the glass bin"}}},
    "reward": {"reward": {"points": 3, "character": {"id": "iseul"}}},
}
PROGRESS: Final = {"vision": 33, "rule": 50, "answer": 100, "reward": 100}
ERROR: Final = {"code": "step_failed", "detail": "it did"}


def story(*parts: tuple[str, str], task_id: str = "t") -> list[dict[str, Any]]:
    """The events of a scan in which *parts* (step, status) followed the acceptance."""
    events = [dict(first_event(task_id, NOW, NOW).data)]
    for seq, (step, status) in enumerate(parts, start=2):
        fields: dict[str, Any] = FIELDS[step] if status == "completed" else {}
        if status == "failed":
            fields = {"error": ERROR} | ({"reward": None} if step == "reward" else {})
        events.append(step_event(task_id, seq, step, status, PROGRESS[step], NOW, **fields))
    return events


def fake_stage(
    name: str, run: Callable[[StageInput], Fields] | None = None, *, deadline: float = 10.0
) -> Stage:
    """A stage that computes nothing, or what *run* says."""
    return Stage(
        name,
        PROGRESS[name],
        run or (lambda given: dict(FIELDS[name])),
        deadline=deadline,
        attempts=2,
        fallback={"reward": None} if name == "reward" else None,
    )


class ScriptedWorker(Actor[Work]):
    """Does with each work the next of what its script says, and what the stage says after that.

    A number: answers after so many seconds. "silent": never answers. "die": crashes with the work
    in hand. "raise": the stage raises.
    """

    def __init__(self, pool: Pool, script: list[float | str], seen: list[Work]) -> None:
        self.pool = pool
        self.script = script
        self.seen = seen
        self.mailbox = MailboxSpec(pool.capacity)  # type: ignore[misc]

    def init(self) -> None:
        self.pool.join(self.ref)

    async def handle(self, message: Work) -> None:
        self.seen.append(message)
        match self.script.pop(0) if self.script else 0:
            case "die":
                raise RuntimeError("killed in mid-stage")
            case "silent":
                return
            case "raise":
                message.reply_to.tell(Failed(message.attempt, ValueError("cannot")))
                return
            case float() | int() as seconds:
                await asyncio.sleep(seconds)
        message.reply_to.tell(Done(message.attempt, self.pool.stage.run(message.given)))


class World:
    """Scans over scripted workers: a supervision tree without disk, threads or waiting.

    `scripts` by stage; `decode` makes a picture of a body. A stage that blocks has no script, but
    the server's own worker, and `stage_threads`.
    """

    def __init__(
        self,
        store: FakeStore | None = None,
        scripts: dict[str, list[float | str]] | None = None,
        *,
        max_scans: int = 4,
        capacity: int = 8,
        max_decodes: int = 8,
        stages: Iterable[Stage] = (),
        decode: Callable[[bytes], Picture] | None = None,
    ) -> None:
        self.store = store or FakeStore()
        self.wall_ms = self.steady_ms = NOW
        setattr(self.store, "now_ms", lambda: self.steady_ms)  # noqa: B010  # not the loop's time
        self.log = EventLog(self.store)
        self.scripts = scripts or {}
        self.seen: dict[str, list[Work]] = {name: [] for name in PROGRESS}
        table = {name: fake_stage(name) for name in PROGRESS} | {s.name: s for s in stages}
        self.pools = {name: Pool(stage, capacity) for name, stage in table.items()}
        self.pipeline = Pipeline(self.log, self.pools, wall_ms=lambda: self.wall_ms)
        self.max_scans = max_scans
        self.threads = InlineExecutor()
        self.stage_threads = InlineExecutor()
        self.admission = Admission(
            self.pipeline,
            self.scans,
            decode or (lambda body: Picture(PIXELS, body)),
            self.threads,
            max_decodes,
        )
        self.system: System

    def scans(self) -> DynamicSupervisor | None:
        cell = self.system.find("/eco/scans")
        actor = cell.actor if cell is not None else None
        return actor if isinstance(actor, DynamicSupervisor) else None

    @property
    def count(self) -> int:
        scans = self.scans()
        assert scans is not None
        return len(scans)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        await self.log.open()
        workers = [self._worker(name, pool) for name, pool in self.pools.items()]
        tree = [
            child("pipeline", Supervisor, workers),
            child("scans", DynamicSupervisor, self.max_scans),
        ]
        async with System(child("eco", Supervisor, tree)) as self.system:
            yield self

    def _worker(self, name: str, pool: Pool) -> ChildSpec:
        if pool.stage.blocking:
            return pool_spec(pool, self.stage_threads)
        script = self.scripts.setdefault(name, [])
        return child(name, ScriptedWorker, pool, script, self.seen[name])

    def told(self, task_id: str) -> list[dict[str, Any]]:
        """The data of the scan's events in the log."""
        return [dict(e.data) for e in self.store.events if e.channel == f"scan:{task_id}"]
