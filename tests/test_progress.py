"""When a server counts as hung, judged from what it shows, in a time that only the test knows."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from eco_actor.progress import JOB_S, PROBE_S, Hand, Progress, Threads

IDLE = Hand("vision", "vision/1", busy=False, ended=0)
BUSY = replace(IDLE, busy=True)
WELL = Threads(ended=0, oldest_s=0.0, free=True, answered=True)


def watched(**deadlines: float) -> Progress:
    return Progress({"vision": 60.0} | deadlines)


def looks(
    progress: Progress,
    seconds: Sequence[float],
    hands: Sequence[Hand] = (IDLE,),
    threads: Threads = WELL,
) -> list[float]:
    """The seconds at which somebody was stuck."""
    return [now for now in seconds if progress.stuck(now, hands, threads) is not None]


def test_a_server_with_nothing_to_do_gets_on() -> None:
    """For ever, as long as its threads answer."""
    assert looks(watched(), range(100_000)) == []


def test_a_worker_may_take_its_deadline_and_no_longer() -> None:
    """It is named; one message more that is over ends that."""
    progress = watched()
    assert looks(progress, range(70), [BUSY]) == [*range(61, 70)]
    told = progress.stuck(71.0, [BUSY], WELL)
    assert told == "vision/1: nothing came of it for more than 60 s"
    assert progress.stuck(72.0, [replace(BUSY, ended=1)], WELL) is None
    assert looks(progress, range(73, 140), [replace(BUSY, ended=1)]) == [*range(133, 140)]


def test_work_that_waits_counts_from_when_there_was_some() -> None:
    """The time in which a worker had nothing to do is not held against it."""
    progress = watched()
    assert looks(progress, range(1000)) == []
    assert looks(progress, range(1000, 1059), [BUSY]) == []
    assert looks(progress, range(1059, 1061)) == []
    assert looks(progress, range(1061, 1121), [BUSY]) == []


def test_each_stage_has_its_own_deadline() -> None:
    """And each worker its own clock: one that hangs is not hidden by one that works."""
    progress = watched(text=5.0)
    text = Hand("text", "text/1", busy=True, ended=0)
    for now in range(200):
        busy = [replace(BUSY, ended=now), replace(BUSY, name="vision/2"), text]
        told = progress.stuck(float(now), busy, WELL)
        assert (told is None) == (now <= 5)
        if told is not None:
            assert told.startswith("text/1:" if now <= 60 else "vision/2:")


def test_a_worker_that_was_held_or_is_gone_begins_anew() -> None:
    """While one is suspended, or its supervisor restarts it, nobody waits for it."""
    progress = watched()
    assert looks(progress, range(60), [BUSY]) == []
    assert looks(progress, range(60, 70), []) == []
    assert looks(progress, range(70, 130), [BUSY]) == []


def test_a_stage_that_is_quick_does_not_hurry_the_others() -> None:
    """Pictures are decoded in the same threads, and may take a minute whatever stages there are."""
    progress = Progress({"label": 2.0})
    assert progress.stuck(0.0, [], replace(WELL, oldest_s=JOB_S)) is None
    told = progress.stuck(1.0, [], replace(WELL, oldest_s=JOB_S + 1))
    assert told == f"a thread has been at one job for more than {JOB_S:g} s"


def test_what_waits_for_the_storage_is_excused_while_that_is_in_trouble() -> None:
    """The worker's time begins when the trouble ends; a thread that hangs is not excused."""
    progress = watched()
    for now in range(500):
        assert progress.stuck(float(now), [BUSY], WELL, excused=True) is None
    assert looks(progress, range(500, 560), [BUSY]) == []
    assert looks(progress, [561.0], [BUSY]) == [561.0]
    hung = replace(WELL, oldest_s=61.0)
    assert progress.stuck(562.0, [IDLE], hung, excused=True) is not None


def test_a_job_that_nobody_waits_for_any_more_is_a_thread_that_hangs() -> None:
    """Longer than the longest deadline, whatever else gets on."""
    progress = watched(text=90.0)
    for age, expected in ((89.0, None), (91.0, "a thread has been at one job for more than 90 s")):
        assert progress.stuck(age, [IDLE], replace(WELL, oldest_s=age)) == expected
    without = Progress({})
    assert without.stuck(0.0, [], replace(WELL, oldest_s=JOB_S)) is None
    assert without.stuck(0.0, [], replace(WELL, oldest_s=JOB_S + 1)) is not None


def test_a_thread_with_nothing_to_do_takes_a_job_in_time() -> None:
    """PROBE_S, counted from when one was free, and anew with every job that ends."""
    progress = watched()
    silent = replace(WELL, answered=False)
    assert progress.stuck(0.0, [IDLE], WELL) is None
    assert looks(progress, range(1, 14), threads=silent) == [11, 12, 13]
    assert progress.stuck(14.0, [IDLE], replace(silent, ended=1)) is None
    assert progress.stuck(14.0 + PROBE_S, [IDLE], replace(silent, ended=1)) is None
    told = progress.stuck(25.0, [IDLE], replace(silent, ended=1))
    assert told == "no thread took a job for more than 10 s"
    assert progress.stuck(26.0, [IDLE], WELL) is None


def test_all_threads_busy_is_no_fault() -> None:
    """A crowd of pictures keeps the question waiting: each job has its own bound."""
    progress = watched()
    crowd = Threads(ended=0, oldest_s=59.0, free=False, answered=False)
    assert looks(progress, range(1000), threads=crowd) == []
    free = replace(crowd, free=True)
    assert looks(progress, range(1000, 1020), threads=free) == [*range(1010, 1020)]


@pytest.mark.parametrize("hang", [0, 1000])
def test_two_faults_at_once_do_not_age_each_other(hang: int) -> None:
    """A worker that hung for long does not make a thread look older than it is, once it goes on."""
    progress = watched()
    silent = replace(WELL, answered=False, free=False)
    looks(progress, range(hang), [BUSY], silent)
    assert looks(progress, range(hang, hang + 10), [IDLE], replace(silent, free=True)) == []
