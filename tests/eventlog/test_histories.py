"""How much there is of each channel, and which are over their bounds: against counting it all."""

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Event
from eco_actor.eventlog.history import Bounds, Count, Excess, Histories, Trimmed

BOUNDS = Bounds(events=3, size=12, age_ms=10)
CHANNELS = ("app:a", "app:b", "scan:x")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(CHANNELS), st.integers(0, 6)),
        st.tuples(st.just("wait"), st.just(""), st.integers(0, 8)),
        st.tuples(st.just("back"), st.just(""), st.integers(0, 8)),
        st.tuples(st.just("trim"), st.just(""), st.integers(1, 4)),
    ),
    max_size=40,
)


@dataclass
class Model:
    """Every event that is in the log, as (at_ms, bytes), by channel."""

    held: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    now: int = 100
    position: int = 0

    def add(self, channel: str, size: int) -> Event:
        self.position += 1
        self.held.setdefault(channel, []).append((self.now, size))
        return Event(Draft(channel, {}, self.now), self.position, "e", size)

    def excesses(self) -> list[Excess]:
        before = self.now - BOUNDS.age_ms
        found = []
        for channel, held in self.held.items():
            events = max(0, len(held) - BOUNDS.events)
            size = max(0, sum(size for _, size in held) - BOUNDS.size)
            old = bool(held) and held[0][0] < before
            if (events or size or old) and not channel.startswith("scan:"):
                found.append(Excess(channel, events, size, before))
        return found

    def trim(self, excess: Excess, most: int) -> Trimmed:
        held = self.held[excess.channel]
        rows = [(0, at_ms, size) for at_ms, size in held]
        events, size = excess.take(rows[:most])
        del held[:events]
        left = held[0][0] if held else None
        return Trimmed(excess.channel, 1, events, size, left, done=True)

    def counts(self) -> list[Count]:
        return [
            Count(channel, len(held), sum(size for _, size in held), held[0][0])
            for channel, held in self.held.items()
            if held and not channel.startswith("scan:")
        ]


def by_channel(excess: Excess) -> str:
    return excess.channel


BACK = [("back", "", 2), ("add", "app:b", 4), ("add", "app:b", 6), ("wait", "", 6)]


@given(st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 6)), max_size=12), STEPS)
@example([("app:b", 3)], [*BACK, ("trim", "", 1), ("wait", "", 5)])  # the next is older
def test_what_is_over_a_bound_is_found_and_nothing_else(
    before: list[tuple[str, int]], steps: list[tuple[str, str, int]]
) -> None:
    """Whatever is added, trimmed in part, or grows old, in whatever order, clock set back and all.

    What was there before comes as counts, after the first events were added.
    """
    model, histories = Model(), Histories(BOUNDS)
    for channel, size in before:
        model.add(channel, size)
        model.now += 1
    counts = model.counts()
    histories.add(model.add("app:a", 1))
    assert histories.excesses(model.now + 10**6) == []
    histories.load(counts)
    for what, channel, n in steps:
        if what == "add":
            histories.add(model.add(channel, n))
        elif what == "wait":
            model.now += n
        elif what == "back":
            model.now -= n
        else:
            for excess in model.excesses():
                histories.trimmed(model.trim(excess, n))
        found = sorted(histories.excesses(model.now), key=by_channel)
        assert found == sorted(model.excesses(), key=by_channel)
        for channel in ("app:a", "app:b"):
            held = model.held.get(channel, [])
            assert histories.count(channel) == (len(held), sum(size for _, size in held))


def test_channels_that_are_trimmed_to_nothing_are_forgotten() -> None:
    """A thousand of them leave nothing behind once they would have been old."""
    histories = Histories(BOUNDS)
    histories.load([])
    for n in range(1000):
        histories.add(Event(Draft(f"app:{n}", {}, 100), n + 1, "e", 1))
        histories.trimmed(Trimmed(f"app:{n}", n + 1, 1, 1, None, done=True))
    assert histories.excesses(111) == []
    assert len(histories) == 0


def test_a_look_costs_nothing_while_nothing_is_due() -> None:
    """A busy channel within its bounds is in the heap once, however often it is trimmed."""
    histories = Histories(Bounds(events=2, size=100, age_ms=50))
    histories.load([])
    for n in range(200):
        histories.add(Event(Draft("app:a", {}, n), n + 1, "e", 1))
        for excess in histories.excesses(n):
            histories.trimmed(Trimmed(excess.channel, n, excess.events, 1, n - 1, done=True))
        assert len(histories._old) == 1
