"""Whoever was told of the last event of a channel is told that it is over, whatever happens."""

from eco_actor.delivery.cohort import Cohort, Fanout
from eco_actor.delivery.frames import SSE_CHANNEL
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Draft, Durability, Event, EventLog, SqliteStore

BOTH = ("scan:a", "scan:b")


class Member:
    """Leaves in the write of this number, as a client does whose socket is full."""

    def __init__(self, leaves_in: int | None) -> None:
        self.cohort: Cohort | None = None
        self.writes = 0
        self.ended: list[str] = []
        self._leaves_in = leaves_in

    def write(self, data: bytes) -> None:
        self.writes += 1
        if self.writes == self._leaves_in:
            assert self.cohort is not None
            self.cohort.leave(self)

    def step_in(self) -> None:
        """It does not wait."""

    def over(self, event: Event) -> None:
        assert self.cohort is not None
        self.cohort.leave(self)  # as a connection does
        self.ended.append(event.channel)


async def test_who_leaves_in_the_write_with_the_last_event_has_been_told_of_it() -> None:
    """Two channels end in one flush: all members are told of both, those that left, too."""
    traffic = Traffic()
    fanout = Fanout(EventLog(SqliteStore(None, Durability.OFF)), traffic)
    stays, leaves, left_before = Member(None), Member(2), Member(1)
    for member in (stays, leaves, left_before):
        member.cohort = fanout.join(member, member.write, SSE_CHANNEL, traffic.sse, BOTH)
    cohort = stays.cohort
    assert cohort is not None
    big = Event(Draft(BOTH[0], {"pad": "x" * 70_000}, 0), 1, "e")
    for event in (big, *(Event(Draft(c, {}, 0, final=True), 2, "e") for c in BOTH)):
        cohort.offer(event)
    cohort.flush(0.0)
    assert stays.ended == list(BOTH)
    assert leaves.ended == list(BOTH)
    assert left_before.ended == []  # it has what it missed in a mailbox of its own
