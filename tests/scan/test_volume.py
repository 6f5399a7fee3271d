"""Which scans go: never one that is not over, nor one whose key still answers; oldest first."""

from hypothesis import given, settings
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Event
from eco_actor.scan.volume import KEYED_MS, Keep, Row, Volume, choose

NOW = 1_700_000_000_000
HOUR = 3_600_000
KEEP = Keep(scans=10, size=1000, age_ms=HOUR)


def row(
    name: str, age_ms: int = 0, *, finished: bool = True, keyed: bool = False, size: int = 100
) -> Row:
    return Row(name, NOW - age_ms, int(finished), int(keyed), NOW - age_ms, size)


def chosen(rows: list[Row], scans: int = 0, size: int = 0) -> str:
    return "".join(each.task_id for each in choose(rows, KEEP, NOW, scans, size).rows)


def test_what_ended_too_long_ago_goes() -> None:
    """By its end, not by its beginning; what is younger ends the walk."""
    late = Row("b", NOW - 3 * HOUR, 1, 0, NOW - HOUR, 100)
    rows = [row("a", 2 * HOUR), late, row("c", HOUR + 1), row("d", HOUR), row("e")]
    choice = choose(rows, KEEP, NOW, 0, 0)
    assert [each.task_id for each in choice.rows] == ["a", "c"]
    assert choice.last
    assert not choose(rows[:3], KEEP, NOW, 0, 0).last


def test_the_oldest_of_too_many_go() -> None:
    """As many as are too many, or until their bytes are enough."""
    rows = [row(name) for name in "abcd"]
    assert chosen(rows) == ""
    assert chosen(rows, scans=2) == "ab"
    assert chosen(rows, size=101) == "ab"
    assert chosen(rows, scans=1, size=250) == "abc"
    assert choose(rows, KEEP, NOW, 2, 0).last
    assert not choose(rows, KEEP, NOW, 5, 0).last


def test_what_is_not_over_or_has_a_key_stays() -> None:
    """Whatever count, bytes and age say; a key protects for its day, and no longer."""
    rows = [
        row("a", KEYED_MS - 1, keyed=True),
        row("b", 5 * HOUR, finished=False),
        row("c", KEYED_MS, keyed=True),
        row("d", finished=False),
        row("e"),
    ]
    assert chosen(rows, scans=99, size=9999) == "ce"


def test_what_becomes_durable_is_counted() -> None:
    """With what was there before; nothing is too much before that is known."""
    volume = Volume()
    opening = Event(Draft("scan:a", {}, NOW, opens=True), 1, "e", 40)
    other = Event(Draft("scan:a", {}, NOW), 2, "e", 960)
    volume.add([opening, other])
    volume.begin()
    volume.add([opening, other] * 2)
    assert volume.excess(KEEP) == (0, 0)
    volume.load(10, 500)
    assert (volume.scans, volume.size) == (12, 2500)
    assert volume.excess(KEEP) == (2, 1500)
    volume.removed([row("a", size=900), row("b", size=900)])
    assert volume.excess(KEEP) == (0, 0)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3 * KEYED_MS),
        st.integers(0, 3 * KEYED_MS),
        st.booleans(),
        st.booleans(),
        st.integers(0, 500),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.integers(0, 20), st.integers(0, 3000))
def test_no_choice_is_too_much_or_too_little(
    given_rows: list[tuple[int, int, bool, bool, int]], scans: int, size: int
) -> None:
    """What goes was over and had no living key; what stays had a reason; the rest was not needed.

    The same whether the rows come all at once or a few at a time.
    """
    begun = sorted((age for age, *_ in given_rows), reverse=True)
    rows = [
        Row(f"{n:02}", NOW - age, int(over), int(keyed), NOW - min(age, since_end), length)
        for n, (age, (_, since_end, over, keyed, length)) in enumerate(
            zip(begun, given_rows, strict=True)
        )
    ]
    gone = choose(rows, KEEP, NOW, scans, size).rows
    for each in gone:
        assert each.finished
        assert not (each.keyed and each.created_ms > NOW - KEYED_MS)
    for each in (each for each in rows if each not in gone):
        ahead = [other for other in gone if other.task_id < each.task_id]
        stays = not each.finished or (each.keyed and each.created_ms > NOW - KEYED_MS)
        enough = len(ahead) >= scans and sum(other.size for other in ahead) >= size
        assert stays or (enough and each.ended_ms >= NOW - KEEP.age_ms)
    in_steps: list[Row] = []
    for start in range(0, len(rows), 3):
        left = scans - len(in_steps), size - sum(each.size for each in in_steps)
        choice = choose(rows[start : start + 3], KEEP, NOW, *left)
        in_steps += choice.rows
        if choice.last:
            break
    assert in_steps == list(gone)
