"""How often a process died in a step: counted from what was marked, and by nothing else."""

import asyncio

import pytest

from eco_actor.eventlog import EventLog, StoreError, Write
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan import tries
from eco_actor.scan.tables import MARK_TRY, UNDO_TRY
from eco_actor.scan.tries import Left, Mark, Tries, crashes
from tests.fakes import FakeStore


@pytest.mark.parametrize(
    ("marked", "blocks", "died"),
    [
        (None, True, 0),  # it only waited
        (None, False, 1),  # a first try in the turn is not marked
        (Tries("rule", 2), True, 2),
        (Tries("rule", 2), False, 2),
        (Tries("rule", 0), False, 0),  # taken back
        (Tries("vision", 2), True, 0),  # an earlier step, which is done
        (Tries("vision", 2), False, 1),
    ],
)
def test_what_was_marked_last_tells_how_often_a_process_died(
    marked: Tries | None, blocks: bool, died: int
) -> None:
    """At the step where the scan goes on; marks of other steps say nothing of it."""
    assert crashes("rule", marked, blocks=blocks) == died


def test_a_mark_is_written_once_and_waited_for() -> None:
    """Whoever waits goes on when it is durable; a second try in the process needs no second one."""

    async def main() -> None:
        store = FakeStore(delay=1)
        log = EventLog(store)
        await log.open()
        mark = Mark(log, "t", Tries("vision", 2), done=False)
        assert not mark.begun
        waiting = asyncio.ensure_future(mark())
        await asyncio.sleep(0.5)
        assert mark.begun
        assert not waiting.done()
        await waiting
        await mark()
        assert store.writes == [Write(MARK_TRY, ("t", "vision", 2))]
        await Mark(log, "t", Tries("vision", 1), done=True)()
        assert len(store.writes) == 1

    run_virtual(main())


def test_a_mark_that_cannot_be_written_is_tried_again() -> None:
    """The step must not begin; it may be in the log all the same, so it counts as begun."""

    async def main() -> None:
        store = FakeStore()
        log = EventLog(store)
        await log.open()
        mark = Mark(log, "t", Tries("vision", 1), done=False)
        store.fails = lambda drafts: "no space left"
        with pytest.raises(StoreError):
            await mark()
        assert mark.begun
        store.fails = lambda drafts: None
        await mark()
        assert len(store.rows(MARK_TRY)) == 1

    run_virtual(main())


def test_taking_a_try_back_leaves_those_before_it() -> None:
    """And it is a statement of its own, which runs behind the mark when both are in one batch."""
    write = Tries("vision", 1).undo("t")
    assert (write.statement, write.row) == (UNDO_TRY, ("t", "vision", 1))
    assert UNDO_TRY != MARK_TRY


def test_what_stopped_in_this_process_is_remembered_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By step; a scan that goes on is forgotten, and the oldest of too many."""
    monkeypatch.setattr(tries, "MOST_LEFT", 2)
    left = Left()
    for n, name in enumerate("abca"):
        left.put(name, Tries("vision", n))
    assert len(left) == 2
    assert [left.crashes(name, "vision") for name in "abc"] == [3, None, 2]
    assert left.crashes("a", "rule") == 0
    left.forget("a")
    left.forget("a")
    assert (left.crashes("a", "vision"), len(left)) == (None, 1)
