"""Actors to be looked into."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import Actor, Down, MailboxSpec, Overflow, Restart, Supervisor, System, child
from eco_actor.runtime.cell import Cell

Diary = list[Any]


class Plain(Actor[Any]):
    """Does what it is told, and writes down what else comes."""

    mailbox = MailboxSpec(3)

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("boom")
        if callable(message):
            return message(self)
        self.diary.append(type(message).__name__ if isinstance(message, Down) else message)
        return message


class Async(Plain):
    """The same, awaiting a little."""

    async def handle(self, message: Any) -> Any:
        await asyncio.sleep(0)
        return super().handle(message)


class Rich(Plain):
    """The same with a mailbox that has keys."""

    mailbox = MailboxSpec(3, Overflow.COALESCE, key=lambda m: None)


KINDS = pytest.mark.parametrize("kind", [Plain, Async, Rich])


def tree(diary: Diary, kind: type[Plain] = Plain, restart: Restart = Restart.PERMANENT) -> System:
    specs = [child("a", kind, diary, restart=restart), child("b", Plain, [])]
    return System(child("top", Supervisor, specs))


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found
