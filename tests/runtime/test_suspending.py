"""Suspension: who is suspended takes nothing, loses nothing, and can still be ended."""

import asyncio

import pytest

from eco_actor.runtime import SHUTDOWN, AskTimeout, MailboxSpec, Outcome, Overflow, Restart
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import conserved, run_virtual
from tests.runtime.inspected_actors import KINDS, Async, Diary, Plain, Rich, at, tree


class Closing(Async):
    mailbox = MailboxSpec(3, Overflow.CLOSE)


class Latest(Async):
    mailbox = MailboxSpec(3, Overflow.LATEST)


def attention(cell: Cell) -> bool:
    assert cell._life is not None
    return cell._life._attention


@KINDS
def test_a_suspended_actor_takes_nothing_and_goes_on_in_order(kind: type[Plain]) -> None:
    """Timers and Downs wait as well; when it goes on they come first, as ever."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind) as system:
            ref, other = at(system), at(system, "b")
            await ref.ask(lambda me: me.start_timer("t", 1, "rang"), timeout=1)
            await ref.ask(lambda me: me.watch(other), timeout=1)
            ref.suspend()
            assert (ref.suspended, ref.snapshot()["state"]) == (True, "running")
            for n in range(3):
                ref.tell(n)
                await asyncio.sleep(0.1)
            other.kill()
            await asyncio.sleep(5)
            assert (diary, len(ref.mailbox), ref.suspended) == ([], 3, True)
            assert len(system.jobs) == 0  # it is asleep, not spinning
            ref.resume()
            ref.resume()
            await asyncio.sleep(0.1)
            assert diary == ["Down", "rang", 0, 1, 2]
            assert await ref.ask("on", timeout=1) == "on"
            assert not ref.suspended
            conserved([ref])

    run_virtual(main())


@pytest.mark.parametrize(
    ("kind", "outcome", "handled"),
    [
        (Plain, Outcome.FULL, ["f0", "f1", "f2"]),
        (Latest, Outcome.REPLACED, ["f1", "f2", "more"]),
        (Rich, Outcome.REPLACED, ["f1", "f2", "more"]),
        (Closing, Outcome.CLOSED, []),
    ],
)
def test_the_mailbox_of_a_suspended_actor_fills_and_its_rule_speaks(
    kind: type[Plain], outcome: Outcome, handled: list[str]
) -> None:
    """However full: an ask times out unhandled, a send waits, close ends the actor."""
    diary: Diary = []

    async def main() -> None:
        async with tree(diary, kind, Restart.TEMPORARY) as system:
            ref = at(system)
            ref.suspend()
            with pytest.raises(AskTimeout) as caught:
                await ref.ask("too early", timeout=1)
            assert caught.value.handled is False
            ref.resume()
            await asyncio.sleep(0.1)
            ref.suspend()
            assert [ref.tell(f"f{n}") for n in range(3)] == [Outcome.ENQUEUED] * 3
            assert ref.tell("more") is outcome
            ref.resume()
            await asyncio.sleep(1)
            assert ref.alive is (kind is not Closing)
            conserved([ref])

    run_virtual(main())
    assert diary == handled


@KINDS
@pytest.mark.parametrize("how", ["kill", "stop", "system"])
def test_a_suspended_actor_can_be_stopped_and_its_next_life_is_not_suspended(
    kind: type[Plain], how: str
) -> None:
    """At once, with a full mailbox, which the next incarnation takes up."""
    diary: Diary = []

    async def main() -> float:
        async with tree(diary, kind) as system:
            ref = at(system)
            ref.suspend()
            for n in range(3):
                ref.tell(n)
            await asyncio.sleep(1)
            if how != "system":
                ref.kill() if how == "kill" else ref.request_exit(SHUTDOWN)
                await asyncio.sleep(1)
                assert (ref.incarnation, ref.suspended, diary) == (2, False, [0, 1, 2])
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == (1 if how == "system" else 2)


@KINDS
def test_what_was_looked_into_costs_nothing_afterwards(kind: type[Plain]) -> None:
    """A trace that is off, a suspension that is over: the short way is taken again."""

    async def main() -> None:
        async with tree([], kind) as system:
            ref = at(system)
            ref.trace(5)
            await ref.ask("traced", timeout=1)
            assert attention(ref)
            ref.trace(0)
            ref.suspend()
            ref.resume()
            ref.tell("x")
            await asyncio.sleep(0.1)
            assert attention(ref) is (kind is Rich)  # which has no short way
            assert ref.traced == []

    run_virtual(main())
