"""The timers of one incarnation, by key."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class Timers:
    """One timer a key at most; each delivers its message once, or is cancelled."""

    __slots__ = ("_context", "_deliver", "_handles", "_loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Callable[[], Context],
        deliver: Callable[[Any], None],
    ) -> None:
        self._loop = loop
        self._context = context
        self._deliver = deliver
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def start(self, key: str, delay: float, message: Any) -> None:
        """Deliver *message* in *delay* seconds, instead of what *key* stood for before."""
        self.cancel(key)
        self._handles[key] = self._loop.call_later(
            delay, self._ring, key, message, context=self._context()
        )

    def cancel(self, key: str) -> None:
        """Harmless when there is none."""
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _ring(self, key: str, message: Any) -> None:
        del self._handles[key]
        self._deliver(message)
