"""Watches: who hears of whose end, and what is not kept of either."""

import asyncio
import gc
from typing import Any

from eco_actor.runtime import (
    Down,
    ExitKind,
    Outcome,
    Restart,
    StopChild,
    Strategy,
    Supervisor,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.incarnation import Incarnation
from eco_actor.runtime.testing import run_virtual
from tests.runtime.watching_actors import Doer, SlowEnd, at, crash, do, stop, tree


def said(heard: list[Down]) -> list[tuple[int, ExitKind, bool]]:
    return [(down.incarnation, down.reason.kind, down.lost is not None) for down in heard]


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


def incarnations() -> int:
    return sum(type(thing) is Incarnation for thing in gc.get_objects())


def test_a_watcher_that_ended_is_not_kept_by_the_watched() -> None:
    """However many come and go, an actor that lives long keeps none of them."""

    async def main() -> None:
        async with tree(child("a", Doer), child("d", DynamicSupervisor, 9)) as system:
            a, d = at(system, "a"), at(system, "d").actor
            gc.collect()
            before = incarnations()  # those of other tests may be about, too
            assert isinstance(d, DynamicSupervisor)
            for number in range(50):
                ref = d.start_child_nowait(child(str(number), Doer, restart=Restart.TEMPORARY))
                await ref.ask(lambda me: me.watch(a), timeout=1)
                ref.tell(stop)
                await asyncio.sleep(0.01)
            assert not a._watchers
            del ref
            gc.collect()
            assert incarnations() < before + 20

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
