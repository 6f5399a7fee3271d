"""The four steps of a scan as a table: what each computes, how long it may take, how it may fail.

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
from eco_actor.scan.vision import Classifier, Guess, Pixels, Verdict

USER: Final = "user"
"""The backend of a category that the user chose."""

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StageInput:
    """What a stage works from: the options, the picture while there is one, and the verdict."""

    task_id: str
    options: Options
    pixels: Pixels | None = field(repr=False)
    classification: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. `deadline` is in seconds, the wait for a worker included.

    `attempts`: how often it is tried when its worker dies or is late. With `fallback` a failure
    does not fail the scan: these fields are used instead.
    """

    name: str
    progress: int
    run: Callable[[StageInput], Fields]
    blocking: bool = False
    workers: int = 1
    deadline: float = 30.0
    attempts: int = 2
    fallback: Fields | None = None


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
        return classified(classifier.classify(given.pixels))

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
        "confidence": round(verdict.confidence, 4),
        "alternatives": [
            {"category": guess.category, "confidence": round(guess.confidence, 4)}
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
