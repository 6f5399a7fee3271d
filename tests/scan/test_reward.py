"""Who earns points, and from whom."""

import dataclasses
import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.reward import Reward, reward_for, validate
from eco_actor.scan.rules import LANGUAGES, RuleBook, UnknownCategory, UnknownLanguage

BOOK = RuleBook.load()
TAGS = [str(tag["id"]) for tag in BOOK.tags("en")]
UNREWARDED = {"food", "general", "incombustible", "hazardous", "bulky", "construction"}
HANGUL = re.compile("[가-힣]")


def packaged() -> Any:
    text = files("eco_actor.scan").joinpath("characters.json").read_text("utf-8")
    return json.loads(text)


def reward(category: str, *tags: str, lang: str = "ko") -> Reward | None:
    return reward_for(category, BOOK.apply(category, tags, lang), tags, lang)


@pytest.mark.parametrize("category", CATEGORIES)
def test_recyclables_earn_and_other_waste_does_not(category: str) -> None:
    """Each recyclable category earns; food, general and other waste earns nothing."""
    assert (reward(category) is None) == (category in UNREWARDED)


def test_each_recyclable_category_has_its_own_character() -> None:
    """No two recyclable categories share a character."""
    rewards = [reward(category) for category in CATEGORIES if category not in UNREWARDED]
    assert len({entry.character_id for entry in rewards if entry}) == len(rewards) == 13


@pytest.mark.parametrize("tag", ["soiled", "has_contents", "wet"])
def test_thing_that_is_not_ready_earns_nothing(tag: str) -> None:
    """What must still be emptied, washed or dried earns nothing as it stands."""
    assert reward("glass", tag) is None


def test_thing_moved_to_general_waste_earns_nothing() -> None:
    """The bin counts: with the composite mark a bag is general waste."""
    assert reward("film", "composite_mark") is None


def test_thing_whose_bin_is_not_here_earns_nothing() -> None:
    """Nobody sees it go where it belongs."""
    there = dataclasses.replace(BOOK.apply("glass", (), "en"), here=False, where="elsewhere")
    assert reward_for("glass", there, (), "en") is None


def test_thing_moved_to_another_recycling_bin_earns_what_that_bin_earns() -> None:
    """A toy with a battery is thanked by the appliances' character."""
    moved = reward("plastic", "built_in_battery")
    assert moved == reward("ewaste")
    assert moved != reward("plastic")


def test_deposit_bottle_earns_as_glass() -> None:
    """Taking a bottle back is rewarded like recycling it."""
    assert reward("glass", "deposit") == reward("glass")


def test_wire_reward_has_points_and_character() -> None:
    """The wire object holds whole points and the character's id, name and line."""
    entry = reward("battery", lang="en")
    assert entry is not None
    assert entry.to_wire() == {
        "points": entry.points,
        "character": {"id": entry.character_id, "name": entry.name, "line": entry.line},
    }
    assert entry.points > 0


@given(st.sampled_from(CATEGORIES), st.sets(st.sampled_from(TAGS)), st.sampled_from(LANGUAGES))
def test_reward_is_in_the_language_asked_for(category: str, tags: set[str], lang: str) -> None:
    """Names and lines are Korean in Korean and not in English, whatever the tags."""
    entry = reward(category, *tags, lang=lang)
    if entry is not None:
        assert bool(HANGUL.search(entry.name)) == (lang == "ko")
        assert bool(HANGUL.search(entry.line)) == (lang == "ko")


def test_unknown_category_and_language_are_refused() -> None:
    """What the rules do not know raises the same errors as the rules do."""
    rule = BOOK.apply("glass", [], "ko")
    with pytest.raises(UnknownCategory, match="gold"):
        reward_for("gold", rule, [], "ko")
    with pytest.raises(UnknownLanguage, match="fr"):
        reward_for("glass", rule, [], "fr")


def test_packaged_characters_are_valid() -> None:
    """Our own file has no faults, and its bins and tags are those of the rules."""
    data = packaged()
    assert validate(data) == []
    homes = {BOOK.apply(category, [], "en").bin_id for category in CATEGORIES}
    assert set(data["bins"]) <= homes | {"bottle_return"}
    assert set(data["not_ready"]) <= set(TAGS)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format: expected 1, got 2"),
        ({"bins": {"glass": {}}}, "bins.glass: empty"),
        ({"bins": {"glass": {"gold": "iseul"}}}, "bins.glass.gold: unknown category 'gold'"),
        ({"bins": {"glass": {"glass": "nobody"}}}, "bins.glass.glass: unknown character 'nobody'"),
        ({"not_ready": "wet"}, "not_ready: expected a list, got str"),
        ({"characters": {"iseul": {"points": 0}}}, "characters.iseul.points: expected a positive"),
        ({"characters": {"iseul": {"points": True}}}, "characters.iseul.points: expected"),
        ({"characters": {"iseul": {}}}, "characters.iseul.line: missing"),
    ],
)
def test_faulty_character_file_is_reported_with_paths(
    change: dict[str, object], problem: str
) -> None:
    """Each fault gives a line that starts with where it is."""
    problems = validate({**packaged(), **change})
    assert any(problem in line for line in problems), problems
