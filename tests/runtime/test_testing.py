"""The test kit's order is its seed's: the loop, all interleavings, seeds."""

import asyncio
import contextvars
from typing import Any

import pytest

from eco_actor.runtime import virtual as virtual_module
from eco_actor.runtime.testing import (
    Kit,
    Replay,
    Seeded,
    explore,
    run_virtual,
    seeds,
    simulate,
)
from tests.runtime.kit_actors import Counter, Echo, loop

pytestmark = pytest.mark.usefixtures("no_seed")


async def callbacks(count: int) -> list[int]:
    """The order in which so many callbacks run that are ready at once."""
    ran: list[int] = []
    for number in range(count):
        loop().call_soon(ran.append, number)
    await loop().idle()
    return ran


def test_callbacks_run_in_the_order_that_the_chooser_wants() -> None:
    """First in, first out without one; the newest first, if it always takes the last."""
    assert run_virtual(callbacks(4)) == [0, 1, 2, 3]
    assert run_virtual(callbacks(4), lambda n: n - 1) == [3, 2, 1, 0]


def test_a_chooser_changes_nothing_else_about_callbacks() -> None:
    """They can be cancelled, keep their context, and what they raise goes to the handler."""
    var = contextvars.ContextVar("var", default="none")
    seen: list[Any] = []

    async def main() -> None:
        loop().set_exception_handler(lambda _, failed: seen.append(failed["exception"]))
        context = contextvars.copy_context()
        context.run(var.set, "mine")
        loop().call_soon(lambda: seen.append(var.get()), context=context)
        handle = loop().call_soon(seen.append, "cancelled")
        loop().call_soon(divmod, 1, 0)
        handle.cancel()
        assert handle.cancelled()
        await loop().idle()

    run_virtual(main(), Seeded(1))
    assert "mine" in seen
    assert {type(each) for each in seen} == {str, ZeroDivisionError}
    assert len(seen) == 2


@pytest.mark.parametrize("choose", [None, Seeded(3)])
def test_time_passes_only_when_nothing_is_ready(choose: Seeded | None) -> None:
    """Timers ring in order of time; one that was cancelled does not hold up the clock."""
    rang: list[tuple[float, str]] = []

    def ring(name: str) -> None:
        rang.append((loop().time(), name))

    async def main() -> float:
        loop().call_later(3600, ring, "hour")
        loop().call_later(60, ring, "minute")
        loop().call_later(90, ring, "cancelled").cancel()
        await loop().idle()
        assert loop().time() == 0
        await asyncio.sleep(7200)
        return loop().time()

    assert run_virtual(main(), choose) == 7200
    assert rang == [(60, "minute"), (3600, "hour")]


def test_a_wait_for_ever_is_an_error_that_names_who_waits() -> None:
    """Instead of a hang."""

    async def main() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="the one")

    with pytest.raises(RuntimeError, match=r"waits for ever: .*the one"):
        run_virtual(main())


def test_what_never_settles_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is always ready would make `settle` wait for ever."""
    monkeypatch.setattr(virtual_module, "SETTLES_WITHIN", 50)

    async def main() -> None:
        def busy() -> None:
            loop().call_soon(busy)

        busy()
        await loop().idle()

    with pytest.raises(RuntimeError, match="never settles"):
        run_virtual(main())


# ---- all interleavings


async def two_steps(names: str) -> str:
    """Tasks of two steps each, all ready at once; who took them in which order."""
    steps: list[str] = []

    async def take(name: str) -> None:
        steps.append(name)
        await asyncio.sleep(0)
        steps.append(name)

    for task in [asyncio.create_task(take(name)) for name in names]:
        await task
    return "".join(steps)


def test_exploring_finds_every_order_once_it_is_deep_enough() -> None:
    """Two tasks of two steps have six interleavings; a limit cuts the search off."""
    orders: list[str] = []

    def scenario(replay: Replay) -> None:
        orders.append(run_virtual(two_steps("ab"), replay))

    explored = explore(scenario, depth=10, limit=1000)
    assert explored.complete
    assert explored.schedules == len(orders)
    assert {*orders} == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}
    assert orders[0] == "abab", "first in, first out comes first"
    cut = explore(scenario, depth=10, limit=3)
    assert (cut.schedules, cut.complete) == (3, False)


def test_a_failure_names_a_schedule_that_has_it_again() -> None:
    """A bug that only one order of many shows is found, and its choices replayed."""

    def scenario(replay: Replay) -> None:
        order = run_virtual(two_steps("ab"), replay)
        assert order != "bbaa", order

    with pytest.raises(AssertionError) as caught:
        explore(scenario, depth=10, limit=1000)
    (note,) = [note for note in caught.value.__notes__ if "Replay(" in note]
    choices = [int(each) for each in note.partition("[")[2].rstrip("])").split(",")]
    assert run_virtual(two_steps("ab"), Replay(choices)) == "bbaa"


def test_a_scenario_that_is_not_the_same_twice_is_refused() -> None:
    """Choices mean nothing when the options change from run to run."""
    runs = iter(range(1000))

    def scenario(replay: Replay) -> None:
        run_virtual(callbacks(5 - next(runs) % 2), replay)

    with pytest.raises(AssertionError, match="not the same run"):
        explore(scenario, depth=3, limit=100)


# ---- seeds


async def crowd(kit: Kit) -> list[str]:
    """Five actors that are all told something at once."""
    probe = kit.probe()
    cells = [await kit.start(Echo, probe.ref) for _ in range(5)]
    for number, each in enumerate(cells):
        each.tell(number)
    await kit.advance(1)
    return [*map(str, probe.received), *kit.trace]


def test_the_same_seed_is_the_same_run_and_another_is_another() -> None:
    """All that happened, in order and with times; ten seeds are ten orders."""
    assert simulate(crowd, 7) == simulate(crowd, 7)
    assert len({tuple(simulate(crowd, seed)) for seed in range(10)}) == 10


@pytest.mark.parametrize("how", ["simulate", "Kit"])
def test_a_failure_carries_its_seed_and_what_happened_last(how: str) -> None:
    """As notes, so that any runner shows them."""

    async def main(kit: Kit) -> None:
        await kit.start(Counter)
        raise KeyError("mine")

    async def with_kit() -> None:
        async with Kit(seed=7) as kit:
            await main(kit)

    with pytest.raises(KeyError) as caught:
        simulate(main, 7) if how == "simulate" else run_virtual(with_kit())
    seed, last = caught.value.__notes__
    assert seed == "seed 7: replay with Kit(seed=7), or ECO_SEED=7"
    assert "/kit:handle starts" in last


def test_a_hang_carries_its_seed_too() -> None:
    """The error comes from the loop then, not from the test."""

    async def main(kit: Kit) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="waits for ever") as caught:
        simulate(main, 7)
    assert "seed 7" in caught.value.__notes__[0]


def test_the_environment_overrides_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """ECO_SEED is for having one failure again, in a test that goes through many."""
    assert list(seeds(3)) == [0, 1, 2]
    other = simulate(crowd, 41)
    monkeypatch.setenv("ECO_SEED", "41")
    assert list(seeds(3)) == [41]
    assert simulate(crowd, 7) == other
    monkeypatch.setenv("ECO_SEED", "x")
    with pytest.raises(ValueError, match="ECO_SEED is a whole number, not 'x'"):
        Kit(7)


async def test_a_kit_in_real_time_is_refused() -> None:
    """Its clock could not jump, and its order would be chance."""
    with pytest.raises(RuntimeError, match="virtual time"):
        async with Kit():
            pass
