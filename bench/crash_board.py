"""A page of memory that the harness and the server under test share, and that survives a SIGKILL.

The harness says in it which point is to end the process, and at which time that it is passed; the
server counts in it how often each point was passed.
"""

import mmap
import os
import signal
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

NUMBER: Final = struct.Struct("q")
ARMED, LEFT, FIRED, HEAD = 0, 1, 2, 3
NONE: Final = -1


class Board:
    """Counters of *points*, in a file. Both sides name the same points in the same order."""

    def __init__(self, path: Path, points: Sequence[str]) -> None:
        self._points = {name: number for number, name in enumerate(points)}
        self._names = tuple(points)
        size = NUMBER.size * (HEAD + len(points))
        with path.open("a+b") as file:
            fresh = os.fstat(file.fileno()).st_size < size
            if fresh:
                file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
        self._cells = memoryview(self._memory).cast("q")
        if fresh:
            self.disarm()

    def close(self) -> None:
        self._cells.release()
        self._memory.close()

    # ---- the harness

    def arm(self, point: str, nth: int) -> None:
        """End the process when *point* is passed for the *nth* time from now on."""
        self._cells[FIRED] = NONE
        self._cells[LEFT] = nth
        self._cells[ARMED] = self._points[point]

    def disarm(self) -> None:
        self._cells[ARMED] = self._cells[FIRED] = NONE

    @property
    def fired(self) -> str | None:
        """The point that has ended the process since the last `arm`."""
        number = self._cells[FIRED]
        return None if number == NONE else self._names[number]

    def passed(self, point: str) -> int:
        """How often *point* was passed, over all processes."""
        return self._cells[HEAD + self._points[point]]

    # ---- the server

    def number(self, point: str) -> int:
        """What `hit` is to be called with."""
        return self._points[point]

    def hit(self, number: int) -> None:
        """A point is passed: from any thread; does not return where the process is to end here."""
        cells = self._cells
        cells[HEAD + number] += 1
        if cells[ARMED] == number:
            cells[LEFT] -= 1
            if cells[LEFT] <= 0:
                cells[FIRED], cells[ARMED] = number, NONE
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()  # the signal is for the whole process, some other thread may take it
