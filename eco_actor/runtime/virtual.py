"""Virtual time, and the order of what happens as a choice: the ground that the test kit stands on.

VirtualTimeLoop   a loop whose clock jumps to the next timer instead of waiting for it
Seeded, Replay    who decides what happens next: chance from a seed, or a list of choices
explore           one run for each list of choices there is: a small Concuerror

asyncio runs callbacks first in, first out. An application relies on that more than it knows, until
a library puts one more callback between two others. Under a chooser any ready callback may be next;
what holds then, holds whoever is in between.
"""

import asyncio
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Choose = Callable[[int], int]
"""Given how many callbacks are ready, at least 2, the index of the next, oldest first."""

SETTLES_WITHIN: Final = 100_000
"""Rounds of the loop after which whatever keeps it busy is taken to go on for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; what the loop would have waited is added to its clock."""

    def __init__(self, stuck: Callable[[], str]) -> None:
        super().__init__()
        self.now = 0.0
        self.idle: list[asyncio.Future[None]] = []  # who waits until the loop would wait
        self._rounds = 0  # since somebody does
        self._stuck = stuck

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            self._rounds = self._rounds + 1 if self.idle else 0
            if self._rounds > SETTLES_WITHIN:
                self._rounds = 0
                raise RuntimeError("virtual time: this never settles, something is always ready")
            return events
        self._rounds = 0
        if self.idle:
            waiting, self.idle = self.idle, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)
        elif timeout is None:
            raise RuntimeError(f"virtual time: nothing is left to happen, {self._stuck()}")
        else:
            # A wait that is too short to be seen so late in time would otherwise never end.
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
        return events

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        found: Mapping[Any, selectors.SelectorKey] = super().get_map()
        return found


class _Timer(asyncio.TimerHandle):
    """What `call_at` returns when timers, too, are chosen among: cancels the loop's own as well."""

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.inner: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        super().cancel()
        if self.inner is not None:
            self.inner.cancel()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For tests without threads or sockets: hours pass in no time, always in the same order.

    RuntimeError, instead of a hang, when every task waits for something that cannot happen.
    *choose* decides which of the ready callbacks runs next (first in, first out without it) and may
    be changed at any time. What comes from other threads is not chosen among.
    """

    def __init__(self, choose: Choose | None = None) -> None:
        self._virtual = _JumpingSelector(self._stuck)
        self._pool: list[tuple[asyncio.Handle, Callable[[], object]]] = []
        self.choose = choose
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    async def idle(self) -> None:
        """Wait until nothing is ready, so that time would have to pass; it does not."""
        future = self.create_future()
        self._virtual.idle.append(future)
        await future

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        if self.choose is None:
            return super().call_soon(callback, *args, context=context)
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._enter(handle, partial(context.run, callback, *args))
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.choose is None:
            return super().call_at(when, callback, *args, context=context)
        context = copy_context() if context is None else context
        timer = _Timer(when, callback, args, self, context)
        due = partial(context.run, callback, *args)
        timer.inner = super().call_at(when, self._enter, timer, due)
        return timer

    def _enter(self, handle: asyncio.Handle, run: Callable[[], object]) -> None:
        """Let *run* be chosen; one pump for each keeps the loop from waiting before it was."""
        super().call_soon(self._pump)
        self._pool.append((handle, run))

    def _pump(self) -> None:
        """Run one of those that are ready."""
        pool = self._pool
        pool[:] = [entry for entry in pool if not entry[0].cancelled()]
        if not pool:
            return
        at = self.choose(len(pool)) if self.choose is not None and len(pool) > 1 else 0
        handle, run = pool.pop(at)
        try:
            run()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"Exception in callback {handle!r}"
            context = {"message": message, "exception": error, "handle": handle}
            self.call_exception_handler(context)

    def _stuck(self) -> str:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self))
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return f"this waits for ever: {', '.join(names[:5]) or 'no task'}{more}"


def run_virtual(main: Coroutine[Any, Any, T], choose: Choose | None = None) -> T:
    """As `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, choose)) as runner:
        return runner.run(main)


class Seeded:
    """Chance, the same for the same seed: a `Schedule` for a system, a chooser for a loop."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, n: int) -> int:
        return self.random.randrange(n)

    pick = __call__

    def budget(self, most: int) -> int:
        """Mostly one to three messages a turn, so that others get in between; now and then all."""
        return most if self.random.random() < 0.1 else min(most, self.random.randint(1, 3))


@dataclass
class Replay:
    """The choices of a list, then always the oldest: a `Schedule` and a chooser, like `Seeded`.

    `taken` has what was chosen, `options` how many there were to choose from at each step. While
    it is `paused` the oldest is taken and nothing recorded: for what is not to be explored. A
    choice beyond the options is a sign of `divergence`: the run was not the one of the list.
    """

    choices: Sequence[int] = ()
    taken: list[int] = field(default_factory=list)
    options: list[int] = field(default_factory=list)
    paused: bool = False
    divergence: bool = False

    def __call__(self, n: int) -> int:
        if self.paused or n < 2:
            return 0
        step = len(self.taken)
        choice = self.choices[step] if step < len(self.choices) else 0
        if not 0 <= choice < n:
            self.divergence = True
            choice = 0
        self.taken.append(choice)
        self.options.append(n)
        return choice

    pick = __call__

    def budget(self, most: int) -> int:
        """One message a turn: the finest interleaving."""
        return 1


@dataclass(frozen=True)
class Explored:
    """How many schedules `explore` went through; not `complete`: the limit came first."""

    schedules: int
    complete: bool


def explore(scenario: Callable[[Replay], object], depth: int, limit: int) -> Explored:
    """Run *scenario* under every schedule that differs in its first *depth* choices, each once.

    The scenario makes its own loop and system with the `Replay` that it is given, and must be the
    same for the same choices. Those that take the oldest most often come first, so that what a
    *limit* cuts off is the most contrived; of those that deviate equally often, it leaves a sample.
    What a run raises carries its choices as a note.
    """
    chance = random.Random(depth)
    level: list[_Prefix] = [_Prefix([], [])]
    schedules = 0
    while level:
        deviating_once_more: list[_Prefix] = []
        for prefix in level:
            if schedules == limit:
                return Explored(schedules, complete=False)
            schedules += 1
            replay = _run(scenario, prefix)
            deviating_once_more += _deviations(replay, len(prefix.choices), depth)
        chance.shuffle(deviating_once_more)
        level = deviating_once_more
    return Explored(schedules, complete=True)


@dataclass(frozen=True)
class _Prefix:
    """The first choices of a schedule, and how many options each had when it was found."""

    choices: list[int]
    options: list[int]


def _run(scenario: Callable[[Replay], object], prefix: _Prefix) -> Replay:
    replay = Replay(prefix.choices)
    try:
        scenario(replay)
    except BaseException as error:
        error.add_note(f"replay this schedule with Replay({replay.taken})")
        raise
    if replay.divergence or replay.options[: len(prefix.options)] != prefix.options:
        raise AssertionError(f"not the same run for the same choices {prefix.choices}")
    return replay


def _deviations(replay: Replay, since: int, depth: int) -> list[_Prefix]:
    """Every schedule that is this one up to a choice, from *since* on, and takes another there."""
    taken, options = replay.taken, replay.options
    return [
        _Prefix([*taken[:at], choice], options[: at + 1])
        for at in range(since, min(depth, len(taken)))
        for choice in range(1, options[at])
    ]
