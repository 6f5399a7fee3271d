"""Whatever happens in whatever order: what was told plus what the gaps cover was published."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from blockbuster import BlockBuster
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eco_actor.delivery.subscription import Mode
from eco_actor.eventlog import Event, StoreError
from eco_actor.eventlog.recent import Recent
from eco_actor.runtime.testing import VirtualTimeLoop
from tests.delivery.follower import Follower
from tests.delivery.stage import Stage, draft, staged

CHANNELS = ("app:a", "app:b")
KINDS = st.sampled_from(["sse", "json", "msgpack"])
RULES = st.sampled_from(["buffer", "latest", "drop", "close", "coalesce"])
WHICH = st.sampled_from(CHANNELS)
KEYS = st.sampled_from([None, None, "x", "y"])
PADS = st.sampled_from([0, 0, 0, 100, 3_000, 70_000])
ROOMS = st.sampled_from([0, 1, 60, 300, 5_000, 100_000])
TERMINALS = 8
"""As many as find room whatever waits."""


class Delivery(RuleBasedStateMachine):
    """Two clients of two channels, under rules and over transports of their own."""

    @initialize(
        kinds=st.tuples(KINDS, KINDS),
        rules=st.tuples(RULES, RULES),
        capacities=st.tuples(st.integers(1, 4), st.sampled_from([1, 3, 256])),
        kept=st.sampled_from([1, 5, 4096]),
        lead=st.sampled_from([0.0, 0.0, 0.01]),
        read=st.sampled_from([0.0, 0.0, 0.01]),
    )
    def begin(
        self,
        kinds: Sequence[str],
        rules: Sequence[str],
        capacities: Sequence[int],
        kept: int,
        lead: float,
        read: float,
    ) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.stage = self.run(self._enter())
        self.stage.log._recent = Recent(kept)
        self.stage.store.lead, self.stage.store.read = lead, read
        self.published: list[Event] = []
        self.numbers = 0
        self.shown = 0
        self.terminals = dict.fromkeys(CHANNELS, 0)
        each = zip(kinds, rules, capacities, strict=True)
        self.followers = [Follower(self.stage, *one, CHANNELS) for one in each]
        for follower in self.followers:
            self.run(follower.come())

    async def _enter(self) -> Stage:
        self.context = staged()
        return await self.context.__aenter__()

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(step)

    async def _turns(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    def _appended(self, events: Sequence[Event], error: StoreError | None) -> None:
        assert error is None
        self.published += [event for event in events if not event.transient]

    @rule(
        channels=st.lists(WHICH, min_size=1, max_size=6),
        key=KEYS,
        pad=PADS,
        terminal=st.booleans(),
        turns=st.integers(0, 3),
        together=st.booleans(),
    )
    def publish(
        self,
        channels: list[str],
        key: str | None,
        pad: int,
        terminal: bool,
        turns: int,
        together: bool,
    ) -> None:
        """Some events, in one transaction or several; the last may be terminal."""
        drafts = []
        for n, channel in enumerate(channels):
            self.numbers += 1
            last = terminal and n == len(channels) - 1 and self.terminals[channel] < TERMINALS
            self.terminals[channel] += last
            drafts.append(draft(channel, self.numbers, pad, key=key, terminal=last))

        async def append() -> None:
            for some in [drafts] if together else [[each] for each in drafts]:
                self.stage.log.append(some, done=self._appended)
            await self._turns(turns)

        self.run(append())

    @rule(channel=WHICH, key=KEYS, count=st.integers(1, 5), turns=st.integers(0, 1))
    def show(self, channel: str, key: str | None, count: int, turns: int) -> None:
        """Transient events."""

        async def show() -> None:
            for _ in range(count):
                self.numbers += 1
                self.shown += 1
                self.stage.show(channel, self.numbers, key=key)
            await self._turns(turns)

        self.run(show())

    @rule(
        who=st.integers(0, 1),
        room=ROOMS,
        channels=st.lists(WHICH, min_size=4, max_size=20),
        keys=st.lists(KEYS, min_size=1, max_size=4),
        pad=PADS,
        apart=st.sampled_from([0.0, 0.0, 0.003]),
    )
    def flood(
        self,
        who: int,
        room: int,
        channels: list[str],
        keys: list[str | None],
        pad: int,
        apart: float,
    ) -> None:
        """A client stalls, and many events come."""

        async def flood() -> None:
            client = self.followers[who].client
            if client is not None:
                client.transport.stall(room)
            for n, channel in enumerate(channels):
                self.numbers += 1
                made = draft(channel, self.numbers, pad, key=keys[n % len(keys)])
                self.stage.log.append([made], done=self._appended)
                await asyncio.sleep(apart)

        self.run(flood())

    @precondition(lambda self: self.numbers > 20)
    @rule(channel=WHICH, count=st.integers(1, 8))
    def trim(self, channel: str, count: int) -> None:
        """History gives way while clients read it."""
        self.run(self.stage.trim(channel, count))

    @rule(who=st.integers(0, 1), room=ROOMS)
    def stall(self, who: int, room: int) -> None:
        """A client reads a little more, then nothing."""
        client = self.followers[who].client
        if client is not None:
            client.transport.stall(room)

    @rule(who=st.integers(0, 1), room=st.one_of(st.none(), ROOMS), turns=st.integers(0, 3))
    def read(self, who: int, room: int | None, turns: int) -> None:
        """A client reads on."""

        async def read() -> None:
            client = self.followers[who].client
            if client is not None:
                client.transport.allow(room)
            await self._turns(turns)

        self.run(read())

    @rule(seconds=st.sampled_from([0.001, 0.003, 0.02, 2.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.run(asyncio.sleep(seconds))

    @rule(who=st.integers(0, 1))
    def vanish(self, who: int) -> None:
        """A client is cut off, wherever in a frame that is."""

        async def vanish() -> None:
            self.followers[who].leave()

        self.run(vanish())

    @rule(who=st.integers(0, 1), room=st.one_of(st.none(), ROOMS))
    @precondition(lambda self: not all(each.here for each in self.followers))
    def come_back(self, who: int, room: int | None) -> None:
        """A client comes back with what it knows."""

        async def come_back() -> None:
            follower = self.followers[who]
            if not follower.here:
                follower.leave()
                await follower.come(room)

        self.run(come_back())

    @invariant()
    def holds(self) -> None:
        """What must hold at any time."""
        for follower in getattr(self, "followers", ()):
            follower.look()

    def teardown(self) -> None:
        if not hasattr(self, "context"):
            return
        try:
            if hasattr(self, "followers"):
                self.run(self._end())
        finally:
            self.run(self.context.__aexit__(None, None, None))
            self.runner.close()

    async def _end(self) -> None:
        """All read to the end, coming back as often as they are sent away; then the account."""
        await self.stage.log.commit([])
        for follower in self.followers:
            for _ in range(5):
                if not follower.here:
                    follower.leave()
                    await follower.come()
                assert follower.client is not None
                follower.client.transport.allow(None)
                await asyncio.sleep(1.0)
            assert follower.here
        await asyncio.sleep(1.0)
        for follower in self.followers:
            follower.look()
            assert follower.client is not None
            modes = {each.mode for each in follower.client.subscriptions}
            assert modes == {Mode.IN_STEP}, "whoever has everything is in step"
            follower.leave()
            follower.audit(self.published, self.shown)
        await asyncio.sleep(1.0)
        stage = self.stage
        assert (len(stage.fanout), len(stage.log.hub), stage.wheel.stuck) == (0, 0, 0)
        for _, each in stage.traffic.streams():
            assert (each.behind, each.paging, each.subscribed, each.open) == (0, 0, 0, 0)


def test_what_is_told_and_what_the_gaps_cover_is_what_was_published(
    sqlite_in_the_loop: BlockBuster,
) -> None:
    """On every transport, under every rule, over stalls, cuts, resumes and trims."""
    how = settings(
        max_examples=200, stateful_step_count=40, deadline=None, derandomize=True, database=None
    )
    run_state_machine_as_test(Delivery, settings=how)
