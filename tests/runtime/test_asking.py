"""Asks: each ends with an answer, or tells at once what became of it."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorDead,
    AskTimeout,
    Failure,
    HandlerFailed,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
)
from eco_actor.runtime.testing import conserved, run_virtual
from tests.runtime.asking_actors import Doer, Plain, at, crash, fails, now, tree, wait


@pytest.mark.parametrize("kind", [Plain, Doer])
def test_an_answer_is_what_the_handler_returns_or_a_failure_without_a_crash(
    kind: type[Actor[Any]],
) -> None:
    """What a `Failure` wraps is raised where it was asked, and the actor goes on."""

    async def main() -> None:
        async with tree(kind=kind) as system:
            ref = at(system)
            assert await ref.ask(7, timeout=1) == 7
            assert await ref.ask(lambda me: None, timeout=1) is None
            with pytest.raises(KeyError, match="nobody"):
                await ref.ask(lambda me: Failure(KeyError("nobody")), timeout=1)
            assert (ref.incarnation, ref.mailbox.handled, ref.mailbox.dead) == (1, 3, 0)

    run_virtual(main())


@pytest.mark.parametrize("what", ["no such scan", StopIteration()])
def test_a_failure_that_cannot_be_raised_does_not_let_the_asker_wait(what: Any) -> None:
    """A sentence where it is made, so that the ask hears of it at once and not at its deadline."""

    async def main() -> None:
        async with tree() as system:
            await fails(at(system).ask(lambda me: Failure(what), 60), HandlerFailed, handled=True)

    run_virtual(main())


@pytest.mark.parametrize("kind", [Plain, Doer])
def test_a_handler_that_raises_fails_the_ask_before_terminate_is_over(
    kind: type[Actor[Any]],
) -> None:
    """HandlerFailed names the error; so it does when the handler is killed."""

    async def main() -> None:
        async with tree(kind=kind) as system:
            ref = at(system)
            text = await fails(ref.ask(crash, timeout=60), HandlerFailed, handled=True)
            assert text == "/top/a: crashed: ValueError: boom"
            assert ref.incarnation == 1
            await asyncio.sleep(6.5)
            if kind is Doer:
                asked = asyncio.ensure_future(ref.ask(wait(100), timeout=60))
                await asyncio.sleep(0.1)
                ref.kill()
                assert "killed" in await fails(asked, HandlerFailed, handled=True)

    run_virtual(main())


def test_a_dead_actor_fails_an_ask_at_once_and_those_that_were_queued() -> None:
    """ActorDead, not handled: it ended for good before it took the request."""

    async def main() -> None:
        async with tree(restart=Restart.TEMPORARY) as system:
            ref = at(system)
            ref.tell(lambda me: me.stop())
            queued = asyncio.ensure_future(ref.ask("queued", timeout=60))
            await asyncio.sleep(1)  # terminate takes so long
            await fails(queued, ActorDead, handled=False)
            await fails(ref.ask("late", timeout=60), ActorDead, handled=False)
            await fails(ref.send("late"), ActorDead, handled=False)
            conserved([ref])

    run_virtual(main())


def test_a_timeout_tells_a_queued_request_from_one_that_was_begun() -> None:
    """Queued: not handled, later skipped and counted. Begun: handled, its late reply is lost."""
    done: list[str] = []

    async def late(me: Any) -> None:
        await asyncio.sleep(3)
        done.append("late")

    async def main() -> None:
        async with tree() as system:
            ref = at(system)
            begun = asyncio.ensure_future(ref.ask(late, timeout=1))
            await asyncio.sleep(0)
            for request, handled in ((begun, True), (ref.ask(done.append, timeout=1), False)):
                with pytest.raises(AskTimeout) as caught:
                    await request
                assert caught.value.handled is handled
            assert await ref.ask("next", timeout=9) == "next"
            assert done == ["late"]
            assert (ref.mailbox.handled, ref.mailbox.expired, ref.incarnation) == (2, 1, 1)

    run_virtual(main())


def test_a_full_mailbox_refuses_a_request() -> None:
    """MailboxFull at once: an ask never waits for room."""

    async def main() -> None:
        async with tree() as system:
            ref = at(system)
            ref.suspend()
            assert [ref.tell(n) for n in range(5)].count(Outcome.FULL) == 1
            await fails(ref.ask("more", timeout=60), MailboxFull, handled=False)
            ref.resume()

    run_virtual(main())


def told(message: Any) -> Any:
    """The bare message, or an error: an envelope is nobody's business."""
    assert isinstance(message, str), f"saw {message!r}"
    return message


@pytest.mark.parametrize(
    "spec",
    [
        MailboxSpec(1, Overflow.LATEST),
        MailboxSpec(1, Overflow.COALESCE, key=told),
        MailboxSpec(9, Overflow.LATEST, max_bytes=5, size=lambda m: len(told(m))),
        MailboxSpec(1, Overflow.LATEST, reserve=1, terminal=lambda m: told(m) == "end"),
    ],
    ids=["latest", "coalesce", "bytes", "reserve"],
)
def test_a_request_that_gives_way_to_a_newer_message_fails_at_once(spec: MailboxSpec[Any]) -> None:
    """MailboxFull, not handled, whatever kind of mailbox it was; the newer one is answered."""

    class Narrow(Doer):
        mailbox = spec

    async def main() -> None:
        async with tree(kind=Narrow) as system:
            ref = at(system)
            ref.suspend()
            asked = [
                asyncio.ensure_future(ref.ask(text, timeout=60)) for text in ("older", "newer")
            ]
            await asyncio.sleep(0)
            assert "gave way" in await fails(asked[0], MailboxFull, handled=False)
            ref.resume()
            assert await asked[1] == "newer"
            assert (ref.mailbox.replaced, ref._requests) == (1, 0)
            conserved([ref])

    run_virtual(main())


def test_requests_are_never_coalesced_and_rules_see_messages_not_envelopes() -> None:
    """Two asks of one key get two answers, beside a message of that key that is replaced."""
    handled: list[str] = []

    class Keyed(Actor[str]):
        mailbox = MailboxSpec(
            9, Overflow.COALESCE, key=told, merge=lambda old, new: told(old) + told(new),
            max_bytes=99, size=lambda m: len(told(m)), reserve=1, terminal=lambda m: told(m) == "z",
        )  # fmt: skip

        def handle(self, message: str) -> str:
            handled.append(message)
            return message

    async def main() -> None:
        async with tree(kind=Keyed) as system:
            ref = at(system)
            asked = [asyncio.ensure_future(ref.ask(text, timeout=9)) for text in ("k", "k", "z")]
            await asyncio.sleep(0)
            assert [ref.tell("k"), ref.tell("k")] == [Outcome.ENQUEUED, Outcome.COALESCED]
            assert await asyncio.gather(*asked) == ["k", "k", "z"]

    run_virtual(main())
    assert handled == ["k", "k", "z", "kk"]


def test_an_ask_waits_over_a_restart_and_the_next_incarnation_answers() -> None:
    """What is queued stays queued, as does what is asked while there is no incarnation."""

    async def main() -> None:
        async with tree() as system:
            ref = at(system)
            ref.tell(crash)
            queued = asyncio.ensure_future(ref.ask(lambda me: me.ref.incarnation, timeout=60))
            await asyncio.sleep(3)
            assert ref.state.value == "down"
            assert await ref.ask("meanwhile", timeout=60) == "meanwhile"
            assert await queued == 2
            assert now() == 6  # one second of terminate, five of delay

    run_virtual(main())


def test_an_asker_that_is_cancelled_leaves_the_books_in_order() -> None:
    """Its request is skipped when queued and handled for nobody when begun; no count is off."""

    async def main() -> None:
        async with tree() as system:
            ref = at(system)
            asked = [asyncio.ensure_future(ref.ask(wait(1), timeout=60)) for _ in range(3)]
            await asyncio.sleep(0.5)
            for request in asked:
                request.cancel()
            assert await ref.ask("next", timeout=9) == "next"
            assert (ref.mailbox.handled, ref.mailbox.expired, ref._requests) == (2, 2, 0)
            await asyncio.sleep(1)
            assert ref._life is not None
            assert not ref._life._attention
            conserved([ref])

    run_virtual(main())


def test_code_outside_of_actors_may_ask_from_another_thread() -> None:
    """Through the loop that the actors live in, as any coroutine."""

    async def main() -> None:
        async with tree(kind=Plain) as system:
            ref, loop = at(system), asyncio.get_running_loop()

            def outside() -> Any:
                return asyncio.run_coroutine_threadsafe(ref.ask("hi", 9), loop).result(9)

            assert await asyncio.to_thread(outside) == "hi"

    asyncio.run(main())
