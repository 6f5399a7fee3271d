"""Supervisors side by side with a model of OTP's: the same events, the same starts and ends."""

from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.runtime.otp_machine import Machine
from tests.runtime.otp_model import Delays, Strategy

SETTINGS: Final = settings(
    max_examples=250,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


class BackoffMachine(Machine):
    delays = Delays(0.5, 2.0, 3.0)


class DynamicMachine(Machine):
    dynamic = True


class DynamicBackoffMachine(BackoffMachine):
    dynamic = True


def test_a_supervisor_does_what_otp_does() -> None:
    """Order of starts and ends, incarnations, who is kept, when it gives up: as the model says."""
    run_state_machine_as_test(Machine, settings=SETTINGS)


def test_a_supervisor_with_backoff_waits_and_merges() -> None:
    """Stopped at once, started after the delay; who ends meanwhile joins, the time stays."""
    run_state_machine_as_test(BackoffMachine, settings=SETTINGS)


def test_a_dynamic_supervisor_does_what_otp_does() -> None:
    """One for one, forgotten when it ends for good, stopped together in any order."""
    run_state_machine_as_test(DynamicMachine, settings=SETTINGS)


def test_a_dynamic_supervisor_with_backoff_waits_for_each_child() -> None:
    """Each child has a delay of its own, and whoever is stopped while it waits stays stopped."""
    run_state_machine_as_test(DynamicBackoffMachine, settings=SETTINGS)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_an_end_that_went_under_with_its_group_does_not_count_when_the_restart_fails(
    strategy: Strategy,
) -> None:
    """OTP hears no more of a sibling once it has stopped it: a fails to start, a is tried again."""
    both = Machine()
    try:
        both.begin(strategy=strategy, kinds=["permanent", "permanent"], intensity=2, period=1)
        both.same()
        both.fail_next("a", 1)
        both.end_at_once([("a", "crash"), ("b", "crash")])
        assert both.notes.diary == ["-a", "-b", "!a", "+a", "+b"]
        both.same()
    finally:
        both.teardown()
