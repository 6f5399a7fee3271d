"""A connection that is told in Server-Sent Events."""

import asyncio
from functools import lru_cache
from typing import ClassVar, Final

from eco_actor.delivery.connection import RETRY_MS, Connection, Delivery, Wanted
from eco_actor.delivery.frames import COMMENT, Bye, Format, sse_bye, sse_control, sse_retry
from eco_actor.delivery.liveness import HEARTBEAT, TICK
from eco_actor.delivery.subscription import missing
from eco_actor.eventlog import Cursor, Resume

WORST: Final = (Resume.RESET, Resume.PARTIAL, Resume.RECOVERED, Resume.FRESH)
"""Of several channels' verdicts the first of these is told."""


@lru_cache(maxsize=256)
def _open(epoch: str, position: int, verdict: str, overflow: str, capacity: int) -> bytes:
    """The first control event; many clients that come at one time are told the same."""
    begins = Cursor(epoch, position)
    told = {
        "cursor": str(begins),
        "resume": verdict,
        "overflow": overflow,
        "capacity": capacity,
    }
    return sse_retry(RETRY_MS) + sse_control("open", told, begins)


class SseConnection(Connection):
    """Its `head`, status line and headers, was made by whoever knew the request."""

    __slots__ = ("_doubts", "head")

    rhythm: ClassVar[float] = HEARTBEAT

    def __init__(
        self,
        transport: asyncio.Transport,
        paused: bool,
        delivery: Delivery,
        format: Format,
        wanted: Wanted,
        head: bytes,
    ) -> None:
        super().__init__(transport, paused, delivery, format, delivery.traffic.sse, wanted)
        self.head = head
        self._doubts = 0  # times left to ask whether anybody reads

    def opening(self) -> bytes:
        head, self.head = self.head, b""
        first = self.subscriptions[0]
        position, verdict, rule = first.position, first.resume, first.rule
        for each in self.subscriptions[1:]:
            position = min(position, each.position)
            verdict = min(verdict, each.resume, key=WORST.index)
        begins = self.delivery.log.cursor(position)
        told = _open(begins.epoch, position, verdict.value, rule.overflow.value, rule.capacity)
        for found, _ in self.wanted:
            gap = missing(found)
            if gap is not None:
                self.delivery.traffic.gap(rule.overflow, gap.reason, gap.dropped)
                told += self.format.gap(gap, begins)
        return head + told

    def farewell(self, bye: Bye, retry_ms: int) -> bytes:
        return sse_bye(bye, retry_ms)

    def beat(self, now: float) -> float:
        """Break the silence, if there is one."""
        if self.paused:
            return now + HEARTBEAT
        if self._doubts:
            self._doubts -= 1
            self.send(COMMENT)
            return now + TICK
        cohort = self._cohort
        wrote = self.wrote if cohort is None else max(self.wrote, cohort.flushed_at)
        if now - wrote >= HEARTBEAT:
            self.traffic.heartbeats += 1
            self.send(COMMENT)
            wrote = now
        return wrote + HEARTBEAT

    def eof_received(self) -> bool:
        """A client that only sends no more is still served; one that is gone answers a write with
        a reset, which the write after that finds. TLS knows no such half."""
        if self.is_tls:
            return False
        if self._ended is None:
            self._doubts = 2
            self.delivery.wheel.put(self, self.now() + TICK)
            self.send(COMMENT)
        return True
