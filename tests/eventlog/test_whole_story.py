"""The promise of the log to who reads it: all that was published behind a cursor, or told as lost.

Random publishers, transient events, trims, restarts and readers that come back, on a real store.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from eco_actor.eventlog import EARLIEST, Draft, Durability, Event, EventLog, Resume, SqliteStore
from eco_actor.eventlog.history import Excess
from eco_actor.eventlog.recent import Recent

CHANNELS = ("app:a", "app:b")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(CHANNELS), st.integers(1, 6)),
        st.tuples(st.just("show"), st.sampled_from(CHANNELS), st.just(1)),
        st.tuples(st.just("trim"), st.sampled_from(CHANNELS), st.integers(1, 9)),
        st.tuples(st.just("read"), st.sampled_from(CHANNELS), st.integers(1, 5)),
        st.tuples(st.just("read on trim"), st.sampled_from(CHANNELS), st.integers(1, 5)),
        st.tuples(st.just("return"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.just(""), st.integers(0, 1)),
        st.tuples(st.just("settle"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


class Reader:
    """Reads some channels page by page; knows what it was given, and what it was told is lost."""

    def __init__(self, log: EventLog, channels: Sequence[str]) -> None:
        self.log, self.channels = log, channels
        self.position = 0
        self.given: list[Event] = []
        self.lost: list[tuple[str, int, int]] = []
        self.cursor = EARLIEST
        self.come_back()

    def come_back(self) -> None:
        """Connect with the last cursor: each channel goes on from its own place."""
        places = [self.log.resume(channel, self.cursor, 0) for channel in self.channels]
        reset = any(place.resume is Resume.RESET for place in places)
        if reset or self.cursor == EARLIEST:  # the beginning, of whatever log there is now
            self.given, self.lost, self.position = [], [], 0
        for channel, place in zip(self.channels, places, strict=True):
            behind = place.resume is Resume.PARTIAL
            assert behind == (not reset and self.log.trimmed(channel) > self.position)
            if place.missing is not None:
                begin, end = place.missing
                assert end.position == place.position == self.log.trimmed(channel)
                assert begin.position == (self.position if behind else end.position)
                self.lost.append((channel, self.position, end.position))
            else:
                assert place.position == self.position

    async def read(self, limit: int) -> bool:
        """The next page; whether there was anything in it."""
        page = await self.log.page(self.channels, self.position, limit)
        assert len(page.events) <= limit
        for channel in self.channels:
            upto = self.log.trimmed(channel)
            if upto > self.position:
                self.lost.append((channel, self.position, upto))
        self.given += page.events
        self.position = page.upto
        self.cursor = str(self.log.cursor(page.upto))
        return bool(page.events)

    def forget(self, events: int) -> None:
        """The last so many were written to a connection that broke."""
        if events and self.given:
            del self.given[-events:]
            self.position = self.given[-1].position if self.given else 0
            self.cursor = str(self.log.cursor(self.position))
            self.lost = [(c, begin, end) for c, begin, end in self.lost if begin < self.position]

    def missed(self, event: Event) -> bool:
        return any(
            channel == event.channel and begin < event.position <= end
            for channel, begin, end in self.lost
        )

    def check(self, published: Sequence[Event]) -> None:
        """Each event up to the reader's position was given once, in order, or told as lost."""
        positions = [event.position for event in self.given]
        assert positions == sorted(set(positions))
        for event in published:
            if event.channel in self.channels and event.position <= self.position:
                assert (event.position in positions) != self.missed(event), event
        assert {event.data["n"] for event in self.given} <= {e.data["n"] for e in published}


class World:
    """A log, its publisher, somebody who watches all channels, and readers of one and of both."""

    def __init__(self, path: Path | None, recent: int) -> None:
        self.path = path
        self.log = EventLog(
            SqliteStore(path, Durability.OFF if path is None else Durability.NORMAL)
        )
        self.recent = recent
        self.said: dict[str, list[tuple[int, bool]]] = {channel: [] for channel in CHANNELS}
        self.seen: dict[str, list[Event]] = {channel: [] for channel in CHANNELS}
        self.number = 0

    async def open(self) -> None:
        self.log._recent = Recent()
        await self.log.open()
        self.log._recent = Recent(self.recent)
        for channel in CHANNELS:
            self.log.subscribe(channel, self)

    def offer(self, event: Event) -> None:
        self.seen[event.channel].append(event)

    @property
    def published(self) -> list[Event]:
        events = [event for seen in self.seen.values() for event in seen if not event.transient]
        return sorted(events, key=lambda event: event.position)

    def draft(self, channel: str, *, transient: bool) -> Draft:
        self.number += 1
        self.said[channel].append((self.number, transient))
        return Draft(channel, {"n": self.number}, 1, transient=transient)

    def publish(self, channel: str, count: int) -> None:
        drafts = [self.draft(channel, transient=n % 3 == 2) for n in range(count)]
        self.log.append(drafts)

    async def restart(self, *, clean: bool) -> None:
        await self.log.close()
        if self.path is None:
            for channel in CHANNELS:
                self.said[channel], self.seen[channel] = [], []
        elif not clean:
            await asyncio.to_thread(_as_if_killed, self.path)
        await self.open()

    async def check(self) -> None:
        """All was shown in the order in which it was said, and the store has what is left."""
        await self.log.commit([])
        for channel in CHANNELS:
            seen = self.seen[channel]
            assert [(event.data["n"], event.transient) for event in seen] == self.said[channel]
            upto = self.log.trimmed(channel)
            stored = await self.log.store.page([channel], 0, 1000)
            assert [event.position for event in stored.events] == [
                event.position for event in seen if not event.transient and event.position > upto
            ]


def _as_if_killed(path: Path) -> None:
    """Take back the note that the end was an orderly one."""
    db = sqlite3.connect(path)
    with db:
        db.execute("INSERT INTO opened VALUES ('normal')")
    db.close()


async def play(world: World, steps: Sequence[tuple[str, str, int]]) -> None:
    await world.open()
    log = world.log
    readers = [Reader(log, CHANNELS[:1]), Reader(log, CHANNELS)]
    for what, channel, n in steps:
        match what:
            case "publish":
                world.publish(channel, n)
            case "show":
                log.show(world.draft(channel, transient=True))
            case "trim":
                await log.trim(Excess(channel, events=n))
            case "read":
                for reader in readers:
                    await reader.read(n)
            case "read on trim":
                reads = (reader.read(n) for reader in readers)
                await asyncio.gather(log.trim(Excess(channel, events=n)), *reads)
            case "restart":
                await world.restart(clean=bool(n))
                for reader in readers:
                    reader.come_back()
            case "return":
                for reader in readers:
                    reader.forget(n)
                    reader.come_back()
            case _:
                await log.commit([])
    await world.check()
    for reader in readers:
        while await reader.read(3):
            pass
        assert reader.position == log.head
        reader.check(world.published)
    await log.close()


@settings(deadline=None, max_examples=100)
@given(STEPS, st.sampled_from([1, 4, 4096]))
def test_in_memory_nothing_is_lost_in_silence(
    steps: list[tuple[str, str, int]], recent: int
) -> None:
    """Given or told as lost, once, in order; a restart is told as a reset."""
    asyncio.run(play(World(None, recent), steps))


@settings(deadline=None, max_examples=40)
@given(STEPS, st.sampled_from([1, 4, 4096]))
def test_on_disk_nothing_is_lost_in_silence(steps: list[tuple[str, str, int]], recent: int) -> None:
    """The same, over restarts and kills."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(World(Path(folder) / "log.db", recent), steps))
