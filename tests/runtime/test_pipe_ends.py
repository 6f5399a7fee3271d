"""Pipes at the end of an incarnation: over before the next begins, and none begun after it."""

import asyncio
import contextlib
import inspect
from typing import Any

import pytest

from eco_actor.runtime import SHUTDOWN, ActorDead, Exit
from eco_actor.runtime.testing import run_virtual
from tests.runtime.pipers import KINDS, Diary, Piper, at, crash, lasting, tree


@KINDS
@pytest.mark.parametrize("end", ["crash", "kill", "stop"])
def test_pipes_are_cancelled_with_their_incarnation_and_over_before_the_next(
    kind: type[Piper], end: str
) -> None:
    """However it ends: terminate, the operations' own ends, then init; no message comes of them."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            ref = at(system)
            for after in (0.0, 0.5):
                await ref.ask(lambda me, s=after: me.start(lasting(diary, after=s)), timeout=1)
            await asyncio.sleep(1)
            match end:
                case "kill":
                    ref.kill()
                case "crash":
                    ref.tell(crash)
                case _:
                    ref.tell(lambda me: me.stop(SHUTDOWN))
            await asyncio.sleep(1)
            assert ref.incarnation == 2
            assert ref.actor is not None
            assert diary == ["init", "terminate", "cancelled", "cancelled", "init"]
            await asyncio.sleep(200)
            assert len(system.jobs) == 0

    run_virtual(main())
    assert diary[5:] == ["terminate"]


async def bracketed(diary: Diary) -> None:
    """Says when it begins and when it is over, which takes a while."""
    diary.append("begin")
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(0.5)
        diary.append("over")


class NeverStarts(Piper):
    """Its second init starts an operation and fails."""

    def init(self) -> Any:
        super().init()
        if self.diary.count("init") == 2:
            self.start(bracketed(self.diary))
            raise RuntimeError("no start")


class NeverStartsLate(NeverStarts):
    """The same, when the operation has begun."""

    async def init(self) -> None:
        try:
            super().init()
        except RuntimeError:
            await asyncio.sleep(0.1)
            raise


class Farewell(Piper):
    """Starts an operation when it is over."""

    async def terminate(self, reason: Exit) -> None:
        with contextlib.suppress(ActorDead):
            self.start(bracketed(self.diary))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(("kind", "lives"), [(NeverStarts, 3), (NeverStartsLate, 3), (Farewell, 2)])
def test_what_init_or_terminate_starts_is_over_before_the_next_init_as_well(
    kind: type[Piper], lives: int
) -> None:
    """Two incarnations are never at work on one thing at once, whichever hook began it."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            at(system).tell(crash)
            await asyncio.sleep(5)
            assert at(system).incarnation == lives

    run_virtual(main())
    for when, entry in enumerate(diary):
        if entry == "init":
            assert diary[:when].count("begin") == diary[:when].count("over"), diary


def test_an_incarnation_that_has_ended_can_start_nothing() -> None:
    """ActorDead, and the coroutine is closed: a callback that kept the actor finds out."""

    async def main() -> None:
        async with tree([]) as system:
            ref = at(system)
            old = await ref.ask(lambda me: me, timeout=1)
            ref.tell(crash)
            await asyncio.sleep(1)
            operation = lasting([])
            with pytest.raises(ActorDead, match="this incarnation has ended"):
                old.start(operation)
            assert inspect.getcoroutinestate(operation) == inspect.CORO_CLOSED
            assert ref.incarnation == 2

    run_virtual(main())
