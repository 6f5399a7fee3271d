"""Streams that can be told to go, and the actor that tells them, without a server."""

import asyncio
from typing import Any

from eco_actor.delivery.admission import Gate
from eco_actor.runtime import Cell, Supervisor, System, child
from eco_actor.web.drain import Begin, Drain, Drained, End, Look


class Told:
    """Streams by number, oldest first, and when each was told to go, by the loop's clock."""

    def __init__(self, count: int, *, leave: bool = True) -> None:
        self.open = list(range(count))
        self.told: list[tuple[float, int]] = []
        self.most = 0
        self.calls = 0
        self.fault: Exception | None = None
        self._leave = leave  # whether who is told to is gone at once
        self._next = count

    def __len__(self) -> int:
        return len(self.open)

    def end_some(self, most: int) -> int:
        self.calls += 1
        self.most = max(self.most, most)
        if self.fault is not None:
            raise self.fault
        known = {number for _, number in self.told}
        chosen = [number for number in self.open if number not in known][:most]
        now = asyncio.get_running_loop().time()
        self.told += [(now, number) for number in chosen]
        if self._leave:
            self.open = [number for number in self.open if number not in chosen]
        return len(chosen)

    def one_more(self) -> None:
        self.open.append(self._next)
        self._next += 1


class World:
    def __init__(self, streams: Told) -> None:
        self.streams = streams
        self.gate = Gate(100, 100)
        self.drained = Drained()
        spec = child("drain", Drain, self.drained, self.gate, streams)
        self.system = System(child("eco", Supervisor, [spec]))

    @property
    def drain(self) -> Cell:
        return self.system.at("/eco/drain")

    async def ask(self, message: Begin | End | Look) -> dict[str, Any]:
        state: dict[str, Any] = await self.drain.ask(message, 1.0)
        return state
