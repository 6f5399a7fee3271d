"""Races of messages, asks and ends, in every order that there is to a small depth."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    ActorDead,
    ActorError,
    AskTimeout,
    HandlerFailed,
    Restart,
    State,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import Kit
from tests.runtime.races import (
    KINDS,
    TICK,
    Awaiting,
    Plain,
    began,
    race,
    soon,
)

# ---- one mailbox

pytestmark = pytest.mark.usefixtures("no_log")


@KINDS
def test_senders_that_wait_are_told_the_truth_whatever_ends_the_receiver(
    kind: type[Plain], interleave: Callable[..., None]
) -> None:
    """A crash, a kill and a restart while two senders wait for room: all is let in, in order."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(kind, diary, name="receiver")

        async def sender(name: str) -> list[bool]:
            return [(await cell.send((name, n))).accepted for n in range(3)]

        told = await race(kit, sender("a"), sender("b"), cell.send("crash"), soon(cell.kill))
        await kit.advance(1)
        assert told[:2] == [[True] * 3] * 2
        assert told[2].accepted
        for name in "ab":
            taken = [message[1] for message in began(diary) if message[0] == name]
            assert taken == [0, 1, 2], "in order, each once: a kill leaves what is queued alone"
        assert began(diary).count("crash") == 1
        assert (cell.state, cell.mailbox.accepted) == (State.RUNNING, 7)
        assert await cell.ask("still there", timeout=1) == "still there"

    interleave(main, depth=3, least=215)


@KINDS
def test_senders_that_wait_hear_of_an_end_for_good(
    kind: type[Plain], interleave: Callable[..., None]
) -> None:
    """A temporary receiver is told to stop: what was accepted was handled or is a dead letter."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(kind, diary, name="receiver", restart=Restart.TEMPORARY)
        lost: list[Any] = []
        counted = kit.system.on_dead_letter
        assert counted is not None

        def letter(at: Cell, message: object, why: str) -> None:
            lost.append(message)
            counted(at, message, why)

        kit.system.on_dead_letter = letter

        async def sender(name: str) -> list[tuple[str, int]]:
            let_in = []
            for n in range(3):
                try:
                    await cell.send((name, n))
                except ActorDead:
                    break
                let_in.append((name, n))
            return let_in

        told = await race(kit, sender("a"), sender("b"), cell.send("stop"))
        await kit.advance(1)
        assert (cell.state, cell.alive) == (State.DEAD, False)
        accepted = [*told[0], *told[1], *([] if isinstance(told[2], ActorDead) else ["stop"])]
        assert Counter(began(diary) + lost) == Counter(accepted)

    interleave(main, depth=4, least=300)


# ---- asks


@KINDS
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TEMPORARY])
def test_an_ask_that_races_a_kill_says_rightly_whether_it_was_handled(
    kind: type[Plain], restart: Restart, interleave: Callable[..., None]
) -> None:
    """An answer, HandlerFailed for the one in hand, ActorDead for the queued, as it happened."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(kind, diary, name="callee", restart=restart)
        asks = [cell.ask(n, timeout=5) for n in range(3)]
        answers = await race(kit, asks[0], soon(cell.kill), asks[1], asks[2])
        await kit.advance(1)
        del answers[1]
        for n, answer in enumerate(answers):
            times = began(diary).count(n)
            if isinstance(answer, ActorError):
                assert answer.handled is (times == 1), (n, answer, diary)
                assert isinstance(answer, HandlerFailed) or times == 0
            else:
                assert (answer, times) == (n, 1)

    interleave(main, depth=3, least=210)


def test_an_ask_that_races_its_deadline_says_rightly_whether_it_was_handled(
    interleave: Callable[..., None],
) -> None:
    """The answer is due in the very moment of the deadline: an answer, or a timeout that knows."""

    async def main(kit: Kit) -> None:
        diary: list[tuple[int, Any]] = []
        cell = await kit.start(Awaiting, diary, name="callee")
        cell.mailbox.capacity = 3
        asks = [cell.ask(n, timeout=deadline * TICK) for n, deadline in enumerate((1, 2, 2))]
        answers = await race(kit, *asks)
        await kit.advance(1)
        for n, answer in enumerate(answers):
            if isinstance(answer, AskTimeout):
                assert answer.handled is (n in began(diary)), (n, answer, diary)
            else:
                assert answer == n

    interleave(main, depth=4, least=250)
