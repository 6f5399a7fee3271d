"""Rings: who would wait for itself is refused, and no ring is seen where there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from eco_actor.runtime import AskCycle, AskTimeout, Failure, Ref
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual
from tests.runtime.asking_actors import Deed, at, filled, now, tree


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
