"""What the races have in common: all orders of a scenario, and actors that obey."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from eco_actor.runtime import (
    Actor,
    ActorError,
    MailboxSpec,
)
from eco_actor.runtime.testing import Kit, Replay

TICK: Final = 0.01


async def race(kit: Kit, *runners: Coroutine[Any, Any, Any]) -> list[Any]:
    """All at once, each in a task of its own; what each returned, or the error of an actor.

    The order is explored from here to when all are through and what they set off has settled.
    """
    assert isinstance(kit.schedule, Replay)
    tasks = [asyncio.create_task(runner) for runner in runners]
    kit.schedule.paused = False
    _, late = await asyncio.wait(tasks, timeout=60)
    assert not late, "a call did not end"
    await kit.settle()
    kit.schedule.paused = True
    for task in tasks:
        error = task.exception()
        if error is not None and not isinstance(error, ActorError):
            raise error
    return [task.exception() or task.result() for task in tasks]


async def soon(call: Callable[..., Any], *args: Any) -> Any:
    """A call as a runner in a race."""
    return call(*args)


class Plain(Actor[Any]):
    """Obeys in a plain handler; `diary` has what every incarnation began with, and finished."""

    mailbox = MailboxSpec(1)

    def __init__(self, diary: list[tuple[int, Any]]) -> None:
        self.diary = diary

    def init(self) -> None:
        self.number = self._life.cell.incarnation

    def handle(self, message: Any) -> Any:
        self.diary.append((self.number, message))
        if message == "crash":
            raise ValueError(message)
        if message == "stop":
            self.stop()
        return message


class Awaiting(Plain):
    """The same, in hooks that await."""

    async def init(self) -> None:  # type: ignore[override]
        super().init()
        await asyncio.sleep(TICK)

    async def handle(self, message: Any) -> Any:
        self.diary.append((self.number, message))
        await asyncio.sleep(TICK)
        if message == "crash":
            raise ValueError(message)
        if message == "stop":
            self.stop()
        return message

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(TICK)


KINDS: Final = pytest.mark.parametrize("kind", [Plain, Awaiting])


def began(diary: list[tuple[int, Any]]) -> list[Any]:
    return [message for _, message in diary]
