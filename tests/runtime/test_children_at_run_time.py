"""Children while a supervisor runs: start, stop, restart, delete, and each error in answer."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorDead,
    Backoff,
    ChildSpec,
    DeleteChild,
    DynamicSupervisor,
    NoSuchChild,
    Outcome,
    Ref,
    Restart,
    RestartChild,
    StartChild,
    StartFailed,
    StopChild,
    Strategy,
    Supervisor,
    System,
    TooManyChildren,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual


class Worker(Actor[Any]):
    """Obeys; `faults` says of the next inits how long they take, a negative one fails then."""

    def __init__(self, faults: list[float] | None = None) -> None:
        self.faults = [] if faults is None else faults

    def init(self) -> Any:
        if self.faults and self.faults.pop(0) < 0:
            raise RuntimeError("no start")

    def handle(self, message: Any) -> Any:
        match message:
            case "crash":
                raise ValueError("boom")
            case "stop":
                self.stop()
            case "refs":
                self.handed_out: list[Ref[Any]] = [self.ref]
        return message


class SlowStart(Worker):
    """The same with an init that awaits."""

    async def init(self) -> None:
        took = abs(self.faults[0]) if self.faults else 0.1
        await asyncio.sleep(took)
        super().init()


def supervisor(kind: str, children: tuple[ChildSpec, ...] = (), **options: Any) -> System:
    if kind == "fixed":
        return System(child("top", Supervisor, children, **options))
    assert not children
    return System(child("top", DynamicSupervisor, 3, **options))


def at(system: System, name: str = "") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


async def order(system: System, message: object, timeout: float = 60) -> Any:
    return await at(system).ask(message, timeout)


def now() -> float:
    return asyncio.get_running_loop().time()


BOTH = pytest.mark.parametrize("kind", ["fixed", "dynamic"])
EITHER_INIT = pytest.mark.parametrize("actor", [Worker, SlowStart])


# ---- start


@BOTH
@EITHER_INIT
def test_a_child_that_was_started_works_and_is_supervised(kind: str, actor: type[Worker]) -> None:
    """The answer is the ref of an actor whose init is over; it is restarted like the others."""

    async def main() -> None:
        async with supervisor(kind) as system:
            ref = await order(system, StartChild(child("x", actor)))
            assert isinstance(ref, Cell)
            assert (ref.path, ref.state.value) == ("/top/x", "running")
            ref.tell("crash")
            assert await ref.ask("hi", timeout=1) == "hi"
            assert ref.incarnation == 2
            assert at(system, "x") is ref
        assert not ref.alive

    run_virtual(main())


@BOTH
@EITHER_INIT
def test_a_child_whose_init_raises_was_not_started(kind: str, actor: type[Worker]) -> None:
    """StartFailed names it and the error; its name is free, and no budget is spent."""

    async def main() -> None:
        async with supervisor(kind, intensity=0) as system:
            for _ in range(3):
                with pytest.raises(StartFailed) as caught:
                    await order(system, StartChild(child("x", actor, [-1.0])))
                assert str(caught.value) == "/top/x: RuntimeError: no start"
                assert system.find("/top/x") is None
            await order(system, StartChild(child("x", actor)))
            assert at(system).incarnation == 1

    run_virtual(main())


def no_actor() -> Any:
    return 7


@BOTH
@pytest.mark.parametrize(
    ("message", "error", "sentence"),
    [
        (StartChild(child("old", Worker)), ValueError, "/top has a child named 'old' already"),
        (StartChild(Worker), TypeError, "a child is started from a ChildSpec, not <class"),  # type: ignore[arg-type]
        (StartChild(child("x", no_actor)), StartFailed, "the factory made 7, which is no Actor"),
        (StopChild("x"), NoSuchChild, "/top: it has no child named 'x'"),
        (RestartChild("x"), (NoSuchChild, TypeError), "no stopped child named 'x'|RestartChild"),
        (RestartChild("old"), (NoSuchChild, TypeError), "no stopped child named 'o|RestartChild"),
        (DeleteChild("x"), NoSuchChild, "no (stopped )?child named 'x'"),
        ("what?", TypeError, "a supervisor cannot take a str"),
        (None, TypeError, "a supervisor cannot take a NoneType"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_answered_with_a_sentence(
    kind: str, message: Any, error: type[Exception], sentence: str
) -> None:
    """The supervisor and its children go on, whether it was asked or merely told."""

    async def main() -> None:
        async with supervisor(kind, intensity=0) as system:
            old = await order(system, StartChild(child("old", Worker)))
            with pytest.raises(error, match=sentence):
                await order(system, message)
            at(system).tell(message)
            new = await order(system, StartChild(child("new", Worker)))
            assert (at(system).incarnation, old.incarnation, new.incarnation) == (1, 1, 1)

    run_virtual(main())


def test_a_dynamic_supervisor_has_a_bound_and_its_places_are_free_again() -> None:
    """TooManyChildren says the bound; a stop, an end and a failed start each leave a place."""

    async def main() -> None:
        async with supervisor("dynamic") as system:
            for name in "abc":
                spec = child(name, SlowStart, restart=Restart.TEMPORARY)
                await order(system, StartChild(spec))
            with pytest.raises(TooManyChildren, match="3 children already"):
                await order(system, StartChild(child("d", Worker)))
            await order(system, StopChild("a"))
            await order(system, StartChild(child("a", Worker)))
            at(system, "b").tell("stop")
            await asyncio.sleep(0.1)
            with pytest.raises(StartFailed):
                await order(system, StartChild(child("d", Worker, [-1.0])))
            await order(system, StartChild(child("d", Worker)))
            with pytest.raises(TooManyChildren):
                await order(system, StartChild(child("e", Worker)))

    run_virtual(main())


@EITHER_INIT
@pytest.mark.parametrize("failures", [1, 2])
def test_restarts_that_fail_count_on_a_dynamic_supervisor_too(
    actor: type[Worker], failures: int
) -> None:
    """They are tried again until one succeeds or the budget is spent."""

    async def main() -> None:
        async with supervisor("dynamic", intensity=2) as system:
            faults = [0.1] + [-0.1] * failures
            ref = await order(system, StartChild(child("x", actor, faults)))
            ref.tell("crash")
            await asyncio.sleep(1)
            assert ref.alive is (failures == 1)
            assert ref.incarnation == 3
            if failures == 2:
                assert (await system.wait_ended()).kind.value == "shutdown"

    run_virtual(main())


# ---- stop, restart, delete


def test_a_stopped_child_is_kept_and_started_again_or_deleted_when_asked() -> None:
    """Its ref is dead meanwhile and lives again; deleted, its name is free."""

    async def main() -> None:
        async with supervisor("fixed", (child("a", Worker), child("b", SlowStart))) as system:
            for name in "ab":
                ref = at(system, name)
                assert await order(system, StopChild(name)) is ref
                assert (ref.alive, ref.tell("hi")) == (False, Outcome.DEAD)
                assert await order(system, StopChild(name)) is ref  # twice is once
                with pytest.raises(ValueError, match="already"):
                    await order(system, StartChild(child(name, Worker)))
                assert await order(system, RestartChild(name)) is ref
                assert await ref.ask("hi", timeout=1) == "hi"
                with pytest.raises(NoSuchChild):
                    await order(system, DeleteChild(name))
                await order(system, StopChild(name))
                await order(system, DeleteChild(name))
                assert system.find(f"/top/{name}") is None
                for message in (DeleteChild(name), RestartChild(name), StopChild(name)):
                    with pytest.raises(NoSuchChild):
                        await order(system, message)
                assert await order(system, StartChild(child(name, Worker))) is not ref
                assert (ref.alive, at(system).incarnation) == (False, 1)

    run_virtual(main())


@BOTH
@pytest.mark.parametrize("restart", list(Restart))
def test_who_is_forgotten_when_stopped(kind: str, restart: Restart) -> None:
    """The temporary, and all of a dynamic supervisor: their names are free."""

    async def main() -> None:
        async with supervisor(kind) as system:
            old = await order(system, StartChild(child("x", Worker, restart=restart)))
            await order(system, StopChild("x"))
            assert not old.alive
            kept = kind == "fixed" and restart is not Restart.TEMPORARY
            assert (system.find("/top/x") is old) is kept
            if not kept:
                await order(system, StartChild(child("x", Worker, restart=restart)))

    run_virtual(main())


@EITHER_INIT
def test_a_restart_that_was_asked_for_and_fails_leaves_the_child_stopped(
    actor: type[Worker],
) -> None:
    """StartFailed; its ref is dead as before, and it may be tried again."""

    async def main() -> None:
        async with supervisor("fixed", (child("a", actor, [0.1, -0.1]),), intensity=0) as system:
            ref = at(system, "a")
            await order(system, StopChild("a"))
            with pytest.raises(StartFailed, match="no start"):
                await order(system, RestartChild("a"))
            assert (ref.alive, ref.state.value) == (False, "ended")
            await order(system, RestartChild("a"))
            assert await ref.ask("hi", timeout=1) == "hi"

    run_virtual(main())


# ---- ended orderly, and back with the group


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
@pytest.mark.parametrize("how", ["ended", "stopped"])
def test_a_child_that_ended_orderly_comes_back_with_its_group(strategy: Strategy, how: str) -> None:
    """Kept, dead until then, the same ref alive again; with those before it, only one_for_all."""
    specs = tuple(child(name, Worker, restart=Restart.TRANSIENT) for name in "abc")

    async def main() -> None:
        async with supervisor("fixed", specs, strategy=strategy) as system:
            refs = [at(system, name) for name in "abc"]
            for ref in (refs[0], refs[2]):
                if how == "ended":
                    ref.tell("stop")
                else:
                    await order(system, StopChild(ref.name))
            await asyncio.sleep(1)
            for ref in (refs[0], refs[2]):
                assert (ref.alive, ref.state.value, ref.tell("hi")) == (
                    False,
                    "ended",
                    Outcome.DEAD,
                )
                with pytest.raises(ActorDead):
                    await ref.ask("hi", timeout=60)
            refs[1].tell("crash")
            await asyncio.sleep(1)
            assert [ref.alive for ref in refs] == [strategy is Strategy.ONE_FOR_ALL, True, True]
            assert await refs[2].ask("hi", timeout=1) == "hi"
            assert refs[2].incarnation == 2

    run_virtual(main())


# ---- interrupted


class Deaf(Actor[Any]):
    """Shows its ref, and its init does not hear that it is cancelled."""

    def __init__(self, shown: list[Cell], seconds: float) -> None:
        self.shown, self.seconds = shown, seconds

    async def init(self) -> None:
        assert isinstance(self.ref, Cell)
        self.shown.append(self.ref)
        until = now() + self.seconds
        while now() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(until - now())


class Hanging(Deaf):
    """The same, and it hears."""

    async def init(self) -> None:
        assert isinstance(self.ref, Cell)
        self.shown.append(self.ref)
        await asyncio.sleep(self.seconds)


@BOTH
@pytest.mark.parametrize("actor", [Hanging, Deaf])
def test_a_child_whose_start_a_stop_interrupts_is_dead(
    kind: str, actor: Callable[..., Actor[Any]]
) -> None:
    """Nobody would end it later: whoever has its ref is told, and no init brings it to life."""
    shown: list[Cell] = []

    async def main() -> None:
        inner = (
            child("in", Supervisor, [], restart=Restart.TEMPORARY)
            if kind == "fixed"
            else child("in", DynamicSupervisor, 3, restart=Restart.TEMPORARY)
        )
        async with supervisor("fixed", (inner,)) as system:
            at(system, "in").tell(StartChild(child("x", actor, shown, 9.0)))
            await asyncio.sleep(0.5)
            asked = asyncio.ensure_future(shown[0].ask("anybody?", timeout=100))
            await order(system, StopChild("in"))
            assert now() < 8
            await asyncio.sleep(10)
            assert (shown[0].alive, shown[0].state.value) == (False, "dead")
            assert asked.done()
            assert isinstance(asked.exception(), ActorDead)
        await asyncio.wait([asked])

    run_virtual(main())


@BOTH
def test_a_child_stopped_while_its_restart_waits_stays_stopped(kind: str) -> None:
    """The delay does not bring it back; asked in the delay, it answers at once."""

    async def main() -> None:
        async with supervisor(kind, backoff=Backoff(5, 5, 0)) as system:
            ref = await order(system, StartChild(child("x", Worker)))
            ref.tell("crash")
            await asyncio.sleep(1)
            assert (ref.alive, ref.state.value) == (True, "down")
            begun = now()
            await order(system, StopChild("x"))
            assert (now(), ref.alive) == (begun, False)
            await asyncio.sleep(20)
            assert (ref.alive, ref.incarnation) == (False, 1)
            if kind == "fixed":
                await order(system, RestartChild("x"))
                assert ref.incarnation == 2

    run_virtual(main())
