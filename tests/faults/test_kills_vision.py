"""kill -9 while photographs are looked at: what was accepted is seen, and then forgotten."""

from pathlib import Path
from typing import Final

import pytest

from bench.crash_kills import Kill
from bench.crash_phase import Settings, phase
from bench.crash_points import Phase
from bench.crash_server import Zygote
from eco_actor.scan.model_cache import default_cache_dir, ensure_model
from tests.web.pictures import drawn, encoded

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVING: Final = (
    "before a picture is decoded",
    "after a picture is decoded",
    "before the vision step",
    "after the vision step",
    "before a commit",
)
KILLS: Final = [
    *(Kill(Phase.SERVING, point) for point in SERVING),
    Kill(Phase.RESUMING, "before recovery resumes a scan"),
    Kill(Phase.SERVING, "after vision is said"),
]


@pytest.fixture(scope="module", autouse=True)
def model() -> None:
    """Made here where there is none yet, which takes longer than a server has to start."""
    ensure_model(default_cache_dir())


async def test_nothing_is_lost_where_pictures_are_looked_at(parent: Zygote, data_dir: Path) -> None:
    """The same promises; and the picture of each scan is there until it was looked at."""
    picture = encoded(drawn())
    tally, history = await phase(parent, data_dir, KILLS, 1, Settings(photos=(picture,)))
    assert not tally.faults, tally.said
    assert len(history) == len(KILLS)
    assert tally.finished == tally.accepted > 0
