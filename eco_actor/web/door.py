"""Where connections come in. Those that plainly ask for a stream get it at once; all others, and
whatever else may be the matter with one, go to aiohttp with all that was read.

A stream lasts for hours, so most of what a server does for one is to open it, and after a restart
all come at once. This opens one in half the time.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from eco_actor.delivery.liveness import Wheel
from eco_actor.web.head import may_be_plain

HEAD_S: Final = 15.0
"""Seconds in which the head of a connection's first request has to be here."""

Opener = Callable[[bytes, asyncio.Transport], bool]
"""Opens the stream that the beginning of a connection asks for, if that is plain and it may be;
else nothing has happened, and the answer is False."""


class Doors:
    """The connections of one server that have not shown yet what they are."""

    def __init__(self, wheel: Wheel, opener: Opener, http: Callable[[], asyncio.Protocol]) -> None:
        self.wheel = wheel
        self.opener = opener
        self.http = http
        self.waiting: dict[Door, None] = {}

    def __call__(self) -> "Door":
        """A door for the next connection."""
        return Door(self)

    def close(self) -> None:
        """Turn away who waits."""
        for door in list(self.waiting):
            door.transport.abort()


class Door(asyncio.Protocol):
    """One connection until the head of its first request is here."""

    __slots__ = ("_doors", "_read", "slot", "transport")

    transport: asyncio.Transport

    def __init__(self, doors: Doors) -> None:
        self.slot = -1
        self._doors = doors
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        doors = self._doors
        doors.waiting[self] = None
        doors.wheel.put(self, asyncio.get_running_loop().time() + HEAD_S)

    def data_received(self, data: bytes) -> None:
        read = self._read + data if self._read else data
        self._read = read
        if may_be_plain(read):
            return
        self._leave()
        if not self._doors.opener(read, self.transport):
            self._pass_on(read)

    def _pass_on(self, read: bytes) -> None:
        http = self._doors.http()
        self.transport.set_protocol(http)
        http.connection_made(self.transport)
        http.data_received(read)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self._doors.waiting.pop(self, None)
        self._doors.wheel.remove(self)

    # ---- looked at by the wheel

    def beat(self, now: float) -> float:
        """Its head is overdue."""
        self.transport.abort()
        return now + HEAD_S

    def unsent(self) -> int:
        return 0

    def give_up(self, why: str) -> None:
        self.transport.abort()
