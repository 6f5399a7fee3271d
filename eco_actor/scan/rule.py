"""What the rules say about one thing, and what they say to names that they do not have."""

from dataclasses import dataclass
from typing import ClassVar

from eco_actor.scan.data_reader import LANGUAGES


class UnknownChoice(ValueError):
    """The caller named something that the rules do not have; `kind` and `value` say what."""

    kind: ClassVar[str] = "choice"

    def __init__(self, value: str) -> None:
        super().__init__(f"unknown {self.kind}: {value!r}")
        self.value = value


class UnknownCategory(UnknownChoice):
    kind = "category"


class UnknownTag(UnknownChoice):
    kind = "tag"


class UnknownLanguage(UnknownChoice):
    kind = "lang"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with one thing, in one language.

    `bin` is the bin's name for people; `bin_id`, `bin_color` (#rrggbb) and `bin_shape` (an icon's
    name, unique per bin, so that colour is never the only sign) are for the screen. `moved` is
    true when a condition sends the thing to another bin than its category's own, at this place.
    `not_these`: what looks like it and goes into other bins, with their names. `here`: the bin
    stands where the scan was made; if not, `where` says where to take the thing, else it is None.
    """

    bin_id: str
    bin: str
    bin_color: str
    bin_shape: str
    steps: tuple[str, ...]
    not_these: tuple[str, ...]
    why: str
    layer: str
    source: str | None
    moved: bool
    here: bool = True
    where: str | None = None

    def to_wire(self) -> dict[str, object]:
        """The `rule` object of a scan's result, JSON types only."""
        return {
            "bin": self.bin,
            "bin_id": self.bin_id,
            "bin_color": self.bin_color,
            "bin_shape": self.bin_shape,
            "here": self.here,
            "where": self.where,
            "steps": list(self.steps),
            "not_these": list(self.not_these),
            "why": self.why,
            "layer": self.layer,
            "source": self.source,
        }


def check_language(lang: str) -> None:
    """Raise UnknownLanguage unless texts exist in *lang*."""
    if lang not in LANGUAGES:
        raise UnknownLanguage(lang)
