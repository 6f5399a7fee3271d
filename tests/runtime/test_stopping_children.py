"""Children stopped while a supervisor runs: started again, deleted, or back with their group."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorDead,
    Backoff,
    DeleteChild,
    DynamicSupervisor,
    NoSuchChild,
    Outcome,
    Restart,
    RestartChild,
    StartChild,
    StartFailed,
    StopChild,
    Strategy,
    Supervisor,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual
from tests.runtime.ordered_children import (
    BOTH,
    EITHER_INIT,
    SlowStart,
    Worker,
    at,
    now,
    order,
    supervisor,
)

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
