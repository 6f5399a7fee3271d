"""Races of watches, names, pipes and suspension, in every order to a small depth."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import KILLED, Actor, Down, NameTaken, Ref, Restart, StartFailed, State
from eco_actor.runtime.testing import Kit
from tests.runtime.races import KINDS, TICK, Plain, began, race, soon

pytestmark = pytest.mark.usefixtures("no_log")


class Watcher(Actor[Any]):
    """Watches whom it is told, and keeps what it hears."""

    def __init__(self, downs: list[tuple[int, bool]]) -> None:
        self.downs = downs

    def handle(self, message: Ref[Any] | Down) -> None:
        if isinstance(message, Down):
            self.downs.append((message.incarnation, message.ref.alive))
        else:
            self.watch(message)


@KINDS
@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.PERMANENT])
def test_a_watch_that_races_the_end_hears_of_it(
    kind: type[Plain], restart: Restart, interleave: Callable[..., None]
) -> None:
    """Of an end for good in any case, of another if it was watched by then."""

    async def main(kit: Kit) -> None:
        downs: list[tuple[int, bool]] = []
        watcher = await kit.start(Watcher, downs)
        cell = await kit.start(kind, [], name="watched", restart=restart)
        await race(kit, soon(watcher.tell, cell), soon(cell.kill), soon(cell.tell, 1))
        await kit.advance(5)
        if restart is Restart.PERMANENT:
            assert downs in ([], [(1, True)])
            await race(kit, soon(cell.kill))
            await kit.advance(5)
            assert downs[-1] == (2, True)
        else:
            assert downs[-1] == (1, False)
            assert len(downs) in (1, 2), "of the end, and that it is for good"

    interleave(main, depth=3, least=170)


class Named(Plain):
    """Registers in its init."""

    def init(self) -> None:
        super().init()
        self.register("the one")


@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.PERMANENT])
def test_a_name_is_free_before_anybody_hears_of_the_end(
    restart: Restart, interleave: Callable[..., None]
) -> None:
    """A restart gets its name again, or whoever was quicker; nobody has it twice, or for ever."""

    async def main(kit: Kit) -> None:
        first = await kit.start(Named, [], name="first", restart=restart)

        async def claim() -> Any:
            return await kit.start(Named, [], name="second", restart=Restart.TEMPORARY)

        _, claimed = await race(kit, soon(first.tell, "crash"), claim())
        await kit.advance(1)
        owner = kit.system.whereis("the one")
        if not isinstance(claimed, StartFailed):
            assert owner is claimed
        elif restart is Restart.PERMANENT:
            assert NameTaken.__name__ in str(claimed)
            assert (owner, first.state, first.incarnation) == (first, State.RUNNING, 2)
        else:
            assert owner is None
            assert await kit.start(Named, [], name="third") is kit.system.whereis("the one")

    interleave(main, depth=5, least=290)


# ---- pipes, suspension


class Piping(Plain):
    """Pipes as often as it is told; `diary` has which incarnation asked for what it got."""

    def handle(self, message: Any) -> Any:
        if message == "pipe":
            self.pipe(asyncio.sleep(TICK, self.number), done=lambda n: ("piped", n), failed=repr)
            return None
        return super().handle(message)


def test_the_result_of_a_pipe_reaches_the_incarnation_that_asked_or_nobody(
    interleave: Callable[..., None],
) -> None:
    """A crash in the moment when the result is due."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(Piping, diary, name="piping")
        cell.tell("pipe")

        async def crash() -> None:
            await asyncio.sleep(TICK)
            cell.tell("crash")

        await race(kit, crash())
        await kit.advance(1)
        piped = [(number, message[1]) for number, message in diary if message[0] == "piped"]
        assert piped in ([], [(1, 1)])
        assert (cell.incarnation, cell.state) == (2, State.RUNNING)

    interleave(main, depth=7, least=480)


@KINDS
def test_a_suspended_actor_takes_nothing_and_can_be_ended(
    kind: type[Plain], interleave: Callable[..., None]
) -> None:
    """Suspend, resume, kill and a message at once: afterwards it runs and has handled it."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(kind, diary, name="held")
        moves = (cell.suspend, cell.resume, cell.kill)
        told, *_ = await race(kit, soon(cell.tell, 1), *(soon(move) for move in moves))
        cell.resume()
        await kit.advance(1)
        assert told.accepted
        assert began(diary) == [1]
        assert (cell.state, cell.incarnation) == (State.RUNNING, 2)
        assert cell.last_exit == KILLED

    interleave(main, depth=3, least=230)
