"""Thousands of clients that come and go leave nothing behind."""

import pytest

from tests.web.handed_over import LOOPS, run_on
from tests.web.handover_churn import measured

COUNT = 3000


@pytest.mark.parametrize("loop", LOOPS)
def test_clients_that_come_and_go_leave_nothing_behind(loop: str) -> None:
    """A third of them by a reset: objects and files are as many afterwards as before."""
    before, after = run_on(loop, measured(COUNT))
    assert after.files == before.files
    assert after.objects - before.objects < COUNT // 20  # not one for each, nor for each reset
