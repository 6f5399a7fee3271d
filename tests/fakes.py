"""Stand-ins without threads, for tests in virtual time: a store, workers, a client, an executor."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from typing import Any, Final

from eco_actor.eventlog import (
    Draft,
    Durability,
    Event,
    EventLog,
    Page,
    Statement,
    StoreError,
    StoreFull,
    Write,
)
from eco_actor.eventlog.store import Appended
from eco_actor.runtime import Actor, DynamicSupervisor, Supervisor, System, child
from eco_actor.scan.admission import Admission
from eco_actor.scan.picture import Picture
from eco_actor.scan.scan import Pipeline
from eco_actor.scan.stages import Fields, Stage, StageInput, chosen
from eco_actor.scan.workers import Done, Failed, Pool, Work

NOW: Final = 1_700_000_000_000
PIXELS: Final[Any] = "pixels"  # nobody looks at them


class FakeStore:
    """A `Store` in a list. An append is committed `delay` seconds later, on a later turn at least.

    What is committed can be read at once and is offered `lead` seconds after that, as it may be
    with a store whose readers are other threads. `fails` names what a commit fails with, `refuses`
    whether an append is turned away.
    """

    durability = Durability.OFF

    def __init__(self, delay: float = 0.0, lead: float = 0.0, read: float = 0.0) -> None:
        self.delay, self.lead, self.read = delay, lead, read
        self.epochs: Sequence[tuple[str, int]] = [("e", 1)]
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.appended: list[Draft] = []
        self.fails: Callable[[Sequence[Draft]], str | None] = lambda drafts: None
        self.refuses: Callable[[Sequence[Draft]], bool] = lambda drafts: False
        self.reads_fail = False
        self.answers: Callable[[str], list[tuple[Any, ...]]] = lambda sql: []
        self._waiting: deque[tuple[Sequence[Draft], Sequence[Write], Appended | None]] = deque()
        self._offers: deque[tuple[list[Event], StoreError | None, Appended | None]] = deque()

    @property
    def depth(self) -> int:
        return len(self._waiting)

    async def open(self, offer: Callable[[Sequence[Event]], None]) -> int:
        self._offer = offer
        return len(self.events)

    async def close(self) -> None:
        while self._waiting:
            self._commit()
        while self._offers:
            self._settle()

    def append(
        self, drafts: Sequence[Draft], writes: Sequence[Write] = (), done: Appended | None = None
    ) -> None:
        if self.refuses(drafts):
            raise StoreFull("as full as it was told to be")
        self.appended.extend(drafts)
        self._waiting.append((drafts, writes, done))
        _later(self.delay, self._commit)

    def _commit(self) -> None:
        if not self._waiting:
            return  # closed meanwhile
        drafts, writes, done = self._waiting.popleft()
        reason = self.fails(drafts)
        events: list[Event] = []
        if reason is None:
            start = len(self.events) + 1
            events = [Event(draft, start + n, "e") for n, draft in enumerate(drafts)]
            self.events += events
            self.writes += writes
        self._offers.append((events, StoreError(reason) if reason else None, done))
        if self.lead:
            _later(self.lead, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        if not self._offers:
            return
        events, error, done = self._offers.popleft()
        self._offer(events)
        if done is not None:
            done(events, error)

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        if self.reads_fail:
            raise StoreError("as unreadable as it was told to be")
        await asyncio.sleep(self.read / 2)
        head = len(self.events)
        found = [e for e in self.events if e.channel in channels and e.position > after][:limit]
        await asyncio.sleep(self.read / 2)
        return Page(found, found[-1].position if len(found) == limit else max(head, after))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[list[tuple[Any, ...]]]:
        answer: asyncio.Future[list[tuple[Any, ...]]] = asyncio.get_running_loop().create_future()
        answer.set_result(self.answers(sql))
        return answer

    def rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        """What was written by *statement*."""
        return [write.row for write in self.writes if write.statement is statement]


def _later(delay: float, callback: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    if delay:
        loop.call_later(delay, callback)
    else:
        loop.call_soon(callback)


class FakeTransport:
    """A client: keeps what it was sent; stalls for ever while `stalled`; raises while `error`."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.writes: list[bytes] = []
        self.times: list[float] = []
        self.stalled = stalled
        self.error: Exception | None = None
        self.closed_at: float | None = None
        self.aborted = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert self.closed_at is None, "written to after close"
        if self.error is not None:
            raise self.error
        if self.stalled:
            await asyncio.Event().wait()
        self.writes.append(data)
        self.times.append(loop.time())

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()

    def abort(self) -> None:
        self.aborted = True
        self.close()


class InlineExecutor(Executor):
    """Runs what it is given at once, in the caller; while `held`, when it is let go."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: fn(*args, **kwargs)))
        if not self.held:
            self.let_go()
        return future

    def let_go(self) -> None:
        self.held = False
        for future, call in self._waiting:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except Exception as error:
                    future.set_exception(error)
        self._waiting = []


FIELDS: Final[dict[str, Fields]] = {
    "vision": chosen("glass"),
    "rule": {"rule": {"bin": "glass"}},
    "answer": {"result": {"answer": {"text": "the glass bin"}}},
    "reward": {"reward": {"points": 3, "character": {"id": "iseul"}}},
}
PROGRESS: Final = {"vision": 33, "rule": 50, "answer": 100, "reward": 100}


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
        self.mailbox = type(self.mailbox)(pool.capacity)  # type: ignore[misc]

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

    `scripts` by stage; `decode` makes a picture of a body.
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
        self.log = EventLog(self.store)
        self.scripts = scripts or {}
        self.seen: dict[str, list[Work]] = {name: [] for name in PROGRESS}
        table = {name: fake_stage(name) for name in PROGRESS} | {s.name: s for s in stages}
        self.pools = {name: Pool(stage, capacity) for name, stage in table.items()}
        self.pipeline = Pipeline(self.log, self.pools, now_ms=lambda: NOW)
        self.max_scans = max_scans
        self.threads = InlineExecutor()
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
        workers = [
            child(name, ScriptedWorker, pool, self.scripts.setdefault(name, []), self.seen[name])
            for name, pool in self.pools.items()
        ]
        tree = [
            child("pipeline", Supervisor, workers),
            child("scans", DynamicSupervisor, self.max_scans),
        ]
        async with System(child("eco", Supervisor, tree)) as self.system:
            yield self

    def told(self, task_id: str) -> list[dict[str, Any]]:
        """The data of the scan's events in the log."""
        return [dict(e.data) for e in self.store.events if e.channel == f"scan:{task_id}"]
