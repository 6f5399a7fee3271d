"""One scan: an actor that takes a picture through the stages, and says each step in the log.

What happened is kept in `ScanState`, the fold of its events; what is under way is one attempt
at one stage. Results of a step that is over are ignored by their number.

    attempt ──Done──► event, next stage          ──Failed──► the stage raised: event, end
       └──── Down (its worker died) or Late ───► next attempt, at the last one: event, end

It does not wait for its events to be durable; it ends when its last one is.
"""

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from eco_actor.eventlog import Chain, Draft, Event, EventLog, StoreError, Write
from eco_actor.runtime import Actor, Down, Exit, MailboxSpec, Outcome, Ref
from eco_actor.scan.options import Options
from eco_actor.scan.stages import Fields, StageInput, chosen
from eco_actor.scan.state import ENDED, STEPS, ScanState
from eco_actor.scan.tables import ADD_REWARD, DROP_PICTURE, FINISH_SCAN
from eco_actor.scan.vision import Pixels
from eco_actor.scan.workers import Done, Failed, Pool, Work

log = logging.getLogger(__name__)

FULL_RETRY: Final = 0.1
"""Seconds after which a stage whose mailboxes were full is tried again, within its deadline."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What all scans share: the log, the pools in the order of the steps, the wall clock."""

    log: EventLog
    pools: Mapping[str, Pool]
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Late:
    attempt: int


@dataclass(frozen=True, slots=True)
class Retry:
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client no longer wants the answer. Too late once it is out."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The scan's last event is durable; or one of its events could not be written."""

    error: StoreError | None


def channel(task_id: str) -> str:
    return f"scan:{task_id}"


def step_event(
    task_id: str, seq: int, step: str, status: str, progress: int, at_ms: int, **fields: Any
) -> dict[str, Any]:
    """The data of an event as clients see it."""
    return {
        "task_id": task_id,
        "seq": seq,
        "step": step,
        "status": status,
        "progress": progress,
        "at": f"{_to_the_second(at_ms // 1000)}.{at_ms % 1000:03d}Z",
        **fields,
    }


@functools.lru_cache(maxsize=2)  # many events a second, one second after the other
def _to_the_second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def first_event(task_id: str, at_ms: int) -> Draft:
    """The event that comes with the acceptance of a scan."""
    data = step_event(task_id, 1, "vision", "processing", 10, at_ms)
    return Draft(channel(task_id), data, at_ms, opens=True)


Message = Done | Failed | Late | Retry | Cancel | Stored


class Scan(Actor[Message]):
    """Temporary: when it crashes it says so in the log and is over."""

    mailbox = MailboxSpec(8)  # one reply an attempt, late ones of attempts given up before, Stored

    def __init__(
        self,
        task_id: str,
        options: Options,
        pixels: Pixels | None,
        state: ScanState,
        pipeline: Pipeline,
    ) -> None:
        self.task_id = task_id
        self.options = options
        self.pixels = pixels
        self.state = state
        self.pipeline = pipeline
        self.chain = Chain()  # an event that cannot be written takes those behind it with it
        self.attempt = 0  # over all stages, so that no reply can be taken for another's
        self.first_attempt = 1  # at the stage under way
        self.tries = 0  # at the stage under way
        self.pool: Pool | None = None  # of that stage
        self.worker: Ref[Work] | None = None
        self.work: Work | None = None

    def init(self) -> None:
        self._next_stage()

    def handle(self, message: Message | Down) -> None:
        match message:
            case Stored(error):
                if error is not None:
                    log.error("scan %s stops, the log cannot take it: %s", self.task_id, error)
                self.stop()
            case Cancel():
                if self.state.status == "processing":
                    self._settle()
                    self._end("cancelled", {})
            case Down(lost=lost) if lost is not None and lost is self.work:
                self._try_again("worker_down", "the worker died in the middle of this step")
            case Down(ref=ref) if ref is self.worker and not ref.alive:
                self._settle()  # it had not begun: that was no attempt
                self.tries -= 1
                self._try()
            # The result of any attempt at this step is good, also one that comes late.
            case Done(attempt, fields) if self._under_way(attempt):
                self._settle()
                self._completed(fields)
            case Failed(attempt, error) if self._under_way(attempt):
                self._settle()
                self._failed("step_failed", f"{type(error).__name__}: {error}")
            case Late(attempt) if self.pool is not None and attempt == self.attempt:
                self._try_again("step_timeout", "no result within the time this step has")
            case Retry(attempt) if self.pool is not None and attempt == self.attempt:
                self._hand_over()

    def terminate(self, reason: Exit) -> None:
        self._settle()
        if reason.abnormal and self.state.next_step is not None:
            self._failed("scan_crashed", "the scan was ended by a fault of the server")

    # ---- attempts

    def _under_way(self, attempt: int) -> bool:
        """Whether it is an attempt at the present step; none is when the scan is over."""
        return self.first_attempt <= attempt <= self.attempt

    def _next_stage(self) -> None:
        step = self.state.next_step
        self.pool = self.pipeline.pools[step] if step is not None else None
        self.tries = 0
        self.first_attempt = self.attempt + 1
        if step == "vision" and self.options.category is not None:
            self._completed(chosen(self.options.category))
        elif step is not None:
            self._try()

    def _try(self) -> None:
        assert self.pool is not None
        self.tries += 1
        self.attempt += 1
        self.start_timer("deadline", self.pool.stage.deadline, Late(self.attempt))
        self._hand_over()

    def _hand_over(self) -> None:
        assert self.pool is not None
        given = StageInput(self.task_id, self.options, self.pixels, self.state.classification)
        self.work = Work(given, self.attempt, self.ref)
        self.worker, outcome = self.pool.tell(self.work)
        if self.worker is not None:
            self.watch(self.worker)
        elif outcome in (Outcome.FULL, Outcome.DEAD):
            self.start_timer("retry", FULL_RETRY, Retry(self.attempt))

    def _settle(self) -> None:
        """Nobody is waited for any more."""
        self.cancel_timer("deadline")
        self.cancel_timer("retry")
        if self.worker is not None:
            self.unwatch(self.worker)
        self.worker = self.work = None

    def _try_again(self, code: str, detail: str) -> None:
        self._settle()
        if self.pool is not None and self.tries < self.pool.stage.attempts:
            self._try()
        else:
            self._failed(code, detail)

    # ---- what is said in the log

    def _completed(self, fields: Fields) -> None:
        assert self.pool is not None
        stage = self.pool.stage
        writes: list[Write] = []
        if stage.name == "vision" and self.pixels is not None:
            self.pixels = None
            writes.append(Write(DROP_PICTURE, (self.task_id,)))
        if stage.name == "reward" and fields["reward"] is not None:
            writes.append(self._grant(fields["reward"]))
        self._say(stage.name, "completed", stage.progress, fields, writes)
        self._next_stage()

    def _failed(self, code: str, detail: str) -> None:
        assert self.pool is not None
        stage = self.pool.stage
        error = {"error": {"code": code, "detail": detail}}
        if stage.fallback is not None:
            self._say(stage.name, "failed", stage.progress, {**stage.fallback, **error})
            self._next_stage()
        else:
            self._end("failed", error)

    def _end(self, status: str, fields: Fields) -> None:
        """The scan is over without an answer."""
        drop = [Write(DROP_PICTURE, (self.task_id,))] if self.options.category is None else []
        assert self.pool is not None
        self._say(self.pool.stage.name, status, self.state.progress, fields, drop)
        self._next_stage()  # there is none: late results are nobody's

    def _grant(self, reward: Mapping[str, Any]) -> Write:
        row = (self.task_id, reward["points"], reward["character"]["id"], self.pipeline.now_ms())
        return Write(ADD_REWARD, row)

    def _say(
        self, step: str, status: str, progress: int, fields: Fields, writes: Sequence[Write] = ()
    ) -> None:
        at_ms = self.pipeline.now_ms()
        seq = self.state.seq + 1
        event = step_event(self.task_id, seq, step, status, progress, at_ms, **fields)
        final = step == STEPS[-1] or status in ENDED
        draft = Draft(
            channel(self.task_id),
            event,
            at_ms,
            terminal=final or step == "answer",
            final=final,
        )
        if final:
            finish = Write(FINISH_SCAN, (self.task_id,))
            writes = [*writes, finish]
        self.pipeline.log.append([draft], writes, self._stored, self.chain)
        self.state.apply(event)

    def _stored(self, events: Sequence[Event], error: StoreError | None) -> None:
        if error is not None or any(event.final for event in events):
            self.ref.tell(Stored(error))
