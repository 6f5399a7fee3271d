"""Actors with pipes, and operations for these."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import Actor, Exit, MailboxSpec, Supervisor, System, child
from eco_actor.runtime.cell import Cell

Diary = list[Any]


class Piper(Actor[Any]):
    """Does what it is told, and writes down what happens to it and what its pipes bring."""

    mailbox = MailboxSpec(4)
    max_pipes = 3

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def init(self) -> Any:
        self.diary.append("init")

    def handle(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.diary.append(message)
        return message

    def terminate(self, reason: Exit) -> Any:
        self.diary.append("terminate")

    def start(self, operation: Any) -> None:
        self.pipe(operation, done=lambda result: ("done", result), failed=lambda e: ("failed", e))


class AsyncPiper(Piper):
    """The same with async hooks."""

    async def handle(self, message: Any) -> Any:
        return super().handle(message)

    async def terminate(self, reason: Exit) -> None:
        super().terminate(reason)
        await asyncio.sleep(0.1)


KINDS = pytest.mark.parametrize("kind", [Piper, AsyncPiper])


def tree(diary: Diary, kind: type[Piper] = Piper) -> System:
    return System(child("top", Supervisor, [child("a", kind, diary)]))


def at(system: System) -> Cell:
    found = system.find("/top/a")
    assert found is not None
    return found


def crash(me: Any) -> None:
    raise ValueError("boom")


async def lasting(diary: Diary, seconds: float = 100.0, after: float = 0.0) -> str:
    """Takes so long, and when it is cancelled *after* seconds more to end."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(after)
        diary.append("cancelled")
        raise
    return "result"


async def failing() -> None:
    await asyncio.sleep(1)
    raise KeyError("no such thing")
