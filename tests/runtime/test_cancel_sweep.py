"""A cancellation nobody asked for, at each await of a busy tree, one run for each: all recover."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorError,
    ChildSpec,
    DynamicSupervisor,
    MailboxSpec,
    Outcome,
    Ref,
    Restart,
    StartChild,
    State,
    Strategy,
    Supervisor,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import CancelAt, Kit, Replay, Seeded, seeds, simulate

TICK = 0.01


class Busy(Actor[Any]):
    """Awaits in each hook; obeys. Its mailbox is small, so whoever sends may have to wait."""

    mailbox = MailboxSpec(2)

    def __init__(self, friend: Ref[Any] | None = None) -> None:
        self.friend = friend

    async def init(self) -> None:
        await asyncio.sleep(TICK)

    async def handle(self, message: Any) -> Any:
        match message:
            case "crash":
                await asyncio.sleep(TICK)
                raise ValueError(message)
            case ("ask", Ref() as other):
                with contextlib.suppress(ActorError):
                    return await other.ask("work", timeout=5)
            case ("send", Ref() as other):
                with contextlib.suppress(ActorError):
                    return await other.send("work")
            case "pipe":
                self.pipe(asyncio.sleep(TICK, "piped"), done=str, failed=repr)
        await asyncio.sleep(TICK)
        return message

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(TICK)


def three(names: str, **restart: Restart) -> list[ChildSpec]:
    return [child(n, Busy, restart=restart.get(n, Restart.PERMANENT)) for n in names]


def tree() -> ChildSpec:
    """All strategies, all restart types; a budget that one cancellation cannot spend."""
    return child(
        "top",
        Supervisor,
        [
            child("one", Supervisor, three("ab", b=Restart.TRANSIENT)),
            child("all", Supervisor, three("cd"), Strategy.ONE_FOR_ALL),
            child("rest", Supervisor, three("efg"), Strategy.REST_FOR_ONE),
            child("dyn", DynamicSupervisor, 4),
        ],
    )


PLACES = ("one/a", "one/b", "all/c", "all/d", "rest/e", "rest/f", "rest/g")
LASTING = ("one", "all", "rest", "dyn", *PLACES)


async def outcome(of: Coroutine[Any, Any, Any]) -> Any:
    """What it returns or, of what a caller has to expect, raises; TimeoutError when it hangs."""
    task = asyncio.create_task(of, name="caller")
    done, _ = await asyncio.wait([task], timeout=60)
    assert done, "a call did not end"
    if task.cancelled():
        return asyncio.CancelledError()
    error = task.exception()
    if error is not None and not isinstance(error, ActorError | ValueError):
        raise error  # ValueError: a child's name is taken
    return error or task.result()


async def bustle(kit: Kit) -> list[Any]:
    """Asks, sends that wait, pipes, crashes, children that come and go, all at once."""
    cells = list(cells_at(kit).values())
    calls: list[Coroutine[Any, Any, Any]] = []
    dynamic = kit.system.find("/kit/top/dyn")
    if dynamic is not None:
        for name, restart in (("x", Restart.TRANSIENT), ("y", Restart.TEMPORARY)):
            spec = kit.faults.wrap(child(name, Busy, restart=restart))
            calls.append(dynamic.ask(StartChild(spec), timeout=5))
    for at, cell in enumerate(cells):
        other = cells[at - 1]
        orders: tuple[Any, ...] = ("work", ("ask", other), "pipe", ("send", other))
        calls += [cell.send(order) for order in orders]
        calls += [cell.ask(order, timeout=5) for order in orders[:2]]
    told = [cell.tell("crash") for cell in cells[1::2]]
    assert all(isinstance(each, Outcome) for each in told)
    return await asyncio.gather(*(outcome(call) for call in calls))


async def scenario(kit: Kit) -> Kit:
    """Start, bustle, settle: who lasts is back, and answers."""
    try:
        await kit.supervise(tree())
    except ActorError:
        return kit  # the initial start is not tried again: the kit sees that nothing is left
    await bustle(kit)
    await kit.advance(30)
    kit.assert_quiet()
    kit.assert_conserved()
    for place in LASTING:
        cell = kit.system.find(f"/kit/top/{place}")
        assert cell is not None, f"{place} is gone"
        assert cell.state is State.RUNNING, f"{place} is {cell.state.value}"
    for place in PLACES:
        answer = await outcome(cells_at(kit)[place].ask("work", timeout=5))
        assert answer == "work" or struck(kit).startswith(f"/kit/top/{place}"), repr(answer)
    await kit.advance(30)
    kit.faults.lives.append(THE_END)
    return kit


def cells_at(kit: Kit) -> dict[str, Cell]:
    found = {place: kit.system.find(f"/kit/top/{place}") for place in PLACES}
    return {place: cell for place, cell in found.items() if cell is not None}


def struck(kit: Kit) -> str:
    assert isinstance(kit.jobs, CancelAt)
    return kit.jobs.struck or ""


def is_actors(name: str) -> bool:
    return name.count("/") == 4


def is_supervisors(name: str) -> bool:
    return not is_actors(name) and name.startswith("/kit/top") and not name.endswith(":terminate")


def is_end_of_supervisor(name: str) -> bool:
    return not is_actors(name) and name.endswith(":terminate")


def sweep(where: Callable[[str], bool], *, starts: bool = False) -> int:
    """One run for each await of such jobs, until a run passes untouched; how many there were."""
    k = 0
    while True:
        k += 1
        jobs = CancelAt(k, where=where, starts=starts)
        try:
            kit = simulate(scenario, schedule=Replay(), jobs=jobs)
            check_lives(kit.faults.lives)
        except BaseException as error:
            error.add_note(f"cancelled at await {k}, in {jobs.struck}")
            raise
        if jobs.struck is None:
            return k - 1


THE_END = "the end"
IN_ORDER = [
    "dyn",
    *("rest/g", "rest/f", "rest/e", "rest"),
    *("all/d", "all/c", "all"),
    *("one/b", "one/a", "one"),
]


def check_lives(lives: list[str]) -> None:
    """Who was started was terminated as often, the last time in the reverse order of the start."""
    started = Counter(line[1:] for line in lives if line[0] == "+")
    assert started == Counter(line[1:] for line in lives if line[0] == "-")
    if THE_END in lives:
        stopped = [line for line in lives[lives.index(THE_END) + 1 :] if "/dyn/" not in line]
        assert stopped == [*(f"-/kit/top/{place}" for place in IN_ORDER), "-/kit/top"]


@pytest.fixture(autouse=True)
def no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each run has its crashes and dead letters; writing them down takes longer than they do."""
    caplog.set_level(logging.CRITICAL, "eco_actor.runtime")


def test_a_tree_recovers_from_a_cancellation_in_any_hook_of_an_actor() -> None:
    """Each init, handle, terminate and pipe is cancelled where it waits, once at each await."""
    assert sweep(is_actors) > 100


def test_a_tree_recovers_from_a_cancellation_of_a_supervisor_at_work() -> None:
    """While it starts children, restarts a group, or starts one on demand."""
    assert sweep(is_supervisors) > 20


@pytest.mark.parametrize("starts", [False, True])
def test_a_supervisor_whose_end_is_cancelled_leaves_no_child_behind(starts: bool) -> None:
    """Its children end with it all the same."""
    assert sweep(is_end_of_supervisor, starts=starts) > 5


@pytest.mark.parametrize("where", [is_actors, is_supervisors])
def test_a_job_that_is_cancelled_before_its_first_step_ends_like_another(
    where: Callable[[str], bool],
) -> None:
    """Nothing of it has run, yet whoever waits for it hears of its end."""
    assert sweep(where, starts=True) > 5


def test_callers_that_are_cancelled_leave_the_books_in_order() -> None:
    """Asks and sends given up at any time: their messages count as what became of them."""

    async def main(kit: Kit) -> None:
        chance = Seeded(kit.seed).random
        await kit.supervise(tree())
        calls = asyncio.ensure_future(bustle(kit))
        while not calls.done():
            await asyncio.sleep(chance.random() * TICK)
            tasks = sorted(
                asyncio.all_tasks() - {asyncio.current_task()}, key=asyncio.Task.get_name
            )
            callers = [each for each in tasks if each.get_name() == "caller"]
            if callers:
                chance.choice(callers).cancel()
        await calls
        await kit.advance(30)
        kit.assert_quiet()

    for seed in seeds(30):
        simulate(main, seed)
