"""When a connection that has ended is tried again, and over which transport. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from eco_actor.client.ends import End, Then, bounded

Transport = Literal["sse", "ws", "poll"]
Asked = Literal["auto", "sse", "ws", "poll"]

TRANSPORTS: Final[tuple[str, ...]] = get_args(Asked)

BLOCKED: Final = frozenset({"connect_timeout", "not_a_stream", "silent"})
"""Ends of a stream that never said a word: something in between holds it back."""

DOUBTFUL: Final = 2
"""Ends in a row that make one doubt whether streams come through here."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds. `first_s`: the longest first wait, which each failure doubles, up to `most_s`.

    `connect_s`: for an answer's head, and the first word of a stream; after four fifths of it there
    is a connection, or nobody is there. `silent_s`, `ws_silent_s`: without a byte; the server
    breaks its silence after 15 s, on a WebSocket after 25 s. `stable_s`: a connection that lived so
    long makes the waits start over, as one does that brought something. `answer_s`: for an answer,
    the upload of a picture included. `poll_s`: how long a poll waits.
    """

    first_s: float = 1.0
    most_s: float = 30.0
    connect_s: float = 10.0
    silent_s: float = 40.0
    ws_silent_s: float = 60.0
    stable_s: float = 10.0
    answer_s: float = 60.0
    poll_s: float = 25.0

    @property
    def reach_s(self) -> float:
        """For a connection: less than for an answer, so it is known which of them is missing."""
        return 0.8 * self.connect_s


def jittered(failures: int, first_s: float, most_s: float, random: float) -> float:
    """Full jitter: anything from 0 to a bound that doubles with each of the *failures* after the
    first; *random* is from 0 to 1."""
    return random * min(most_s, first_s * 2.0 ** min(failures - 1, 60))


class Link:
    """Counts how tries end; time, in seconds by any clock that does not go back, is told to it.

    `give_up_s`: how long nothing may come through, None: for ever, 0: the first failure is the end.
    `most_failures` in a row are the end, too.
    """

    def __init__(
        self,
        now: float,
        bounds: Bounds,
        random: Callable[[], float],
        give_up_s: float | None = None,
        most_failures: int | None = None,
    ) -> None:
        self.failures = 0
        self._bounds = bounds
        self._random = random
        self._give_up_s = give_up_s
        self._most_failures = most_failures
        self._first_s = bounds.first_s
        self._well = now  # when something was open for the last time
        self._opened: float | None = None
        self._moved = False

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def opened(self, now: float) -> None:
        """Somebody answered as hoped. Harmless when repeated."""
        if self._opened is None:
            self._opened = now

    def moved(self) -> None:
        """Something was gained, which is not asked for again."""
        self._moved = True

    def retry(self, milliseconds: int) -> None:
        """What the stream says of the first wait."""
        self._first_s = bounded(milliseconds / 1000)

    def turned(self) -> None:
        """The next try, over another transport, is no repetition."""
        self._opened, self._moved = None, False

    def ended(self, end: End, now: float) -> float | None:
        """Seconds to the next try; None: it is over. Problem, Unreachable."""
        if end.then is Then.OVER:
            return None
        if end.then is Then.REFUSED:
            raise end.refused()
        opened, moved = self._opened, self._moved
        self._opened, self._moved = None, False
        if moved or opened is not None:
            self._well = now
        stable = moved or (opened is not None and now - opened >= self._bounds.stable_s)
        self.failures = 1 if stable else self.failures + 1
        if self._most_failures is not None and self.failures >= self._most_failures:
            raise end.unreachable()
        wait_s = end.wait_s
        if wait_s is None:
            wait_s = jittered(self.failures, self._first_s, self._bounds.most_s, self._random())
        if self._give_up_s is not None and now + wait_s - self._well >= self._give_up_s:
            raise end.unreachable()
        return wait_s


class Choice:
    """Which transport is next. `auto`: Server-Sent Events, until these do not come through, as
    behind a proxy that holds answers back until they are whole; then long polling, for good."""

    def __init__(self, asked: Asked) -> None:
        if asked not in TRANSPORTS:
            raise ValueError(f"transport: one of {', '.join(TRANSPORTS)}, not {asked!r}")
        self.current: Transport = "sse" if asked == "auto" else asked
        self._auto = asked == "auto"
        self._doubts = 0

    def turn(self, end: End, *, opened: bool, moved: bool) -> bool:
        """A connection has ended: whether the next is to be over another transport, at once."""
        if not self._auto or self.current == "poll":
            return False
        if moved:
            self._doubts = 0
        elif not opened and end.code in BLOCKED:
            self._doubts += DOUBTFUL
        elif end.code == "silent" or (end.code == "cut" and not opened):
            self._doubts += 1
        if self._doubts < DOUBTFUL:
            return False
        self.current = "poll"
        return True
