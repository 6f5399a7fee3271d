"""The actors of the simulation: they do what messages say, and tell the judge what befalls them."""

import asyncio
from random import Random
from typing import Any, ClassVar, Final, Protocol

from bench.simulation_book import Life, Note, Seat
from bench.simulation_judge import Judge
from bench.simulation_talk import Bad, Talk
from eco_actor.runtime import (
    SHUTDOWN,
    Actor,
    Down,
    Exit,
    Failure,
    TooManyPipes,
)

NAMES: Final = ("ada", "bob", "cyd", "dan")


class Ring:
    """A timer's message: it must not outlive the incarnation that set it."""

    def __init__(self, life: Life, due: float) -> None:
        self.life = life
        self.due = due


class Piped:
    """The result of an operation: only its own incarnation may hear of it."""

    def __init__(self, life: Life) -> None:
        self.life = life


class Setting(Protocol):
    """What an actor sees of its world."""

    judge: Judge
    talk: Talk
    rng: Random
    calm: bool
    running: dict[Life, "asyncio.Task[Any]"]

    def fault(self, path: str, kind: str) -> str: ...
    def target(self) -> Seat: ...
    def small_note(self, *, waited: bool = False) -> Note: ...
    def start_somewhere(self) -> None: ...


class Reporting(Actor[Any]):
    """Tells the judge when its hooks begin and end."""

    life: Life
    world: Setting

    def begin(self) -> Life:
        self.life = self.world.judge.begins(self.ref)
        return self.life

    def hold_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.world.running[self.life] = task

    def let_go(self) -> None:
        self.world.running.pop(self.life, None)


class Worker(Reporting):
    """What plain and patient actors share."""

    max_pipes: ClassVar[int] = 3
    shutdown: ClassVar[float | None] = 1.5

    def __init__(self, world: Setting) -> None:
        self.world = world

    # ---- beginning and end

    def init(self) -> Any:
        life = self.begin()
        fault = self.world.fault(self.ref.path, "init")
        if fault in ("slow", "slow raise", "hang"):
            return self._slow_init(fault)
        if fault == "raise":
            self.world.judge.ends(life)
            raise Bad("init")
        if fault == "register":
            self.world.talk.register(life, self, NAMES[0])
        self.world.judge.started(life)
        return None

    async def _slow_init(self, fault: str) -> None:
        self.hold_task()
        try:
            await asyncio.sleep(1e9 if fault == "hang" else 0.3)
            if fault == "slow raise":
                raise Bad("init")
            self.world.judge.started(self.life)
        except BaseException:
            self.world.judge.ends(self.life)
            raise
        finally:
            self.let_go()

    def terminate(self, reason: Exit) -> Any:
        self.world.judge.ending(self.life, reason.kind.value)
        fault = self.world.fault(self.ref.path, "terminate")
        if fault in ("slow", "hang"):
            return self._slow_terminate(fault)
        self.world.judge.ends(self.life)
        if fault == "raise":
            raise Bad("terminate")
        return None

    async def _slow_terminate(self, fault: str) -> None:
        self.hold_task()
        self.life.deaf = self.life.deaf or fault == "hang"
        try:
            await asyncio.sleep(30.0 if fault == "hang" else 0.2)
        finally:
            self.let_go()
            self.world.judge.ends(self.life)

    # ---- messages

    def hear(self, signal: object) -> None:
        """A signal: a death, a timer, the result of an operation."""
        judge, life = self.world.judge, self.life
        match signal:
            case Down():
                self.world.talk.hears_down(life, signal)
            case Ring():
                judge.signalled(life, "rings")
                if signal.life is not life or judge.now() < signal.due - 1e-6:
                    judge.broken(f"{life} hears a timer of {signal.life}, {signal.due}")
            case Piped():
                judge.signalled(life, "pipes")
                life.piped -= 1
                if signal.life is not life:
                    judge.broken(f"{life} hears of an operation of {signal.life}")
            case _:
                judge.broken(f"{life} is given {signal!r}")

    def obey(self, note: Note) -> object:
        """What can be done without waiting."""
        world, life = self.world, self.life
        match "none" if world.calm else note.order:
            case "crash":
                raise Bad(str(note.id))
            case "failure":
                return Failure(Bad(str(note.id)))
            case "stop" | "shutdown":
                life.told = True
                self.stop() if note.order == "stop" else self.stop(SHUTDOWN)
            case "kill self":
                life.told = True
                life.seat.cell.kill()
            case "kill other":
                other = world.target()
                if other.life is not None and other.life.hook != "terminate":
                    other.life.told = True
                other.cell.kill()
            case "tell self" | "tell other":
                to = life.seat if note.order == "tell self" else world.target()
                world.talk.tell(to, world.small_note())
            case "suspend":
                life.suspended = True
                life.seat.cell.suspend()
            case _:
                self._obey_more(note.order)
        return note.id

    def _obey_more(self, order: str) -> None:
        world, life, rng = self.world, self.life, self.world.rng
        match order:
            case "watch":
                world.talk.watch(life, self, world.target())
            case "unwatch" if life.watching:
                world.talk.unwatch(life, self, rng.choice(list(life.watching)))
            case "timer":
                delay = rng.choice((0.0, 0.01, 0.5, 3.0))
                ring = Ring(life, world.judge.now() + delay)
                self.start_timer(rng.choice("xy"), delay, ring)
            case "no timer":
                self.cancel_timer(rng.choice("xy"))
            case "register":
                world.talk.register(life, self, rng.choice(NAMES))
            case "whereis":
                world.talk.whereis(self, rng.choice(NAMES))
            case "pipe":
                self._pipe()
            case "start":
                world.start_somewhere()

    def _pipe(self) -> None:
        judge, life = self.world.judge, self.life
        full = life.pipes >= self.max_pipes
        judge.checks += 1
        try:
            self.pipe(self._operation(), lambda _: Piped(life), lambda _: Piped(life))
        except TooManyPipes:
            if not full:
                judge.broken(f"{life} may have no operation beside {life.pipes}")
        else:
            if full:
                judge.broken(f"{life} has more than {self.max_pipes} operations")
            life.pipes += 1

    async def _operation(self) -> None:
        judge, life, rng = self.world.judge, self.life, self.world.rng
        judge.pipes += 1
        try:
            match rng.randrange(4):
                case 0:
                    raise Bad("operation")
                case 1:
                    await asyncio.sleep(rng.random())
                case 2:
                    await asyncio.sleep(4)
                case _:
                    to = self.world.target()
                    await self.world.talk.ask(None, to, self.world.small_note(), 0.5)
        finally:
            judge.pipes -= 1
            life.pipes -= 1
            if not life.over and not life.told:
                life.piped += 1
