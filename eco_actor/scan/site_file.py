"""The contents of a site file: what each part may say, and the overlay that comes of it. Pure.

One file describes one kiosk; that of its region may be shared by many. All faults are found in one
pass, each at the path in the file where it is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.data_reader import LANGUAGES, DataReader, did_you_mean, join
from eco_actor.scan.presence import UNKNOWN
from eco_actor.scan.yaml_file import Document

MAX_TEXT: Final = 1000
"""Characters of one text."""

MAX_BINS: Final = 64
"""Bins that a file may declare; each is a label of the metrics, too."""

SHAPES: Final = (
    *("circle", "square", "triangle", "diamond", "pentagon"),
    *("hexagon", "octagon", "star", "cross", "drop"),
)
"""The shapes for bins of one's own; each of the others is the picture of a national bin."""

_LOOK: Final = ("name", "color", "shape")
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_COLOR: Final = re.compile(r"#[0-9a-f]{6}")
_SHARED: Final = ("bin", "steps", "not_these", "why", "source")
_OF_CATEGORY: Final = ("name", *_SHARED, "effects")
_OF_EFFECT: Final = (*_SHARED, "first", "last", "always")
_KINDS: Final[Mapping[type, str]] = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    type(None): "nothing",
}

Overlay = dict[str, Any]
_T = TypeVar("_T")


class LocalReader(DataReader):
    """Reads the parts that the file of a region and that of a site have in common.

    `bins` are those there are, as in a rules file, together with those that are declared; *tags*
    the conditions that rules may speak of. Texts may be given once for all languages.
    """

    def __init__(
        self, document: Document, bins: Mapping[str, Mapping[str, Any]], tags: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.document = document
        self.bins: dict[str, Mapping[str, Any]] = dict(bins)
        self.declared: dict[str, str] = {}  # the path of each bin that the file declares
        self._tags = tags

    # ---- values

    def kind_of(self, value: object) -> str:
        return _KINDS[type(value)]

    def table(self, value: object, path: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.note(path, f"expected a mapping of names to values, got {self.kind_of(value)}")
        return {}

    def keyed(self, value: object, path: str, kind: str, known: tuple[str, ...]) -> Overlay:
        """A mapping with some of the *known* keys; what is wrong with the keys is noted."""
        entries = self.table(value, path)
        for key in entries:
            if key not in known:
                self.note(join(path, key), f"unknown {kind} {key!r}{did_you_mean(key, known)}")
        return {key: item for key, item in entries.items() if key in known}

    def given(self, value: object, path: str, kind: str, known: tuple[str, ...]) -> Overlay:
        """The same without those that are given no value, which is a fault."""
        entries = self.keyed(value, path, kind, known)
        for key, item in entries.items():
            if item is None:
                self._note_empty(join(path, key))
        return {key: item for key, item in entries.items() if item is not None}

    def _note_empty(self, path: str) -> None:
        hint = ""
        if self.document.has_comment(path):
            hint = ': what follows a # without quotes is a comment, so write "#..."'
        self.note(path, f"no value is given{hint}")

    def text(self, value: object, path: str) -> str:
        if value is None:
            self._note_empty(path)
            return ""
        if not isinstance(value, str):
            hint = ": put it in quotes" if isinstance(value, int) else ""
            self.note(path, f"expected a text, got {self.kind_of(value)}{hint}")
            return ""
        if len(value) > MAX_TEXT:
            self.note(path, f"a text has at most {MAX_TEXT} characters, this has {len(value)}")
        return super().text(value.strip(), path)

    def localized(
        self, value: object, path: str, read: Callable[[object, str], _T]
    ) -> dict[str, _T]:
        """One value for each language; one that is given alone is that of all."""
        if not isinstance(value, dict):
            return dict.fromkeys(LANGUAGES, read(value, path))
        table = self.given(value, path, "language", LANGUAGES)
        found = {lang: read(item, join(path, lang)) for lang, item in table.items()}
        if not value:
            self.note(path, f"no value is given: say it in one of {', '.join(LANGUAGES)}")
        if not found:
            return {}
        other = next(iter(found.values()))
        return {lang: found.get(lang, other) for lang in LANGUAGES}

    # ---- bins

    def bins_of(self, value: object, path: str, *, stand: bool) -> Overlay:
        """The looks that a list of bins declares, by their ids. *stand*: an id alone will do."""
        looks: Overlay = {}
        entries = self.items(value, path, lambda item, at: (item, at))
        if value == []:
            self.note(path, "an empty list")
        if len(entries) > MAX_BINS:
            self.note(path, f"at most {MAX_BINS} bins, these are {len(entries)}")
        for item, at in entries[:MAX_BINS]:
            bin_id, look = self._bin(item, at, stand=stand)
            if bin_id in self.declared:
                first = self.document.line(self.declared[bin_id])
                self.note(at, f"the bin {bin_id!r} stands here twice, first on line {first}")
            elif bin_id:
                self.declared[bin_id] = at
                if look:
                    looks[bin_id] = look
                    self.bins[bin_id] = {**self.bins.get(bin_id, {}), **look}
        self._give_shapes(looks)
        return looks

    def _bin(self, item: object, path: str, *, stand: bool) -> tuple[str, Overlay]:
        if stand and not isinstance(item, dict):
            return self.one_of(item, path, "bin", self.bins), {}
        entry = self.given(item, path, "key", ("id", *_LOOK))
        if not isinstance(item, dict):
            return "", {}
        if "id" not in entry:
            self.note(join(path, "id"), "missing: which bin this is")
        bin_id = self.text(entry["id"], join(path, "id")) if "id" in entry else ""
        if bin_id and (not _ID.fullmatch(bin_id) or bin_id == UNKNOWN):
            self.note(join(path, "id"), f"{bin_id!r} cannot be: small letters, digits and _")
            bin_id = ""
        if bin_id and bin_id not in self.bins:
            self._check_new(bin_id, item, path)
        return bin_id, self._look(entry, path)

    def _check_new(self, bin_id: str, item: Mapping[str, object], path: str) -> None:
        hint = did_you_mean(bin_id, self.bins)
        for key in ("name", "color"):
            if key not in item:
                self.note(join(path, key), f"missing: {bin_id!r} is a bin of your own{hint}")

    def _look(self, entry: Mapping[str, object], path: str) -> Overlay:
        look: Overlay = {}
        if "name" in entry:
            look["name"] = self.name(entry["name"], join(path, "name"))
        if "color" in entry:
            look["color"] = self._color(entry["color"], join(path, "color"))
        if "shape" in entry:
            known = (*SHAPES, *(str(each.get("shape")) for each in self.bins.values()))
            look["shape"] = self.one_of(entry["shape"], join(path, "shape"), "shape", known)
        return look

    def _color(self, value: object, path: str) -> str:
        color = str(value).lower()
        if not _COLOR.fullmatch(color):
            self.note(path, f'expected a colour such as "#1f6feb", got {value!r}')
        return color

    def _give_shapes(self, looks: Overlay) -> None:
        """Each bin of one's own without a shape gets one; one that another bin has is a fault."""
        asked = [key for key, look in looks.items() if "shape" in look]
        taken = {
            each["shape"]: key
            for key, each in self.bins.items()
            if key not in asked and "shape" in each
        }
        for bin_id in asked:
            shape, path = self.bins[bin_id]["shape"], join(self.declared[bin_id], "shape")
            other = taken.setdefault(shape, bin_id)
            if other != bin_id:
                self.note(path, f"{shape!r} is the shape of the bin {other!r}: each needs its own")
        for bin_id, look in looks.items():
            if "shape" not in self.bins[bin_id]:
                free = next((each for each in SHAPES if each not in taken), None)
                if free is None:
                    self.note(self.declared[bin_id], "no shape is left for this bin")
                else:
                    taken[free] = bin_id
                    look["shape"] = free
                    self.bins[bin_id] = {**self.bins[bin_id], "shape": free}

    # ---- rules

    def rules_of(self, value: object, path: str, layer: str) -> Overlay:
        """What rules say about categories, as an overlay of *layer* on a rules file."""
        self._sources: Overlay = {}
        self._layer = layer
        categories: Overlay = {}
        for category, changes in self.given(value, path, "category", CATEGORIES).items():
            at = join(path, category)
            categories[category] = self._changes(changes, at, category, _OF_CATEGORY)
        return {"categories": categories, "sources": self._sources}

    def _changes(self, value: object, path: str, of: str, known: tuple[str, ...]) -> Overlay:
        changes: Overlay = {}
        for key, item in self.keyed(value, path, "key", known).items():
            at = join(path, key)
            if item is not None:
                changes[key] = self._change(key, item, at, of)
            elif key == "source" or known is _OF_EFFECT:
                changes[key] = None
            else:
                self._note_empty(at)
        return changes

    def _change(self, key: str, value: object, path: str, of: str) -> object:
        match key:
            case "bin":
                return self.one_of(value, path, "bin", self.bins)
            case "name" | "why":
                return self.name(value, path)
            case "steps" | "first" | "last":
                return {lang: list(texts) for lang, texts in self.steps(value, path).items()}
            case "not_these":
                return list(self.items(value, path, self._not_this))
            case "source":
                self._sources[f"{self._layer}: {of}"] = self.name(value, path)
                return f"{self._layer}: {of}"
            case "effects":
                return self._effects(value, path, of)
            case _:
                if not isinstance(value, bool):
                    self.note(path, f"expected true or false, got {self.kind_of(value)}")
                return value

    def _effects(self, value: object, path: str, of: str) -> Overlay:
        effects: Overlay = {}
        for tag, item in self.keyed(value, path, "tag", self._tags).items():
            at = join(path, tag)
            effects[tag] = (
                self._changes(item, at, f"{of}, {tag}", _OF_EFFECT) if item is not None else None
            )
        return effects

    def _not_this(self, value: object, path: str) -> Overlay:
        entry = self.given(value, path, "key", ("what", "bin"))
        if isinstance(value, dict):
            for key in ("what", "bin"):
                if key not in value:
                    self.note(join(path, key), "missing")
        if "what" in entry:
            entry["what"] = self.name(entry["what"], join(path, "what"))
        if "bin" in entry:
            self.one_of(entry["bin"], join(path, "bin"), "bin", self.bins)
        return entry
