"""The test kit: real actors in virtual time, in an order made from a seed, with faults on demand.

    async def main(kit: Kit) -> None:
        probe = kit.probe()
        counter = await kit.start(Counter, probe.ref)
        kit.faults.crash("counter", nth=2)
        counter.tell(Add(3))
        await probe.expect(Total, within=1.0)

    for seed in seeds(100):
        simulate(main, seed)

The seed decides which of the ready callbacks and turns is next and how long a turn is, so one test
stands for many orders, each of which can be had again: what fails names its seed as a note, and the
environment variable ECO_SEED overrides all seeds. When a kit ends without an error it checks that
every message, ask and job is accounted for.
"""

import asyncio
import dataclasses
import fnmatch
import functools
import inspect
import os
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from eco_actor.runtime.actor import Actor, ChildSpec, Down, child
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dispatcher import Schedule
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.incarnation import State
from eco_actor.runtime.jobs import Jobs
from eco_actor.runtime.mailbox import MailboxSpec, Outcome
from eco_actor.runtime.parent import StartChild
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.supervisor import Supervisor
from eco_actor.runtime.system import System
from eco_actor.runtime.virtual import (
    Explored,
    Replay,
    Seeded,
    VirtualTimeLoop,
    explore,
    run_virtual,
)

__all__ = (
    "CancelAt",
    "Explored",
    "Faults",
    "Injected",
    "Kit",
    "KitJobs",
    "Ledger",
    "Probe",
    "Replay",
    "Seeded",
    "VirtualTimeLoop",
    "conserved",
    "explore",
    "run_virtual",
    "seeds",
    "simulate",
)

T = TypeVar("T")

SEED: Final = "ECO_SEED"
TRACED: Final = 10_000
"""Lines of a kit's trace; the oldest give way."""
PATIENCE: Final = 3600.0
"""Virtual seconds that an init may take in `Kit.start`."""


class Decider(Schedule, Protocol):
    """Decides about turns and about callbacks: `Seeded`, `Replay`."""

    def __call__(self, n: int, /) -> int: ...


def seeds(count: int) -> Iterable[int]:
    """0 to *count* - 1, or the one that ECO_SEED names."""
    return (_seed(0),) if SEED in os.environ else range(count)


def _seed(given: int) -> int:
    text = os.environ.get(SEED, str(given))
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{SEED} is a whole number, not {text!r}") from None


def simulate(
    main: "Callable[[Kit], Coroutine[Any, Any, T]]",
    seed: int = 0,
    *,
    schedule: Decider | None = None,
    jobs: "KitJobs | None" = None,
) -> T:
    """Run *main* with a new kit in a new loop of virtual time; returns what it returns."""
    kit = Kit(seed, schedule=schedule, jobs=jobs)

    async def run() -> T:
        async with kit:
            return await main(kit)

    try:
        return run_virtual(run())
    except BaseException as error:
        kit.sign(error)
        raise


class Kit:
    """A system whose order is made from *seed*, or decided by *schedule*, for one test.

    `system` is the real thing; `faults` are injected into what `start` and `supervise` start;
    `ledger` knows what senders were told; `trace` has the last lines of what happened; `jobs` the
    tasks. Needs a `VirtualTimeLoop`. Without *check* nothing is asserted at the end.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        schedule: Decider | None = None,
        jobs: "KitJobs | None" = None,
        check: bool = True,
    ) -> None:
        self.seed = _seed(seed)
        self.schedule: Decider = Seeded(self.seed) if schedule is None else schedule
        self.jobs = KitJobs() if jobs is None else jobs
        self.trace: deque[str] = deque(maxlen=TRACED)
        self.faults = Faults(self.seed, self._note)
        self.ledger = Ledger(self._note)
        self._signature = (
            f"seed {self.seed}: replay with Kit(seed={self.seed}), or {SEED}={self.seed}"
            if schedule is None
            else f"schedule: {schedule!r}"
        )
        self._check = check
        self._faulty: list[str] = []  # what went wrong where nobody would have heard of it
        probes = child("probes", DynamicSupervisor, 1000)
        root = child("kit", Supervisor, [probes], intensity=1000, period=1)
        self.system = System(root, schedule=self.schedule, jobs=self.jobs)
        self.system.jobs = self.jobs

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualTimeLoop):
            raise RuntimeError("a Kit lives in virtual time: run it with simulate() or run_virtual")
        self._loop = loop
        self._before = loop.choose, loop.get_exception_handler()
        loop.choose = self.schedule
        loop.set_exception_handler(self._on_loop_error)
        self.jobs.note = self._note
        self.ledger.open()
        self.system.on_dead_letter = self.ledger.dead_letter
        try:
            await self.system.__aenter__()
        except BaseException:
            self._restore()
            raise
        root, supervisor = self.system.find("/kit"), self.system.find("/kit/probes")
        assert root is not None
        assert supervisor is not None
        assert isinstance(supervisor.actor, DynamicSupervisor)
        self._root, self._probes = root, supervisor.actor
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.system.__aexit__(kind, error, trace)
            if error is None and self._check:
                await self.settle()
                self._assert_over()
        except BaseException as failure:
            self.sign(failure)
            raise
        finally:
            self._restore()
            if error is not None:
                self.sign(error)

    def _restore(self) -> None:
        self.ledger.close()
        self._loop.choose, handler = self._before
        self._loop.set_exception_handler(handler)

    def sign(self, error: BaseException) -> None:
        """Let *error* say how to have it again, and what happened last."""
        if self._signature not in getattr(error, "__notes__", ()):
            error.add_note(self._signature)
            if self.trace:
                error.add_note("last: " + "\n      ".join([*self.trace][-10:]))

    def _note(self, line: str) -> None:
        self.trace.append(f"{self._loop.time():.3f} {line}")

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "never retrieved" not in context["message"]:  # found when memory is freed: not of a seed
            self._faulty.append(f"{context['message']}: {context.get('exception')!r}")

    # ---- actors

    async def start(
        self, actor: Callable[..., Actor[Any]], *args: Any, name: str | None = None, **options: Any
    ) -> Cell:
        """Start `actor(*args)` under the kit's supervisor and wait for its `init`.

        *options*: restart and shutdown as in `child`, and the actor's own. Its name is that of its
        class in small letters, with a number from the second on. StartFailed when init raises.
        """
        return await self.supervise(child(name or self._name(actor), actor, *args, **options))

    async def supervise(self, spec: ChildSpec) -> Cell:
        """Start *spec*, which may be a tree; faults reach all whose specs stand in it."""
        cell = await self._root.ask(StartChild(self.faults.wrap(spec)), timeout=PATIENCE)
        assert isinstance(cell, Cell)
        return cell

    def _name(self, actor: Callable[..., Actor[Any]]) -> str:
        name = getattr(actor, "__name__", "actor").lower()
        taken = {cell.path for cell in self.system.walk()}
        number = 2
        found = name
        while f"/kit/{found}" in taken:
            found = f"{name}-{number}"
            number += 1
        return found

    def probe(self, name: str = "probe", answer: "Callable[[Any], Any] | None" = None) -> "Probe":
        """An actor that keeps what it is told, for the test to look at.

        *answer* makes of a message what an ask gets.
        """
        probe = Probe(name, self._loop, answer)
        spec = child(name, _ProbeActor, probe)
        cell = self._probes.start_child_nowait(spec)
        assert isinstance(cell, Cell)
        probe.ref = cell
        return probe

    def cancel(self, ref: Ref[Any]) -> bool:
        """Cancel the hook of *ref* that awaits, as nobody should; False when there is none."""
        return self.jobs.cancel(ref.path)

    # ---- time

    async def settle(self) -> None:
        """Wait until nothing more happens by itself; no time passes."""
        await self._loop.idle()

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass and what they bring settle."""
        await asyncio.sleep(seconds)
        await self.settle()

    # ---- checks

    def assert_conserved(self, *refs: Cell) -> None:
        """Every message of *refs*, or of all actors, is accounted for; see `conserved`."""
        conserved(refs or {*self.system.walk(), *self.ledger.told}, self.ledger)

    def assert_quiet(self) -> None:
        """No hook awaits, no message is queued, nobody waits for an answer or for room."""
        busy = [f"{name} runs" for name in self.jobs.names()]
        full = (cell for cell in self.system.walk() if cell.mailbox)
        busy += [f"{cell.path} has {len(cell.mailbox)} messages queued" for cell in full]
        busy += self.ledger.waits()
        assert not busy, f"not quiet: {', '.join(busy)}"

    def _assert_over(self) -> None:
        faulty = [*self._faulty, *self.jobs.escaped, *self.faults.impossible]
        assert not faulty, f"what nobody would have heard of: {'; '.join(faulty)}"
        left = [f"{name} runs" for name in self.jobs.names()] + self.ledger.waits()
        assert not left, f"after the end of the system: {', '.join(left)}"
        self.assert_conserved()


class Probe:
    """What an actor was told, in order. `ref` is its address, `received` all that it ever took."""

    ref: Cell

    def __init__(
        self, name: str, loop: VirtualTimeLoop, answer: Callable[[Any], Any] | None
    ) -> None:
        self.name = name
        self.received: list[Any] = []
        self._unread: list[Any] = []
        self._loop = loop
        self._answer = answer
        self._arrived = asyncio.Event()

    def watch(self, ref: Ref[Any]) -> None:
        """Get a `Down` at each end of *ref*'s incarnations."""
        assert self.ref.actor is not None
        self.ref.actor.watch(ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        assert self.ref.actor is not None
        self.ref.actor.unwatch(ref)

    async def expect(self, what: Any, within: float = 1.0) -> Any:
        """The next message, which has to be *what*: a type, a predicate, or else an equal.

        AssertionError when another comes, or none within so many seconds. A `Down` outruns
        messages, so it is none of them: see `expect_down`.
        """
        found = await self._first(lambda message: not isinstance(message, Down), within)
        if found is None:
            raise AssertionError(f"{self.name}: nothing within {within:g} s, not {_say(what)}")
        if not _is(found[0], what):
            raise AssertionError(f"{self.name}: got {found[0]!r}, not {_say(what)}")
        return found[0]

    async def expect_nothing(self, within: float = 1.0) -> None:
        """AssertionError when something is unread, or comes within so many seconds."""
        found = await self._first(lambda message: True, within)
        if found is not None:
            raise AssertionError(f"{self.name}: got {found[0]!r}, not nothing")

    async def expect_down(self, ref: Ref[Any], within: float = 1.0) -> Down:
        """The first unread `Down` of *ref*, whatever else was told."""
        found = await self._first(lambda m: isinstance(m, Down) and m.ref is ref, within)
        if found is None:
            raise AssertionError(f"{self.name}: {ref.path} did not go down within {within:g} s")
        down: Down = found[0]
        return down

    async def _first(self, wanted: Callable[[Any], bool], within: float) -> tuple[Any] | None:
        """Take out the first unread one that is wanted, waiting for it; None when too late."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for at, message in enumerate(self._unread):
                        if wanted(message):
                            del self._unread[at]
                            return (message,)
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None

    def take(self, message: Any) -> Any:
        """Called by its actor."""
        self.received.append(message)
        self._unread.append(message)
        self._arrived.set()
        return None if self._answer is None else self._answer(message)


class _ProbeActor(Actor[Any]):
    mailbox = MailboxSpec(1024)

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def handle(self, message: Any) -> Any:
        return self._probe.take(message)


def _is(message: Any, what: Any) -> bool:
    if isinstance(what, type):
        return isinstance(message, what)
    return bool(what(message)) if callable(what) else bool(message == what)


def _say(what: Any) -> str:
    if isinstance(what, type):
        return f"a {what.__name__}"
    return f"what {what.__name__} wants" if inspect.isfunction(what) else repr(what)


# ---- what senders were told


@dataclasses.dataclass
class Told:
    """How many messages senders of one actor were told that it accepted, or did not."""

    accepted: int = 0
    refused: int = 0
    unsure: int = 0  # the sender was cancelled while it waited: perhaps room was made just then
    dead: int = 0  # dead letters


class Ledger:
    """The other half of what mailboxes count: what senders were told, and dead letters.

    While it is open every tell, send and ask of the process is written down, so a mailbox cannot
    lose, double or invent a message without parting from it.
    """

    def __init__(self, note: Callable[[str], None] = lambda line: None) -> None:
        self.told: dict[Cell, Told] = {}
        self._waiting: Counter[str] = Counter()
        self._note = note
        self._replaced: dict[str, Any] = {}

    def open(self) -> None:
        """Begin; one ledger at a time."""
        for name, written in (
            ("tell", self._tell),
            ("_wait_for_room", self._send),
            ("ask", self._ask),
        ):
            real = getattr(Cell, name)
            assert real.__module__ != __name__, "another ledger is open"
            self._replaced[name] = Cell.__dict__.get(name)
            setattr(Cell, name, written(real))

    def close(self) -> None:
        for name, before in self._replaced.items():
            if before is None:
                delattr(Cell, name)
            else:
                setattr(Cell, name, before)
        self._replaced.clear()

    def dead_letter(self, cell: Cell, message: object, why: str) -> None:
        """For `System.on_dead_letter`."""
        self._entry(cell).dead += 1
        self._note(f"{cell.path} dead letter {_kind(message)}: {why}")

    def waits(self) -> list[str]:
        """Who waits for an answer or for room, in words."""
        return [f"{n} wait for {path}" for path, n in sorted(self._waiting.items()) if n]

    def _entry(self, cell: Cell) -> Told:
        entry = self.told.get(cell)
        if entry is None:  # what was before is none of its business
            mailbox = cell.mailbox
            entry = self.told[cell] = Told(mailbox.accepted, mailbox.refused, 0, mailbox.dead)
        return entry

    def _write(self, cell: Cell, message: object, outcome: Outcome) -> None:
        if outcome.accepted:
            self._entry(cell).accepted += 1
        else:
            self._entry(cell).refused += 1
        self._note(f"{cell.path} {_kind(message)} {outcome.value}")

    def _tell(self, real: Callable[[Cell, Any], Outcome]) -> Callable[[Cell, Any], Outcome]:
        def tell(cell: Cell, message: Any) -> Outcome:
            self._entry(cell)
            outcome = real(cell, message)
            self._write(cell, message, outcome)
            return outcome

        return tell

    def _send(self, real: Any) -> Any:
        async def wait_for_room(cell: Cell, message: Any) -> Outcome:
            self._entry(cell)
            self._waiting[cell.path] += 1
            try:
                outcome: Outcome = await real(cell, message)
            except asyncio.CancelledError:
                self._entry(cell).unsure += 1
                raise
            finally:
                self._waiting[cell.path] -= 1
            self._write(cell, message, outcome)
            return outcome

        return wait_for_room

    def _ask(self, real: Any) -> Any:
        async def ask(cell: Cell, message: Any, timeout: float) -> Any:
            self._waiting[cell.path] += 1
            try:
                return await real(cell, message, timeout)
            finally:
                self._waiting[cell.path] -= 1

        return ask


def _kind(message: object) -> str:
    return type(getattr(message, "message", message)).__name__


def conserved(of: System | Iterable[Cell], ledger: Ledger | None = None) -> None:
    """AssertionError, with the actor and the numbers, when a message is not accounted for.

    Of each actor: no count is negative, at most one message is in hand and none without an
    incarnation, none is queued that is dead, and no bound is passed. With *ledger*: the mailbox
    accounts for as many messages as senders were told that it accepted, has refused as many as they
    were told, and made a dead letter of each that died.
    """
    for cell in of.walk() if isinstance(of, System) else of:
        wrong = [*_inside(cell)]
        told = None if ledger is None else ledger.told.get(cell)
        if told is not None:
            wrong += _outside(cell, told)
        assert not wrong, f"{cell.path}: {'; '.join(wrong)} ({cell.mailbox.statistics()})"


def _inside(cell: Cell) -> Iterable[str]:
    mailbox = cell.mailbox
    for name, count in mailbox.statistics().items():
        if isinstance(count, int) and count < 0:
            yield f"{name} is {count}"
    if mailbox.in_hand not in (0, 1):
        yield f"{mailbox.in_hand} messages are in hand"
    elif mailbox.in_hand and cell.state in (State.DOWN, State.ENDED, State.DEAD):
        yield f"a message is in hand although the actor is {cell.state.value}"
    if mailbox and not cell.alive:
        yield f"{len(mailbox)} messages are queued although the actor is {cell.state.value}"
    if len(mailbox) > mailbox.capacity + mailbox.spec.reserve:
        yield f"{len(mailbox)} messages are queued, more than the {mailbox.capacity} it holds"


def _outside(cell: Cell, told: Told) -> Iterable[str]:
    mailbox = cell.mailbox
    if not told.accepted <= mailbox.accepted <= told.accepted + told.unsure:
        yield (
            f"senders were told that {told.accepted} messages were accepted, "
            f"the mailbox accounts for {mailbox.accepted}"
        )
    if mailbox.refused != told.refused:
        yield (
            f"senders were told that {told.refused} messages were refused, "
            f"the mailbox counts {mailbox.refused}"
        )
    if mailbox.dead != told.dead:
        yield f"{mailbox.dead} messages died, {told.dead} became dead letters"


# ---- faults


class KitJobs(Jobs):
    """The jobs of a kit: known by name, and watched at each await."""

    def __init__(self) -> None:
        super().__init__()
        self.escaped: list[str] = []  # what jobs raised, which they should not
        self.note: Callable[[str], None] = lambda line: None
        self._running: dict[_Steps, None] = {}

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        steps = _Steps(coro, name, self)
        super().spawn(steps, name)
        self._running[steps] = None
        self.note(f"{name} starts")

    def names(self) -> list[str]:
        """Those that run, in the order of their start."""
        return [steps.name for steps in self._running]

    def cancel(self, path: str) -> bool:
        """Cancel the job of the actor at *path* that awaits something; False when none does."""
        for steps in self._running:
            if steps.name.startswith(f"{path}:") and steps.task is not None:
                self.note(f"{steps.name} is cancelled by nobody")
                steps.task.cancel()
                return True
        return False

    def begins(self, name: str) -> bool:
        """Called before the first step of a job; True cancels it there."""
        return False

    def awaits(self, name: str) -> bool:
        """Called each time that a job awaits something; True cancels it there."""
        return False

    def ended(self, steps: "_Steps", error: BaseException | None) -> None:
        self._running.pop(steps, None)
        if error is not None:
            self.escaped.append(f"{steps.name} raised {error!r}")


class CancelAt(KitJobs):
    """Cancels whatever job comes to the k-th await of all, as nobody should; the first is 1.

    A job's start counts as an await, too: a task may be cancelled before its first step. `struck`
    is the name of the job that it was; None: the run had fewer awaits. `where` chooses jobs.
    """

    def __init__(self, k: int, where: Callable[[str], bool] = lambda name: True) -> None:
        super().__init__()
        self.k = k
        self.count = 0
        self.struck: str | None = None
        self._where = where

    def awaits(self, name: str) -> bool:
        if not self._where(name):
            return False
        self.count += 1
        if self.count != self.k:
            return False
        self.struck = name
        self.note(f"{name} is cancelled at await {self.k}")
        return True

    begins = awaits


class _Steps(Coroutine[Any, Any, None]):
    """A job's coroutine, watched at each step."""

    def __init__(self, coro: Coroutine[Any, Any, None], name: str, jobs: KitJobs) -> None:
        self.name = name
        self.task: asyncio.Task[Any] | None = None
        self._coro = coro
        self._jobs = jobs

    def send(self, value: Any) -> Any:
        if self.task is None and self._jobs.begins(self.name):
            return self._step(self._coro.throw, asyncio.CancelledError())
        return self._step(self._coro.send, value)

    def throw(self, error: Any, *more: Any) -> Any:
        return self._step(self._coro.throw, error, *more)

    def close(self) -> None:
        self._jobs.ended(self, None)
        self._coro.close()

    def __await__(self) -> Any:
        raise TypeError("a job is run, not awaited")

    def _step(self, step: Callable[..., Any], *what: Any) -> Any:
        self.task = asyncio.current_task()
        try:
            awaited = step(*what)
        except (StopIteration, asyncio.CancelledError):
            self._jobs.ended(self, None)
            raise
        except BaseException as error:
            self._jobs.ended(self, error)
            raise
        if self._jobs.awaits(self.name) and self.task is not None:
            self.task.cancel()  # it is heard of where it awaits now
        return awaited


class Injected(Exception):
    """What a planned crash raises."""


@dataclasses.dataclass(frozen=True)
class _Fault:
    what: str
    where: str
    hook: str
    nth: int | None
    chance: float
    after: bool
    seconds: float = 0.0

    def hits(self, path: str) -> bool:
        return fnmatch.fnmatchcase(path, self.where) or fnmatch.fnmatchcase(
            path.rpartition("/")[2], self.where
        )


class Faults:
    """What goes wrong in which actor, and when: `faults.crash("reader", "init", nth=2)`.

    *where* is an actor's name or path, `*` and `?` stand for others. *nth* counts the calls of the
    hook over all incarnations of an actor, from 1; without it each call is hit with *chance*.
    *after* strikes when the hook is through. `struck` has what was done. A plain def can be crashed
    or killed only: with a name that is no pattern, anything else fails the kit.
    """

    def __init__(self, seed: int, note: Callable[[str], None] = lambda line: None) -> None:
        self.struck: list[str] = []
        self.impossible: list[str] = []
        self._random = Seeded(seed).random
        self._note = note
        self._plan: list[_Fault] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._kinds: dict[type[Actor[Any]], type[Actor[Any]]] = {}

    def crash(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Raise `Injected`."""
        self._add("crash", where, hook, **when)

    def kill(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Kill the actor, which is in the hook."""
        self._add("kill", where, hook, **when)

    def cancel(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Cancel the task that runs the hook, as nobody should."""
        self._add("cancel", where, hook, **when)

    def delay(self, where: str, seconds: float, hook: str = "handle", **when: Any) -> None:
        """Make the hook last longer."""
        self._add("delay", where, hook, seconds=seconds, **when)

    def hang(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Let the hook never end by itself."""
        self._add("hang", where, hook, **when)

    def stop(self) -> None:
        """No more faults from here on."""
        self._plan.clear()

    def wrap(self, spec: ChildSpec) -> ChildSpec:
        """*spec* with actors that do the same, and have these faults; so have its children."""
        make = _with_specs(spec.factory, self.wrap)

        def faulty() -> Actor[Any]:
            actor = make()
            if isinstance(actor, Actor):
                actor.__class__ = self._faulty(type(actor))
            return actor

        made = getattr(spec.factory, "func", spec.factory)
        faulty.__name__ = getattr(made, "__name__", "actor")
        return dataclasses.replace(spec, factory=faulty)

    def _add(self, what: str, where: str, hook: str, *, nth: int | None = None,
             chance: float = 1.0, after: bool = False, seconds: float = 0.0) -> None:  # fmt: skip
        if hook not in ("init", "handle", "terminate"):
            raise ValueError(f"a hook is init, handle or terminate, not {hook!r}")
        self._plan.append(_Fault(what, where, hook, nth, chance, after, seconds))

    def _faulty(self, kind: type[Actor[Any]]) -> type[Actor[Any]]:
        made = self._kinds.get(kind)
        if made is None:
            hooks = {name: self._hook(kind, name) for name in ("init", "handle", "terminate")}
            made = self._kinds[kind] = type(kind.__name__, (kind,), {"__slots__": (), **hooks})
        return made

    def _hook(self, kind: type[Actor[Any]], name: str) -> Callable[..., Any]:
        real = getattr(kind, name)

        @functools.wraps(real)
        async def asynchronous(actor: Actor[Any], *args: Any) -> Any:
            due = self._due(actor, name)
            for fault in due:
                if not fault.after:
                    await self._strike_async(fault, actor)
            result = await real(actor, *args)
            for fault in due:
                if fault.after:
                    await self._strike_async(fault, actor)
            return result

        @functools.wraps(real)
        def plain(actor: Actor[Any], *args: Any) -> Any:
            due = self._due(actor, name)
            for fault in due:
                if not fault.after:
                    self._strike(fault, actor)
            result = real(actor, *args)
            for fault in due:
                if fault.after:
                    self._strike(fault, actor)
            return result

        return asynchronous if inspect.iscoroutinefunction(real) else plain

    def _due(self, actor: Actor[Any], hook: str) -> list[_Fault]:
        path = actor.ref.path
        self._calls[path, hook] += 1
        nth = self._calls[path, hook]
        return [
            fault
            for fault in self._plan
            if fault.hook == hook
            and fault.hits(path)
            and (fault.nth == nth or (fault.nth is None and self._random.random() < fault.chance))
        ]

    def _strike(self, fault: _Fault, actor: Actor[Any]) -> None:
        ref = actor.ref
        if fault.what not in ("crash", "kill"):
            if not {*fault.where} & {*"*?["}:
                self.impossible.append(f"{ref.path}: no {fault.what} in {fault.hook}, a plain def")
            return
        self._struck(fault, ref)
        if fault.what == "crash":
            raise Injected(f"{fault.hook} of {ref.path}")
        assert isinstance(ref, Cell)
        ref.kill()

    async def _strike_async(self, fault: _Fault, actor: Actor[Any]) -> None:
        match fault.what:
            case "cancel":
                task = asyncio.current_task()
                assert task is not None
                self._struck(fault, actor.ref)
                task.cancel()
                await asyncio.sleep(0)  # where it is heard of
            case "delay":
                self._struck(fault, actor.ref)
                await asyncio.sleep(fault.seconds)
            case "hang":
                self._struck(fault, actor.ref)
                await asyncio.Event().wait()
            case _:
                self._strike(fault, actor)

    def _struck(self, fault: _Fault, ref: Ref[Any]) -> None:
        line = f"{ref.path} {fault.hook} {fault.what}"
        self.struck.append(line)
        self._note(line)


def _with_specs(
    factory: Callable[[], Actor[Any]], wrap: Callable[[ChildSpec], ChildSpec]
) -> Callable[[], Actor[Any]]:
    """*factory*, with all specs that it passes on wrapped: those of a supervisor's children."""
    if not isinstance(factory, functools.partial):
        return factory

    def wrapped(value: Any) -> Any:
        if isinstance(value, ChildSpec):
            return wrap(value)
        if isinstance(value, Sequence) and any(isinstance(each, ChildSpec) for each in value):
            return [wrapped(each) for each in value]
        return value

    args = [wrapped(value) for value in factory.args]
    kwargs = {key: wrapped(value) for key, value in factory.keywords.items()}
    return functools.partial(factory.func, *args, **kwargs)
