"""An actor of the test kit that keeps what it is told, for the test to look at."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from eco_actor.runtime.actor import Actor, Down
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.mailbox import MailboxSpec
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.virtual import VirtualTimeLoop


class Probe:
    """What an actor was told, in order. `ref` is its address, `received` all that it ever took."""

    ref: Cell

    def __init__(
        self, name: str, loop: VirtualTimeLoop, answer: Callable[[Any], Any] | None
    ) -> None:
        self.name = name
        self.received: list[Any] = []
        self._unread: list[Any] = []
        self._loop = loop
        self._answer = answer
        self._arrived = asyncio.Event()

    def watch(self, ref: Ref[Any]) -> None:
        """Get a `Down` at each end of *ref*'s incarnations."""
        assert self.ref.actor is not None
        self.ref.actor.watch(ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        assert self.ref.actor is not None
        self.ref.actor.unwatch(ref)

    async def expect(self, what: Any, within: float = 1.0) -> Any:
        """The next message, which has to be *what*: a type, a predicate, or else an equal.

        AssertionError when another comes, or none within so many seconds. A `Down` outruns
        messages, so it is none of them: see `expect_down`.
        """
        found = await self._first(lambda message: not isinstance(message, Down), within)
        if found is None:
            raise AssertionError(f"{self.name}: nothing within {within:g} s, not {_say(what)}")
        if not _is(found[0], what):
            raise AssertionError(f"{self.name}: got {found[0]!r}, not {_say(what)}")
        return found[0]

    async def expect_nothing(self, within: float = 1.0) -> None:
        """AssertionError when something is unread, or comes within so many seconds."""
        found = await self._first(lambda message: True, within)
        if found is not None:
            raise AssertionError(f"{self.name}: got {found[0]!r}, not nothing")

    async def expect_down(self, ref: Ref[Any], within: float = 1.0) -> Down:
        """The first unread `Down` of *ref*, whatever else was told."""
        found = await self._first(lambda m: isinstance(m, Down) and m.ref is ref, within)
        if found is None:
            raise AssertionError(f"{self.name}: {ref.path} did not go down within {within:g} s")
        down: Down = found[0]
        return down

    async def _first(self, wanted: Callable[[Any], bool], within: float) -> tuple[Any] | None:
        """Take out the first unread one that is wanted, waiting for it; None when too late."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for at, message in enumerate(self._unread):
                        if wanted(message):
                            del self._unread[at]
                            return (message,)
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None

    def take(self, message: Any) -> Any:
        """Called by its actor."""
        self.received.append(message)
        self._unread.append(message)
        self._arrived.set()
        return None if self._answer is None else self._answer(message)


class ProbeActor(Actor[Any]):
    mailbox = MailboxSpec(1024)

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def handle(self, message: Any) -> Any:
        return self._probe.take(message)


def _is(message: Any, what: Any) -> bool:
    if isinstance(what, type):
        return isinstance(message, what)
    return bool(what(message)) if callable(what) else bool(message == what)


def _say(what: Any) -> str:
    if isinstance(what, type):
        return f"a {what.__name__}"
    return f"what {what.__name__} wants" if inspect.isfunction(what) else repr(what)
