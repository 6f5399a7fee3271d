"""Which of the bins stand at one kiosk, and what becomes of what belongs into another. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from eco_actor.scan.data_reader import Text

SOMEWHERE: Final[Text] = {
    "ko": "다른 배출 장소로 가져가 주세요.",
    "en": "Take it to another collection point.",
}
"""Said of a bin that is not here when nobody told where one is."""

UNKNOWN: Final = "unknown"
"""Where scans are counted that belong to no bin, as without a guess. No bin has this id."""


@dataclass(frozen=True, slots=True)
class Instead:
    """The bin that takes what belongs into one that is not here, and the reason people are told."""

    bin: str
    why: Text


@dataclass(frozen=True, slots=True)
class Presence:
    """`here`: ids of the bins that stand here, in the order of the place; None: all do.

    Of those that do not, `instead` has another for some, and `elsewhere` the place of some.
    """

    here: tuple[str, ...] | None = None
    instead: Mapping[str, Instead] = field(default_factory=dict)
    elsewhere: Mapping[str, Text] = field(default_factory=dict)

    def has(self, bin_id: str) -> bool:
        return self.here is None or bin_id in self.here

    def where(self, bin_id: str, lang: str) -> str | None:
        """Where to take what belongs into this bin; None when it is here."""
        return None if self.has(bin_id) else self.elsewhere.get(bin_id, SOMEWHERE)[lang]
