"""run.py whose stages wait: the step NAME goes on once a file NAME is in the folder ECO_GATES.

So a test can end the process in the middle of any step, and let the next one finish. Nothing else
is changed: stages, decoding and the store are the real ones. With vision, every picture is glass.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eco_actor import cli, parts
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.stages import Fields, Stage, StageInput, stages
from eco_actor.scan.vision import Classifier, Guess, Pixels, Verdict

GATES = Path(os.environ.pop("ECO_GATES"))


class Glass:
    """Takes everything for glass."""

    backend = "test"

    def classify(self, pixels: Pixels) -> Verdict:
        return Verdict("glass", 0.9, (Guess("glass", 0.9),), self.backend)


def gated(stage: Stage) -> Stage:
    """The stage in a thread, where it waits for its gate."""

    def run(given: StageInput) -> Fields:
        while not (GATES / stage.name).exists():
            time.sleep(0.005)
        return stage.run(given)

    return replace(stage, blocking=True, run=run)


def gated_stages(
    book: RuleBook, classifier: Classifier | None, vision_workers: int
) -> Sequence[Stage]:
    return [gated(stage) for stage in stages(book, classifier, vision_workers)]


if __name__ == "__main__":
    setattr(parts, "stages", gated_stages)  # noqa: B010  # names that it imports, not exports
    setattr(parts, "load_classifier", Glass)  # noqa: B010
    sys.exit(cli.main())
