"""What is counted for each bin: once for every scan, in its answer's transaction, and for good."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from eco_actor.eventlog import EventLog, StoreError
from eco_actor.runtime import Supervisor, System, child
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.counts import INTERVAL_S, Counted, Counting, Counts, Tally, by_bin
from eco_actor.scan.options import Options
from eco_actor.scan.presence import UNKNOWN
from eco_actor.scan.retention import ScanRetention
from eco_actor.scan.reward import load as load_characters
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.site import Site
from eco_actor.scan.stages import Stage, StageInput, stages
from eco_actor.scan.tables import ALL_COUNTS, COUNT_SCAN, TABLES
from eco_actor.scan.vision import Guess, Pixels, Verdict
from eco_actor.scan.volume import Keep
from tests.fakes import FakeStore
from tests.scan.rig import Rig, open_log
from tests.scan.site_files import site_of
from tests.scan_world import PROGRESS

BOOK: Final = RuleBook.load()
load_characters()  # here, where it may block


class Unsure:
    """Recognises nothing; its best guess is of *guesses*, one after the other."""

    backend = "unsure"

    def __init__(self, *guesses: str) -> None:
        self._guesses = list(guesses)

    def classify(self, pixels: Pixels) -> Verdict:
        guesses = [Guess(each, 0.3) for each in self._guesses[:1]]
        del self._guesses[:1]
        return Verdict(None, 0.3, tuple(guesses), self.backend)


def counting_rig(log: EventLog, *guesses: str, book: RuleBook = BOOK, **how: Any) -> Rig:
    """The real stages, and what is counted of them."""
    own = how.pop("stages", ())
    rig = Rig(log, stages=[*stages(book, Unsure(*guesses), 1), *own], **how)
    tally = Tally(lambda: book)
    rig.admission.pipeline = replace(rig.admission.pipeline, tally=tally)
    return rig


async def counted(log: EventLog) -> dict[str, tuple[int, ...]]:
    return {bin_id: tuple(numbers) for bin_id, *numbers in await log.query(ALL_COUNTS)}


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    made = open_log(tmp_path / "log.db")
    await made.open()
    yield made
    await made.close()


async def scanned(rig: Rig, *asked: Options | None) -> list[str]:
    """Scans of these options, one after the other; None: of a picture."""
    ids = []
    for options in asked:
        body = b"jpeg" if options is None else None
        ids.append(await rig.admission.submit(body, options or Options()))
        await rig.finished(ids[-1:])
    return ids


async def test_scans_are_counted_by_the_bin_of_their_answer(log: EventLog) -> None:
    """Where a condition sends a thing, it is counted."""
    glass = Options(category="glass")
    async with counting_rig(log).running() as rig:
        await scanned(rig, glass, glass, replace(glass, tags=("deposit",)))
    assert await counted(log) == {"glass": (2, 0, 0), "bottle_return": (1, 0, 0)}


async def test_unsure_scans_are_counted_by_their_best_guess(log: EventLog) -> None:
    """So is one of which there is no guess, as belonging nowhere."""
    async with counting_rig(log, "metal", "metal", "cardboard").running() as rig:
        await scanned(rig, None, None, None, None)
    assert await counted(log) == {"metal": (0, 2, 0), "paper": (0, 1, 0), UNKNOWN: (0, 1, 0)}


async def test_the_site_decides_which_bin_that_is(log: EventLog, tmp_path: Path) -> None:
    """What goes into another bin here is counted there; what is not taken, where it belongs."""
    text = "bins: [plastic]\ninstead: {pet_clear: plastic}"
    book = (await asyncio.to_thread(site_of, tmp_path, text)).book
    async with counting_rig(log, "pet_clear", book=book).running() as rig:
        await scanned(rig, None, Options(category="pet_clear"), Options(category="metal"))
    assert await counted(log) == {"plastic": (1, 1, 0), "metal": (1, 0, 0)}


async def test_an_unsure_scan_counts_as_answered_once(log: EventLog) -> None:
    """By the bin that the first answer sent it to, however often somebody answers."""
    async with counting_rig(log, "metal", "metal").running() as rig:
        first, second = await scanned(rig, None, None)
        choices = [Options(category=each, after_scan=first) for each in ("glass", "metal", "paper")]
        await scanned(rig, *choices, Options(category="glass", after_scan=second))
    assert await counted(log) == {"metal": (1, 2, 0), "glass": (2, 0, 2), "paper": (1, 0, 0)}


async def test_a_scan_that_asks_again_is_not_counted(log: EventLog) -> None:
    """A thing is counted once, whatever its user taps after that."""
    async with counting_rig(log, "metal", "glass").running() as rig:
        (first,) = await scanned(rig, Options(category="glass"))
        again = Options(category="glass", tags=("broken",), revises=first)
        await scanned(rig, again, replace(again, category="metal"))
        await rig.finished([await rig.admission.submit(b"jpeg", Options(revises=first))])
    assert await counted(log) == {"glass": (1, 0, 0)}


async def test_two_answers_in_one_transaction_count_once(log: EventLog) -> None:
    """As when two people tap at the same time."""
    async with counting_rig(log, "metal").running() as rig:
        (unsure,) = await scanned(rig, None)
        options = Options(category="glass", after_scan=unsure)
        glass, paper = (
            Tally(lambda: BOOK).writes(options, {"rule": {"bin_id": bin_id}})
            for bin_id in ("glass", "paper")
        )
        await log.commit([], [*glass, *paper])
    numbers = await counted(log)
    assert [numbers[each][:2] for each in ("metal", "glass", "paper")] == [(0, 1), (1, 0), (1, 0)]
    assert sum(each[2] for each in numbers.values()) == 1


async def test_a_scan_is_counted_in_the_transaction_of_its_answer(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no moment in which one of the two is on the disk without the other."""
    together: list[tuple[list[str], bool]] = []
    append = log.append

    def noted(drafts: Any, writes: Any = (), *rest: Any) -> None:
        steps = [f"{each.data['step']} {each.data['status']}" for each in drafts]
        together.append((steps, any(write.statement is COUNT_SCAN for write in writes)))
        append(drafts, writes, *rest)

    monkeypatch.setattr(log, "append", noted)
    async with counting_rig(log).running() as rig:
        await scanned(rig, Options(category="glass"))
    assert [steps for steps, counts in together if counts] == [["answer completed"]]


async def test_a_scan_that_is_gone_is_not_answered(log: EventLog) -> None:
    """It cannot be known any more whether it was."""
    async with counting_rig(log).running() as rig:
        await scanned(rig, Options(category="glass", after_scan="never"))
    assert await counted(log) == {"glass": (1, 0, 0)}


async def test_counts_outlive_their_scans(log: EventLog) -> None:
    """Retention takes the scans, and nothing of the counts."""
    async with counting_rig(log, "metal").running() as rig:
        await scanned(rig, None, Options(category="glass"))
        volume = rig.admission.pipeline.volume
        about = (log, volume, Keep(scans=0), 10)
        keeper = child("eco", Supervisor, [child("keeper", ScanRetention, *about)])
        async with System(keeper), asyncio.timeout(20):
            while await log.query("SELECT 1 FROM scans"):  # noqa: ASYNC110  # a table says so
                await asyncio.sleep(0)
    assert await counted(log) == {"metal": (0, 1, 0), "glass": (1, 0, 0)}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"rule": 3},
        {"rule": {}},
        {"rule": {"bin_id": "of another"}},
        {"rule": {"bin_id": ["glass"]}},
        {"rule": None, "classification": {"alternatives": []}},
        {"rule": None, "classification": {"alternatives": [{"category": "gold"}]}},
        {"rule": None, "classification": {"alternatives": [{"category": 3}]}},
    ],
)
def test_whatever_an_own_stage_says_is_counted(result: dict[str, Any]) -> None:
    """As belonging nowhere, so that the number of bins stays what it is."""
    (write,) = Tally(lambda: BOOK).writes(Options(), result)
    assert write.row[0] == UNKNOWN
    assert sum(write.row[1:]) == 1


def test_all_bins_are_shown_those_that_are_known_first() -> None:
    """A bin of before, which the site no longer has, is not forgotten."""
    rows = [("glass", 1, 2, 3), ("old", 4, 0, 0)]
    shown = by_bin(rows, ["metal", "glass"])
    assert list(shown.items()) == [
        ("metal", Counted()),
        ("glass", Counted(1, 2, 3)),
        ("old", Counted(4)),
    ]


@pytest.mark.parametrize("step", PROGRESS)
async def test_a_crash_in_any_step_counts_a_scan_once(tmp_path: Path, step: str) -> None:
    """What the disk has when a step runs goes on in another process: there it is counted once."""
    path, copy = tmp_path / "log.db", tmp_path / "copy"

    def die(given: StageInput) -> dict[str, Any]:
        copy.mkdir(exist_ok=True)
        for each in path.parent.glob("log.db*"):
            if not each.name.endswith("-shm"):
                shutil.copy(each, copy / each.name)
        return real.run(given)

    with ThreadPoolExecutor(2) as threads:
        real = next(each for each in stages(BOOK, Unsure("metal"), 1) if each.name == step)
        log = open_log(path)
        await log.open()
        dying: list[Stage] = [replace(real, run=die, blocking=True)]
        async with counting_rig(log, "metal", threads=threads, stages=dying).running() as rig:
            (task_id,) = await scanned(rig, None)
        assert await counted(log) == {"metal": (0, 1, 0)}
        await log.close()
    log = open_log(copy / "log.db")
    await log.open()
    async with counting_rig(log, "metal").running() as rig:
        await rig.finished([task_id])
    assert await counted(log) == {"metal": (0, 1, 0)}
    await log.close()


async def test_a_database_of_before_is_brought_along(tmp_path: Path) -> None:
    """It begins to count, without what was there; an unsure scan of before can be answered."""
    path = tmp_path / "log.db"
    log = open_log(path)
    await log.open()
    async with counting_rig(log, "metal").running() as rig:
        (unsure,) = await scanned(rig, None)
    await log.close()
    await asyncio.to_thread(age, path)
    log = open_log(path)
    await log.open()
    assert await counted(log) == {}
    async with counting_rig(log).running() as rig:
        await scanned(rig, Options(category="glass", after_scan=unsure))
    assert await counted(log) == {"glass": (1, 0, 1)}
    await log.close()


def age(path: Path) -> None:
    """Take from a database what it has had since things are counted."""
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE bin_counts")
        db.execute("ALTER TABLE scans DROP COLUMN answered")
        db.execute("ALTER TABLE scans DROP COLUMN thing")
        db.execute("UPDATE schemas SET version = 2 WHERE name = ?", (TABLES.name,))
    db.close()


def test_figures_follow_the_log_within_seconds() -> None:
    """They are read when something was logged, and stay as they were when that cannot be."""
    store = FakeStore()
    log, counts = EventLog(store), Counts()
    asked: list[str] = []
    answers: list[Any] = [[("glass", 1, 0, 0)], StoreError("the disk"), [("glass", 2, 0, 0)]]

    async def query(sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        asked.append(sql)
        answer = answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return list(answer)

    store.query = query  # type: ignore[method-assign]

    async def story() -> None:
        spec = child("counting", Counting, log, counts)
        async with System(child("eco", Supervisor, [spec])):
            told: list[object] = []
            await asyncio.sleep(INTERVAL_S / 2)  # from here on between two looks
            for head in (0, 0, 7, 7, 7):
                log._head = head
                await asyncio.sleep(INTERVAL_S)
                told.append((counts.rows, len(asked)))
            once, twice = [("glass", 1, 0, 0)], [("glass", 2, 0, 0)]
            assert told == [(once, 1), (once, 1), (once, 2), (twice, 3), (twice, 3)]

    run_virtual(story())


def test_a_site_without_a_file_counts_all_national_bins() -> None:
    """So each has a figure from the beginning, which is 0."""
    assert len(by_bin([], Site.none().book.bin_ids)) == 19
