"""The contents of a site file: what each part may say, and the overlay that comes of it. Pure.

One file describes one kiosk; that of its region may be shared by many. All faults are found in one
pass, each at the path in the file where it is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.data_reader import did_you_mean, join
from eco_actor.scan.presence import UNKNOWN
from eco_actor.scan.site_values import Overlay, ValueReader
from eco_actor.scan.yaml_file import Document

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
_NOT_THIS: Final = {"what": "what does not belong there", "bin": "where it goes instead"}


class LocalReader(ValueReader):
    """Reads the parts that the file of a region and that of a site have in common.

    `bins` are those there are, as in a rules file, together with those that are declared; *tags*
    the conditions that rules may speak of.
    """

    def __init__(
        self, document: Document, bins: Mapping[str, Mapping[str, Any]], tags: tuple[str, ...]
    ) -> None:
        super().__init__(document)
        self.bins: dict[str, Mapping[str, Any]] = dict(bins)
        self.declared: dict[str, str] = {}  # the path of each bin that the file declares
        self._tags = tags

    # ---- bins

    def bins_of(self, value: object, path: str, *, stand: bool) -> Overlay:
        """The looks that a list of bins declares, by their ids. *stand*: an id alone will do."""
        looks: Overlay = {}
        entries = self.items(value, path, lambda item, at: (item, at))
        if value == []:
            self.note(path, "an empty list: name the bins that stand here, or take this away")
        if len(entries) > MAX_BINS:
            self.note(path, f"at most {MAX_BINS} bins, these are {len(entries)}")
        for item, at in entries[:MAX_BINS]:
            bin_id, look = self._bin(item, at, stand=stand)
            if bin_id in self.declared:
                first = self.document.line(self.declared[bin_id])
                twice = f"the bin {bin_id!r} stands here twice, first on line {first}"
                self.note(at, f"{twice}: keep one of them")
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
            self.note(join(path, "id"), "missing: write which bin this is, such as id: paper")
        bin_id = self.text(entry["id"], join(path, "id")) if "id" in entry else ""
        if bin_id and (not _ID.fullmatch(bin_id) or bin_id == UNKNOWN):
            what = "write small letters, digits and _, a letter first, and not unknown"
            self.note(join(path, "id"), f"{bin_id!r} cannot be an id: {what}")
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
            self.note(path, f'a colour such as "#1f6feb" belongs here, in quotes, not {value!r}')
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
                    self.note(path, f"true or false belongs here, not {self.kind_of(value)}")
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
                    self.note(join(path, key), f"missing: write {key}: and {_NOT_THIS[key]}")
        if "what" in entry:
            entry["what"] = self.name(entry["what"], join(path, "what"))
        if "bin" in entry:
            self.one_of(entry["bin"], join(path, "bin"), "bin", self.bins)
        return entry
