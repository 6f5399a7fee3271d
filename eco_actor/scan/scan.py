"""One scan: an actor that takes a picture through the stages, and says each step in the log.

What happened is kept in `ScanState`, the fold of its events; what is under way is one attempt
at one stage. Results of a step that is over are ignored by their number.

    attempt ──Done──► event, next stage          ──Failed──► the stage raised: event, end
       └──── Down (its worker died) or Late ───► next attempt, at the last one: event, end

It does not wait for its events to be durable; it ends when its last one is. What has to be durable
before a step begins is the try at it, where the step might end the process (see tries.py).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eco_actor.eventlog import Chain, Event, EventLog, StoreError, StoreUncertain, Write
from eco_actor.eventlog.clock import wall_ms
from eco_actor.runtime import Actor, Down, Exit, MailboxSpec, Outcome, Ref
from eco_actor.scan.counts import Tally
from eco_actor.scan.events import said, step_event
from eco_actor.scan.grants import Grants, granted
from eco_actor.scan.messages import Cancel, Late, Message, Retry, Stored, Unknown, Unrewarded
from eco_actor.scan.options import Options
from eco_actor.scan.stages import Fields, StageInput, chosen
from eco_actor.scan.state import STANDARD, ScanState, Steps
from eco_actor.scan.tables import DROP_PICTURE, FINISH_SCAN
from eco_actor.scan.tries import MOST, Left, Mark, Tries
from eco_actor.scan.vision import Pixels
from eco_actor.scan.volume import Volume
from eco_actor.scan.workers import Done, Failed, NotBegun, Pool, Work

log = logging.getLogger(__name__)

FULL_RETRY: Final = 0.1
"""Seconds after which a stage whose mailboxes were full is tried again, within its deadline."""

LONGEST: Final = 500
"""Characters of what a failed stage said that clients are told."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What all scans share: the log, the pools by the names of the steps, the wall clock.

    The wall's time is what clients are shown; everything else goes by the clock of the log.
    """

    log: EventLog
    pools: Mapping[str, Pool]
    wall_ms: Callable[[], int] = wall_ms
    volume: Volume = field(default_factory=Volume)
    left: Left = field(default_factory=Left)
    steps: Steps = STANDARD
    tally: Tally | None = None  # None: nothing is counted
    grants: Grants = field(default_factory=Grants)


class Scan(Actor[Message]):
    """Temporary: when it crashes it says so in the log and is over.

    It goes on at the first step that is not done. `crashes` tries at that ended with a process;
    `marked`: that the next one begins is in the log already. When the log takes no events, it stops
    and is left to recovery.
    """

    mailbox = MailboxSpec(8)  # one reply an attempt, late ones of attempts given up before, Stored

    def __init__(
        self,
        task_id: str,
        options: Options,
        pixels: Pixels | None,
        state: ScanState,
        pipeline: Pipeline,
        crashes: int = 0,
        marked: bool = False,
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
        self.crashes = crashes  # of a process, at that stage
        self.marked = marked
        self.mark: Mark | None = None  # None for a stage that begins without one
        self.pool: Pool | None = None  # of that stage
        self.worker: Ref[Work] | None = None
        self.work: Work | None = None
        self.thing: str | None = None  # whose grant it has taken

    def init(self) -> None:
        try:
            self._begin()
        except StoreError as error:
            self._give_up(error)

    def handle(self, message: Message | Down) -> None:
        try:
            self._handle(message)
        except StoreError as error:
            self._give_up(error)

    def _handle(self, message: Message | Down) -> None:
        match message:
            case Stored(None):
                self.stop()
            case Stored(error) | NotBegun(error=error) if error is not None:
                self._give_up(error)
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
                self._failed("step_failed", f"{type(error).__name__}: {error}"[:LONGEST])
            case Late(attempt) if self.pool is not None and attempt == self.attempt:
                self._try_again("step_timeout", "no result within the time this step has")
            case Retry(attempt) if self.pool is not None and attempt == self.attempt:
                self._hand_over()
            case Unrewarded(thing, fields):
                self._granted(thing, fields)
            case Unknown(failure):
                raise failure

    def terminate(self, reason: Exit) -> None:
        self._settle()
        step = self.state.next_step
        if step is not None:
            self.pipeline.grants.give_back(self.thing, self.task_id)  # its row is not on its way
        if reason.abnormal and step is not None:
            try:
                detail = "the scan was ended by a fault of the server"
                self._failed("scan_crashed", detail, over=True)
            except StoreError as error:
                self._give_up(error)
        elif step is not None and (self.mark is None or self.mark.begun):
            self.pipeline.left.put(self.task_id, Tries(step, self.crashes), self.pipeline.log)

    def _give_up(self, error: StoreError) -> None:
        log.warning("scan %s goes on when the log takes it again: %s", self.task_id, error)
        # Which of its events are in the log is for recovery to find out.
        step = self.state.next_step or self.state.step
        self.pipeline.left.put(self.task_id, Tries(step, self.crashes))
        self.stop()

    # ---- attempts

    def _under_way(self, attempt: int) -> bool:
        """Whether it is an attempt at the present step; none is when the scan is over."""
        return self.first_attempt <= attempt <= self.attempt

    def _begin(self) -> None:
        step, crashes = self.state.next_step, self.crashes
        if step is None or crashes < MOST:
            self._enter(step)
            return
        log.error("scan %s: the process died %d times in step %s", self.task_id, crashes, step)
        self.pool = self.pipeline.pools[step]
        self._failed("step_crashed", f"{step}: the server died {crashes} times in this step")

    def _next_stage(self) -> None:
        self.crashes, self.marked = 0, False
        self._enter(self.state.next_step)

    def _enter(self, step: str | None) -> None:
        self.pool = self.pipeline.pools[step] if step is not None else None
        self.tries = 0
        self.first_attempt = self.attempt + 1
        self.mark = None
        if step is not None and self.pool is not None and self.pool.stage.blocking:
            tries = Tries(step, self.crashes + 1)
            self.mark = Mark(self.pipeline.log, self.task_id, tries, done=self.marked)
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
        seen, found = self.state.classification, self.state.found()
        given = StageInput(self.task_id, self.options, self.pixels, seen, found)
        self.work = Work(given, self.attempt, self.ref, self.mark)
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
        earned = self.pool.stage.name == "reward" and fields["reward"] is not None
        if not earned or self.options.before is None:
            self._conclude(fields)
            return
        self.first_attempt = self.attempt + 1  # this step is over, whatever comes of it
        pipeline, within = self.pipeline, self.pool.stage.deadline
        looking = pipeline.grants.unrewarded(pipeline.log, self.task_id, self.options, within)
        self.pipe(looking, lambda thing: Unrewarded(thing, fields), Unknown)

    def _granted(self, thing: str | None, fields: Fields) -> None:
        if thing is None or not self.pipeline.grants.take(thing, self.task_id):
            thing, fields = None, {**fields, "reward": None}
        self.thing = thing
        self._conclude(fields)

    def _conclude(self, fields: Fields) -> None:
        assert self.pool is not None
        stage = self.pool.stage
        writes: list[Write] = []
        if stage.name == "vision" and self.pixels is not None:
            self.pixels = None
            writes.append(Write(DROP_PICTURE, (self.task_id,)))
        if stage.name == "answer" and self.pipeline.tally is not None:
            writes += self.pipeline.tally.writes(self.options, fields["result"])
        if stage.name == "reward" and fields["reward"] is not None:
            writes.append(self._grant(fields["reward"]))
        self._say(stage.name, "completed", stage.progress, fields, writes)
        self._next_stage()

    def _failed(self, code: str, detail: str, *, over: bool = False) -> None:
        """The step has; *over*: and no other one follows, whatever this one falls back on."""
        assert self.pool is not None
        stage = self.pool.stage
        error = {"error": {"code": code, "detail": detail}}
        if stage.fallback is not None and stage.name == "reward":
            self._say(stage.name, "failed", stage.progress, {**stage.fallback, **error})
            self._next_stage()
        elif stage.fallback is None or over:
            self._end("failed", error)
        else:  # completed: but for a reward, "failed" tells a client that the scan is over
            self._completed({**stage.fallback, **error})

    def _end(self, status: str, fields: Fields) -> None:
        """The scan is over without an answer."""
        drop = [Write(DROP_PICTURE, (self.task_id,))] if self.options.category is None else []
        assert self.pool is not None
        self._say(self.pool.stage.name, status, self.state.progress, fields, drop)
        self._next_stage()  # there is none: late results are nobody's

    def _grant(self, reward: Mapping[str, Any]) -> Write:
        return granted(self.thing or self.task_id, reward, self.pipeline.log.now_ms())

    def _say(
        self, step: str, status: str, progress: int, fields: Fields, writes: Sequence[Write] = ()
    ) -> None:
        at_ms, wall_ms = self.pipeline.log.now_ms(), self.pipeline.wall_ms()
        seq = self.state.seq + 1
        event = step_event(self.task_id, seq, step, status, progress, wall_ms, **fields)
        draft = said(event, at_ms)
        if draft.final:
            writes = [*writes, Write(FINISH_SCAN, (self.task_id, at_ms))]
        self.pipeline.log.append([draft], writes, self._stored, self.chain)
        self.state.apply(event)

    def _stored(self, events: Sequence[Event], error: StoreError | None) -> None:
        self.pipeline.volume.add(events)
        if error is not None and not isinstance(error, StoreUncertain):
            self.pipeline.grants.give_back(self.thing, self.task_id)  # the actor may have ended
        if error is not None or any(event.final for event in events):
            self.ref.tell(Stored(error))
