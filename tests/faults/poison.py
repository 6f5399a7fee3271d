"""A thing that kills the process whenever the server comes to it; everything else is as it is."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from eco_actor import parts
from eco_actor.scan.stages import Fields, StageInput
from eco_actor.scan.vision import Guess, Pixels, Verdict

CATEGORY: Final = "hazardous"
"""Kills in the step that looks for a rule."""

WIDTH: Final = 96
"""A picture that is so wide kills in the step that looks at it."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Glass:
    """Takes all for glass, if it survives."""

    backend = "test"

    def classify(self, pixels: Pixels) -> Verdict:
        if pixels.shape[1] == WIDTH:
            _die()
        return Verdict("glass", 0.9, (Guess("glass", 0.9),), self.backend)


def install() -> None:
    """Put both into this process."""
    made = getattr(parts, "stages")  # noqa: B009  # names that it imports, not exports

    def stages(*args: Any) -> Sequence[Any]:
        return [
            replace(each, run=_deadly(each.run)) if each.name == "rule" else each
            for each in made(*args)
        ]

    setattr(parts, "stages", stages)  # noqa: B010
    setattr(parts, "load_classifier", Glass)  # noqa: B010


def _deadly(run: Any) -> Any:
    def deadly(given: StageInput) -> Fields:
        if given.options.category == CATEGORY:
            _die()
        fields: Fields = run(given)
        return fields

    return deadly
