"""A random world of actors, and the random steps that are done to it.

A world is made of a seed and a number alone: its tree, its steps, the order of everything that is
ready at the same time. So a step that breaks a rule can be seen again.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.simulation_book import Life, Note, Seat
from bench.simulation_judge import Judge
from bench.simulation_keepers import Nursery, Trunk
from bench.simulation_steps import Steps
from bench.simulation_talk import Talk
from bench.simulation_workers import KINDS
from eco_actor.runtime import (
    Backoff,
    ChildSpec,
    Restart,
    Strategy,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.virtual import Seeded, VirtualTimeLoop

WORLD_STEPS: Final = 500
"""Steps in one world: few enough to replay at a glance, many enough for a tree to grow old."""

RESTARTS: Final = (Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY)


class Violation(Exception):
    """A rule was broken; the text says which, when, and how to see it again."""


@dataclass(frozen=True)
class Told:
    """What one world came to."""

    steps: int
    restarts: int
    messages: int
    checks: int
    trace: str


class World:
    def __init__(self, seed: int, number: int, steps: int) -> None:
        self.seed, self.number, self.steps = seed, number, steps
        self.rng = random.Random(f"{seed} {number}")
        self.calm = False
        self.running: dict[Life, asyncio.Task[Any]] = {}
        self.workers: list[Seat] = []
        self.keepers: list[Seat] = []
        self.tasks: dict[asyncio.Task[None], None] = {}
        self.faults: dict[tuple[str, str], list[str]] = {}
        self.last: deque[str] = deque(maxlen=30)
        self._names = 0
        ordered = self.rng.random() < 0.4
        self.loop = VirtualTimeLoop(None if ordered else Seeded(self.rng.getrandbits(32)))
        self.judge = Judge(self.loop.time, self._met)
        self.talk = Talk(self.judge)
        endless: dict[str, Any] = {"intensity": 1000, "period": 1}
        self.system = System(
            child("w", Trunk, self, None, [*self._children(2), self.worker("w")], **endless),
            schedule=Seeded(self.rng.getrandbits(32)) if self.rng.random() < 0.5 else None,
        )
        self.system.on_dead_letter = lambda cell, m, why: self.judge.dead_letter(cell, m)

    # ---- what the actors see of it

    def fault(self, path: str, kind: str) -> str:
        planned = self.faults.get((path, kind))
        return planned.pop() if planned and not self.calm else ""

    def target(self) -> Seat:
        workers, rng = self.workers, self.rng
        if rng.random() < 0.5:  # some are popular, others forgotten
            workers = workers[-6:]
        seat = rng.choice(workers)
        return seat if seat.cell.alive else rng.choice(workers)  # the dead are of less interest

    def small_note(self, *, waited: bool = False) -> Note:
        note = Note("none", waited=waited)
        note.key = self.rng.choice((None, 1, 2, 3))
        note.size = self.rng.choice((1, 1, 2, 4, 12))
        note.terminal = self.rng.random() < 0.1
        return note

    def start_somewhere(self) -> None:
        nurseries = [seat.cell.actor for seat in self.keepers if seat.cell.alive]
        nurseries = [actor for actor in nurseries if isinstance(actor, Nursery)]
        if nurseries:
            nursery = self.rng.choice(nurseries)
            assert isinstance(nursery, Nursery)
            nursery.try_start(self.worker(f"n{self.rng.randrange(5)}"))

    # ---- the tree

    def worker(self, name: str) -> ChildSpec:
        return child(name, self.rng.choice(KINDS), self, restart=self.rng.choice(RESTARTS))

    def _children(self, depth: int) -> list[ChildSpec]:
        specs = []
        for _ in range(self.rng.randint(1, 3)):
            self._names += 1
            if depth and self.rng.random() < 0.6:
                specs.append(self.keeper(f"s{self._names}", depth))
            else:
                specs.append(self.worker(f"w{self._names}"))
        return specs

    def keeper(self, name: str, depth: int) -> ChildSpec:
        rng = self.rng
        intensity, period = rng.randint(0, 5), rng.randint(1, 5)
        backoff = Backoff(0.1, 2.0, jitter=0.0) if rng.random() < 0.3 else None
        how: dict[str, Any] = {"intensity": intensity, "period": period, "backoff": backoff}
        restart = rng.choice(RESTARTS)
        if rng.random() < 0.3:
            budget = None if backoff else (intensity, period, True)
            return child(name, Nursery, self, budget, rng.randint(1, 4), restart=restart, **how)
        strategy = rng.choice(list(Strategy))
        budget = None if backoff else (intensity, period, strategy is Strategy.ONE_FOR_ONE)
        specs = self._children(depth - 1)
        return child(name, Trunk, self, budget, specs, strategy, restart=restart, **how)

    def _met(self, seat: Seat) -> None:
        """An actor that nobody has seen before."""
        if isinstance(seat.cell.actor, Trunk | Nursery):
            self.keepers = [known for known in self.keepers if known.cell.alive]
            self.keepers.append(seat)
            return
        if len(self.workers) > 40:
            dead = [known for known in self.workers if not known.cell.alive]
            gone = set(map(id, dead[:-5]))
            self.workers = [known for known in self.workers if id(known) not in gone]
        self.workers.append(seat)

    # ---- its course

    def go(self, coro: Coroutine[Any, Any, object]) -> None:
        """Let *coro* run beside the steps, and hear of what it raises."""

        async def guarded() -> None:
            try:
                await coro
            except Exception as error:
                self.judge.broken(f"an outsider met {error!r}")

        task = self.loop.create_task(guarded())
        self.tasks[task] = None

        def over(done: asyncio.Task[None]) -> None:
            del self.tasks[done]
            coro.close()  # it may have been cancelled before its first step

        task.add_done_callback(over)

    def run(self) -> Told:
        """All of its steps and its end. Raises Violation."""
        judge, state = self.judge, random.getstate()
        random.seed(self.rng.getrandbits(32))  # the runtime's jitter comes from there
        self.loop.set_exception_handler(
            lambda _, context: judge.broken(f"the loop reports {context}")
        )
        try:
            with heard(judge.broken), asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._run())
        except Violation:
            raise
        except (
            Exception
        ) as error:  # it waits for ever, say; or what broke a rule keeps it from ending
            judge.broken(f"the world ends by {error!r}")
        finally:
            random.setstate(state)
        self._look("the end")
        return Told(self.steps, judge.restarts, judge.messages, judge.checks, judge.trace)

    async def _run(self) -> None:
        steps = Steps(self)
        async with self.system as system:
            for step in range(self.steps):
                self.last.append(f"{step}: {await steps.one()}")
                self.judge.audit()
                self._look(f"step {step}")
                if step % 16 == 15:
                    await self._calm_down(step)
            self.calm = True
            await asyncio.sleep(0.5)
            await self._calm_down(self.steps)
            places = self._places()
            begun = len(self.judge.stops)
        await self.loop.idle()
        self.judge.audit()
        self._check_order(places, self.judge.stops[begun:])
        self.judge.audit_end(system, self.talk.under_way)
        if asyncio.all_tasks() - {asyncio.current_task()}:
            self.judge.broken("tasks are left")

    async def _calm_down(self, step: int) -> None:
        await self.loop.idle()
        self.judge.audit()
        self.judge.audit_calm()
        if not self.keepers[0].cell.alive:
            self.judge.broken("the root has ended")
        self._look(f"step {step}, calm")

    def _places(self) -> dict[Life, list[tuple[Cell, int]]]:
        """Above each actor its supervisors, and where in the order of start it stands below them.

        Empty when something is still moving: then there is no order to be kept.
        """
        places: dict[Life, list[tuple[Cell, int]]] = {}
        for seat in self.judge.seats.values():
            life = seat.life
            if life is None or life.over:
                continue
            if life.told or not life.up or life.deaf or (life.hook and not seat.booked):
                return {}
            places[life] = []
            cell = seat.cell
            while cell.parent is not None:
                parent = cell.parent.actor
                assert parent is not None
                at = 0 if isinstance(parent, Nursery) else list(parent.children()).index(cell)
                places[life].append((cell.parent, at))
                cell = cell.parent
        return places

    def _check_order(
        self, places: dict[Life, list[tuple[Cell, int]]], stops: Sequence[Life]
    ) -> None:
        """Stopped in the reverse of the order of start, all below a supervisor before it."""
        ended: dict[Cell, None] = {}
        lowest: dict[Cell, int] = {}
        for life in (each for each in stops if not each.deaf):  # else it was given up before
            for parent, at in places.get(life, ()):
                self.judge.checks += 1
                if parent in ended or at > lowest.get(parent, at):
                    self.judge.broken(f"{life} stops after what was started before it")
                lowest[parent] = at
            ended[life.seat.cell] = None

    def _look(self, where: str) -> None:
        if self.judge.violations:
            steps = "\n  ".join(self.last)
            said = "\n  ".join(self.judge.violations[:5])
            raise Violation(
                f"seed {self.seed}, world {self.number}, {where}:\n  {said}\n"
                f"the last steps:\n  {steps}\nagain:\n"
                f"  python -m bench.simulate --seed {self.seed} --world {self.number}"
                + (f" --world-steps {self.steps}" if self.steps != WORLD_STEPS else "")
            )


@contextlib.contextmanager
def heard(broken: Callable[[str], None]) -> Iterator[None]:
    """The runtime logs nothing but what must not happen: an exception that escapes from a job."""

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            broken(f"logged: {record.getMessage()} {record.exc_info}")

    runtime, jobs = logging.getLogger("eco_actor"), logging.getLogger("eco_actor.runtime.jobs")
    before, listening = runtime.level, Listening(logging.ERROR)
    runtime.setLevel(logging.CRITICAL)
    jobs.setLevel(logging.ERROR)
    jobs.addHandler(listening)
    try:
        yield
    finally:
        runtime.setLevel(before)
        jobs.setLevel(logging.NOTSET)
        jobs.removeHandler(listening)


def worlds(steps: int, each: int = WORLD_STEPS) -> Iterator[tuple[int, int]]:
    """The worlds of a run of so many steps: their numbers, and the steps of each."""
    for number, begun in enumerate(range(0, steps, each)):
        yield number, min(each, steps - begun)
