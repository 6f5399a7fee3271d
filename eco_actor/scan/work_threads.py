"""Threads for work that blocks, which know what they are at."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkThreads(ThreadPoolExecutor):
    """At most *number* threads; what waits for them is bounded by whoever hands it over.

    What it tells of itself may be asked in any thread, and is a moment old.
    """

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, name)
        self._number = number
        self._begun: dict[int, float] = {}  # by thread
        self._ended: dict[int, int] = {}  # the same: each counts for itself

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As of any executor. RuntimeError after the shutdown."""

        def timed() -> T:
            thread = threading.get_ident()
            self._begun[thread] = time.monotonic()
            try:
                return work(*args, **kwargs)
            finally:
                del self._begun[thread]
                self._ended[thread] = self._ended.get(thread, 0) + 1

        return super().submit(timed)

    @property
    def ended(self) -> int:
        """Jobs that are over."""
        return sum(tuple(self._ended.values()))

    @property
    def free(self) -> bool:
        """Whether a thread has nothing to do."""
        return len(self._begun) < self._number

    @property
    def oldest_s(self) -> float:
        """Seconds that the oldest job has run that does; 0 when none runs."""
        begun = tuple(self._begun.values())
        return time.monotonic() - min(begun) if begun else 0.0
