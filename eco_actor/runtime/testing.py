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
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from eco_actor.runtime.actor import Actor, ChildSpec, child
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dispatcher import Schedule
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.faults import Faults, Injected
from eco_actor.runtime.kit_jobs import CancelAt, KitJobs
from eco_actor.runtime.ledger import Ledger, conserved
from eco_actor.runtime.parent import StartChild
from eco_actor.runtime.probe import Probe, ProbeActor
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
    jobs: KitJobs | None = None,
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
        jobs: KitJobs | None = None,
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
        if error is not None:
            self.sign(error)  # before the stop, which would be all that happened last
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

    def probe(self, name: str = "probe", answer: "Callable[[Any], Any] | None" = None) -> Probe:
        """An actor that keeps what it is told, for the test to look at.

        *answer* makes of a message what an ask gets.
        """
        probe = Probe(name, self._loop, answer)
        spec = child(name, ProbeActor, probe)
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
        faulty += self.faults.overlaps
        assert not faulty, f"what nobody would have heard of: {'; '.join(faulty)}"
        left = [f"{name} runs" for name in self.jobs.names()] + self.ledger.waits()
        assert not left, f"after the end of the system: {', '.join(left)}"
        self.assert_conserved()
