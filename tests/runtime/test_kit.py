"""The test kit's probes, its time and its faults: those that were planned, and no others."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from eco_actor.runtime import (
    KILLED,
    ExitKind,
    HandlerFailed,
    Restart,
    StartFailed,
    State,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.testing import (
    CancelAt,
    Kit,
    KitJobs,
    Replay,
    seeds,
    simulate,
)
from tests.runtime.kit_actors import Counter, Echo, cell, loop

pytestmark = pytest.mark.usefixtures("no_seed")


def test_a_probe_expects_types_values_and_predicates_in_order() -> None:
    """The next message has to be the one; silence can be expected, too."""

    async def main(kit: Kit) -> None:
        probe = kit.probe()
        echo = await kit.start(Echo, probe.ref)
        for message in (1, "two", 3.0):
            echo.tell(message)
        assert await probe.expect(int) == 1
        assert await probe.expect("two") == "two"
        assert await probe.expect(lambda m: m > 2) == 3.0
        await probe.expect_nothing(within=10)
        assert probe.received == [1, "two", 3.0]

    simulate(main)


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        (lambda probe, ref: probe.expect(str), "probe: got 1, not a str"),
        (lambda probe, ref: probe.expect(2), "probe: got 1, not 2"),
        (lambda probe, ref: probe.expect_nothing(), "probe: got 1, not nothing"),
        (lambda probe, ref: probe.expect_down(ref), "/kit/echo did not go down within 1 s"),
    ],
)
def test_a_probe_says_what_came_instead(
    expect: Callable[[Any, Any], Coroutine[Any, Any, Any]], sentence: str
) -> None:
    """An AssertionError, with the message and what was wanted."""

    async def main(kit: Kit) -> None:
        probe = kit.probe()
        echo = await kit.start(Echo, probe.ref)
        echo.tell(1)
        await expect(probe, echo)

    with pytest.raises(AssertionError, match=sentence):
        simulate(main)


def test_a_probe_that_is_told_nothing_says_so_after_its_time() -> None:
    """Virtual time, so an hour costs nothing."""

    async def main(kit: Kit) -> None:
        with pytest.raises(AssertionError, match="nothing within 3600 s, not a str"):
            await kit.probe().expect(str, within=3600)
        assert loop().time() == 3600

    simulate(main)


def test_a_probe_watches_and_answers() -> None:
    """`Down` comes on a lane of its own; an ask gets what the answer makes of it."""

    async def main(kit: Kit) -> None:
        probe = kit.probe(answer=lambda message: message * 2)
        counter = await kit.start(Counter, restart=Restart.TEMPORARY)
        probe.watch(counter)
        assert await probe.ref.ask(4, timeout=1) == 8
        counter.kill()
        assert (await probe.expect_down(counter)).reason == KILLED
        assert await probe.expect(4) == 4

    simulate(main)


def test_settling_takes_no_time_and_quiet_is_what_it_says() -> None:
    """What still runs, is queued or waits is named."""

    async def main(kit: Kit) -> None:
        echo = await kit.start(Echo)
        asks = [asyncio.create_task(echo.ask(n, timeout=9)) for n in range(3)]
        await kit.settle()
        assert loop().time() == 0
        with pytest.raises(AssertionError, match="not quiet") as caught:
            kit.assert_quiet()
        for words in ("/kit/echo:handle runs", "has 2 messages queued", "3 wait for /kit/echo"):
            assert words in str(caught.value)
        await kit.advance(1)
        kit.assert_quiet()
        assert [task.result() for task in asks] == [0, 1, 2]

    simulate(main)


def test_a_system_uses_the_jobs_that_it_is_given() -> None:
    """The kit could not look at tasks otherwise, though one without a job in it is false."""
    jobs = KitJobs()
    assert System(child("top", Supervisor, []), jobs=jobs).jobs is jobs


# ---- faults


def test_a_planned_crash_hits_the_nth_call_of_a_hook() -> None:
    """Counted over incarnations: the second handling crashes, the fourth init fails for good."""

    async def main(kit: Kit) -> None:
        counter = await kit.start(Counter, restart=Restart.TRANSIENT)
        kit.faults.crash("counter", nth=2)
        told = [await counter.ask(1, timeout=1)]
        with pytest.raises(HandlerFailed, match="Injected: handle of /kit/counter"):
            await counter.ask(1, timeout=1)
        told.append(await counter.ask(1, timeout=1))
        assert told == [1, 1], "a new incarnation began to count anew"
        assert kit.faults.struck == ["/kit/counter handle crash"]
        kit.faults.crash("*/count?r-2", "init", nth=1)
        with pytest.raises(StartFailed, match="Injected: init"):
            await kit.start(Counter)

    simulate(main)


def test_delays_hangs_kills_and_cancellations_happen_inside_the_hook() -> None:
    """In virtual time; a hang ends with a kill, a stray cancellation is one."""

    async def main(kit: Kit) -> None:
        echo = await kit.start(Echo)
        kit.faults.delay("echo", 50.0, nth=1)
        assert await echo.ask(1, timeout=100) == 1
        assert loop().time() > 50
        for number, fault in enumerate((kit.faults.kill, kit.faults.cancel, kit.faults.hang), 2):
            fault("echo", nth=number)
            ask = asyncio.create_task(echo.ask(number, timeout=100))
            await kit.advance(1)
            if not ask.done():
                echo.kill()
            with pytest.raises(HandlerFailed):
                await ask
            assert echo.last_exit == KILLED
            await kit.advance(1)
        assert (echo.incarnation, echo.state) == (4, State.RUNNING)

    simulate(main)


def test_faults_reach_the_children_of_a_tree_and_strike_by_chance() -> None:
    """With a third of all handlings crashing, some are answered and some are not."""

    async def main(kit: Kit) -> tuple[int, int]:
        specs = [child(name, Counter) for name in "ab"]
        top = child("top", Supervisor, specs, Strategy.ONE_FOR_ALL, intensity=1000)
        await kit.supervise(top)
        kit.faults.crash("/kit/top/*", chance=0.3)
        asks = [cell(kit, f"/kit/top/{n}").ask(1, timeout=1) for n in "ab" for _ in range(10)]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        kit.faults.stop()
        await kit.settle()
        failed = sum(isinstance(answer, HandlerFailed) for answer in answers)
        assert len(kit.faults.struck) == failed
        a, b = cell(kit, "/kit/top/a"), cell(kit, "/kit/top/b")
        assert a.incarnation == b.incarnation > 1
        return failed, len(answers) - failed

    for seed in seeds(5):
        failed, answered = simulate(main, seed)
        assert failed > 0
        assert answered > 0


def test_a_fault_that_a_plain_hook_cannot_have_fails_the_kit() -> None:
    """Otherwise the test would pass without it."""

    async def main(kit: Kit) -> None:
        counter = await kit.start(Counter)
        kit.faults.hang("counter", nth=1)
        counter.tell(1)
        await kit.settle()

    with pytest.raises(AssertionError, match="/kit/counter: no hang in handle, a plain def"):
        simulate(main)
    with pytest.raises(ValueError, match="init, handle or terminate, not 'start'"):
        Kit().faults.crash("counter", "start")


def test_a_stray_cancellation_from_outside_is_a_kill() -> None:
    """Nobody asked for it, so even a transient actor comes back; an idle one has no task."""

    async def main(kit: Kit) -> None:
        echo = await kit.start(Echo, restart=Restart.TRANSIENT)
        assert kit.cancel(echo) is False
        echo.tell(1)
        await kit.settle()
        assert kit.cancel(echo) is True
        await kit.advance(1)
        assert echo.last_exit is not None
        assert echo.last_exit.kind is ExitKind.KILLED
        assert (echo.incarnation, echo.state) == (2, State.RUNNING)

    simulate(main)


def test_the_kth_await_is_the_one_that_is_cancelled() -> None:
    """Of the jobs that are chosen; beyond the last nothing is."""

    async def main(kit: Kit) -> list[int]:
        probe = kit.probe()
        echo = await kit.start(Echo, probe.ref)
        for number in range(3):
            echo.tell(number)
        await kit.advance(1)
        return probe.received

    def handles(name: str) -> bool:
        return name == "/kit/echo:handle"

    lost: list[int] = []
    k = 0
    while True:
        k += 1
        jobs = CancelAt(k, where=handles)
        received = simulate(main, schedule=Replay(), jobs=jobs)
        if jobs.struck is None:
            break
        assert jobs.struck == "/kit/echo:handle"
        lost += {0, 1, 2} - {*received}
    assert lost == [0, 1, 2], "each handling was cancelled once"
    assert received == [0, 1, 2]
    assert jobs.count == k - 1
