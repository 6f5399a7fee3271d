"""Steps name bins: with the names that these have at one place, in good Korean. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from eco_actor.scan.answer import PARTICLES, with_particle
from eco_actor.scan.data_reader import LANGUAGES

_STEPS: Final = {"steps", "first", "last"}
_PAIR_OF: Final = {form: pair for pair, forms in PARTICLES.items() for form in forms}

Names = Mapping[str, str]
"""New names by old ones, in one language."""


def reworded(rules: Mapping[str, Any], names: Mapping[str, Names]) -> dict[str, Any]:
    """A rules file (parsed JSON) whose steps have *names*, of each language, in place of the old.

    A Korean particle behind a name becomes the one that fits the new name.
    """
    patterns = {lang: _pattern(names[lang], lang) for lang in LANGUAGES if names.get(lang)}

    def in_step(step: str, lang: str) -> str:
        def renamed(found: re.Match[str]) -> str:
            name, particle = names[lang][found[1]], found[2]
            return with_particle(name, _PAIR_OF[particle]) if particle else name

        return patterns[lang].sub(renamed, step) if lang in patterns else step

    def in_part(part: Mapping[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        for key in part.keys() & _STEPS:
            texts: Mapping[str, list[str]] = part[key]
            changed[key] = {lang: [in_step(step, lang) for step in texts[lang]] for lang in texts}
        if "effects" in part:
            changed["effects"] = {tag: in_part(each) for tag, each in part["effects"].items()}
        return {**part, **changed}

    categories = {key: in_part(each) for key, each in rules["categories"].items()}
    return {**rules, "categories": categories}


def _pattern(names: Names, lang: str) -> re.Pattern[str]:
    """Any of the old names, the longest that fits, and the particle behind it."""
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    particles = "|".join(sorted(_PAIR_OF, key=len, reverse=True)) if lang == "ko" else "(?!)"
    return re.compile(rf"({words})(?:({particles})(?![가-힣]))?")
