"""What is in the data directory in the end, against what clients were promised and told. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.crash_book import Book
from bench.crash_kept import Kept, Logged
from bench.crash_readers import SCAN, Reader, Told, position

STEPS: Final = (
    ("vision", "processing"),
    ("vision", "completed"),
    ("rule", "completed"),
    ("answer", "completed"),
    ("reward", "completed"),
)
"""The events of a good scan."""

SHOWN: Final = 20
"""Faults of which a report has the words; all are counted."""


@dataclass(slots=True)
class Tally:
    """The figures of a run, and its faults in words.

    `left`: how many scans were left unfinished by a kill, by the number of their events.
    `removed`: scans that are gone; `gone` and `gaps`: how often readers were told of that, and of
    what was trimmed; `copies`: backups that were gone on from.
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
    removed: int = 0
    gone: int = 0
    gaps: int = 0
    copies: int = 0
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


def judge(kept: Kept, book: Book, failed: Iterable[str] = ()) -> Tally:
    """Compare. *failed*: scans that are to have failed."""
    tally = Tally(book.kills, len(book.accepted), published=len(book.published))
    tally.removed = len(kept.gone)
    stories: defaultdict[str, list[Logged]] = defaultdict(list)
    for event in sorted([*kept.events, *kept.removed], key=_place):
        stories[event.channel].append(event)
    for place, count in Counter(each.place for each in (*kept.events, *kept.removed)).items():
        if count > 1:
            tally.fault(f"position {place} was given {count} times")
    for text in kept.parts:
        tally.fault(text)
    for text in book.wrong:
        tally.fault(text)
    if kept.integrity != "ok":
        tally.fault(f"the database is damaged: {kept.integrity}")
    _judge_scans(kept, book, stories, frozenset(failed), tally)
    _judge_rewards(kept, stories, tally)
    _judge_published(book, stories, tally)
    for reader in book.readers:
        _judge_reader(reader, kept, stories, tally)
        tally.gone += len(reader.gone)
        tally.gaps += len(reader.gaps)
        tally.resumes += reader.resumes
    return tally


Stories = Mapping[str, Sequence[Logged]]


def _judge_scans(
    kept: Kept, book: Book, stories: Stories, failed: frozenset[str], tally: Tally
) -> None:
    """Each is in the log from its first event to its last, whoever knows of it."""
    in_log = {name.removeprefix(SCAN) for name in stories if name.startswith(SCAN)}
    for task_id in sorted(in_log | kept.scans | kept.gone | book.accepted.keys()):
        when = _when(book.accepted.get(task_id))
        story = stories.get(SCAN + task_id, ())
        numbers = [event.data["seq"] for event in story]
        holes = set(range(1, max(numbers, default=0) + 1)) - {*numbers}
        repeats = len(numbers) - len({*numbers})
        tally.holes += len(holes)
        tally.repeats += repeats
        if holes or repeats or numbers != sorted(numbers):
            tally.fault(f"scan {task_id} ({when}): seq {numbers}")
        there = (task_id in kept.scans) != (task_id in kept.gone)
        over = bool(story) and there and task_id not in kept.unfinished
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


def _judge_reader(reader: Reader, kept: Kept, stories: Stories, tally: Tally) -> None:
    """It was told exactly what the log has of its channels behind where it began, or of a gap."""
    for text in reader.wrong:
        tally.fault(f"reader {reader.name}: {text}")
    if reader.begins.keys() != {*reader.channels}:
        tally.fault(f"reader {reader.name} never began: {reader.cut}")
        return
    logged = [each for channel in reader.channels for each in stories.get(channel, ())]
    _judge_losses(reader, kept, tally)
    skipped = _skipped(reader, logged)
    expected = [
        each
        for each in logged
        if reader.begins[each.channel] < each.place <= reader.ends.get(each.channel, each.place)
        and each.place not in skipped
    ]
    expected.sort(key=_place)
    name = f"reader {reader.name} ({reader.way})"
    if reader.ordered:
        _compare(name, expected, reader.seen, tally)
        return
    for channel in dict.fromkeys([*reader.channels, *(told.channel for told in reader.seen)]):
        _compare(
            f"{name}, {channel}",
            [event for event in expected if event.channel == channel],
            [told for told in reader.seen if told.channel == channel],
            tally,
        )


def _judge_losses(reader: Reader, kept: Kept, tally: Tally) -> None:
    """What it was told to be trimmed, or gone, is so."""
    for gap in reader.gaps:
        if not gap.begin <= gap.end <= kept.trimmed.get(gap.channel, 0):
            tally.fault(f"reader {reader.name}: {gap} is not trimmed")
    for channel in reader.gone:
        if channel.removeprefix(SCAN) not in kept.gone:
            tally.fault(f"reader {reader.name}: {channel} was said to be gone, and is not")


def _skipped(reader: Reader, logged: Iterable[Logged]) -> set[int]:
    """The places of what it need not have been told: in a gap, or of a scan that is gone by then,
    behind the last that it saw of it."""
    told = Counter(each.channel for each in reader.seen)
    places = {position(each.cursor) for each in reader.seen if each.cursor is not None}
    skipped: set[int] = set()
    for gap in reader.gaps:
        its = (each.place for each in logged if each.channel == gap.channel)
        skipped.update(place for place in its if gap.begin < place <= gap.end)
    for channel in reader.gone:
        its = (each.place for each in logged if each.channel == channel)
        skipped.update(sorted(its)[told[channel] :])
    return skipped - places


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


# ---- a copy that was gone on from


def judge_epochs(before: Kept, after: Kept, original: Kept, book: Book) -> None:
    """What follows in the copy has another name than what followed in the original.

    *before* and *after*: the copy when it was restored, and when it was gone on from.
    """
    *old, (token, begins) = after.epochs
    if old != [*before.epochs] or begins != before.head + 1 or token in dict(original.epochs):
        book.wrong.append(f"the epochs {before.epochs} of a copy became {after.epochs}")


def judge_history(before: Kept, original: Kept, book: Book) -> None:
    """The copy is the beginning of the original."""
    history = {each.place: each for each in (*original.events, *original.removed)}
    copied = {each.place: each for each in (*before.events, *before.removed)}
    beginning = {place for place in history if place <= before.head}
    if beginning != copied.keys() or any(history[place] != copied[place] for place in beginning):
        strange = sorted(beginning ^ copied.keys())[:20]
        book.wrong.append(f"a copy up to {before.head} is none of its original: {strange}")
