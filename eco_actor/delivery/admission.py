"""Who may open a stream now, and when those who may not are to come back. Pure.

After a restart all clients come at once. A token bucket lets in as many as the server can take, and
clients that resume come before new ones. Whoever is turned away is given a slot of its own: slots
are as close to each other as the bucket makes tokens, so that the second wave is no wave.
"""

import secrets
from hashlib import blake2b
from typing import Final

LEAST_S: Final = 1.0
"""Seconds that a refused client stays away, at least."""

MOST_S: Final = 60.0
"""And at most: with more refusals than this time has tokens for, some will be refused again."""

IN_VAIN: Final = 10
"""While tokens are not what is missing, slots are that much farther apart: those who come back are
likely to be refused again, and each time costs the server something."""


PAUSE_S: Final = 10.0
"""Seconds without a goodbye after which the slots of those who go begin anew."""


class Gate:
    """Admits *rate* streams a second, and *burst* at once after a rest. One thread's.

    A client that does not resume is refused while fewer than *reserve* tokens are left; one that
    does may take the last. Times are seconds of a clock that does not go back. ValueError for
    numbers with which nobody could come in. *key* makes the order of slots: without it nobody can
    choose a name with an early one.
    """

    __slots__ = (
        "_absent_fresh",
        "_absent_resuming",
        "_at",
        "_key",
        "_leaving",
        "_left_at",
        "_pace",
        "_tokens",
        "admitted_fresh",
        "admitted_resuming",
        "burst",
        "closed",
        "rate",
        "refused_fresh",
        "refused_resuming",
        "reserve",
    )

    def __init__(
        self, rate: float, burst: int, reserve: int = 0, *, key: bytes | None = None
    ) -> None:
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate is streams a second, above 0, not {rate!r}")
        if not 0 <= reserve <= burst or burst < 1:
            raise ValueError(f"burst is 1 or more, reserve 0 to burst, not {burst!r}, {reserve!r}")
        self.rate = rate
        self.burst = burst
        self.reserve = reserve
        self.closed = False  # nobody is admitted, whatever the bucket holds
        self.admitted_fresh = 0
        self.admitted_resuming = 0
        self.refused_fresh = 0
        self.refused_resuming = 0
        self._key = secrets.token_bytes(16) if key is None else key
        self._tokens = float(burst)
        self._leaving = 0  # told to go, in a row
        self._left_at = 0.0
        self._at: float | None = None
        # Refused, and not due back yet; so many a second are.
        self._pace = self.rate
        self._absent_resuming = 0.0
        self._absent_fresh = 0.0

    def admit(self, now: float, resuming: bool) -> bool:
        """Whether a stream may be opened; one that may has its token."""
        self._refill(now)
        least = 1 if resuming else max(1, self.reserve)
        if self.closed:
            self.refuse(now, resuming)
            return False
        self._pace = self.rate
        if self._tokens < least:
            self._send_away(resuming)
            return False
        self._tokens -= 1
        if resuming:
            self.admitted_resuming += 1
        else:
            self.admitted_fresh += 1
        return True

    def refuse(self, now: float, resuming: bool) -> None:
        """A stream is not opened for another reason, as for want of room; no token is taken.

        Instead of `admit`: so that `retry_ms` knows of it.
        """
        self._refill(now)
        self._pace = self.rate / IN_VAIN
        self._send_away(resuming)

    def retry_ms(self, client: str, resuming: bool) -> int:
        """When the client that was just refused is to come back, in milliseconds from now.

        It depends on who *client* is and on how many were refused so far, not on chance; clients of
        one name are spread as others are. Those who resume come before those who do not. With k
        clients away the next is put anywhere in the part of time that the bucket needs from the
        k-th to the 2k-th, rounded down to a power of two: all parts together are evenly filled,
        whatever number it turns out to be.
        """
        ahead = 0.0 if resuming else self._absent_resuming
        away = self._absent_resuming if resuming else self._absent_fresh
        part = 1 << (max(1, int(away)).bit_length() - 1)
        place = self._place(client)
        span = MOST_S - LEAST_S
        if ahead + 2 * part <= span * self._pace:
            slot = (ahead + part * (1 + place)) / self._pace
        else:
            slot = place * span  # there is no room for all: anywhere is as good
        return round((LEAST_S + slot) * 1000)

    def leave_ms(self, now: float) -> int:
        """When a client that is told to go is to come back, in milliseconds from now.

        Each gets the next slot: as many come back in a second as are admitted in one.
        """
        if now - self._left_at > PAUSE_S:
            self._leaving = 0
        self._left_at = now
        self._leaving += 1
        slot = min(self._leaving / self.rate, MOST_S)
        return round((LEAST_S + slot) * 1000)

    def _refill(self, now: float) -> None:
        past = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now if self._at is None else max(self._at, now)
        self._tokens = min(float(self.burst), self._tokens + past * self.rate)
        back = past * self._pace
        self._absent_fresh -= min(self._absent_fresh, max(0.0, back - self._absent_resuming))
        self._absent_resuming -= min(self._absent_resuming, back)

    def _send_away(self, resuming: bool) -> None:
        if resuming:
            self.refused_resuming += 1
            self._absent_resuming += 1
        else:
            self.refused_fresh += 1
            self._absent_fresh += 1

    def _place(self, client: str) -> float:
        """From 0 up to 1, even over clients, and over those that share an address."""
        refused = self.refused_fresh + self.refused_resuming
        name = f"{refused} {client}".encode("utf-8", "surrogatepass")
        digest = blake2b(name, digest_size=6, key=self._key).digest()
        return int.from_bytes(digest) / (1 << 48)
