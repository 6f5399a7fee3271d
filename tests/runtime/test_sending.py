"""Sends: who waits for room gets it in its turn, or hears that there will be none."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import ActorDead, Exit, ExitKind, MailboxFull, MailboxSpec, Outcome, Restart
from eco_actor.runtime.testing import conserved, run_virtual
from tests.runtime.asking_actors import Doer, at, crash, fails, filled, now, tree, wait


def test_senders_get_the_room_in_the_order_of_their_coming_one_a_slot() -> None:
    """Each message taken lets one in; a `tell` does not overtake those that wait."""
    admitted: list[tuple[int, float]] = []

    async def main() -> None:
        async with tree() as system:
            ref = at(system)

            async def send(number: int) -> None:
                assert await ref.send(wait(1)) is Outcome.ENQUEUED
                admitted.append((number, now()))
                assert ref.tell("overtakes") is Outcome.FULL

            ref.tell(wait(1))
            await asyncio.sleep(0.5)
            for _ in range(4):
                ref.tell(wait(1))
            await asyncio.gather(*(send(number) for number in range(4)))
            conserved([ref])

    run_virtual(main())
    assert admitted == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_senders_wait_over_a_restart_and_fail_at_once_at_the_end_for_good() -> None:
    """The next incarnation makes the room; when there will be none they need not wait for it."""

    async def main() -> None:
        async with tree(restart=Restart.TRANSIENT) as system:
            ref = at(system)
            ref.tell(crash)
            ref.suspend()
            waiting = asyncio.ensure_future(filled(ref).send("over the restart"))
            await asyncio.sleep(0)
            ref.resume()  # one has room: what crashes was taken
            assert await waiting is Outcome.ENQUEUED
            waiting = asyncio.ensure_future(filled(ref).send("over the restart"))
            await asyncio.sleep(5.9)
            assert not waiting.done()
            await asyncio.wait_for(waiting, 0.2)
            ref.suspend()
            waiting = asyncio.ensure_future(filled(ref).send("in vain"))
            await asyncio.sleep(0)
            assert ref._life is not None
            ref._life.request_exit(Exit(ExitKind.NORMAL))
            await asyncio.sleep(1)
            await fails(waiting, ActorDead, handled=False)
            conserved([ref])

    run_virtual(main())


class Weighing(Doer):
    """Holds ten letters."""

    mailbox = MailboxSpec(99, max_bytes=10, size=lambda m: len(m) if isinstance(m, str) else 0)


def test_what_is_larger_than_the_whole_mailbox_need_not_wait() -> None:
    """MailboxFull at once, also when there is nothing queued."""

    async def main() -> None:
        async with tree(kind=Weighing) as system:
            text = await fails(at(system).send("x" * 11), MailboxFull, handled=False)
            assert "larger than the whole mailbox" in text
            assert await at(system).send("x" * 10) is Outcome.ENQUEUED

    run_virtual(main())


@pytest.mark.parametrize("gives_up", [False, True])
def test_what_is_small_waits_behind_what_is_large(gives_up: bool) -> None:
    """First come, first served, also where bytes are the bound; who gives up holds up nobody."""
    handled: list[str] = []

    class Slow(Weighing):
        async def handle(self, message: Any) -> Any:
            await asyncio.sleep(1)
            handled.append(message)

    async def main() -> None:
        async with tree(kind=Slow) as system:
            ref = at(system)
            for text in ("first", "12345", "xyz"):
                ref.tell(text)
                await asyncio.sleep(0)
            large = asyncio.ensure_future(ref.send("large789"))
            await asyncio.sleep(0)
            small = asyncio.ensure_future(ref.send("s"))
            await asyncio.sleep(0)
            assert not small.done()
            if gives_up:
                large.cancel()
            await small
            await asyncio.sleep(9)
            conserved([ref])

    run_virtual(main())
    assert handled == ["first", "12345", "xyz", *([] if gives_up else ["large789"]), "s"]


def test_senders_that_gave_up_are_not_kept() -> None:
    """An actor that hangs must not make those who retry with a deadline fill the memory."""

    async def main() -> None:
        async with tree() as system:
            ref = at(system)
            ref.suspend()
            filled(ref)
            for _ in range(100):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(ref.send("x" * 1000), 0.1)
            assert len(ref._waiters or ()) < 10

    run_virtual(main())


def test_a_sender_that_gave_up_stands_in_nobodys_way() -> None:
    """When nobody waits any more, what fits is let in: by a tell, an ask and a send alike."""

    async def main() -> None:
        async with tree(kind=Weighing) as system:
            ref = at(system)
            ref.suspend()
            ref.tell("123456")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ref.send("large"), 1)
            assert await asyncio.wait_for(ref.send("s"), 1) is Outcome.ENQUEUED
            assert ref.tell("t") is Outcome.ENQUEUED

    run_virtual(main())
