"""Tries at a step that ended with the process: a picture that kills it must not do so for ever.

How many tries at a step have begun without a known end is kept with the scan (`scans.step` and
`scans.tries`). A step that blocks, so one at which a library may die, is marked before a worker
begins it: a scan that only waits is innocent of a crash. Steps inside a turn of the loop are over
within the millisecond and are marked only when a scan goes on at them after a crash, which is why
one that was found there without a mark has had its first try.
"""

import contextlib
from dataclasses import dataclass
from typing import Final

from eco_actor.eventlog import EventLog, StoreError, Write
from eco_actor.scan.tables import MARK_TRY, UNDO_TRY

MOST: Final = 3
"""Tries at a step that may end with the process; then the step has failed with `step_crashed`."""

MOST_LEFT: Final = 4096
"""Scans that stopped in this process of which `Left` knows."""


@dataclass(frozen=True, slots=True)
class Tries:
    """So many tries at this step have begun, and are not known to have ended."""

    step: str
    number: int

    def mark(self, task_id: str) -> Write:
        return Write(MARK_TRY, (task_id, self.step, self.number))

    def undo(self, task_id: str) -> Write:
        """What was marked beyond them ended, and not with the process."""
        return Write(UNDO_TRY, (task_id, self.step, self.number))


def crashes(step: str, marked: Tries | None, *, blocks: bool) -> int:
    """How many tries at *step* ended with a process, by what was *marked* last."""
    if marked is not None and marked.step == step:
        return marked.number
    return 0 if blocks else 1


class Mark:
    """Makes a try durable, for whoever runs the step to await before it begins."""

    __slots__ = ("_done", "_log", "_task_id", "begun", "tries")

    def __init__(self, log: EventLog, task_id: str, tries: Tries, *, done: bool) -> None:
        self.tries = tries
        self.begun = done  # whether it may be in the log
        self._done = done
        self._log = log
        self._task_id = task_id

    async def __call__(self) -> None:
        """Returns once it is durable, at once when it is. StoreError: the step must not begin."""
        if not self._done:
            self.begun = True
            await self._log.commit((), (self.tries.mark(self._task_id),))
            self._done = True


class Left:
    """Scans that stopped unfinished in this process, and how often a process died of them before.

    Recovery asks for it, because the mark of such a scan is no crash, whether or not it could be
    undone. At most MOST_LEFT are known; of those beyond, the oldest count as crashed.
    """

    def __init__(self) -> None:
        self._scans: dict[str, Tries] = {}

    def __len__(self) -> int:
        return len(self._scans)

    def put(self, task_id: str, crashes: Tries, log: EventLog | None = None) -> None:
        """It stopped; of its tries these ended with a process. Told to *log*, if that takes it."""
        self._scans.pop(task_id, None)
        if len(self._scans) >= MOST_LEFT:
            del self._scans[next(iter(self._scans))]
        self._scans[task_id] = crashes
        if log is not None:
            with contextlib.suppress(StoreError):
                log.append((), (crashes.undo(task_id),))

    def crashes(self, task_id: str, step: str) -> int | None:
        """Of a scan that goes on at *step*; None for one that did not stop in this process."""
        left = self._scans.get(task_id)
        if left is None:
            return None
        return left.number if left.step == step else 0

    def forget(self, task_id: str) -> None:
        """It goes on."""
        self._scans.pop(task_id, None)
