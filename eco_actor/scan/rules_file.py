"""The contents of a rules file: their types, their checks, and how a local file overlays them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.data_reader import DataReader, InvalidData, Text, Texts

LAYERS: Final = ("national", "region", "site")

Part = tuple[str, ...]
"""Where in a rules file an overlay may speak: ("bins", id), ("categories", id[, tag])."""

_COLOR = re.compile(r"#[0-9a-f]{6}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Bin:
    name: Text
    color: str
    shape: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    what: Text
    bin: str


@dataclass(frozen=True, slots=True)
class Effect:
    bin: str | None
    steps: Texts | None
    first: Texts | None
    last: Texts | None
    not_these: tuple[Elsewhere, ...]
    why: Text | None
    source: str | None
    always: bool


@dataclass(frozen=True, slots=True)
class Category:
    name: Text
    bin: str
    steps: Texts
    not_these: tuple[Elsewhere, ...]
    why: Text
    source: str | None
    effects: Mapping[str, Effect]


@dataclass(frozen=True, slots=True)
class Rules:
    bins: Mapping[str, Bin]
    sources: Mapping[str, Text]
    tags: Mapping[str, Text]
    tag_priority: tuple[str, ...]
    categories: Mapping[str, Category]


class _RulesReader(DataReader):
    """One pass over a complete rules file: checks and builds at the same time."""

    def rules(self, data: object) -> Rules:
        top = self.record(
            data,
            "",
            ("format", "layer", "bins", "sources", "tags", "tag_priority", "categories"),
        )
        if "format" in top and top["format"] != 1:
            self.note("format", f"expected 1, got {top['format']!r}")
        if "layer" in top and top["layer"] != LAYERS[0]:
            self.note("layer", f"expected {LAYERS[0]!r}, got {top['layer']!r}")
        self._bins = {
            key: self._bin(value, f"bins.{key}")
            for key, value in self.table(top.get("bins", {}), "bins").items()
        }
        self._sources = {
            key: self.name(value, f"sources.{key}")
            for key, value in self.table(top.get("sources", {}), "sources").items()
        }
        self._tags = {
            key: self._tag(value, f"tags.{key}")
            for key, value in self.table(top.get("tags", {}), "tags").items()
        }
        self._check_shapes()
        priority = self._priority(top.get("tag_priority", []))
        categories = self.record(top.get("categories", {}), "categories", CATEGORIES)
        return Rules(
            self._bins,
            self._sources,
            self._tags,
            priority,
            {
                key: self._category(categories[key], f"categories.{key}")
                for key in CATEGORIES
                if key in categories
            },
        )

    def _bin(self, value: object, path: str) -> Bin:
        entry = self.record(value, path, ("name", "color", "shape"))
        color = self.text(entry["color"], f"{path}.color") if "color" in entry else ""
        if color and not _COLOR.fullmatch(color):
            self.note(f"{path}.color", f"expected #rrggbb in lower case, got {color!r}")
        shape = self.text(entry["shape"], f"{path}.shape") if "shape" in entry else ""
        return Bin(self._name_in(entry, path), color, shape)

    def _tag(self, value: object, path: str) -> Text:
        return self._name_in(self.record(value, path, ("name",)), path)

    def _name_in(self, entry: Mapping[str, object], path: str) -> Text:
        return self.name(entry["name"], f"{path}.name") if "name" in entry else {}

    def _check_shapes(self) -> None:
        seen: dict[str, str] = {}
        for key, entry in self._bins.items():
            first = seen.setdefault(entry.shape, key)
            if first != key and entry.shape:
                self.note(f"bins.{key}.shape", f"{entry.shape!r} is already the shape of {first}")

    def _priority(self, value: object) -> tuple[str, ...]:
        path = "tag_priority"
        priority = self.items(
            value, path, lambda item, at: self.one_of(item, at, "tag", self._tags)
        )
        for tag in self._tags:
            if priority.count(tag) != 1:
                self.note(path, f"{tag!r} must stand here once, not {priority.count(tag)} times")
        return priority

    def _category(self, value: object, path: str) -> Category:
        entry = self.record(
            value, path, ("name", "bin", "steps", "not_these", "why", "effects"), ("source",)
        )
        body = self._body(entry, path)
        effects = self.table(entry.get("effects", {}), f"{path}.effects")
        read = {}
        for tag, effect in effects.items():
            at = f"{path}.effects.{tag}"
            if tag not in self._tags:
                self.note(at, f"unknown tag {tag!r}")
            read[tag] = self._effect(effect, at)
        return Category(
            self._name_in(entry, path),
            body.bin or "",
            body.steps or {},
            body.not_these,
            body.why or {},
            body.source,
            read,
        )

    def _effect(self, value: object, path: str) -> Effect:
        known = ("bin", "steps", "first", "last", "not_these", "why", "source", "always")
        entry = self.record(value, path, (), known)
        effect = self._body(entry, path)
        if not isinstance(entry.get("always", False), bool):
            self.note(f"{path}.always", "expected true or false")
        if not (effect.bin or effect.steps or effect.first or effect.last):
            self.note(path, "has no effect: give steps, first or last")
        if effect.bin and not effect.steps:
            self.note(f"{path}.steps", "missing: another bin needs its own steps")
        if effect.bin and not effect.why:
            self.note(f"{path}.why", "missing: another bin needs a reason")
        return effect

    def _body(self, entry: Mapping[str, object], path: str) -> Effect:
        """The keys that categories and effects share; None where a key is absent."""

        def read(key: str, reader: Callable[[object, str], _T]) -> _T | None:
            return reader(entry[key], f"{path}.{key}") if key in entry else None

        return Effect(
            bin=read("bin", lambda item, at: self.one_of(item, at, "bin", self._bins)),
            steps=read("steps", self.steps),
            first=read("first", self.steps),
            last=read("last", self.steps),
            not_these=read("not_these", lambda item, at: self.items(item, at, self._elsewhere))
            or (),
            why=read("why", self.name),
            source=read("source", lambda item, at: self.one_of(item, at, "source", self._sources)),
            always=entry.get("always") is True,
        )

    def _elsewhere(self, value: object, path: str) -> Elsewhere:
        entry = self.record(value, path, ("what", "bin"))
        return Elsewhere(
            self.name(entry["what"], f"{path}.what") if "what" in entry else {},
            self.one_of(entry["bin"], f"{path}.bin", "bin", self._bins) if "bin" in entry else "",
        )


def read_rules(data: object) -> Rules:
    """The rules in a complete file (parsed JSON); InvalidData when `validate` finds a fault."""
    reader = _RulesReader()
    rules = reader.rules(data)
    if reader.problems:
        raise InvalidData(reader.problems)
    return rules


def validate(data: object) -> list[str]:
    """All that is wrong with a complete rules file (parsed JSON), a line each; empty when good."""
    reader = _RulesReader()
    reader.rules(data)
    return reader.problems


def faults_in(data: object) -> list[tuple[str, str]]:
    """The same as pairs of a path and what is wrong there."""
    reader = _RulesReader()
    reader.rules(data)
    return reader.faults


def merge(base: Mapping[str, object], overlay: Mapping[str, object]) -> dict[str, object]:
    """*base* with *overlay* laid over it as a JSON merge patch; neither is changed."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def touched(patch: Mapping[str, object]) -> Iterator[Part]:
    """The parts that an overlay changes: bins, categories' own rules, single effects of tags."""
    for bin_id in _keys(patch.get("bins")):
        yield "bins", bin_id
    categories = patch.get("categories")
    for category, changes in categories.items() if isinstance(categories, Mapping) else ():
        if _keys(changes) - {"effects"}:
            yield "categories", category
        for tag in _keys(changes.get("effects") if isinstance(changes, Mapping) else None):
            yield "categories", category, tag


def _keys(value: object) -> set[str]:
    return set(value) if isinstance(value, Mapping) else set()
