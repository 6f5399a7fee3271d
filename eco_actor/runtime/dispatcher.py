"""Who gets the next turn: one run queue a system, run from one callback of the loop.

An actor with messages stands in the queue at most once. A turn is bounded by the actor's own
budget, a run of turns by TURNS; what is left then goes on in the next iteration of the loop, so
sockets, timers and other callbacks are never further away than one run.
"""

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from typing import Final

TURNS: Final = 256

Turn = Callable[[], None]


class Dispatcher:
    __slots__ = ("_armed", "_loop", "_ready")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[Turn] = deque()
        self._armed = False

    def schedule(self, turn: Turn) -> None:
        """Run *turn* soon, after those that were scheduled before it; it must not raise."""
        self._ready.append(turn)
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        ready = self._ready
        try:
            for _ in range(TURNS):
                if not ready:
                    break
                ready.popleft()()
        finally:  # even a turn that breaks the rule and raises stops nobody else
            self._armed = bool(ready)
            if ready:
                self._loop.call_soon(self._run)
