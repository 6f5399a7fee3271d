"""Races of restarts, stops and starts in a tree, in every order to a small depth."""

from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Backoff,
    DynamicSupervisor,
    NoSuchChild,
    Restart,
    StartChild,
    State,
    StopChild,
    Strategy,
    Supervisor,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import Kit, Replay
from tests.runtime.races import KINDS, TICK, Awaiting, Plain, began, race, soon

pytestmark = pytest.mark.usefixtures("no_log")


@pytest.mark.parametrize("strategy", list(Strategy))
@KINDS
def test_children_that_fail_together_come_back_together(
    kind: type[Plain], strategy: Strategy, interleave: Callable[..., None]
) -> None:
    """Two of three crash at once: the group is restarted in order, and never in part."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        children = [child(name, kind, diary) for name in "abc"]
        await kit.supervise(child("top", Supervisor, children, strategy))
        a, b, c = cells = [found(kit, f"/kit/top/{name}") for name in "abc"]
        await race(kit, soon(a.tell, "crash"), soon(b.tell, "crash"))
        await kit.advance(1)
        assert [cell.state for cell in cells] == [State.RUNNING] * 3
        assert began(diary).count("crash") in (1, 2)
        if strategy is Strategy.ONE_FOR_ALL:
            assert a.incarnation == b.incarnation == c.incarnation
        assert a.incarnation <= b.incarnation
        assert (c.incarnation == 1) is (strategy is Strategy.ONE_FOR_ONE)
        check_order(kit, "abc")

    interleave(main, depth=4, least=220)


def check_order(kit: Kit, names: str) -> None:
    """Whenever one is started, no later one of its group is alive that the strategy restarts."""
    alive: list[str] = []
    for line in kit.faults.lives:
        name = line.removeprefix(line[0] + "/kit/top/")
        if name in names:
            if line[0] == "+":
                assert name not in alive, f"{name} is there already"
                alive.append(name)
            else:
                alive.remove(name)


def found(kit: Kit, path: str) -> Cell:
    cell = kit.system.find(path)
    assert cell is not None, f"{path} is gone"
    return cell


@KINDS
@pytest.mark.parametrize("backoff", [None, Backoff(TICK, 1.0, jitter=0.0)])
def test_a_stop_that_races_a_restart_wins(
    kind: type[Plain], backoff: Backoff | None, interleave: Callable[..., None]
) -> None:
    """A child crashes while it is to be stopped: it stays stopped, and its group as it was."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        children = [child(name, kind, diary) for name in "ab"]
        top = await kit.supervise(child("top", Supervisor, children, backoff=backoff))
        a, b = found(kit, "/kit/top/a"), found(kit, "/kit/top/b")
        told, stopped = await race(kit, soon(a.tell, "crash"), top.ask(StopChild("a"), timeout=9))
        await kit.advance(5)
        assert stopped is a
        assert (a.state, a.alive) == (State.ENDED, False)
        assert (b.state, b.incarnation) == (State.RUNNING, 1)
        assert told.accepted is ("crash" in began(diary) or a.mailbox.dead > 0)

    interleave(main, depth=5, least=360)


@KINDS
def test_a_kill_of_the_supervisor_that_races_a_restart_leaves_no_child_of_the_old_tree(
    kind: type[Plain], interleave: Callable[..., None]
) -> None:
    """The children that are there afterwards are those of the new tree, one of each name."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        children = [child(name, kind, diary) for name in "ab"]
        top = await kit.supervise(child("top", Supervisor, children, Strategy.ONE_FOR_ALL))
        old = [found(kit, "/kit/top/a"), found(kit, "/kit/top/b")]
        await race(kit, soon(old[0].tell, "crash"), soon(top.kill))
        await kit.advance(5)
        assert top.incarnation == 2
        assert [cell.state for cell in old] == [State.DEAD] * 2
        assert [found(kit, cell.path).state for cell in old] == [State.RUNNING] * 2
        check_order(kit, "ab")

    interleave(main, depth=4, least=220)


def test_the_end_of_the_system_races_a_restart(interleave: Callable[..., None]) -> None:
    """Whatever is just being started ends with the rest; the kit finds nothing left over."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        children = [child(name, Awaiting, diary) for name in "abc"]
        await kit.supervise(child("top", Supervisor, children, Strategy.REST_FOR_ONE))
        a, b = found(kit, "/kit/top/a"), found(kit, "/kit/top/b")
        a.tell("crash")
        await kit.advance(TICK / 2)
        assert isinstance(kit.schedule, Replay)
        kit.schedule.paused = False  # for the rest, which is the end
        b.tell("crash")

    interleave(main, depth=7, least=270)


def test_a_child_of_the_same_name_is_refused_or_starts_after_the_old_one(
    interleave: Callable[..., None],
) -> None:
    """A dynamic child ends while another of its name is to start, and a third is to be stopped."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        top = await kit.supervise(child("top", DynamicSupervisor, 2))
        spec = kit.faults.wrap(child("x", Awaiting, diary, restart=Restart.TEMPORARY))
        old = await top.ask(StartChild(spec), timeout=9)

        async def start() -> Any:
            try:
                return await top.ask(StartChild(spec), timeout=9)
            except ValueError as error:  # its name is taken
                return error

        stop = top.ask(StopChild("x"), timeout=9)
        _, new, stopped = await race(kit, soon(old.kill), start(), stop)
        await kit.advance(1)
        assert old.state is State.DEAD
        there = kit.system.find("/kit/top/x")
        if isinstance(new, ValueError):
            assert there is None
            assert stopped is old or isinstance(stopped, NoSuchChild)
        elif stopped is new:
            assert there is None
        else:
            assert there is new
        check_order(kit, "x")

    interleave(main, depth=4, least=270)
