"""Steps name bins as these are called at one place."""

from typing import Any

from eco_actor.scan.rules import national_rules
from eco_actor.scan.wording import reworded


def test_particles_fit_the_new_name() -> None:
    """Korean particles depend on the last sound, and a longer name wins over a part of it."""
    rules: dict[str, Any] = {
        "categories": {
            "a": {
                "steps": {"ko": ["마대를 사요.", "큰 마대함은 봉투로, 마대에."], "en": ["a sack"]},
                "effects": {"b": {"first": {"ko": ["마대가를 봐요"], "en": ["the sack."]}}},
            }
        }
    }
    names = {"ko": {"마대": "통", "마대함": "상자", "봉투": "그릇"}, "en": {"sack": "bin"}}
    part = reworded(rules, names)["categories"]["a"]
    assert part["steps"] == {"ko": ["통을 사요.", "큰 상자는 그릇으로, 통에."], "en": ["a bin"]}
    assert part["effects"]["b"]["first"] == {"ko": ["통가를 봐요"], "en": ["the bin."]}
    assert rules["categories"]["a"]["steps"]["en"] == ["a sack"]
    assert reworded(national_rules(), {}) == national_rules()
