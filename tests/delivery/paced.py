"""A transport whose client reads as much as a test says, and which pauses as uvloop's does."""

import asyncio
from collections.abc import Callable
from typing import Any


class PacedTransport(asyncio.Transport):
    """Bytes go to the client while there is `room`; None is without end. What is left waits here.

    The protocol is paused in the write that leaves something, and resumed from the loop when all
    has gone: uvloop with a high mark of 0. `received` is what the client has read, `writes` what
    each call brought.
    """

    def __init__(self, room: int | None = None) -> None:
        super().__init__()
        self.room = room
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.arrived: Callable[[], None] = lambda: None
        self.protocol: Any = None
        self.broken: Exception | None = None  # what a write raises
        self.aborted = False
        self.paused = False
        self.reading = True
        self.closing = False
        self.closed = False
        self.resumes = 0
        self._high = 64 * 1024
        self._waiting = bytearray()
        self._dropping = False
        self._inbox = bytearray()

    # ---- as the protocol sees it

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken is not None:
            raise self.broken
        if self.closed:
            raise RuntimeError("unable to perform operation; the handler is closed")
        if self._dropping or not data:
            return
        self.writes.append(bytes(data))
        waited = bool(self._waiting)
        self._waiting += data
        if not waited:
            self._take()
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if len(self._waiting) > self._high and not self.paused:
            self.paused = True
            self.protocol.pause_writing()

    def _take(self) -> None:
        most = len(self._waiting) if self.room is None else min(self.room, len(self._waiting))
        if most:
            self.received += self._waiting[:most]
            del self._waiting[:most]
            if self.room is not None:
                self.room -= most
            self.arrived()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self._waiting:
                self._lose(None)

    def abort(self) -> None:
        self.aborted = True
        self._force(None)

    def _force(self, error: Exception | None) -> None:
        if not self._dropping:
            self.closing = True
            self._waiting.clear()
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self._dropping = True
        asyncio.get_running_loop().call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        self.closed = True
        self.protocol.connection_lost(error)

    def is_closing(self) -> bool:
        return self.closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert isinstance(self.protocol, asyncio.BaseProtocol)
        return self.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._pause_if_full()

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        asyncio.get_running_loop().call_soon(self._bring)

    def is_reading(self) -> bool:
        return self.reading

    # ---- as its client does

    def stall(self, room: int = 0) -> None:
        """Read no more than *room* bytes from now on."""
        self.room = room

    def allow(self, room: int | None) -> None:
        """Read *room* bytes more, or everything."""
        self.room = room if room is None or self.room is None else self.room + room
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._dropping:
            return
        self._take()
        if self._waiting:
            return
        if self.paused:
            self.paused = False
            self.resumes += 1
            self.protocol.resume_writing()
        if self.closing:
            self._lose(None)

    def vanish(self) -> None:
        """The client is gone, without a word."""
        self._force(ConnectionResetError("the client is gone"))

    def end(self) -> None:
        """The client sends no more."""
        if not self.protocol.eof_received():
            self.close()

    def bring(self, data: bytes) -> None:
        """The client sends *data*."""
        self._inbox += data
        self._bring()

    def _bring(self) -> None:
        if self.reading and self._inbox and not self.closing:
            data = bytes(self._inbox)
            self._inbox.clear()
            self.protocol.data_received(data)
