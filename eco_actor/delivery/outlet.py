"""The transport's side of a connection: an actor that is the protocol of its transport, too.

Transports are set to take all or to pause, so "paused" means that the kernel has no room for this
client, and nothing is queued behind its back but the rest of one write.
"""

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from eco_actor.delivery.liveness import Wheel
from eco_actor.delivery.traffic import GONE, StreamTraffic
from eco_actor.runtime import Actor

log = logging.getLogger(__name__)

FAREWELL: Final = 1.0
"""Seconds that the last bytes may take: a client that does not read is not waited for."""


class Outlet(Actor[Any], asyncio.Protocol):
    """Owns *transport*. `paused`: it still has something to send. `lost`: it is gone."""

    __slots__ = (
        "_closed",
        "_ended",
        "_wheel",
        "lost",
        "paused",
        "slot",
        "traffic",
        "transport",
        "wrote",
    )

    def __init__(
        self, transport: asyncio.Transport, paused: bool, wheel: Wheel, traffic: StreamTraffic
    ) -> None:
        self.transport = transport
        self.traffic = traffic
        self.paused = paused
        self.lost = False
        self.slot = -1  # in the wheel
        self.wrote = 0.0  # when, by the loop's clock
        self._wheel = wheel
        self._ended: str | None = None  # why nothing more is to be told
        self._closed: asyncio.Future[None] | None = None

    # ---- what a connection does with it

    def wake(self) -> None:
        """It can be written to again."""
        raise NotImplementedError

    def fall_behind(self) -> None:
        """It cannot be written to now."""
        raise NotImplementedError

    def beat(self, now: float) -> float:
        """See `liveness`."""
        raise NotImplementedError

    # ---- what it does for a connection

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be told."""
        return self._ended is not None

    @property
    def is_tls(self) -> bool:
        """Whether what is written is encrypted here, as in another's application."""
        return self.transport.get_extra_info("sslcontext") is not None

    def take_over(self, first_beat: float) -> None:
        """Be the transport's protocol, and looked after from *first_beat* on."""
        self.transport.set_protocol(self)
        # Transports of TLS pause at the limit, not above it: with 0 also when nothing waits.
        self.transport.set_write_buffer_limits(high=1 if self.is_tls else 0)
        self.traffic.opened += 1
        if self.paused:
            self._wheel.block(self, self.now())
        self._wheel.put(self, first_beat)

    def send(self, data: bytes) -> None:
        """Give *data* to the transport, which takes it whatever it has."""
        if data and not self.lost:
            self.transport.write(data)
            self.wrote = self.now()
            self.traffic.writes += 1
            self.traffic.bytes += len(data)

    def let_go(self, code: str) -> None:
        """It has ended for this reason, as it is counted, unless it had ended before."""
        if self._ended is None:
            self._ended = code
        self.traffic.end(self._ended)
        self._wheel.remove(self)

    def close(self) -> Coroutine[Any, Any, None] | None:
        """Close the transport; what to wait for, where the last bytes are still on their way."""
        if self.lost:  # and the transport of TLS knows nothing any more
            return None
        tls = self.is_tls
        self.transport.close()
        if not (tls or self.transport.get_write_buffer_size()):
            return None
        self._closed = asyncio.get_running_loop().create_future()
        return self._wait_closed(self._closed)

    async def _wait_closed(self, closed: "asyncio.Future[None]") -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await closed
        except TimeoutError:
            self.transport.abort()

    # ---- called by the transport, and by the wheel

    def pause_writing(self) -> None:
        self.paused = True
        if not self._ended:
            self.fall_behind()
            self._wheel.block(self, self.now())

    def resume_writing(self) -> None:
        self.paused = False
        self._wheel.unblock(self)
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self.paused = True
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        if self._ended is None:
            self._ended = GONE
        self.stop()

    def unsent(self) -> int:
        """Bytes that the client has not acknowledged, here and in the kernel."""
        waiting = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError, ValueError):  # it is closed, or this system does not tell
                told = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
                waiting += int.from_bytes(told, sys.byteorder)
        return waiting

    def give_up(self, why: str) -> None:
        log.info("%s: the client does not read (%s), dropped", self.ref.path, why)
        self._ended = self._ended or why
        self.transport.abort()
