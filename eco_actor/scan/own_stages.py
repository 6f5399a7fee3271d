"""Stages that a caller brings: where they come, and whether what they say may be said."""

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgpack

from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.state import ABOUT, STEPS
from eco_actor.scan.vision import Guess, Verdict, sound

PROGRESS: Final = {"vision": 33, "rule": 50, "answer": 100, "reward": 100}
"""How far a scan is once a standard step is done, in per cent."""

ANCHORS: Final = ("vision", "rule")
"""The standard steps behind which others may come."""

RETURNS: Final[Mapping[str, frozenset[str]]] = {
    "vision": frozenset({"category", "confidence", "alternatives", "unsure", "backend"}),
    "rule": frozenset({"bin"}),
    "answer": frozenset({"result"}),
    "reward": frozenset({"reward"}),
}
"""What the standard steps return, and so whoever takes the place of one."""

TAKEN: Final = ABOUT | {"error", "result", "reward", "pos", "delta"}
"""Names in events that mean something to clients already."""

NOT_NAMES: Final = frozenset({"processing", "completed", "failed", "cancelled", "scan", "eco"})
"""What would be read as something else where the name of a step is expected."""

MOST_STAGES: Final = 32
MAX_FIELDS: Final = 64 * 1024
"""Bytes of what a stage returns, packed."""

MAX_DEPTH: Final = 16
"""Maps and lists in one another."""

POINTS: Final = range(2**63)
"""What the ledger can have."""

_NAME: Final = re.compile("[a-z][a-z0-9_]{0,31}")
_INTEGERS: Final = range(-(2**63), 2**64)


class BadStage(ValueError):
    """A stage that cannot be, or not among these others; the text names it."""


class BadFields(ValueError):
    """What a stage returned is nothing that an event can have; the text says why."""


# ---- where they come


def checked_stages(own: Iterable[Stage]) -> tuple[Stage, ...]:
    """The same. BadStage."""
    own = tuple(own)
    names = [stage.name for stage in own]
    if len(own) > MOST_STAGES:
        raise BadStage(f"{len(own)} stages: at most {MOST_STAGES}")
    for stage in own:
        if names.count(stage.name) > 1:
            raise BadStage(f"{stage.name}: there are two stages of this name")
        _check(stage)
    order = order_of(own)
    progress = PROGRESS | {stage.name: stage.progress for stage in own}
    for before, name, behind in zip(order, order[1:], order[2:], strict=False):
        if name not in PROGRESS and not progress[before] < progress[name] < progress[behind]:
            raise BadStage(
                f"{name}: progress is above {progress[before]} ({before}) and below"
                f" {progress[behind]} ({behind}), not {progress[name]}"
            )
    return own


def order_of(own: Sequence[Stage]) -> tuple[str, ...]:
    """The names of all steps, in order. BadStage."""

    def behind(step: str) -> Iterator[str]:
        yield step
        for stage in own:
            if stage.after == step and stage.name not in STEPS:
                yield from behind(stage.name)

    order = tuple(name for step in STEPS for name in behind(step))
    for stage in own:
        if stage.name not in STEPS and (stage.after in STEPS and stage.after not in ANCHORS):
            raise BadStage(f"{stage.name}: after={stage.after!r}: the answer is out by then")
        if stage.name not in order:
            raise BadStage(
                f"{stage.name}: after={stage.after!r}: one of {', '.join(ANCHORS)}, or an own step"
            )
    return order


def arranged(standard: Iterable[Stage], own: Sequence[Stage]) -> list[Stage]:
    """All stages in the order of the steps: the standard ones, but where *own* has another."""
    table = {stage.name: stage for stage in standard}
    table |= {stage.name: _guarded(stage) for stage in own}
    return [table[name] for name in order_of(own)]


def _check(stage: Stage) -> None:
    name = stage.name
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in NOT_NAMES:
        raise BadStage(
            f"{name!r} cannot be the name of a stage: [a-z][a-z0-9_]*, at most 32 characters,"
            f" none of {', '.join(sorted(NOT_NAMES))}"
        )
    if stage.progress != PROGRESS.get(name, stage.progress):
        raise BadStage(f"{name}: progress is {PROGRESS[name]}, not {stage.progress!r}")
    if type(stage.progress) is not int:
        raise BadStage(f"{name}: progress is a whole number, not {stage.progress!r}")
    if not callable(stage.run) or inspect.iscoroutinefunction(stage.run):
        raise BadStage(f"{name}: run is a plain function; blocking=True runs it in a thread")
    if stage.workers < 1 or stage.attempts < 1 or not 0 < stage.deadline < math.inf:
        raise BadStage(f"{name}: workers and attempts are at least 1, deadline is in seconds")
    if stage.fallback is not None:
        try:
            plain_fields(name, stage.fallback)
        except BadFields as error:
            raise BadStage(f"{name}: fallback: {error}") from error


# ---- what they say


def _guarded(stage: Stage) -> Stage:
    """*stage*, held to what it may return."""
    fallback = stage.fallback
    if stage.name == "reward" and fallback is None:
        fallback = {"reward": None}  # its failure never fails the scan
    return replace(stage, run=_only_plain(stage.name, stage.run), fallback=fallback)


def _only_plain(name: str, run: Callable[[StageInput], Fields]) -> Callable[[StageInput], Fields]:
    @functools.wraps(run)
    def guarded(given: StageInput) -> Fields:
        return plain_fields(name, run(given))

    return guarded


def plain_fields(name: str, fields: object) -> Fields:
    """A copy of what the stage *name* returned. BadFields when no event can have it."""
    if not isinstance(fields, dict):
        raise BadFields(f"a stage returns a dict, not a {type(fields).__name__}")
    expected = RETURNS.get(name, frozenset())
    for taken in sorted((TAKEN - expected) & fields.keys()):
        raise BadFields(f"{taken!r} means something else in events: pick another name")
    for missing in sorted(expected - fields.keys()):
        raise BadFields(f"{missing!r} is missing")
    _check_plain(fields, "", MAX_DEPTH)
    _check_shape(name, fields)
    try:
        packed = msgpack.packb(fields)
    except (ValueError, TypeError, UnicodeError) as error:
        raise BadFields(f"it cannot be packed: {error}") from error
    if len(packed) > MAX_FIELDS:
        raise BadFields(f"{len(packed)} bytes are more than {MAX_FIELDS}")
    copied: Fields = msgpack.unpackb(packed)  # what it keeps of it may change
    return copied


def _check_plain(value: object, path: str, depth: int) -> None:
    if depth < 0:
        raise BadFields(f"{path}: more than {MAX_DEPTH} maps and lists in one another")
    match value:
        case None | bool():
            return
        case dict():
            for key, each in value.items():
                if type(key) is not str:
                    raise BadFields(f"{path or 'fields'}: {key!r} is no name: names are text")
                _check_plain(each, f"{path}.{key}" if path else key, depth - 1)
        case list() | tuple():
            for n, each in enumerate(value):
                _check_plain(each, f"{path}[{n}]", depth - 1)
        case _ if type(value) is int and value in _INTEGERS:
            return
        case _ if type(value) is float and math.isfinite(value):
            return
        case _ if type(value) is str:
            return
        case _:
            raise BadFields(f"{path}: {value!r:.100} ({type(value).__name__}) is not JSON")


def _check_seen(fields: Mapping[str, Any]) -> None:
    category, confidence = fields["category"], fields["confidence"]
    try:
        guesses = tuple(Guess(**each) for each in fields["alternatives"])
        sound(Verdict(category, confidence, guesses, fields["backend"]))
    except (TypeError, ValueError) as error:
        raise BadFields(str(error)) from error
    if fields["unsure"] is not (category is None):
        raise BadFields("unsure: true when category is null, and only then")


def _check_shape(name: str, fields: Mapping[str, Any]) -> None:
    """What the scan itself, or a step behind this one, relies on."""
    match name, fields:
        case "vision", _:
            _check_seen(fields)
        case "answer", {"result": dict()}:
            return
        case "answer", _:
            raise BadFields("result: an object, as in the API")
        case "reward", {"reward": None}:
            return
        case "reward", {"reward": {"points": int() as points, "character": {"id": str()}}}:
            if type(points) is not int or points not in POINTS:
                raise BadFields(f"reward.points: a whole number from 0 to 2**63 - 1, not {points}")
        case "reward", _:
            raise BadFields("reward: null, or an object with points and character.id")
