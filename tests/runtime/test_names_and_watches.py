"""Names and watches: who is found by which name, who hears of whose end, and what is not kept."""

import asyncio
import gc
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    Down,
    ExitKind,
    Failure,
    NameTaken,
    Outcome,
    Restart,
    StopChild,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.incarnation import Incarnation
from eco_actor.runtime.testing import run_virtual


class Doer(Actor[Any]):
    """Does what it is told; `heard` has the ends it hears of, over all its incarnations."""

    def __init__(self, heard: list[Down] | None = None, called: str | None = None) -> None:
        self.heard: list[Down] = [] if heard is None else heard
        self.called = called

    def init(self) -> None:
        if self.called is not None:
            self.register(self.called)

    def handle(self, message: Any) -> Any:
        if isinstance(message, Down):
            self.heard.append(message)
            return None
        try:
            return message(self)
        except NameTaken as error:
            return Failure(error)


class SlowEnd(Doer):
    """The same; its end takes a second."""

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(1)


def tree(*specs: Any, strategy: Strategy = Strategy.ONE_FOR_ONE) -> System:
    return System(child("top", Supervisor, specs, strategy))


def at(system: System, name: str) -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


async def do(cell: Cell, deed: Any) -> Any:
    return await cell.ask(deed, timeout=10)


def crash(me: Any) -> None:
    raise ValueError("boom")


def stop(me: Any) -> None:
    me.stop()


def said(heard: list[Down]) -> list[tuple[int, ExitKind, bool]]:
    return [(down.incarnation, down.reason.kind, down.lost is not None) for down in heard]


# ---- names


def test_a_name_belongs_to_one_living_actor() -> None:
    """All of the system find it; a second one is refused and told who has it."""

    async def main() -> None:
        async with tree(child("a", Doer), child("b", Doer)) as system, tree() as other:
            a, b = at(system, "a"), at(system, "b")
            for _ in range(2):
                await do(a, lambda me: me.register("main"))
            assert await do(b, lambda me: me.whereis("main")) is a
            with pytest.raises(NameTaken, match=r"/top/b: the name 'main' belongs to /top/a"):
                await do(b, lambda me: me.register("main"))
            assert await do(b, lambda me: me.whereis("nobody")) is None
            assert (system.whereis("main"), other.whereis("main")) == (a, None)
            assert b.incarnation == 1

    run_virtual(main())


@pytest.mark.parametrize("end", ["crash", "kill"])
@pytest.mark.parametrize("kind", [Doer, SlowEnd])
def test_a_restarted_actor_registers_again_in_its_init(kind: type[Doer], end: str) -> None:
    """Its name is free when the supervisor hears of the end, and taken while it is still ending."""

    async def main() -> None:
        async with tree(child("a", kind, called="main"), child("b", Doer)) as system:
            a, b = at(system, "a"), at(system, "b")
            for life in (2, 3, 4):
                if end == "kill":
                    a.kill()
                else:
                    a.tell(crash)
                await asyncio.sleep(0.5)
                if kind is SlowEnd:
                    with pytest.raises(NameTaken):
                        await do(b, lambda me: me.register("main"))
                await asyncio.sleep(1)
                assert (a.incarnation, a.state.value) == (life, "running")
                assert system.whereis("main") is a

    run_virtual(main())


def test_a_watcher_may_take_the_name_of_the_one_whose_end_it_hears_of() -> None:
    """The name is free before a Down comes, so a stand-in is at once where the other was."""

    class StandIn(Doer):
        def handle(self, message: Any) -> Any:
            if isinstance(message, Down) and message.ref.alive is False:
                self.register("main")
            return super().handle(message)

    async def main() -> None:
        one = child("a", Doer, called="main", restart=Restart.TEMPORARY)
        async with tree(one, child("b", StandIn)) as system:
            a, b = at(system, "a"), at(system, "b")
            await do(b, lambda me: me.watch(a))
            a.tell(stop)
            await asyncio.sleep(0.1)
            assert system.whereis("main") is b
            assert b.incarnation == 1

    run_virtual(main())


def test_an_init_that_fails_leaves_no_name_behind() -> None:
    """All names of an incarnation go with it, also when it never got as far as running."""

    class Stillborn(Doer):
        def init(self) -> None:
            self.register("one")
            self.register("two")
            raise RuntimeError("no start")

    async def main() -> None:
        async with System(child("top", DynamicSupervisor, 3)) as system:
            top = system.find("/top")
            assert top is not None
            assert isinstance(top.actor, DynamicSupervisor)
            with pytest.raises(RuntimeError, match="no start"):
                top.actor.start_child_nowait(child("x", Stillborn))
            assert not len(system.names)

    run_virtual(main())


# ---- watches


def test_a_watcher_hears_once_of_each_end_and_once_more_when_there_is_no_return() -> None:
    """Watching twice is once. The second Down of the last end finds `ref.alive` false."""
    heard: list[Down] = []
    alive: list[bool] = []

    class Watcher(Doer):
        def handle(self, message: Any) -> Any:
            if isinstance(message, Down):
                alive.append(message.ref.alive)
            return super().handle(message)

    async def main() -> None:
        specs = child("a", SlowEnd, restart=Restart.TRANSIENT), child("w", Watcher, heard)
        async with tree(*specs) as system:
            a, w = at(system, "a"), at(system, "w")
            for _ in range(2):
                await do(w, lambda me: me.watch(a))
            for deed in (crash, crash, stop):
                a.tell(deed)
                await asyncio.sleep(2)
            assert [down.ref for down in heard] == [a] * 4
            await do(w, lambda me: me.watch(a))
            await asyncio.sleep(0)

    run_virtual(main())
    crashed, normal = ExitKind.CRASHED, ExitKind.NORMAL
    assert said(heard) == [
        (1, crashed, True),
        (2, crashed, True),
        (3, normal, False),
        (3, normal, False),
        (3, normal, False),  # at once, for it was dead already
    ]
    assert alive[3:] == [False, False]


def test_watches_die_with_the_incarnation_that_asked_for_them() -> None:
    """The next one hears of nothing that it did not ask for, not even of what is under way."""
    heard: list[Down] = []

    async def main() -> None:
        async with tree(child("a", SlowEnd), child("w", Doer, heard)) as system:
            a, w = at(system, "a"), at(system, "w")
            await do(w, lambda me: me.watch(a))
            a.tell(crash)
            await asyncio.sleep(0.5)
            w.tell(crash)
            await asyncio.sleep(2)
            assert (a.incarnation, w.incarnation) == (2, 2)
            assert heard == []
            await do(w, lambda me: me.watch(a))
            a.kill()
            await asyncio.sleep(2)

    run_virtual(main())
    assert said(heard) == [(2, ExitKind.KILLED, False)]


def test_who_unwatches_hears_no_more() -> None:
    """However often it was watched; and to unwatch a stranger is harmless."""
    heard: list[Down] = []

    async def main() -> None:
        async with tree(child("a", Doer), child("w", Doer, heard)) as system:
            a, w = at(system, "a"), at(system, "w")
            await do(w, lambda me: me.unwatch(a))
            await do(w, lambda me: (me.watch(a), me.watch(a), me.unwatch(a)))
            a.kill()
            await asyncio.sleep(1)
            await do(w, lambda me: me.unwatch(a))

    run_virtual(main())
    assert heard == []


def test_an_actor_whose_restarts_fail_is_reported_dead_to_its_watchers() -> None:
    """A Down says so when the supervisor gives up an init that keeps failing."""
    inits: list[str] = []
    ends: list[Down] = []

    class Once(Doer):
        def init(self) -> None:
            inits.append(self.ref.path)
            if len(inits) > 1:
                raise RuntimeError("no start")

    async def main() -> None:
        inner = child("in", Supervisor, [child("a", Once)], restart=Restart.TEMPORARY)
        async with tree(inner, child("w", Doer, ends)) as system:
            a = at(system, "in/a")
            await do(at(system, "w"), lambda me: me.watch(a))
            a.kill()
            await asyncio.sleep(1)
            assert not a.alive
            assert a.tell("hello") is Outcome.DEAD
            assert len(inits) == 4
            assert [down.ref for down in ends] == [a, a]

    run_virtual(main())


def test_who_watches_an_actor_that_comes_back_with_its_group_watches_anew() -> None:
    """An orderly end is told as the last one; a new watch hears of the next life's end."""
    heard: list[Down] = []

    async def main() -> None:
        specs = [
            child("a", Doer, restart=Restart.TRANSIENT),
            child("b", Doer),
            child("w", Doer, heard),
        ]
        async with tree(
            child("in", Supervisor, specs[:2], Strategy.ONE_FOR_ALL), specs[2]
        ) as system:
            a, b, w = at(system, "in/a"), at(system, "in/b"), at(system, "w")
            await do(w, lambda me: me.watch(a))
            await at(system, "in").ask(StopChild("a"), timeout=5)
            await asyncio.sleep(0)
            assert len(heard) == 2
            b.kill()
            await asyncio.sleep(1)
            assert (a.alive, a.incarnation) == (True, 2)
            await do(w, lambda me: me.watch(a))
            a.kill()
            await asyncio.sleep(1)
            assert said(heard[2:]) == [(2, ExitKind.KILLED, False)]

    run_virtual(main())


# ---- what is kept


def test_a_watcher_that_ended_is_not_kept_by_the_watched() -> None:
    """However many come and go, an actor that lives long keeps none of them."""

    async def main() -> None:
        async with tree(child("a", Doer), child("d", DynamicSupervisor, 9)) as system:
            a, d = at(system, "a"), at(system, "d").actor
            assert isinstance(d, DynamicSupervisor)
            for number in range(50):
                ref = d.start_child_nowait(child(str(number), Doer, restart=Restart.TEMPORARY))
                await ref.ask(lambda me: me.watch(a), timeout=1)
                ref.tell(stop)
                await asyncio.sleep(0.01)
            assert not a._watchers
            del ref
            gc.collect()
            assert sum(type(thing) is Incarnation for thing in gc.get_objects()) < 20

    run_virtual(main())


def test_a_watched_one_that_is_dead_is_not_kept_by_its_watcher() -> None:
    """A hub that lives long and watches what comes and goes must not fill the memory with it."""

    async def main() -> None:
        async with tree(child("hub", Doer), child("d", DynamicSupervisor, 9)) as system:
            hub, d = at(system, "hub"), at(system, "d").actor
            assert isinstance(d, DynamicSupervisor)
            for number in range(50):
                ref = d.start_child_nowait(child(str(number), Doer, restart=Restart.TEMPORARY))
                await do(hub, lambda me, ref=ref: me.watch(ref))
                ref.tell(stop)
                await asyncio.sleep(0.01)
            await do(hub, lambda me: me.heard.clear())
            del ref
            gc.collect()
            kept = [
                t.name for t in gc.get_objects() if type(t) is Cell and t.parent is at(system, "d")
            ]
            assert len(kept) < 3

    run_virtual(main())
