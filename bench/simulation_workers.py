"""The working actors of the simulation, one kind for each kind of handler and of mailbox."""

import asyncio
import contextlib
from typing import Any, Final

from bench.simulation_actors import Worker
from bench.simulation_book import Note
from eco_actor.runtime import ActorError, MailboxSpec, Overflow, StopChild

SPECS: Final = (
    MailboxSpec[Any](1),
    MailboxSpec[Any](4),
    MailboxSpec[Any](4, max_bytes=6, size=lambda m: m.size),
    MailboxSpec[Any](3, Overflow.LATEST),
    MailboxSpec[Any](3, Overflow.LATEST, reserve=2, terminal=lambda m: m.terminal),
    MailboxSpec[Any](3, Overflow.DROP),
    MailboxSpec[Any](4, Overflow.CLOSE, max_bytes=9, size=lambda m: m.size),
    MailboxSpec[Any](5, Overflow.CLOSE),
    MailboxSpec[Any](3, Overflow.COALESCE, key=lambda m: m.key),
    MailboxSpec[Any](
        4,
        Overflow.COALESCE,
        key=lambda m: m.key,
        merge=lambda old, new: new,
        max_bytes=8,
        size=lambda m: m.size,
        reserve=1,
        terminal=lambda m: m.terminal,
    ),
)


class Plain(Worker):
    """Handles within its turn."""

    def handle(self, message: Any) -> Any:
        if type(message) is not Note:
            return self.hear(message)
        self.world.judge.takes(self.life, message)
        try:
            reply = self.obey(message)
        finally:
            self.life.hook = ""
        self.world.judge.handled(self.life, message)
        return reply


class Patient(Worker):
    """Handles in a task of its own, and may wait."""

    async def handle(self, message: Any) -> Any:
        if type(message) is not Note:
            return self.hear(message)
        self.world.judge.takes(self.life, message)
        self.hold_task()
        try:
            reply = await self._obey_slowly(message)
        finally:
            self.let_go()
            if not self.life.over:
                self.life.hook = ""
        self.world.judge.handled(self.life, message)
        return reply

    async def _obey_slowly(self, note: Note) -> object:
        world, life, rng = self.world, self.life, self.world.rng
        match "none" if world.calm else note.order:
            case "sleep":
                await asyncio.sleep(rng.choice((0.0, 0.01, 0.4)))
            case "hang":
                await asyncio.sleep(1e9)
            case "deaf":
                try:
                    await asyncio.sleep(20)
                except asyncio.CancelledError:
                    life.deaf = True
                    await asyncio.sleep(rng.choice((0.0, 0.5, 3.0)))
            case "ask":
                to = note.ring[0] if note.ring else world.target()
                inner = world.small_note()
                if len(note.ring) > 1:
                    inner.order, inner.ring = "ask", note.ring[1:]
                await world.talk.ask(life, to, inner, rng.choice((0.1, 1.0, 5.0)))
            case "send":
                await world.talk.send(life, world.target(), world.small_note(waited=True))
            case "stop me":
                parent = life.seat.cell.parent
                assert parent is not None
                with contextlib.suppress(ActorError):
                    await parent.ask(StopChild(life.seat.cell.name), 0.5)
            case _:
                return self.obey(note)
        return note.id


KINDS: Final[tuple[type[Worker], ...]] = tuple(
    type(f"{base.__name__}{n}", (base,), {"mailbox": spec, "interruptible": n % 3 == 1})
    for n, spec in enumerate(SPECS)
    for base in (Plain, Patient)
)
