"""One client's connection: an actor that takes from its subscription and writes to its transport.

It has no task while there is nothing to write. A client that does not read holds up its own
connection, nobody else's: what is meant for it waits in its subscription, and a write that makes no
progress for `PATIENCE` seconds ends it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final, Protocol

from eco_actor.delivery.frames import (
    COMMENT,
    Bye,
    Gap,
    sse_bye,
    sse_control,
    sse_event,
    sse_gap,
    sse_retry,
)
from eco_actor.eventlog import Cursor, Event, Resume
from eco_actor.runtime import OVERFLOW, Actor, Exit, ExitKind, Mailbox, MailboxSpec, Overflow

log = logging.getLogger(__name__)

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the connection lives."""

PATIENCE: Final = 20.0
"""Seconds that a write may take without the client reading any of it."""

BATCHES: Final = 16
"""Batches written before other signals, such as the client's leaving, get their turn."""

RETRY_MS: Final = 2000
"""What a client waits before it reconnects, when nothing is said."""

SPREAD_MS: Final = 5000
"""After a stop, clients are told to come back at moments spread over this time."""

FAREWELL: Final = 1.0
"""Seconds that saying goodbye may take: a client that does not read is not waited for."""


class Transport(Protocol):
    """The way to one client."""

    async def write(self, data: bytes) -> None:
        """Send; waits while the client does not read. ConnectionError once it is gone."""

    def close(self) -> None:
        """No more is written; what was, still arrives. Harmless when repeated."""

    def abort(self) -> None:
        """Drop what the client has not read and close: politeness would wait for the very one
        that does not read."""


class Source(Protocol):
    """A subscription, as its connection sees it: with a log behind it, or without."""

    channel: str
    mailbox: Mailbox[Event]
    resume: Resume
    begins: Cursor

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to take note, and call *wake* when there is something to take, or the end."""

    def close(self) -> None:
        """Stop taking note; harmless when repeated."""

    async def take(self) -> Sequence[Event | Gap]:
        """What is to be told next, in order; nothing when there is nothing now."""


class Signal(Enum):
    WAKE = "there is something to take"
    BEAT = "it has been silent for a while"
    GONE = "the client is gone"


class Connection(Actor[Signal]):
    """Serves one subscription as Server-Sent Events, until its channel or the client ends."""

    interruptible = True  # a client that does not read must not hold up a stop
    # Each signal waits at most once, so two places hold all that a tell can bring.
    mailbox = MailboxSpec(2, Overflow.COALESCE, key=lambda signal: signal)

    def __init__(
        self,
        transport: Transport,
        subscription: Source,
        encode: Callable[[Event], bytes] = sse_event,
    ) -> None:
        self._transport = transport
        self._subscription = subscription
        self._encode = encode
        self._opening: bytes = b""
        self._wrote = 0.0  # when, by the loop's clock

    def init(self) -> None:
        self._opening = sse_retry(RETRY_MS) + _open(self._subscription)
        self._subscription.open(self._wake)
        self.start_timer("heartbeat", HEARTBEAT, Signal.BEAT)
        self._wake()

    def _wake(self) -> None:
        mailbox = self._subscription.mailbox
        if mailbox.overflow is Overflow.CLOSE and mailbox.refused:
            self.stop(OVERFLOW)
        else:
            self.ref.tell(Signal.WAKE)

    async def handle(self, message: Signal) -> None:
        try:
            match message:
                case Signal.WAKE:
                    await self._drain()
                case Signal.BEAT:
                    await self._beat()
                case Signal.GONE:
                    self.stop()
        except ConnectionError:
            self.stop()
        except TimeoutError:
            log.info("%s: the client does not read, dropped", self.ref.path)
            self._transport.abort()
            self.stop()

    async def _drain(self) -> None:
        for _ in range(BATCHES):
            told = await self._subscription.take()
            data = self._opening + b"".join(map(self._frame, told))
            self._opening = b""
            over = bool(told) and isinstance(told[-1], Event) and told[-1].final
            if over:
                data += sse_bye(Bye.COMPLETE, RETRY_MS)
            if data:
                await self._write(data)
            if over:
                self.stop()
            if over or not told:
                return
        self._wake()

    def _frame(self, told: Event | Gap) -> bytes:
        return sse_gap(told) if isinstance(told, Gap) else self._encode(told)

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._transport.write(data)
        self._wrote = self.now()

    async def _beat(self) -> None:
        """Break the silence, if there was one; one timer, not one a write."""
        if self.now() - self._wrote >= HEARTBEAT:
            await self._write(COMMENT)
        self.start_timer("heartbeat", self._wrote + HEARTBEAT - self.now(), Signal.BEAT)

    def terminate(self, reason: Exit) -> Awaitable[None] | None:
        self._subscription.close()
        if reason.kind is ExitKind.SHUTDOWN:
            return self._say_goodbye(Bye.GOING_AWAY, RETRY_MS + random.randrange(SPREAD_MS))
        if reason.kind is ExitKind.OVERFLOW:
            return self._say_goodbye(Bye.SLOW_CONSUMER, RETRY_MS)
        if reason.abnormal:
            self._transport.abort()
        self._transport.close()
        return None

    async def _say_goodbye(self, bye: Bye, retry_ms: int) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await self._transport.write(sse_bye(bye, retry_ms))
        except ConnectionError:
            pass
        except TimeoutError:
            self._transport.abort()
        finally:
            self._transport.close()


def _open(subscription: Source) -> bytes:
    """The first control event, and a gap where the client's place in history is no longer known."""
    begins = subscription.begins
    told = {
        "cursor": str(begins),
        "resume": subscription.resume.value,
        "overflow": subscription.mailbox.overflow.value,
        "capacity": subscription.mailbox.capacity,
    }
    opening = sse_control("open", told, begins)
    if subscription.resume is Resume.RESET:
        opening += sse_gap(Gap(subscription.channel, begins, begins, 0, Resume.RESET.value))
    return opening
