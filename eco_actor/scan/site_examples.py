"""How each part of a site file looks, in two lines or three, for whoever wrote another shape. Pure.

Each is a piece of a file, from the name of the part on.
"""

import re
from collections.abc import Mapping
from typing import Final

_BINS: Final = ("bins:", "  - plastic", "  - general")
_BIN: Final = ("- id: paper", "  name: paper box")
_STEPS: Final = ("steps:", "  - Rinse it.")

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("name: Library", "bins: [plastic, general]"),
    "name": ("name:", "  ko: 도서관", "  en: Library"),
    "region": ("region:", "  name: Eunha-gu"),
    "bins": _BINS,
    "bins[]": _BIN,
    "instead": ("instead:", "  glass: general"),
    "elsewhere": ("elsewhere:", "  glass: Take it to the car park."),
    "texts": ("texts:", "  title: Which bin?"),
    "rules": ("rules:", "  glass:", "    bin: general"),
    "rules.*": ("glass:", "  bin: general"),
    "rules.*.steps": _STEPS,
    "rules.*.steps.ko": ("ko:", "  - 헹궈 주세요."),
    "rules.*.steps.en": ("en:", "  - Rinse it."),
    "rules.*.not_these": ("not_these:", "  - what: Lids", "    bin: metal"),
    "rules.*.not_these[]": ("- what: Lids", "  bin: metal"),
    "rules.*.effects": ("effects:", "  wet:", "    first: [Dry it.]"),
    "rules.*.effects.*": ("wet:", "  first: [Dry it.]"),
    "rules.*.effects.*.steps": _STEPS,
    "rules.*.effects.*.first": ("first:", "  - Dry it."),
    "rules.*.effects.*.last": ("last:", "  - Dry it."),
    "rules.*.effects.*.not_these": ("not_these:", "  - what: Lids", "    bin: metal"),
}
"""By path, without numbers, and `*` for the name of a category or a condition."""

_OF_REGION: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("name: Eunha-gu", "rules:", "  glass:", "    bin: general"),
    "bins": ("bins:", "  - id: paper", "    name: paper box"),
}
"""What is otherwise in the file of a region: bins do not stand there."""

_NUMBER: Final = re.compile(r"\[\d+\]")
_CATEGORY: Final = re.compile(r"^rules\.[^.\[]+")
_CONDITION: Final = re.compile(r"^rules\.\*\.effects\.[^.\[]+")


def example_of(path: str, *, of_region: bool = False) -> tuple[str, ...]:
    """The lines of how *path* looks; none where there is nothing to show."""
    plain = _NUMBER.sub("[]", path.removeprefix("region.") if of_region else path)
    plain = _CONDITION.sub("rules.*.effects.*", _CATEGORY.sub("rules.*", plain))
    return (of_region and _OF_REGION.get(plain)) or EXAMPLES.get(plain, ())
