"""Points and a character for things that go to recycling; granting them once is the ledger's."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.data_reader import DataReader, InvalidData, Text, join
from eco_actor.scan.rules import Rule, UnknownCategory, check_language


@dataclass(frozen=True, slots=True)
class Reward:
    """What a scan earned: whole points and who says thanks, in one language."""

    points: int
    character_id: str
    name: str
    line: str

    def to_wire(self) -> dict[str, object]:
        """The `reward` object of a scan, JSON types only."""
        return {
            "points": self.points,
            "character": {"id": self.character_id, "name": self.name, "line": self.line},
        }


@dataclass(frozen=True, slots=True)
class _Character:
    name: Text
    line: Text
    points: int


@dataclass(frozen=True, slots=True)
class _Characters:
    characters: Mapping[str, _Character]
    bins: Mapping[str, Mapping[str, str]]
    not_ready: frozenset[str]


def reward_for(category: str, rule: Rule, tags: Collection[str], lang: str) -> Reward | None:
    """What a thing of *category* earns that *rule* sends to its bin, or None.

    It earns when the rule's bin stands here and is one from which material or parts are recovered
    (all bins that `characters.json` lists; food, general, incombustible, hazardous, bulky and
    construction waste are not), and no tag says that the thing is not ready for it (soiled, wet,
    contents left). The bin counts, not the category: a soiled bag goes to general waste and earns
    nothing, a toy with a battery goes to the e-waste box and earns what appliances earn. Raises
    UnknownCategory, UnknownLanguage.
    """
    check_language(lang)
    if category not in CATEGORIES:
        raise UnknownCategory(category)
    book = load()
    residents = book.bins.get(rule.bin_id)
    if residents is None or not rule.here or not book.not_ready.isdisjoint(tags):
        return None
    # A thing that a condition moved here is thanked by the first resident of its new bin.
    character_id = residents.get(category) or next(iter(residents.values()))
    character = book.characters[character_id]
    return Reward(character.points, character_id, character.name[lang], character.line[lang])


def validate(data: object) -> list[str]:
    """All that is wrong with a characters file (parsed JSON), a line each; empty when good."""
    reader = _CharactersReader()
    reader.characters(data)
    return reader.problems


@cache
def load() -> _Characters:
    """The packaged characters, read once: by the first caller, so call it where that may block."""
    reader = _CharactersReader()
    text = files("eco_actor.scan").joinpath("characters.json").read_text("utf-8")
    characters = reader.characters(json.loads(text))
    if reader.problems:
        raise InvalidData(reader.problems)
    return characters


class _CharactersReader(DataReader):
    def characters(self, data: object) -> _Characters:
        top = self.record(data, "", ("format", "characters", "bins", "not_ready"))
        if top.get("format", 1) != 1:
            self.note("format", f"expected 1, got {top['format']!r}")
        known = {
            key: self._character(value, f"characters.{key}")
            for key, value in self.table(top.get("characters", {}), "characters").items()
        }
        bins = {
            key: self._residents(value, f"bins.{key}", known)
            for key, value in self.table(top.get("bins", {}), "bins").items()
        }
        not_ready = self.items(top.get("not_ready", []), "not_ready", self.text)
        return _Characters(known, bins, frozenset(not_ready))

    def _character(self, value: object, path: str) -> _Character:
        entry = self.record(value, path, ("name", "line", "points"))
        points = entry.get("points", 1)
        if not isinstance(points, int) or isinstance(points, bool) or points < 1:
            self.note(f"{path}.points", f"expected a positive whole number, got {points!r}")
            points = 1
        return _Character(
            self.name(entry["name"], f"{path}.name") if "name" in entry else {},
            self.name(entry["line"], f"{path}.line") if "line" in entry else {},
            points,
        )

    def _residents(
        self, value: object, path: str, known: Mapping[str, _Character]
    ) -> dict[str, str]:
        residents = self.table(value, path)
        if residents == {}:
            self.note(path, "empty: name a category and its character")
        for category in residents:
            if category not in CATEGORIES:
                self.note(join(path, category), f"unknown category {category!r}")
        return {
            category: self.one_of(character, join(path, category), "character", known)
            for category, character in residents.items()
        }
