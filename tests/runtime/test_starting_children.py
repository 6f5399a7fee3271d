"""Children started while a supervisor runs: what the order is answered, and who has no place."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import (
    DeleteChild,
    NoSuchChild,
    Restart,
    RestartChild,
    StartChild,
    StartFailed,
    StopChild,
    TooManyChildren,
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
    order,
    supervisor,
)


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
