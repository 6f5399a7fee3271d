"""What becomes of a batch: who is written, who fails alone, and who fails with the storage."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.eventlog import Chain, Durability, Event, Excess, StoreError, Write
from eco_actor.eventlog.committer import Append, Committer, Settled
from eco_actor.eventlog.database import Database, Item
from eco_actor.eventlog.history import Trimmed
from eco_actor.eventlog.pages import read_page
from tests.eventlog.storage import ADD, READ_ONLY, THINGS, draft


class Faulty(Database):
    """Works for the next `good` commits, then fails with an I/O error until told otherwise."""

    def __init__(self) -> None:
        super().__init__(None, Durability.OFF, (THINGS,))
        self.good: int | None = None
        self.code = sqlite3.SQLITE_IOERR_WRITE
        self.commits = self.probes = 0

    def commit(self, items: Sequence[Item]) -> list[list[Event]]:
        self.commits += 1
        self._spend()
        return super().commit(items)

    def save_clock(self) -> None:
        if hasattr(self, "good") and self.good is not None:
            self.probes += 1
            self._fail()
        super().save_clock()

    def _spend(self) -> None:
        if self.good is None:
            return
        if self.good == 0:
            self._fail()
        self.good -= 1

    def _fail(self) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = self.code, "SQLITE_IOERR_WRITE"
        raise error


def append(n: int, *names: str, chain: Chain | None = None) -> Append:
    """One event whose data is *n*, and a row for each name, which is taken once."""
    writes = [Write(ADD, (name,)) for name in names]
    return Append(Item([draft(n)], [b"\x81\xa1n\xcd" + n.to_bytes(2, "big")], writes), None, chain)


def stored(database: Database) -> list[tuple[int, int]]:
    """(position, data) of all that is there."""
    page = read_page(database.connection, ["app:a"], 0, 10_000, "e")
    return [(event.position, event.data["n"]) for event in page.events]


def of(settled: Iterable[Settled]) -> dict[int, str | None]:
    """Data -> reason of its failure."""
    return {
        each.append.item.drafts[0].data["n"]: each.error.reason if each.error is not None else None
        for each in settled
    }


def test_a_fault_of_the_data_fails_one_alone() -> None:
    """The others of its batch are written in their order, and the storage is not to blame."""
    database = Database(None, Durability.OFF, (THINGS,))
    committer = Committer(database)
    told = of(committer.commit([append(1, "a"), append(2, "a"), append(3, "b"), append(4)]))
    assert [n for n, reason in told.items() if reason is None] == [1, 3, 4]
    assert "UNIQUE" in str(told[2])
    assert stored(database) == [(1, 1), (2, 3), (3, 4)]
    assert committer.fault is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_fault_of_the_storage_fails_all_that_come_until_a_probe_works(count: int) -> None:
    """Even when it would work again: only the probe finds that out, so nothing flaps."""
    database = Database(None, Durability.OFF, (THINGS,))
    committer = Committer(database)
    database.connection.execute("PRAGMA query_only=ON")
    told = of(committer.commit([append(n) for n in range(count)]))
    assert len(told) == count
    assert all(READ_ONLY in str(reason) for reason in told.values())
    assert committer.fault is not None
    assert not committer.probe()
    database.connection.execute("PRAGMA query_only=OFF")
    assert all(READ_ONLY in str(reason) for reason in of(committer.commit([append(8)])).values())
    assert committer.probe()
    assert committer.fault is None
    assert of(committer.commit([append(9)])) == {9: None}
    assert stored(database) == [(1, 9)]


def test_nothing_is_tried_one_by_one_when_the_storage_is_at_fault() -> None:
    """A disk that fails is not asked five hundred times."""
    database = Faulty()
    database.good = 0
    committer = Committer(database)
    committer.commit([append(n) for n in range(500)])
    committer.commit([append(n) for n in range(500)])
    assert database.commits == 1


def test_what_may_be_half_written_is_written_over_before_anybody_is_told() -> None:
    """Or it might be found whole after a crash. Does that work, the storage does."""
    database = Faulty()
    committer = Committer(database)
    database.good = 0
    committer.commit([append(1)])
    assert database.probes == 1
    assert committer.fault is not None
    database.good = None
    assert committer.probe()

    class Once(Faulty):
        def commit(self, items: Sequence[Item]) -> list[list[Event]]:
            try:
                return super().commit(items)
            finally:
                self.good = None

    database = Once()
    committer = Committer(database)
    database.good = 0
    assert "the disk fails" in str(of(committer.commit([append(1)]))[1])
    assert committer.fault is None
    assert of(committer.commit([append(2)])) == {2: None}
    assert stored(database) == [(1, 2)]


def test_a_fault_in_the_middle_of_trying_one_by_one_fails_those_that_are_left() -> None:
    """The batch failed for its data; of its items two were written, then the disk failed."""
    database = Faulty()
    committer = Committer(database)
    database.good = 3  # the batch and two of its items
    told = of(committer.commit([append(1), append(2), append(3), append(4, "a", "a"), append(5)]))
    assert [n for n, reason in told.items() if reason is None] == [1, 2]
    assert {told[n] for n in (3, 4, 5)} == {
        "the disk fails: look at the system's log (IOERR_WRITE)"
    }
    assert stored(database) == [(1, 1), (2, 2)]
    database.good = None
    assert committer.probe()
    assert of(committer.commit([append(6)])) == {6: None}
    assert stored(database)[-1] == (3, 6)


def test_a_lasting_fault_is_never_probed() -> None:
    """A damaged file is not written to any more."""
    database = Faulty()
    database.good, database.code = 0, sqlite3.SQLITE_CORRUPT
    committer = Committer(database)
    committer.commit([append(1)])
    assert committer.fault is not None
    assert committer.fault.lasting
    tries = database.commits, database.probes
    database.good = None
    assert not committer.probe()
    assert "damaged" in str(of(committer.commit([append(2)]))[2])
    assert isinstance(committer.trim(Excess("app:a", events=1)), StoreError)
    assert (database.commits, database.probes) == tries
    assert stored(database) == []


def test_a_probe_that_fails_says_what_is_wrong_now() -> None:
    """The disk was full; now it is damaged, which no probe will end."""
    database = Faulty()
    database.good = 0
    committer = Committer(database)
    committer.commit([append(1)])
    database.code = sqlite3.SQLITE_CORRUPT
    assert not committer.probe()
    assert committer.fault is not None
    assert committer.fault.lasting


def test_a_trim_that_meets_a_fault_of_the_storage_is_a_sign_of_it() -> None:
    """What is appended then fails, too; a fault of the trim's own is nobody else's."""
    database = Database(None, Durability.OFF, (THINGS,))
    committer = Committer(database)
    committer.commit([append(n) for n in range(4)])
    database.connection.execute("ALTER TABLE trimmed RENAME TO hidden")
    assert isinstance(committer.trim(Excess("app:a", events=1)), StoreError)
    assert committer.fault is None
    database.connection.execute("ALTER TABLE hidden RENAME TO trimmed")
    database.connection.execute("PRAGMA query_only=ON")
    step = committer.trim(Excess("app:a", events=1))
    assert isinstance(step, StoreError)
    assert READ_ONLY in step.reason
    assert READ_ONLY in str(of(committer.commit([append(5)]))[5])
    database.connection.execute("PRAGMA query_only=OFF")
    assert committer.probe()
    step = committer.trim(Excess("app:a", events=1))
    assert isinstance(step, Trimmed)
    assert step.events == 1


def test_what_an_author_queued_behind_a_failure_fails_with_it() -> None:
    """In the same batch and in later ones; another author's is written."""
    database = Database(None, Durability.OFF, (THINGS,))
    committer = Committer(database)
    mine, other = Chain(), Chain()
    batch = [
        append(1, chain=mine),
        append(2, chain=other),
        append(3, "a", "a", chain=mine),
        append(4, chain=mine),
        append(5, chain=other),
    ]
    told = of(committer.commit(batch)) | of(committer.commit([append(6, chain=mine), append(7)]))
    assert {n for n, reason in told.items() if reason is None} == {1, 2, 5, 7}
    assert all("same story" in str(told[n]) for n in (4, 6))
    assert [n for _, n in stored(database)] == [1, 2, 5, 7]


@dataclass
class Round:
    """One batch: (chain, bad data) of each append; commits that work; whether a probe follows."""

    appends: list[tuple[int, bool]]
    good: int | None
    probe: bool


ROUNDS = st.lists(
    st.builds(
        Round,
        st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=6),
        st.one_of(st.none(), st.integers(0, 4)),
        st.booleans(),
    ),
    max_size=8,
)


@dataclass
class Told:
    """What was promised, to be compared with what is there."""

    chains: list[Chain] = field(default_factory=lambda: [Chain() for _ in range(3)])
    authors: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    written: list[tuple[int, int]] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def take(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            n = each.append.item.drafts[0].data["n"]
            self.settled.append(n)
            assert (each.error is None) == bool(each.events)
            self.written += [(event.position, event.data["n"]) for event in each.events]


@given(ROUNDS)
def test_what_is_told_is_what_is_there(rounds: list[Round]) -> None:
    """Whatever fails: each is settled once, is written as told, and no story has a hole."""
    database = Faulty()
    committer = Committer(database)
    told = Told()
    number, expected = 0, []
    for each in rounds:
        database.good = each.good
        batch = []
        for author, bad in each.appends:
            number += 1
            chain = told.chains[author] if author < 3 else None
            batch.append(append(number, *(("same", "same") if bad else ()), chain=chain))
            told.authors.setdefault(author, []).append((number, bad))
            expected.append(number)
            if bad is False and author == 3 and committer.fault is None and each.good is None:
                told.authors.setdefault(-1, []).append((number, True))  # nothing is in its way
        told.take(committer.commit(batch))
        database.good = None
        if each.probe:
            assert committer.probe()
    assert sorted(told.settled) == expected
    assert sorted(told.written) == stored(database)
    assert [position for position, _ in stored(database)] == list(range(1, len(told.written) + 1))
    written = {n for _, n in told.written}
    assert {n for n, _ in told.authors.pop(-1, [])} <= written
    for author, appends in told.authors.items():
        assert not any(n in written for n, bad in appends if bad)
        if author < 3:
            assert all(
                one in written or other not in written for (one, _), (other, _) in pairwise(appends)
            )
    database.connection.close()
