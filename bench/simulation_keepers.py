"""The supervisors of the simulation: the runtime's own, with their hooks watched."""

from typing import Any

from bench.simulation_actors import Reporting, Setting
from bench.simulation_book import Life
from bench.simulation_talk import Bad
from eco_actor.runtime import (
    ActorDead,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    State,
    Supervisor,
    TooManyChildren,
)

Budget = tuple[int, int, bool]
"""Intensity, period, and whether a child is restarted alone."""


class Keeper(Reporting):
    """The hooks of a supervisor, watched."""

    budget: Budget | None

    def begin(self) -> Life:
        life = super().begin()
        life.seat.booked = False
        life.budget = self.budget
        return life

    async def watched_init(self, init: Any) -> None:
        life = self.begin()
        self.hold_task()
        try:
            await init
        except BaseException:
            self.world.judge.ends(life)
            raise
        finally:
            self.let_go()
        self.world.judge.started(life)

    async def watched_handle(self, message: Any, handling: Any) -> object:
        self.world.judge.note(f"{self.life} handles {type(message).__name__}")
        self.life.hook = "handle"
        self.hold_task()
        try:
            return await handling
        finally:
            self.life.hook = ""
            self.let_go()

    async def watched_terminate(self, reason: Exit, terminating: Any) -> None:
        judge = self.world.judge
        judge.ending(self.life, reason.kind.value)
        cells = list(self.children())
        self.hold_task()
        try:
            await terminating
        finally:
            self.let_go()
            for cell in cells:
                judge.outlived(self.life, cell)
            judge.ends(self.life)


class Trunk(Keeper, Supervisor):
    """A supervisor with a fixed beginning."""

    def __init__(self, world: Setting, budget: Budget | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.world = world
        self.budget = budget

    async def init(self) -> None:
        await self.watched_init(super().init())

    async def handle(self, message: Any) -> object:
        return await self.watched_handle(message, super().handle(message))

    async def terminate(self, reason: Exit) -> None:
        await self.watched_terminate(reason, super().terminate(reason))


class Nursery(Keeper, DynamicSupervisor):
    """A supervisor of workers that come and go."""

    def __init__(self, world: Setting, budget: Budget | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.world = world
        self.budget = budget

    def init(self) -> None:
        self.world.judge.started(self.begin())

    async def handle(self, message: Any) -> object:
        return await self.watched_handle(message, super().handle(message))

    async def terminate(self, reason: Exit) -> None:
        await self.watched_terminate(reason, super().terminate(reason))

    def try_start(self, spec: ChildSpec) -> None:
        """Start a child without waiting; what may be in the way is known beforehand."""
        judge = self.world.judge
        taken, full = spec.name in self, len(self) >= self.max_children
        ending = self.life.seat.cell.state is not State.RUNNING
        judge.checks += 1
        expected: type[Exception] | None = (
            ActorDead if ending else TooManyChildren if full else ValueError if taken else None
        )
        try:
            self.start_child_nowait(spec)
        except Exception as error:
            if not isinstance(error, expected or (Bad, TypeError)):
                judge.broken(f"{self.life} refuses a child: {error!r}, not {expected}")
            if isinstance(error, TypeError):  # its init would have had to wait, and never began
                path = f"{self.life.seat.path}/{spec.name}"
                for life in [seat.life for seat in judge.active if seat.path == path]:
                    if life is not None and life.hook == "init":
                        judge.ends(life)
        else:
            if expected is not None:
                judge.broken(f"{self.life} takes a child in spite of {expected}")
