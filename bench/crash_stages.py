"""Stages that take their time, for the crash harness.

The real ones are over within one turn of the loop, so a scan has nearly always nothing but its
first event in the log when it is cut off. With these, each event has a commit of its own, and a
scan is found between any two of them.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from eco_actor import parts

STEP_S: Final = 0.002

SPREAD: Final = f"{__name__}:spread"
"""As a stand-in of the harness."""


def spread() -> None:
    """Let each stage of this process run in a thread, for a while."""
    made = getattr(parts, "stages")  # noqa: B009  # a name that it imports, not exports

    def stages(*args: Any) -> Sequence[Any]:
        return [replace(each, blocking=True, run=_slow(each.run)) for each in made(*args)]

    setattr(parts, "stages", stages)  # noqa: B010


def _slow(run: Any) -> Any:
    def slow(given: Any) -> Any:
        time.sleep(STEP_S)
        return run(given)

    return slow
