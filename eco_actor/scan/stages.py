"""The four standard steps of a scan as a table: what each computes, how long it may take, how it
may fail. Those that a caller brings are in own_stages.py.

A stage is a function from a `StageInput` to the fields that its event adds. It runs in a worker
(see workers.py), decides nothing about what comes next, and blocks only if the table says so.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eco_actor.scan import reward as rewards
from eco_actor.scan.answer import BACKEND as ANSWER_BACKEND
from eco_actor.scan.answer import answer_for, answer_unsure
from eco_actor.scan.options import Options
from eco_actor.scan.reward import reward_for
from eco_actor.scan.rules import Rule, RuleBook
from eco_actor.scan.vision import Classifier, Guess, Pixels, Verdict, sound

USER: Final = "user"
"""The backend of a category that the user chose."""

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StageInput:
    """What a stage works from: the options, the picture while there is one, and the verdict.

    `pixels` are there for the step "vision" alone, `classification` for all behind it: `category`
    (None when unsure), `confidence`, `alternatives`, `unsure`, `backend`. `found` has the fields of
    the steps before this one, by name, in a pipeline with stages of a caller's. Not to be changed.
    """

    task_id: str
    options: Options
    pixels: Pixels | None = field(repr=False)
    classification: Mapping[str, Any] | None
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of every scan: a name, how far a scan is once it is done, and what computes it.

    *run* is a plain function of a `StageInput`; what it returns are the fields that the event of
    the step adds. It decides nothing about what comes next. With *blocking* it runs in one of
    *workers* threads, and may run in several of them at once; without, inside the turn of the loop,
    where it must be over within the millisecond. There are no async stages: one that waits blocks.
    It may be run again for the same scan, after a crash of the process, or when it was late: what
    it does outside has to bear that.

    *deadline*: seconds that it may take, the wait for a worker included; then the scan goes on
    without it, a thread that blocks is left to itself. *attempts*: how often it is tried when it is
    late or its worker dies. When it raises, the scan fails with `step_failed`; with *fallback* it
    goes on with these fields, and an `error` beside them in the event.

    In the hands of `Eco`, one called vision, rule, answer or reward takes the place of that step:
    it has that one's progress, and returns what that one does. Any other is a step of its own, in
    every scan: its name matches [a-z][a-z0-9_]{0,31}; it comes behind the step *after*, vision,
    rule or another own one, those of the same *after* in their order; its progress, per cent, lies
    between those of its neighbours. Its fields are JSON, at most 64 KiB, and have no name that
    events have already.
    """

    name: str
    progress: int
    run: Callable[[StageInput], Fields]
    blocking: bool = False
    workers: int = 1
    deadline: float = 30.0
    attempts: int = 2
    fallback: Fields | None = None
    after: str = "rule"


def stages(book: RuleBook, classifier: Classifier | None, vision_workers: int) -> Sequence[Stage]:
    """The pipeline over these rules; without a classifier every scan has to bring its category."""

    rewards.load()  # here, where it may still block

    @functools.lru_cache(maxsize=1024)  # the same few things come again and again
    def rule_for(category: str, tags: tuple[str, ...], lang: str) -> Rule:
        return book.apply(category, tags, lang)

    def rule_of(given: StageInput) -> Rule | None:
        assert given.classification is not None
        category: str | None = given.classification["category"]
        if category is None:
            return None
        return rule_for(category, given.options.tags, given.options.lang)

    def look(given: StageInput) -> Fields:
        if classifier is None or given.pixels is None:
            raise RuntimeError("vision was asked without a classifier or without a picture")
        return classified(sound(classifier.classify(given.pixels)))

    def find_rule(given: StageInput) -> Fields:
        rule = rule_of(given)
        return {"bin": rule.bin, "layer": rule.layer} if rule is not None else {"bin": None}

    def compose(given: StageInput) -> Fields:
        return {"result": _result(given, rule_of(given), book)}

    def grant(given: StageInput) -> Fields:
        rule, options = rule_of(given), given.options
        if rule is None or given.classification is None:
            return {"reward": None}
        category = given.classification["category"]
        reward = reward_for(category, rule, options.tags, options.lang)
        return {"reward": reward.to_wire() if reward is not None else None}

    return (
        Stage("vision", 33, look, blocking=True, workers=vision_workers, deadline=60.0),
        Stage("rule", 50, find_rule),
        Stage("answer", 100, compose),
        Stage("reward", 100, grant, fallback={"reward": None}),
    )


def classified(verdict: Verdict) -> Fields:
    """The fields of the event that says what was seen."""
    return {
        "category": verdict.category,
        "confidence": round(float(verdict.confidence), 4),
        "alternatives": [
            {"category": guess.category, "confidence": round(float(guess.confidence), 4)}
            for guess in verdict.alternatives
        ],
        "unsure": verdict.unsure,
        "backend": verdict.backend,
    }


def chosen(category: str) -> Fields:
    """The same for a category that the user chose: nobody looked, nobody doubts."""
    return classified(Verdict(category, 1.0, (Guess(category, 1.0),), USER))


def _result(given: StageInput, rule: Rule | None, book: RuleBook) -> Fields:
    assert given.classification is not None
    lang = given.options.lang
    seen = given.classification
    alternatives = [
        {"category": each["category"], "name": book.name(each["category"], lang)}
        | {"confidence": each["confidence"]}
        for each in seen["alternatives"]
    ]
    if rule is None:
        name, text = None, answer_unsure([each["name"] for each in alternatives], lang)
    else:
        name = book.name(seen["category"], lang)
        text = answer_for(name, rule, lang)
    return {
        "task_id": given.task_id,
        "classification": {
            "category": seen["category"],
            "name": name,
            "confidence": seen["confidence"],
            "alternatives": alternatives,
            "unsure": seen["unsure"],
            "backend": seen["backend"],
        },
        "rule": rule.to_wire() if rule is not None else None,
        "answer": {"text": text, "lang": lang, "backend": ANSWER_BACKEND},
    }
