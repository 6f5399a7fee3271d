"""What must hold in a world of scans, after each step and whenever it has calmed down."""

from typing import TYPE_CHECKING, Any, Final

from bench.simulation_stories import STEPS, Story
from eco_actor.eventlog.clock import JUMP_MS
from eco_actor.runtime.ledger import conserved
from eco_actor.scan.volume import KEYED_MS

if TYPE_CHECKING:
    from bench.simulation_process import Process
    from bench.simulation_scans import ScanWorld

HUNG_S: Final = 8.0
"""Seconds after which a write that hangs has been noticed."""

NOTED_S: Final = HUNG_S
"""Seconds after which it is noted that the wall was set, if the disk takes it."""


class Audit:
    """Holds a world against the truth."""

    def __init__(self, world: "ScanWorld") -> None:
        self.world = world
        self.truth = world.truth
        self._gone: set[str] = set()
        self._process: Process | None = None
        self._steady = (0.0, 0)  # when, and what the clock of the log said
        self._saved: tuple[int, int] | None = None  # what the disk had of it at the last start
        self._jumped = self._troubled = -HUNG_S  # when last

    # ---- the clock

    def jumps(self) -> None:
        """The wall clock is set."""
        self._jumped = self.world.loop.time()

    def starts(self) -> None:
        """A process is about to start."""
        self._process = None
        self._saved = self._on_disk()

    def _on_disk(self) -> tuple[int, int] | None:
        ask = self.world.disk.ask
        if not ask("SELECT 1 FROM sqlite_master WHERE name = 'clock'"):
            return None
        rows = ask("SELECT steady_ms, wall_ms FROM clock")
        return (rows[0][0], rows[0][1]) if rows else None

    def _clock(self, process: "Process") -> None:
        """The clock of the log goes on at the rate of time, whatever the wall says."""
        now, said = self.world.loop.time(), process.eco.log.now_ms()
        if self._process is not process:
            self._started(now, said)
        else:
            ahead = said - self._steady[1] - int((now - self._steady[0]) * 1000)
            self.truth.expect(
                abs(ahead) <= 2, f"the clock of the log is {ahead} ms off in a process"
            )
        self._process, self._steady = process, (now, said)
        saved = self._on_disk()
        if process.eco.log.trouble is not None or process.hang or self.world.disk.faulty:
            self._troubled = now
        if saved is not None and now > max(self._jumped, self._troubled) + NOTED_S:
            unseen = self.world.wall_ms() - said - (saved[1] - saved[0])
            self.truth.expect(
                unseen <= JUMP_MS + 2, f"that the wall was set by {unseen} ms is not noted"
            )

    def _started(self, now: float, said: int) -> None:
        if self._saved is None:
            return
        steady, wall = self._saved
        passed = int((now - self.truth.saved_at[self._saved]) * 1000)
        ahead = said - steady - passed
        set_by = max(0, self.world.wall_ms() - wall) - passed
        self.truth.expect(ahead <= max(0, set_by) + 2, f"the clock of the log is {ahead} ms early")
        self.truth.expect(said >= steady, f"the clock of the log goes back by {steady - said} ms")
        self.truth.early_ms += max(0, ahead)

    # ---- after each step

    def step(self) -> None:
        process = self.world.serving
        if process is not None:
            self._clock(process)
        self._retention()
        if process is None:
            return
        log = process.eco.log
        store: Any = log.store
        busy_s = store._writer.busy_s() if store._writer is not None else 0.0
        self.truth.expect(
            busy_s < HUNG_S or log.trouble is not None,
            f"a write has not come back for {busy_s} s, and all is well",
        )
        if process.system is not None:
            try:
                conserved(process.system)
            except AssertionError as error:
                self.truth.broken(str(error))
        self.truth.checks += 1

    def _retention(self) -> None:
        """Nothing goes before its time."""
        ask, truth = self.world.disk.ask, self.truth
        if not ask("SELECT 1 FROM sqlite_master WHERE name = 'gone'"):
            return
        rows = dict(ask("SELECT task_id, at_ms FROM gone"))
        for task_id in rows.keys() - self._gone:
            story = truth.stories.get(task_id)
            truth.note(f"gone {len(rows)}")
            if story is None or not story.over or story.ended is None:
                truth.broken(f"{task_id} is gone, and was not over")
                continue
            story.gone = True
            self._aged(story, rows[task_id])
            left = ask("SELECT count(*) FROM events WHERE channel = ?", f"scan:{task_id}")
            truth.expect(left == [(0,)], f"{task_id} is gone, and {left} events are left")
        self._gone = set(rows)

    def _aged(self, story: Story, at_ms: int) -> None:
        """By the log's clock, and by that of the world."""
        world = self.world
        assert story.ended is not None
        keep_ms = int(world.keep_hours * 3_600_000)
        asked = self.truth.asked[story.marker]
        many = world.config.keep_scans < 1000
        self._old(story, at_ms, story.ended, 0 if many else keep_ms)
        if asked.key is not None:
            self._old(story, at_ms, story.begun, KEYED_MS)

    def _old(self, story: Story, at_ms: int, since: tuple[float, int], least: int) -> None:
        passed = int((self.world.loop.time() - since[0]) * 1000) + self.truth.early_ms
        age = at_ms - since[1]
        self.truth.expect(age >= least, f"{story.task_id} is gone at the age of {age} ms")
        self.truth.expect(passed >= least - 2, f"{story.task_id} is gone after {passed} ms")

    # ---- when it is calm

    def quiet(self) -> bool:
        """Whether all scans are over, and everybody knows."""
        process = self.world.serving
        if process is None or process.eco.log.trouble is not None or self.world.requests.open:
            return False
        store: Any = process.eco.log.store
        if process.eco.log._under_way or store._writer.busy_s():
            return False
        if any(not story.over for story in self.truth.stories.values()):
            return False
        return all(each.over or each.here for each in self.world.followers)

    async def calm(self) -> None:
        """Everything has come to its end."""
        truth, process = self.truth, self.world.serving
        if process is None:
            truth.broken("the world is calm, and no process serves")
            return
        self.step()
        log = process.eco.log
        truth.expect(log.trouble is None, f"no fault is left, and there is trouble: {log.trouble}")
        for story in truth.stories.values():
            at = "" if story.over else STEPS[story.next]
            truth.expect(story.over, f"scan {story.marker} ({story.task_id}) stays at {at}")
        truth.expect(not self.world.requests.open, "requests are left open")
        truth.expect(truth.offered == truth.head, f"offered {truth.offered} of {truth.head}")
        truth.expect(log.head == truth.head, f"the log's head is {log.head}, not {truth.head}")
        truth.expect(log._under_way == 0, f"{log._under_way} appends are under way")
        self._tables()
        for follower in self.world.followers:
            follower.audit()
        self.world.followers = [each for each in self.world.followers if not each.over][-8:]
        await self._views(process)

    def _tables(self) -> None:
        ask, truth = self.world.disk.ask, self.truth
        ((unfinished,),) = ask("SELECT count(*) FROM scans WHERE finished = 0")
        truth.expect(unfinished == 0, f"{unfinished} scans are unfinished")
        ((pictures,),) = ask("SELECT count(*) FROM pictures")
        truth.expect(pictures == 0, f"{pictures} pictures are kept for nothing")
        kept = {s.task_id for s in truth.stories.values() if not s.gone}
        rewarded = {s.thing for s in truth.stories.values() if s.rewarded} & kept
        granted = {task_id for (task_id,) in ask("SELECT task_id FROM rewards")}
        truth.expect(granted == rewarded, f"rewards: {len(granted)} for {len(rewarded)}")
        there = {task_id for (task_id,) in ask("SELECT task_id FROM scans")}
        truth.expect(kept == there, f"{len(kept)} scans are kept, {len(there)} are there")

    async def _views(self, process: "Process") -> None:
        """What clients are shown of a scan is the fold of its events."""
        stories = [*self.truth.stories.values()][-3:]
        for story in stories:
            view = await process.eco.views.snapshot(story.task_id)
            if view is None:
                gone = await process.eco.views.gone(story.task_id)
                self.truth.expect(story.gone and gone, f"{story.task_id} is not to be seen")
                continue
            self.truth.expect(
                view["status"] == story.status and (view["reward"] is not None) == story.rewarded,
                f"{story.task_id} is shown as {view}",
            )
