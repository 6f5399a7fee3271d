"""The steps of the simulation: what outsiders do to the actors, and what they have them do."""

import asyncio
import contextlib
import itertools
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bench.simulation_book import Note, Seat
from eco_actor.runtime import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    ActorError,
    DeleteChild,
    RestartChild,
    StartChild,
    StopChild,
)

if TYPE_CHECKING:
    from bench.simulation import World

# What a message has its handler do, by weight. A plain handler takes those of the second table,
# which need an await, for "none".
ORDERS: Final = {
    "none": 30, "crash": 4, "failure": 2, "stop": 2, "shutdown": 1, "kill self": 1, "kill other": 1,
    "tell self": 4, "tell other": 6, "suspend": 1, "watch": 6, "unwatch": 1, "timer": 5,
    "no timer": 1, "register": 4, "whereis": 2, "pipe": 6, "start": 3,
    "sleep": 8, "hang": 1, "deaf": 1, "ask": 6, "send": 5, "stop me": 1,
}  # fmt: skip

STEPS: Final = {
    "tell": 34, "burst": 20, "send": 8, "ask": 12, "ring": 2, "forget": 1, "kill": 3, "exit": 2,
    "kill keeper": 1, "stray": 3, "request": 6, "start": 3, "stop all": 1, "suspend": 1,
    "resume": 4, "faults": 5, "storm": 1, "pass": 10, "idle": 4, "wait": 8, "jump": 1,
}  # fmt: skip

FAULTS: Final = {
    "init": ("raise", "raise", "raise", "slow", "slow raise", "hang", "register"),
    "terminate": ("raise", "slow", "slow", "hang"),
}


class Weighted:
    """Chance by weight."""

    def __init__(self, weights: dict[str, int]) -> None:
        self.names = list(weights)
        self.up_to = list(itertools.accumulate(weights.values()))

    def pick(self, rng: Random) -> str:
        return rng.choices(self.names, cum_weights=self.up_to)[0]


_ORDERS: Final = Weighted(ORDERS)
_STEPS: Final = Weighted(STEPS)


class Steps:
    def __init__(self, world: "World") -> None:
        self.world = world
        self.rng = world.rng

    def note(self, *, waited: bool = False) -> Note:
        note = self.world.small_note(waited=waited)
        note.order = _ORDERS.pick(self.rng)
        return note

    async def one(self) -> str:
        """Do something; what it was."""
        kind = _STEPS.pick(self.rng)
        if len(self._children(self.world.keepers[0])) < 3:
            kind = "plant"
        match kind:
            case "pass":
                for _ in range(self.rng.randint(1, 8)):
                    await asyncio.sleep(0)
            case "idle":
                await self.world.loop.idle()
            case "wait":
                await asyncio.sleep(self.rng.choice((0.01, 0.1, 0.3, 1.0)))
            case "jump":
                await asyncio.sleep(self.rng.choice((3.0, 7.5, 30.0)))
            case "storm":
                return await self._storm()
            case _:
                return f"{kind} {self._do(kind)}"
        return kind

    def _do(self, kind: str) -> str:
        world, rng = self.world, self.rng
        seat = world.target()
        match kind:
            case "tell" | "burst":
                notes = [self.note() for _ in range(1 if kind == "tell" else rng.randint(3, 9))]
                for note in notes:
                    world.talk.tell(seat, note)
                return f"{seat.path} {' '.join(note.order for note in notes)}"
            case "send":
                note = self.note(waited=True)
                world.go(world.talk.send(None, seat, note))
                return f"{seat.path} {note.order}"
            case "ask":
                note, timeout = self.note(), rng.choice((0.0, 0.05, 0.5, 2.0))
                world.go(world.talk.ask(None, seat, note, timeout))
                return f"{seat.path} {note.order} {timeout}"
            case "ring":
                return self._ring()
            case "forget" if world.tasks:
                rng.choice(list(world.tasks)).cancel()
            case "start":
                world.start_somewhere()
            case "plant":
                root = world.keepers[0]
                name = f"p{rng.randrange(10**6)}"
                world.go(self._request(root, StartChild(world.keeper(name, 2))))
                return name
            case "faults":
                hook = rng.choice(list(FAULTS))
                faults = rng.choices(FAULTS[hook], k=rng.randint(1, 3))
                world.faults[seat.path, hook] = faults
                return f"{seat.path} {hook} {faults}"
            case _:
                return self._meddle(kind, seat)
        return ""

    def _meddle(self, kind: str, seat: Seat) -> str:
        """Reach past the messages."""
        world, rng = self.world, self.rng
        life = seat.life
        lives = life is not None and not life.over
        match kind:
            case "kill keeper" | "stop all" | "request":
                return self._keepers(kind)
            case "kill":
                if life is not None and lives:
                    life.told = True
                seat.cell.kill()
            case "exit":
                if life is not None and lives:
                    life.told = True
                seat.cell.request_exit(rng.choice((NORMAL, SHUTDOWN, KILLED)))
            case "suspend":
                if life is not None and lives:
                    life.suspended = True
                seat.cell.suspend()
            case "resume":
                if life is not None:
                    life.suspended = False
                seat.cell.resume()
            case "stray":
                others = [other for other in world.running if other.seat.path != "/w"]
                if not others:
                    return ""
                chosen = rng.choice(others)
                world.running[chosen].cancel()
                return f"{chosen} in {chosen.hook}"
        return seat.path

    def _keepers(self, kind: str) -> str:
        world, rng = self.world, self.rng
        keeper = rng.choice(world.keepers)
        path = keeper.path
        match kind:
            case "kill keeper" if path != "/w":
                if keeper.life is not None:
                    keeper.life.told = True
                keeper.cell.kill()
            case "stop all":
                actor = keeper.cell.actor
                for cell in () if actor is None else actor.children():
                    if rng.random() < 0.5:
                        told = world.judge.seat(cell).life
                        if told is not None and not told.over:
                            told.told = True
                        cell.request_exit(SHUTDOWN)
            case "request":
                name = rng.choice([*self._children(keeper), f"x{rng.randrange(3)}"])
                message: Any = rng.choice((StopChild, StopChild, RestartChild, DeleteChild))(name)
                if rng.random() < 0.3:
                    grows = rng.random() < 0.2 and path.count("/") < 3
                    name = f"x{rng.randrange(3)}"
                    message = StartChild(world.keeper(name, 1) if grows else world.worker(name))
                if isinstance(message, RestartChild) and keeper.life is not None:
                    keeper.life.spared += 1
                world.go(self._request(keeper, message))
                return f"{path} {type(message).__name__} {name}"
        return path

    def _children(self, keeper: Seat) -> list[str]:
        actor = keeper.cell.actor
        return [] if actor is None else [cell.name for cell in actor.children()]

    async def _request(self, keeper: Seat, message: object) -> None:
        began, timeout = self.world.judge.now(), self.rng.choice((0.2, 3.0))
        with contextlib.suppress(ActorError, ValueError, TypeError):
            await keeper.cell.ask(message, timeout)
        if self.world.judge.now() > began + timeout + 1e-6:
            self.world.judge.broken(f"{keeper.path} did not answer in time")

    def _ring(self) -> str:
        """A chain of asks that comes back to where it began."""
        seats = [self.world.target() for _ in range(self.rng.randint(1, 3))]
        note = self.note()
        note.order, note.ring = "ask", (*seats[1:], seats[0])
        self.world.talk.tell(seats[0], note)
        return " ".join(seat.path for seat in seats)

    async def _storm(self) -> str:
        """One actor crashes again and again: somebody's budget is spent."""
        seat = self.world.target()
        for _ in range(self.rng.randint(3, 8)):
            note = self.note()
            note.order = "crash"
            self.world.talk.tell(seat, note)
            await asyncio.sleep(self.rng.choice((0.0, 0.01, 0.4)))
        return f"storm {seat.path}"
