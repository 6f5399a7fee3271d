"""run.py that hangs on request: files in the folder ECO_HANGS say where, while they are there.

`vision`: the thread that looks at a picture; `loop`: the loop itself, in the step after it. What
hangs leaves a file of the name with `-hangs` behind it. A look may take half a second, and a status
comes five times a second.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from eco_actor import cli, parts, service
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.stages import Fields, Stage, StageInput, stages
from eco_actor.scan.vision import Classifier, Guess, Pixels, Verdict

HANGS = Path(os.environ.pop("ECO_HANGS"))
DEADLINE_S = 0.5
NUMBERS_S = 0.2


def hang(where: str) -> None:
    while (HANGS / where).exists():
        (HANGS / f"{where}-hangs").touch()
        time.sleep(0.005)


class Hanging:
    """Takes everything for glass, some time."""

    backend = "test"

    def classify(self, pixels: Pixels) -> Verdict:
        hang("vision")
        return Verdict("glass", 0.9, (Guess("glass", 0.9),), self.backend)


def hanging(stage: Stage) -> Stage:
    def run(given: StageInput) -> Fields:
        hang("loop")
        return stage.run(given)

    if stage.name == "rule":
        return replace(stage, run=run)
    return replace(stage, deadline=DEADLINE_S) if stage.blocking else stage


def hanging_stages(
    book: RuleBook, classifier: Classifier | None, vision_workers: int
) -> Sequence[Stage]:
    return [hanging(stage) for stage in stages(book, classifier, vision_workers)]


if __name__ == "__main__":
    setattr(parts, "stages", hanging_stages)  # noqa: B010  # names that it imports, not exports
    setattr(parts, "load_classifier", Hanging)  # noqa: B010
    setattr(service, "NUMBERS_S", NUMBERS_S)  # noqa: B010
    sys.exit(cli.main())
