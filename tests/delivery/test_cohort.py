"""Connections in step: one write for all, none held up, none forgotten; in virtual time."""

import asyncio

import pytest

from eco_actor.delivery import cohort as module
from eco_actor.delivery.cohort import MEMBERS, MOST_REST, REST, WRITE, Fanout, parts, rest
from eco_actor.delivery.frames import SSE_CHANNEL
from eco_actor.eventlog import Event
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import Stage, draft, soon, staged


class Pupil:
    """A member that keeps what it is given, and fails where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.got: list[bytes] = []
        self.ends: list[Event] = []
        self.called = 0
        self.fails = fails

    def write(self, data: bytes) -> None:
        self._fail()
        self.got.append(data)

    def step_in(self) -> None:
        self.called += 1
        self._fail()

    def over(self, event: Event) -> None:
        self.ends.append(event)
        self._fail()

    def _fail(self) -> None:
        if self.fails:
            raise RuntimeError("told to")


def join(stage: Stage, pupil: Pupil, *channels: str) -> module.Cohort:
    how = SSE_CHANNEL, stage.traffic.sse
    return stage.fanout.join(pupil, pupil.write, *how, channels or ("app:a",))


def frames(*events: Event) -> bytes:
    return b"".join(map(SSE_CHANNEL.event, events))


def test_what_gathers_is_one_write_to_each() -> None:
    """Events of one turn share a write, the bytes are made once, and all is counted."""

    async def main() -> None:
        async with staged() as stage:
            pupils = [Pupil() for _ in range(3)]
            for pupil in pupils:
                join(stage, pupil)
            events = await stage.publish("app:a", 1, 2, 3)
            await soon()
            assert [pupil.got for pupil in pupils] == [[frames(*events)]] * 3
            assert pupils[0].got[0] is pupils[1].got[0]
            traffic = stage.traffic.sse
            assert (traffic.writes, traffic.deliveries) == (3, 9)
            assert traffic.bytes == 3 * len(frames(*events))
            assert stage.traffic.flushes == 1

    run_virtual(main())


def has_just_flushed(stage: Stage) -> None:
    """What is published now waits for a moment."""
    stage.fanout._rested_at = asyncio.get_running_loop().time() + REST


def test_the_longer_a_flush_took_the_longer_is_the_rest() -> None:
    """Half of it, within bounds: for what comes meanwhile there is always some time."""
    assert [rest(spent) for spent in (0.0, 0.004, 0.006, 1.0)] == [REST, REST, 0.003, MOST_REST]


def test_the_first_event_goes_at_once_and_the_next_a_moment_later() -> None:
    """After a rest there is no wait; while it lasts events gather for the next flush."""

    async def main() -> None:
        async with staged() as stage:
            pupil = Pupil()
            join(stage, pupil)
            await soon()
            loop = asyncio.get_running_loop()
            began = loop.time()
            await stage.publish("app:a", 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (len(pupil.got), loop.time()) == (1, began)
            await stage.publish("app:a", 2)
            await stage.publish("app:a", 3)
            await asyncio.sleep(REST / 2)
            assert len(pupil.got) == 1
            await asyncio.sleep(REST)
            assert len(pupil.got) == 2
            assert stage.traffic.flushes == 2

    run_virtual(main())


def test_a_long_flush_lets_others_have_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its time it goes on with the next cohort in a turn of its own."""

    async def main() -> None:
        async with staged() as stage:
            monkeypatch.setattr(module, "RUN", -1.0)
            channels = [f"app:{n}" for n in range(5)]
            pupils = [Pupil() for _ in channels]
            for pupil, channel in zip(pupils, channels, strict=True):
                join(stage, pupil, channel)
            for channel in channels:
                stage.log.append([draft(channel, 1)])
            await soon()
            assert [len(pupil.got) for pupil in pupils] == [1] * 5
            assert stage.traffic.flushes == 5

    run_virtual(main())


def test_parts_are_as_large_as_a_write_and_leave_nothing_out() -> None:
    """In order, each with what is left behind it; one event may be larger than a write."""
    pads = [10, WRITE // 2, WRITE // 2, 2 * WRITE, 5, 5]
    events = [Event(draft("app:a", n, pad), n + 1, "e") for n, pad in enumerate(pads)]
    made = list(parts(events, SSE_CHANNEL))
    assert [event for part, _, _ in made for event in part] == events
    for part, data, left in made:
        assert data == frames(*part)
        assert len(data) <= WRITE or len(part) == 1
        assert list(left) == events[events.index(part[-1]) + 1 :]


def test_a_member_that_joins_while_something_is_pending_waits_for_its_end() -> None:
    """It is called once that is written, and gets nothing of it."""

    async def main() -> None:
        async with staged() as stage:
            first, late = Pupil(), Pupil()
            cohort = join(stage, first)
            has_just_flushed(stage)
            await stage.publish("app:a", 1)
            join(stage, late)
            assert late not in cohort.members
            await soon()
            assert (late.called, late.got, len(first.got)) == (1, [], 1)

    run_virtual(main())


def test_a_member_that_fails_harms_no_other() -> None:
    """Whether in its write, when it is let in, or at the end of a channel."""

    async def main() -> None:
        async with staged() as stage:
            bad, good = Pupil(fails=True), Pupil()
            bad_late, late = Pupil(fails=True), Pupil()
            join(stage, bad)
            join(stage, good)
            has_just_flushed(stage)
            (event,) = await stage.publish("app:a", 1, final=True)
            join(stage, bad_late)
            join(stage, late)
            await soon()
            assert good.got == [frames(event)]
            assert (bad.ends, good.ends) == ([event], [event])
            assert (bad_late.called, late.called) == (1, 1)
            assert stage.traffic.sse.broken == 1

    run_virtual(main())


def test_more_members_than_one_cohort_takes_make_another() -> None:
    """All of them are told, and the cohorts go with their members."""

    async def main() -> None:
        async with staged() as stage:
            pupils = [Pupil() for _ in range(MEMBERS + 5)]
            cohorts = [join(stage, pupil) for pupil in pupils]
            assert len(stage.fanout) == 2
            await stage.publish("app:a", 1)
            await soon()
            assert all(len(pupil.got) == 1 for pupil in pupils)
            for pupil, cohort in zip(pupils, cohorts, strict=True):
                assert cohort.leave(pupil) == []
                assert cohort.leave(pupil) == []
            assert (len(stage.fanout), len(stage.log.hub)) == (0, 0)

    run_virtual(main())


def test_a_cohort_that_nobody_steps_into_is_dropped() -> None:
    """Its members have left and who waited does not come: it costs nothing more."""

    async def main() -> None:
        async with staged() as stage:
            first, waits = Pupil(), Pupil()
            cohort = join(stage, first)
            has_just_flushed(stage)
            await stage.publish("app:a", 1)
            join(stage, waits)
            cohort.leave(first)
            await soon()
            assert waits.called == 1
            assert (len(stage.fanout), len(stage.log.hub)) == (0, 0)

    run_virtual(main())


def test_a_new_fanout_is_empty() -> None:
    """It has no cohorts before somebody joins."""

    async def main() -> None:
        async with staged() as stage:
            assert len(Fanout(stage.log, stage.traffic)) == 0

    run_virtual(main())
