"""What an incarnation has beside its messages, and gives back at its end: timers, operations under
way, names, watches. Made when the first is asked for; most actors never have any."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from eco_actor.runtime.errors import ActorDead, TooManyPipes
from eco_actor.runtime.pipes import Pipes
from eco_actor.runtime.timers import Timers

if TYPE_CHECKING:
    from eco_actor.runtime.cell import Cell
    from eco_actor.runtime.incarnation import Incarnation
    from eco_actor.runtime.ref import Ref


class Belongings:
    __slots__ = ("_life", "_names", "_pipes", "_timers", "_watched")

    def __init__(self, life: "Incarnation") -> None:
        self._life = life
        self._timers: Timers | None = None
        self._pipes: Pipes | None = None
        self._names: set[str] = set()
        self._watched: dict[Cell, None] = {}

    def start_timer(self, key: str, delay: float, message: Any) -> None:
        if self._timers is None:
            host = self._life.cell.host
            self._timers = Timers(host.loop, host.dispatcher.fresh_context, self._life.signal)
        self._timers.start(key, delay, message)

    def cancel_timer(self, key: str) -> None:
        if self._timers is not None:
            self._timers.cancel(key)

    def pipe(
        self,
        coro: Coroutine[Any, Any, Any],
        done: Callable[[Any], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        life, cell = self._life, self._life.cell
        if life.ending:
            raise ActorDead(cell.path, "it is ending, and starts nothing any more")
        if self._pipes is None:
            self._pipes = Pipes(cell.host.jobs, cell.path, life.signal, life.fail)
        assert life.actor is not None
        bound = life.actor.max_pipes
        if len(self._pipes) >= bound:
            raise TooManyPipes(cell.path, f"{bound} operations are under way, its bound")
        self._pipes.start(coro, done, failed)

    def register(self, name: str) -> None:
        self._life.cell.host.names.register(name, self._life.cell)
        self._names.add(name)

    def watch(self, ref: "Ref[Any]") -> None:
        cell = cast("Cell", ref)  # there is no other kind of ref
        if cell.add_watcher(self._life):
            self._watched[cell] = None

    def watched_no_more(self, cell: "Cell") -> None:
        """*cell* has ended for good."""
        self._watched.pop(cell, None)

    def unwatch(self, ref: "Ref[Any]") -> None:
        cell = cast("Cell", ref)
        self._watched.pop(cell, None)
        cell.forget_watcher(self._life)

    def cancel_pipes(self) -> bool:
        """Cancel the operations; whether there is one to wait for."""
        return self._pipes is not None and self._pipes.cancel()

    async def wait_pipes(self) -> None:
        """Wait for the cancelled operations to end, but not for ever."""
        if self._pipes is not None:
            await self._pipes.wait()

    def release(self) -> None:
        """Give everything back."""
        if self._timers is not None:
            self._timers.cancel_all()
        self.cancel_pipes()
        for name in self._names:
            self._life.cell.host.names.unregister(name)
        for cell in self._watched:
            cell.forget_watcher(self._life)
