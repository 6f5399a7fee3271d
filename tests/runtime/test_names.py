"""Names: who is found by which name, and when it is free again."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import Down, NameTaken, Restart, System, child
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.testing import run_virtual
from tests.runtime.watching_actors import Doer, SlowEnd, at, crash, do, stop, tree


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
