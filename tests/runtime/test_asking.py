"""Asks and sends: each ends with an answer or tells what became of it, and none goes in a ring."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ActorDead,
    ActorError,
    AskCycle,
    AskTimeout,
    Backoff,
    Exit,
    ExitKind,
    Failure,
    HandlerFailed,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    Ref,
    Restart,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import conserved, run_virtual

Deed = Callable[[Any], Any]


class Doer(Actor[Any]):
    """Does what it is told, awaits it, and answers with what came of it."""

    mailbox = MailboxSpec(4)

    async def handle(self, message: Any) -> Any:
        result = message(self) if callable(message) else message
        return await result if inspect.isawaitable(result) else result

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(1)


class Plain(Actor[Any]):
    """The same without awaiting."""

    mailbox = MailboxSpec(4)

    def handle(self, message: Any) -> Any:
        return message(self) if callable(message) else message


def tree(*names: str, kind: type[Actor[Any]] = Doer, **options: Any) -> System:
    specs = [child(name, kind, **options) for name in names or "a"]
    return System(child("top", Supervisor, specs, backoff=Backoff(5, 5, 0)))


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def now() -> float:
    return asyncio.get_running_loop().time()


def wait(seconds: float, value: Any = None) -> Deed:
    return lambda me: asyncio.sleep(seconds, value)


def crash(me: Any) -> None:
    raise ValueError("boom")


async def fails(awaitable: Awaitable[Any], error: type[ActorError], handled: bool) -> str:
    """The text of the *error* that comes at once, and says whether the message was handled."""
    begun = now()
    with pytest.raises(error) as caught:
        await awaitable
    assert now() == begun
    assert type(caught.value) is error
    assert caught.value.handled is handled
    return str(caught.value)


# ---- answers


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


# ---- rings


def relay(refs: Sequence[Ref[Any]], timeout: float = 60) -> Deed:
    """Ask the first of *refs* to ask the rest; a ring is passed back to who asked first."""

    async def ask(me: Any) -> Any:
        if not refs:
            return "the end"
        return await passed_back(refs[0].ask(relay(refs[1:], timeout), timeout))

    return ask


@pytest.mark.parametrize(
    ("asked", "cycle"),
    [
        ("aa", ["/top/a", "/top/a"]),
        ("aba", ["/top/b", "/top/a", "/top/b"]),
        ("abca", ["/top/c", "/top/a", "/top/b", "/top/c"]),
        ("abcb", ["/top/c", "/top/b", "/top/c"]),
    ],
)
def test_an_ask_that_would_close_a_ring_is_refused_by_name(asked: str, cycle: list[str]) -> None:
    """At once, from the one that would close it; not handled; all of them go on working."""

    async def main() -> None:
        async with tree(*"abc") as system:
            first, *others = (at(system, name) for name in asked)
            with pytest.raises(AskCycle) as caught:
                await first.ask(relay(others), timeout=60)
            assert now() == 0
            assert caught.value.cycle == cycle
            assert str(caught.value) == f"{cycle[0]}: it would wait for itself: " + " -> ".join(
                cycle
            )
            assert (caught.value.path, caught.value.handled) == (cycle[0], False)
            for name in "abc":
                assert await at(system, name).ask(name, timeout=1) == name
                assert at(system, name).incarnation == 1

    run_virtual(main())


def filled(ref: Cell) -> Cell:
    while ref.tell("fills"):
        if ref.mailbox.blocked:
            return ref
    raise AssertionError("unreachable")


async def passed_back(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except AskCycle as error:
        return Failure(error)


@pytest.mark.parametrize("who", ["itself", "who asks it", "who waits for its room"])
def test_waiting_for_room_is_a_link_of_the_chain(who: str) -> None:
    """A send to a full mailbox of who waits for the sender is refused; so is an ask back."""

    async def main() -> None:
        async with tree(*"ab") as system:
            a, b = at(system, "a"), at(system, "b")
            match who:
                case "itself":
                    asked = a.ask(lambda me: passed_back(filled(a).send("sent")), timeout=60)
                case "who asks it":
                    back: Deed = lambda it: passed_back(filled(a).send("sent"))  # noqa: E731
                    asked = a.ask(lambda me: passed_back(b.ask(back, 60)), timeout=60)
                case _:
                    asking = asyncio.ensure_future(b.ask(lambda it: wait_then_ask(a), timeout=60))
                    await asyncio.sleep(0.1)
                    filled(b)
                    a.tell(lambda me: b.send("sent"))
                    asked = asyncio.wait_for(asking, 60)
            with pytest.raises(AskCycle) as caught:
                await asked
            assert now() <= 1
            assert len(caught.value.cycle) == (2 if who == "itself" else 3)
            assert await a.ask("on", timeout=1) == await b.ask("on", timeout=1) == "on"
            assert b.mailbox.handled == b.mailbox.accepted

    async def wait_then_ask(ref: Ref[Any]) -> Any:
        await asyncio.sleep(1)
        return await relay([ref])(None)

    run_virtual(main())


async def pipes_it(me: Any, b: Cell) -> str:
    me.pipe(b.ask(relay([me.ref]), 60), done=lambda answer: answer, failed=Failure)
    return "piped"


async def leaves_it_to_a_task(me: Any, b: Cell) -> str:
    me.task = asyncio.ensure_future(b.ask(relay([me.ref]), 60))
    return "left"


async def has_its_answer(me: Any, b: Cell) -> Any:
    answer = await b.ask("done", 60)
    me.task = asyncio.ensure_future(b.ask(relay([me.ref]), 60))  # b asks while this still waits
    await asyncio.sleep(5)
    return answer


async def has_given_up(me: Any, b: Cell) -> str:
    with pytest.raises(AskTimeout):
        await b.ask(later([me.ref]), 1)
    await asyncio.sleep(5)  # b asks now
    return "given up"


def later(refs: Sequence[Ref[Any]]) -> Deed:
    async def ask(me: Any) -> Any:
        await asyncio.sleep(3)
        me.task = asyncio.ensure_future(asyncio.sleep(0, "kept"))
        return await relay(refs)(me)

    return ask


@pytest.mark.parametrize("deed", [pipes_it, leaves_it_to_a_task, has_its_answer, has_given_up])
def test_no_ring_is_seen_where_nobody_waits(deed: Callable[[Any, Cell], Any]) -> None:
    """Whom a pipe or a task asks, or asked before, the handler does not wait for: b may ask a."""

    async def main() -> None:
        async with tree(*"ab") as system:
            a, b = at(system, "a"), at(system, "b")
            await a.ask(lambda me: deed(me, b), timeout=60)
            await asyncio.sleep(10)
            life = a._life
            assert life is not None
            assert life.waits_for is None
            for keeper in (a.actor, b.actor):
                task = getattr(keeper, "task", None)
                assert task is None or task.result() in ("the end", "kept")
            assert a.mailbox.handled == 2  # what the test asked, and what b did
            assert (a.incarnation, b.incarnation) == (1, 1)
            assert not len(system.jobs)

    run_virtual(main())


def test_two_that_wait_for_the_same_one_are_no_ring() -> None:
    """a and c ask b, which asks d: all are answered, one after the other."""

    async def main() -> None:
        async with tree(*"abcd") as system:
            a, b, c, d = (at(system, name) for name in "abcd")
            asked = [ref.ask(relay([b, d]), timeout=60) for ref in (a, c, a)]
            assert await asyncio.gather(*asked) == ["the end"] * 3

    run_virtual(main())


# ---- sends


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
