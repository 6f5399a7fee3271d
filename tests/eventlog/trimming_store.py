"""A store in a list that trims, for tests in virtual time."""

import asyncio
from collections.abc import Mapping, Sequence

from eco_actor.eventlog import Event, StoreError
from eco_actor.eventlog.history import Count, Excess, Trimmed
from eco_actor.eventlog.store import Told
from tests.fakes import FakeStore


class TrimmingStore(FakeStore):
    """A trim goes in steps of *step* events, each some `pace` seconds after the one before.

    What is gone stays in `events`, whose length gives the positions; `left` is what there is.
    `broken` is what a count or a trim fails with.
    """

    def __init__(self, step: int = 3, pace: float = 0.01) -> None:
        super().__init__()
        self.trimmed: Mapping[str, int] = {}
        self._gone: dict[str, int] = {}
        self.trims: list[Excess] = []
        self.counts = 0
        self.broken: str | None = None
        self._step, self._pace = step, pace

    async def count(self, besides: str, upto: int) -> Sequence[Count]:
        self.counts += 1
        self._check()
        found: dict[str, Count] = {}
        for event in self.events:
            if event.position <= upto and not event.channel.startswith(besides):
                before = found.get(event.channel, Count(event.channel, 0, 0, event.at_ms))
                found[event.channel] = before._replace(
                    events=before.events + 1, size=before.size + event.size
                )
        return list(found.values())

    def trim(self, excess: Excess, told: Told) -> None:
        self._check()
        self.trims.append(excess)
        self._go_on(excess, told)

    def left(self, channel: str) -> list[Event]:
        """The events of *channel* that were not trimmed."""
        gone = self._gone.get(channel, 0)
        return [e for e in self.events if e.channel == channel and e.position > gone]

    def _check(self) -> None:
        if self.broken is not None:
            raise StoreError(self.broken)

    def _go_on(self, excess: Excess, told: Told) -> None:
        rows = [(e.position, e.at_ms, e.size) for e in self.left(excess.channel)]
        events, size = excess.take(rows[: self._step])
        upto = rows[events - 1][0] if events else 0
        left = rows[events][1] if events < len(rows) else None
        self._gone[excess.channel] = upto or self._gone.get(excess.channel, 0)
        done = events < self._step or left is None
        step = Trimmed(excess.channel, upto, events, size, left, done)
        loop = asyncio.get_running_loop()
        loop.call_later(self._pace, told, step)
        if not done:
            loop.call_later(self._pace, self._go_on, excess.less(events, size), told)
