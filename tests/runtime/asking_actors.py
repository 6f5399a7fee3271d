"""Actors that do what they are asked, and what asks and sends are checked by."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eco_actor.runtime import Actor, ActorError, Backoff, MailboxSpec, Supervisor, System, child
from eco_actor.runtime.cell import Cell

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


def filled(ref: Cell) -> Cell:
    while ref.tell("fills"):
        if ref.mailbox.blocked:
            return ref
    raise AssertionError("unreachable")
