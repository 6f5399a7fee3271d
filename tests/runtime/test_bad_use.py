"""Bad use gets a sentence, where the mistake is made: what is wrong, and what would be right."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Actor,
    ChildSpec,
    Down,
    DynamicSupervisor,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Restart,
    StartFailed,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.testing import run_virtual


class Echo(Actor[Any]):
    """Does what it is told, or answers with it."""

    def handle(self, message: Any) -> Any:
        return message(self) if callable(message) else message


class NoHandle(Actor[Any]):
    """Lacks what makes it an actor."""


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


ANY: Any = None


class Named(Echo):
    def __init__(self, name: str) -> None:
        self.called = name


def test_an_actor_may_have_parameters_of_any_name() -> None:
    """Its own `name` is not mistaken for the child's."""
    made = child("a", Named, name="b").factory()
    assert isinstance(made, Named)
    assert made.called == "b"


@pytest.mark.parametrize(
    "mistake",
    [dict, lambda: 7, lambda: None, lambda: Echo],
    ids=["a dict", "a number", "nothing", "a class"],
)
def test_a_factory_that_makes_no_actor_is_named_with_what_it_made(mistake: Any) -> None:
    """At the start of the system, with the path; nothing is left running."""

    async def main() -> None:
        with pytest.raises(StartFailed, match=r"^/top/a: TypeError: /top/a: .* which is no Actor$"):
            async with System(
                child("top", Supervisor, [child("b", Echo), ChildSpec("a", mistake)])
            ):
                raise AssertionError("started")

    run_virtual(main())


class MailboxOfSixty(Echo):
    mailbox = 60  # type: ignore[assignment]


class NoMailbox(Echo):
    mailbox = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [MailboxOfSixty, NoMailbox])
def test_a_mailbox_that_is_no_spec_is_named(kind: type[Actor[Any]]) -> None:
    """A number is a natural mistake, and None a natural wish: both get a sentence."""

    async def main() -> None:
        with pytest.raises(StartFailed, match="made from a MailboxSpec, not"):
            async with System(child("top", Supervisor, [child("a", kind)])):
                raise AssertionError("started")

    run_virtual(main())


@pytest.mark.parametrize("message", ["hello", Down(ANY, 1, ANY, None)], ids=["str", "Down"])
def test_an_actor_without_a_handler_that_gets_a_message_says_so(message: Any) -> None:
    """It ends as by any error, which names its class and the kind of message."""

    async def main() -> None:
        async with System(child("top", Supervisor, [child("a", NoHandle)])) as system:
            at(system).tell(message)
            await asyncio.sleep(1)
            assert at(system).last_error == (
                "crashed: NotImplementedError: NoHandle has no handle(),"
                f" so it cannot take {type(message).__name__}"
            )

    run_virtual(main())


def test_an_init_that_awaits_cannot_be_started_without_waiting() -> None:
    """The sentence names the child; its coroutine is closed, its name free."""

    class SlowStart(Echo):
        async def init(self) -> None:
            raise AssertionError("ran")

    async def main() -> None:
        async with System(child("top", DynamicSupervisor, 2)) as system:
            top = system.find("/top")
            assert top is not None
            assert isinstance(top.actor, DynamicSupervisor)
            for kind in (SlowStart, Echo):
                spec = child("x", kind, restart=Restart.TEMPORARY)
                if kind is Echo:
                    assert top.actor.start_child_nowait(spec).alive
                    continue
                with pytest.raises(TypeError, match="/top/x: an async init cannot be started with"):
                    top.actor.start_child_nowait(spec)
                assert "x" not in top.actor

    run_virtual(main())


def generating() -> type[Actor[Any]]:
    class Generating(Echo):
        async def handle(self, message: Any) -> Any:
            yield message

    return Generating


def wrapped() -> type[Actor[Any]]:
    class Wrapped(Echo):
        async def handle(self, message: Any) -> Any:
            return message

    real = Wrapped.handle

    class Outer(Echo):
        def handle(self, message: Any) -> Any:  # as any decorator does, made for plain functions
            return real(self, message)  # type: ignore[arg-type]

    return Outer


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(generating),
        wrapped,
    ],
)
def test_a_handler_that_would_never_run_is_found_out(make: Callable[[], type[Actor[Any]]]) -> None:
    """Its message must not count as handled: refused where the class is made, or a crash."""
    try:
        kind = make()
    except TypeError:
        return

    async def main() -> None:
        async with System(child("top", Supervisor, [child("a", kind)])) as system:
            ref = at(system)
            asked = asyncio.ensure_future(ref.ask("hi", timeout=5))
            await asyncio.wait([asked])
            answer = None if asked.exception() else asked.result()
            if asyncio.iscoroutine(answer):
                answer.close()
            assert answer == "hi" or ref.mailbox.handled == 0

    run_virtual(main())


def test_a_message_that_the_rules_cannot_judge_is_dropped_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`tell` never raises; who waits is told; the actor and its books stay whole."""

    class Weighing(Echo):
        mailbox = MailboxSpec(9, max_bytes=9, size=len)

    async def main() -> None:
        async with System(child("top", Supervisor, [child("a", Weighing)])) as system:
            ref = at(system)
            assert ref.tell(7) is Outcome.DROPPED
            assert "/top/a: its mailbox cannot take a int" in caplog.text
            with pytest.raises((MailboxFull, TypeError)):
                await ref.ask(7, timeout=5)
            with pytest.raises((MailboxFull, TypeError)):
                await ref.send(7)
            assert await ref.ask("fine", timeout=5) == "fine"
            assert (ref.incarnation, ref.mailbox.accepted, ref._requests) == (1, 1, 0)

    run_virtual(main())
