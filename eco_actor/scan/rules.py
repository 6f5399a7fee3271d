"""Which bin a thing goes to and how, from `rules.json`: pure look-ups, the same answer every time.

A category has one home bin and its steps. A condition tag (soiled, broken, ...) may have an effect
on a category: it puts steps before (`first`) or after (`last`) the others, or it replaces `steps`,
and with `bin` it sends the thing elsewhere. When several tags would replace the steps, the one that
stands first in the file's `tag_priority` decides alone. Steps that weaker tags add are dropped once
the thing leaves its home bin (rinsing is pointless for the general waste bag) unless their effect
says `always` (wrapping a blade never is).

Local rules are overlays: JSON merge patches (RFC 7396: mappings merge, `null` removes, all else
replaces) laid over the national file in the order national, region, site. What an answer was made
of decides its `layer`: the most local of the parts that were used.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from eco_actor.scan.data_reader import LANGUAGES, InvalidData, Text, Texts
from eco_actor.scan.presence import Presence
from eco_actor.scan.rule import (
    Rule,
    UnknownCategory,
    UnknownChoice,
    UnknownLanguage,
    UnknownTag,
    check_language,
)
from eco_actor.scan.rules_file import (
    LAYERS,
    Category,
    Effect,
    Elsewhere,
    Part,
    Rules,
    merge,
    read_rules,
    touched,
    validate,
)

__all__ = (
    "LANGUAGES",
    "LAYERS",
    "InvalidData",
    "Rule",
    "RuleBook",
    "UnknownCategory",
    "UnknownChoice",
    "UnknownLanguage",
    "UnknownTag",
    "check_language",
    "national_rules",
    "validate",
)


def national_rules() -> Any:
    """The packaged rules file, as parsed JSON. Blocks."""
    return json.loads(files("eco_actor.scan").joinpath("rules.json").read_text("utf-8"))


class RuleBook:
    """The rules of one place, read once and never changed; safe to share between threads."""

    def __init__(
        self, rules: Rules, origins: Mapping[Part, str], presence: Presence | None = None
    ) -> None:
        """Use `load` or `from_layers`; *origins* says which overlay a part comes from."""
        self._rules = rules
        self._origins = origins
        self._presence = presence or Presence()

    @classmethod
    def load(cls, *overlays: object) -> "RuleBook":
        """The packaged national rules below *overlays*; raises as `from_layers` does."""
        return cls.from_layers(national_rules(), overlays)

    @classmethod
    def from_layers(
        cls,
        national: object,
        overlays: Sequence[object] = (),
        presence: Presence | None = None,
    ) -> "RuleBook":
        """Rules from parsed JSON: a complete file and overlays, each more local than the last.

        *presence*: which bins there are at the place; without it all are.

        An overlay is an object with its `layer` ("region" or "site") and only the keys that it
        changes. Raises InvalidData, naming the path of every fault, in the result as a whole.
        """
        merged = national
        origins: dict[Part, str] = {}
        below = LAYERS[0]
        for index, overlay in enumerate(overlays):
            patch, layer = _overlay(overlay, f"overlays[{index}]", below)
            origins.update(dict.fromkeys(touched(patch), layer))
            if isinstance(merged, Mapping):
                merged = merge(merged, patch)
            below = layer
        return cls(read_rules(merged), origins, presence)

    def categories(self, lang: str) -> list[dict[str, object]]:
        """All categories in the order of the API: what is done with them without conditions.

        `tags` are the ids of the conditions that change something about that, strongest first.
        """
        check_language(lang)
        return [self._listed(key, lang) for key in self._rules.categories]

    def _listed(self, category: str, lang: str) -> dict[str, object]:
        entry, rule = self._rules.categories[category], self.apply(category, (), lang)
        return {
            "id": category,
            "name": entry.name[lang],
            "bin": rule.bin,
            "bin_id": rule.bin_id,
            "bin_color": rule.bin_color,
            "bin_shape": rule.bin_shape,
            "here": rule.here,
            "instructions": list(rule.steps),
            "tags": [tag for tag in self._rules.tag_priority if tag in entry.effects],
        }

    def bins(self, lang: str) -> list[dict[str, object]]:
        """All bins: id, name, color, shape, here; those that are here first, in their order."""
        check_language(lang)
        bins = self._rules.bins
        return [
            {
                "id": bin_id,
                "name": bins[bin_id].name[lang],
                "color": bins[bin_id].color,
                "shape": bins[bin_id].shape,
                "here": self._presence.has(bin_id),
            }
            for bin_id in self.bin_ids
        ]

    @property
    def bin_ids(self) -> tuple[str, ...]:
        """All bins: those that are here first, in their order."""
        return tuple(dict.fromkeys([*(self._presence.here or ()), *self._rules.bins]))

    @property
    def tag_ids(self) -> tuple[str, ...]:
        """The condition tags, strongest first."""
        return tuple(self._rules.tag_priority)

    def tags(self, lang: str) -> list[dict[str, object]]:
        """All condition tags, strongest first: `id` and `name`."""
        check_language(lang)
        return [
            {"id": tag, "name": self._rules.tags[tag][lang]} for tag in self._rules.tag_priority
        ]

    def name(self, category: str, lang: str) -> str:
        """The category's name for people. Raises UnknownCategory or UnknownLanguage."""
        check_language(lang)
        return self._category(category).name[lang]

    def apply(self, category: str, tags: Iterable[str], lang: str) -> Rule:
        """The rule for a thing of *category* in the conditions *tags*, in any order.

        A tag without an effect on the category changes nothing. Raises UnknownCategory,
        UnknownTag or UnknownLanguage.
        """
        check_language(lang)
        entry = self._category(category)
        effects = self._effects(entry, tags)
        decisive = next((tag for tag, effect in effects.items() if effect.steps), None)
        verdict = _verdict(entry, effects[decisive] if decisive else None)
        moved = verdict.bin != entry.bin
        used = {
            tag: effect
            for tag, effect in effects.items()
            if tag == decisive or effect.always or not (moved or effect.steps)
        }
        middle = _steps(verdict.steps[lang], used.values(), lang)
        layer = self._layer(category, verdict.bin, used, moved)
        return self._placed(entry.bin, verdict, middle, layer, lang)

    def _placed(
        self, home: str, verdict: "_Verdict", steps: tuple[str, ...], layer: str, lang: str
    ) -> Rule:
        """The rule as it is at this place, where neither bin may be: it, or that of *home*."""
        moved = verdict.bin != home
        bin_id, why, source = verdict.bin, verdict.why[lang], verdict.source
        where = self._presence.where(bin_id, lang)
        instead = self._presence.instead.get(bin_id)
        if instead is not None:
            # The reason for the bin of home, and its source, are none for another bin.
            reasons = [instead.why[lang], *([why] if moved else [])]
            bin_id, why, source, where = instead.bin, " ".join(reasons), None, None
        at_home = self._presence.instead.get(home)
        if moved and at_home is not None and at_home.bin == bin_id:
            # Here it goes where it would without the condition, so that is not the reason.
            instead, moved, why, source = at_home, False, at_home.why[lang], None
        target = self._rules.bins[bin_id]
        return Rule(
            bin_id=bin_id,
            bin=target.name[lang],
            bin_color=target.color,
            bin_shape=target.shape,
            steps=steps,
            not_these=self._not_these(verdict.not_these, bin_id, lang),
            why=why,
            layer=LAYERS[-1] if instead is not None or where is not None else layer,
            source=self._rules.sources[source][lang] if source else None,
            moved=moved,
            here=where is None,
            where=where,
        )

    def _category(self, category: str) -> Category:
        try:
            return self._rules.categories[category]
        except KeyError:
            raise UnknownCategory(category) from None

    def _effects(self, entry: Category, tags: Iterable[str]) -> dict[str, Effect]:
        """The effects of *tags* on a category, strongest first."""
        given = set(tags)
        for tag in sorted(given):  # sorted, so that of several unknown tags the same one is named
            if tag not in self._rules.tags:
                raise UnknownTag(tag)
        return {
            tag: entry.effects[tag]
            for tag in self._rules.tag_priority
            if tag in given and tag in entry.effects
        }

    def _not_these(self, items: Iterable[Elsewhere], bin_id: str, lang: str) -> tuple[str, ...]:
        """Those that do not go into the bin of the answer here, and where they go."""
        bins, instead = self._rules.bins, self._presence.instead
        placed = [
            (item, instead[item.bin].bin if item.bin in instead else item.bin) for item in items
        ]
        return tuple(
            f"{item.what[lang]} → {bins[there].name[lang]}"
            for item, there in placed
            if there != bin_id
        )

    def _layer(self, category: str, bin_id: str, tags: Iterable[str], moved: bool) -> str:
        """The most local layer among the parts that an answer was made of."""
        parts: list[Part] = [("bins", bin_id), *(("categories", category, tag) for tag in tags)]
        if not moved:
            parts.append(("categories", category))
        return max((self._origins.get(part, LAYERS[0]) for part in parts), key=LAYERS.index)


@dataclass(frozen=True, slots=True)
class _Verdict:
    bin: str
    steps: Texts
    not_these: tuple[Elsewhere, ...]
    why: Text
    source: str | None


def _verdict(entry: Category, effect: Effect | None) -> _Verdict:
    """What a category says when *effect* decides; what it leaves out, its home rule says."""
    if effect is None or effect.steps is None:
        return _Verdict(entry.bin, entry.steps, entry.not_these, entry.why, entry.source)
    at_home = effect.bin in (None, entry.bin)
    # Elsewhere, "not these" and the source of the home bin would be beside the point.
    return _Verdict(
        bin=effect.bin or entry.bin,
        steps=effect.steps,
        not_these=effect.not_these or (entry.not_these if at_home else ()),
        why=effect.why or entry.why,
        source=effect.source or (entry.source if at_home else None),
    )


def _steps(middle: Sequence[str], effects: Iterable[Effect], lang: str) -> tuple[str, ...]:
    """All steps in order, each sentence once."""
    first: list[str] = []
    last: list[str] = []
    for effect in effects:
        first += effect.first[lang] if effect.first else ()
        last += effect.last[lang] if effect.last else ()
    return tuple(dict.fromkeys([*first, *middle, *last]))


def _overlay(value: object, path: str, below: str) -> tuple[dict[str, object], str]:
    """An overlay's changes and its layer; InvalidData when it does not lie above *below*."""
    if not isinstance(value, Mapping):
        raise InvalidData([f"{path}: expected an object, got {type(value).__name__}"])
    layer = value.get("layer")
    allowed = LAYERS[LAYERS.index(below) + 1 :]
    if layer not in allowed:
        raise InvalidData([f"{path}.layer: expected one of {list(allowed)}, got {layer!r}"])
    return {key: item for key, item in value.items() if key != "layer"}, layer
