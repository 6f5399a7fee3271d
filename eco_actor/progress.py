"""Whether the threads that look at pictures get on with it. Pure: time comes in by argument.

That the loop comes round needs no judgement: whoever asks for this one is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PROBE_S: Final = 10.0
"""Seconds in which a thread that has nothing to do answers."""

JOB_S: Final = 60.0
"""Seconds that a job in a thread may take whatever stages there are: pictures are decoded there."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A worker of a stage that blocks.

    `busy`: it has something in hand, or queued. `ended`: messages that it was given and has no
    more, over all its lives.
    """

    stage: str
    name: str
    busy: bool
    ended: int


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads that all blocking work shares.

    `ended`: jobs that are over. `oldest_s`: since when the oldest runs that does, in seconds; 0
    when none runs. `free`: whether a thread has nothing to do. `answered`: whether the last job
    that was put in to see whether they live has come back.
    """

    ended: int
    oldest_s: float
    free: bool
    answered: bool


class _Since:
    """Since when a number has not changed."""

    __slots__ = ("at", "number")

    def __init__(self, number: int, now: float) -> None:
        self.number, self.at = number, now

    def age(self, number: int, now: float) -> float:
        if number != self.number:
            self.number, self.at = number, now
        return now - self.at


class Progress:
    """Judges what it is shown, again and again; `deadlines` are of the stages that block, seconds.

    A worker is stuck when nothing came of it for its stage's deadline, though it has work. A thread
    is stuck when one job takes longer than the longest of these, and than JOB_S: whoever waited for
    it has given up. That all are busy is no fault; that one is free and takes nothing for PROBE_S
    is.
    """

    def __init__(self, deadlines: Mapping[str, float]) -> None:
        self._deadlines = deadlines
        self._longest = max([JOB_S, *deadlines.values()])
        self._workers: dict[str, _Since] = {}
        self._threads: _Since | None = None

    def stuck(
        self, now: float, hands: Sequence[Hand], threads: Threads, *, excused: bool = False
    ) -> str | None:
        """Who makes no progress; None when all do.

        *excused*: workers may wait for something else than their threads, the storage.
        """
        worker = self._worker(now, hands, excused)
        thread = self._thread(now, threads)
        for gone in self._workers.keys() - {hand.name for hand in hands}:
            del self._workers[gone]
        return worker or thread

    def _worker(self, now: float, hands: Sequence[Hand], excused: bool) -> str | None:
        found = None
        for hand in hands:
            since = self._workers.get(hand.name)
            if since is None or excused or not hand.busy:
                self._workers[hand.name] = _Since(hand.ended, now)
                continue
            age = since.age(hand.ended, now)
            limit = self._deadlines.get(hand.stage, self._longest)
            if age > limit:
                found = found or f"{hand.name}: nothing came of it for more than {limit:g} s"
        return found

    def _thread(self, now: float, threads: Threads) -> str | None:
        if threads.oldest_s > self._longest:
            return f"a thread has been at one job for more than {self._longest:g} s"
        if self._threads is None or threads.answered or not threads.free:
            self._threads = _Since(threads.ended, now)
            return None
        age = self._threads.age(threads.ended, now)
        return f"no thread took a job for more than {PROBE_S:g} s" if age > PROBE_S else None
