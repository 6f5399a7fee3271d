"""What is in the data directory in the end, against what clients were promised and told. Pure."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from bench.crash_load import Book
from bench.crash_readers import SCAN, Reader, Told, position

STEPS: Final = (
    ("vision", "processing"),
    ("vision", "completed"),
    ("rule", "completed"),
    ("answer", "completed"),
    ("reward", "completed"),
)
"""The events of a good scan."""

NAME: Final = "eco.db"

SHOWN: Final = 20
"""Faults of which a report has the words; all are counted."""


class Logged(NamedTuple):
    place: int
    channel: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a data directory holds."""

    events: Sequence[Logged]
    unfinished: frozenset[str]
    scans: frozenset[str]
    pictures: frozenset[str]
    rewards: Sequence[tuple[str, int, str]]  # task id, points, character
    integrity: str


@dataclass(slots=True)
class Tally:
    """The figures of a run, and its faults in words.

    `left`: how many scans were left unfinished by a kill, by the number of their events.
    """

    kills: int = 0
    accepted: int = 0
    finished: int = 0
    lost: int = 0
    double_rewards: int = 0
    holes: int = 0
    repeats: int = 0
    published: int = 0
    publish_lost: int = 0
    publish_repeats: int = 0
    resumes: int = 0
    left: Counter[int] = field(default_factory=Counter)
    faults: int = 0
    said: list[str] = field(default_factory=list)

    def fault(self, what: str) -> None:
        self.faults += 1
        if len(self.said) < SHOWN:
            self.said.append(what)

    def add(self, other: "Tally") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def unfinished(data_dir: Path) -> dict[str, int]:
    """The scans that a start would go on with, and how many events each has.

    Only while no server has the directory open.
    """
    with closing(_open(data_dir)) as db:
        rows = db.execute(
            "SELECT task_id, (SELECT count(*) FROM events WHERE channel = 'scan:' || task_id)"
            " FROM scans WHERE NOT finished"
        )
        return dict(rows.fetchall())


def read(data_dir: Path) -> Kept:
    """All that is in the database, if there is one. Only while no server has it open."""
    if not (data_dir / NAME).exists():
        return Kept((), frozenset(), frozenset(), frozenset(), (), "ok")
    with closing(_open(data_dir)) as db:
        events = db.execute("SELECT position, channel, data FROM events ORDER BY position")
        return Kept(
            [Logged(place, name, msgpack.unpackb(data)) for place, name, data in events],
            frozenset(_column(db, "SELECT task_id FROM scans WHERE NOT finished")),
            frozenset(_column(db, "SELECT task_id FROM scans")),
            frozenset(_column(db, "SELECT task_id FROM pictures")),
            db.execute("SELECT task_id, points, character FROM rewards").fetchall(),
            " ".join(_column(db, "PRAGMA integrity_check")),
        )


def _open(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{data_dir / NAME}?mode=ro", uri=True)


def _column(db: sqlite3.Connection, sql: str) -> Iterator[str]:
    return (value for (value,) in db.execute(sql))


def judge(kept: Kept, book: Book, failed: Iterable[str] = ()) -> Tally:
    """Compare. *failed*: scans that are to have failed."""
    tally = Tally(book.kills, len(book.accepted), published=len(book.published))
    stories: defaultdict[str, list[Logged]] = defaultdict(list)
    for event in kept.events:
        stories[event.channel].append(event)
    for text in book.wrong:
        tally.fault(text)
    if kept.integrity != "ok":
        tally.fault(f"the database is damaged: {kept.integrity}")
    _judge_scans(kept, book, stories, frozenset(failed), tally)
    _judge_rewards(kept, stories, tally)
    _judge_published(book, stories, tally)
    for reader in book.readers:
        _judge_reader(reader, stories, tally)
        tally.resumes += reader.resumes
    return tally


Stories = Mapping[str, Sequence[Logged]]


def _judge_scans(
    kept: Kept, book: Book, stories: Stories, failed: frozenset[str], tally: Tally
) -> None:
    """Each is in the log from its first event to its last, whoever knows of it."""
    in_log = {name.removeprefix(SCAN) for name in stories if name.startswith(SCAN)}
    for task_id in sorted(in_log | kept.scans | book.accepted.keys()):
        when = _when(book.accepted.get(task_id))
        story = stories.get(SCAN + task_id, ())
        numbers = [event.data["seq"] for event in story]
        holes = set(range(1, max(numbers, default=0) + 1)) - {*numbers}
        repeats = len(numbers) - len({*numbers})
        tally.holes += len(holes)
        tally.repeats += repeats
        if holes or repeats or numbers != sorted(numbers):
            tally.fault(f"scan {task_id} ({when}): seq {numbers}")
        over = bool(story) and task_id not in kept.unfinished and task_id in kept.scans
        if task_id in failed:
            over = over and story[-1].data["status"] == "failed"
        else:
            over = over and [(e.data["step"], e.data["status"]) for e in story] == [*STEPS]
        if task_id in book.accepted:
            tally.finished += over
            tally.lost += not over
        if not over:
            told = [(e.data["step"], e.data["status"], e.data.get("error")) for e in story]
            tally.fault(f"scan {task_id} ({when}) is not over as it should be: {told}")
    for task_id in sorted(kept.pictures - kept.unfinished):
        tally.fault(f"scan {task_id} is over, and its picture still there")


def _judge_rewards(kept: Kept, stories: Stories, tally: Tally) -> None:
    """One row for each reward in the log, and no other; the log has one for a scan at most."""
    granted: Counter[tuple[str, int, str]] = Counter()
    for name, story in stories.items():
        if not name.startswith(SCAN):
            continue
        told = [event.data["reward"] for event in story if event.data["step"] == "reward"]
        rewards = [reward for reward in told if reward is not None]
        tally.double_rewards += max(0, len(rewards) - 1)
        if len(rewards) > 1:
            tally.fault(f"{name} was rewarded {len(rewards)} times")
        for reward in rewards[:1]:
            granted[name.removeprefix(SCAN), reward["points"], reward["character"]["id"]] += 1
    rows = Counter(kept.rewards)
    per_scan = Counter(task_id for task_id, _, _ in kept.rewards)
    tally.double_rewards += sum(count - 1 for count in per_scan.values())
    for row in (rows - granted).keys() | (granted - rows).keys():
        tally.fault(f"reward {row}: {rows[row]} rows, {granted[row]} in the log")


def _judge_published(book: Book, stories: Stories, tally: Tally) -> None:
    """What was answered is there once, at the cursor that was told; nothing is there twice."""
    places: defaultdict[str, list[Logged]] = defaultdict(list)
    for name, story in stories.items():
        if not name.startswith(SCAN):
            for event in story:
                places[event.data["id"]].append(event)
    for number, found in places.items():
        tally.publish_repeats += len(found) - 1
        if len(found) > 1:
            tally.fault(f"publish {number} is in the log at {[each.place for each in found]}")
    for number, (channel, cursor, kills) in book.published.items():
        where = [(event.channel, event.place) for event in places.get(number, ())]
        if (channel, position(cursor)) not in where:
            tally.publish_lost += 1
            tally.fault(f"publish {number} ({_when(kills)}): told {channel} {cursor}, is {where}")


def _judge_reader(reader: Reader, stories: Stories, tally: Tally) -> None:
    """It was told exactly what the log has of its channels behind where it began."""
    for text in reader.wrong:
        tally.fault(f"reader {reader.name}: {text}")
    if reader.begins.keys() != {*reader.channels}:
        tally.fault(f"reader {reader.name} never began: {reader.cut}")
        return
    logged = [each for channel in reader.channels for each in stories.get(channel, ())]
    expected = [each for each in logged if each.place > reader.begins[each.channel]]
    expected.sort(key=_place)
    if reader.ordered:
        _compare(f"reader {reader.name}", expected, reader.seen, tally)
        return
    for channel in dict.fromkeys([*reader.channels, *(told.channel for told in reader.seen)]):
        _compare(
            f"reader {reader.name}, {channel}",
            [event for event in expected if event.channel == channel],
            [told for told in reader.seen if told.channel == channel],
            tally,
        )


def _compare(name: str, expected: Sequence[Logged], seen: Sequence[Told], tally: Tally) -> None:
    """The same events, in the same order, each once, and with their own cursors."""
    wanted = Counter((each.channel, _mark(each.data)) for each in expected)
    got = Counter((each.channel, _mark(each.data)) for each in seen)
    missing, extra = wanted - got, got - wanted
    tally.holes += missing.total()
    tally.repeats += extra.total()
    if missing or extra:
        some = [*missing][:SHOWN], [*extra][:SHOWN]
        tally.fault(f"{name}: missing {some[0]}, too many {some[1]}")
        return
    for event, told in zip(expected, seen, strict=True):
        known = told.cursor is None or position(told.cursor) == event.place
        if not known or (told.channel, told.data) != (event.channel, event.data):
            tally.fault(f"{name}: {told} was told in the place of {event}")
            return


def _mark(data: Mapping[str, Any]) -> Any:
    """What an event is known by in its channel."""
    return data["seq"] if "seq" in data else data["id"]


def _place(event: Logged) -> int:
    return event.place


def _when(kills: int | None) -> str:
    return "its client was never told" if kills is None else f"accepted after {kills} kills"
