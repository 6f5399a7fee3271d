"""The national rules: their facts, their completeness, and what several tags do together."""

import itertools
import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import (
    LANGUAGES,
    RuleBook,
    UnknownCategory,
    UnknownChoice,
    UnknownLanguage,
    UnknownTag,
)

BOOK = RuleBook.load()
TAGS = [str(tag["id"]) for tag in BOOK.tags("en")]
HANGUL = re.compile("[가-힣]")


def packaged() -> Any:
    text = files("eco_actor.scan").joinpath("rules.json").read_text("utf-8")
    return json.loads(text)


def elsewhere(category: str, *words: str) -> str:
    """The one "not these" entry of a category that names all *words*."""
    entries = BOOK.apply(category, [], "en").not_these
    (entry,) = [entry for entry in entries if all(word in entry.lower() for word in words)]
    return entry


# facts


@pytest.mark.parametrize(
    ("category", "tag", "bin_id"),
    [
        ("pet_clear", "coloured", "plastic"),
        ("plastic", "soiled", "general"),
        ("plastic", "built_in_battery", "ewaste"),
        ("plastic", "mixed_material", "general"),
        ("film", "soiled", "general"),
        ("eps", "coloured", "eps"),
        ("paper", "coated", "general"),
        ("paper", "coloured", "general"),
        ("paper", "wet", "paper"),
        ("glass", "broken", "incombustible"),
        ("glass", "deposit", "bottle_return"),
        ("metal", "sharp", "general"),
        ("metal", "mixed_material", "general"),
        ("battery", "broken", "battery"),
        ("battery", "built_in_battery", "ewaste"),
        ("lighting", "broken", "incombustible"),
        ("textile", "large", "bulky"),
        ("ewaste", "large", "ewaste"),
        ("general", "large", "bulky"),
        ("incombustible", "large", "bulky"),
    ],
)
def test_condition_decides_the_bin(category: str, tag: str, bin_id: str) -> None:
    """A thing in this condition goes to this bin, and `moved` says whether that is not its own."""
    rule = BOOK.apply(category, [tag], "en")
    assert rule.bin_id == bin_id
    assert rule.moved == (bin_id != BOOK.apply(category, [], "en").bin_id)


@pytest.mark.parametrize(
    "category",
    ["pet_clear", "plastic", "film", "eps", "paper", "cardboard", "carton", "metal"],
)
def test_composite_mark_means_general_waste(category: str) -> None:
    """The mark wins over the material printed beside it and names the official guideline."""
    rule = BOOK.apply(category, ["composite_mark"], "ko")
    assert rule.bin_id == "general"
    assert rule.source is not None
    assert "분리배출 표시에 관한 지침" in rule.source


@pytest.mark.parametrize(
    ("category", "words", "bin_name"),
    [
        ("food", ["eggshells", "bones", "shells"], "general waste bag"),
        ("food", ["onion", "coffee"], "general waste bag"),
        ("paper", ["receipts"], "general waste bag"),
        ("paper", ["milk"], "carton bin"),
        ("cardboard", ["foam"], "foam bin"),
        ("glass", ["mirrors", "heat-proof"], "incombustible waste sack"),
        ("glass", ["soju", "deposit"], "bottle return point"),
        ("textile", ["soft toys", "cushions"], "general waste bag"),
        ("pet_clear", ["coloured", "trays"], "plastics bin"),
        ("film", ["rubber gloves", "tents"], "general waste bag"),
        ("lighting", ["one-piece"], "incombustible waste sack"),
        ("general", ["batteries"], "battery box"),
        ("metal", ["umbrellas", "staplers"], "general waste bag"),
    ],
)
def test_look_alikes_are_sent_elsewhere(category: str, words: list[str], bin_name: str) -> None:
    """What is often mistaken for this category is named together with its real bin."""
    assert elsewhere(category, *words).endswith(f" → {bin_name}")


@given(st.sets(st.sampled_from(TAGS)))
def test_battery_never_goes_to_recycling_or_general_waste(tags: set[str]) -> None:
    """No condition whatever sends a battery anywhere but to batteries or appliances."""
    assert BOOK.apply("battery", tags, "en").bin_id in {"battery", "ewaste"}


@given(st.sampled_from(CATEGORIES), st.sets(st.sampled_from(TAGS)))
def test_thing_with_a_battery_is_always_an_appliance(category: str, tags: set[str]) -> None:
    """With a battery inside, nothing goes where waste is crushed, be it a card or a toy."""
    assert BOOK.apply(category, {*tags, "built_in_battery"}, "en").bin_id == "ewaste"


def test_lithium_warning_stands_with_batteries() -> None:
    """The battery rule gives the fire as its reason in both languages."""
    assert "리튬" in BOOK.apply("battery", [], "ko").why
    assert "fire" in BOOK.apply("battery", [], "en").why


def test_gas_is_released_through_the_nozzle() -> None:
    """Gas cans are emptied outdoors by the nozzle; nothing tells people to pierce them."""
    steps = " ".join(BOOK.apply("metal", [], "en").steps)
    assert "press the nozzle outdoors" in steps
    assert "pierc" not in json.dumps(packaged()["categories"]["metal"])


def test_appliance_pick_up_names_number_and_amount() -> None:
    """The free pick-up is named with its number and the five small things it takes."""
    steps = " ".join(BOOK.apply("ewaste", [], "ko").steps)
    assert "1599-0903" in steps
    assert "5개 이상" in steps


def test_liquid_medicine_is_kept_out_of_post_boxes() -> None:
    """The post box is offered for pills and powders only."""
    assert any("never liquids" in step for step in BOOK.apply("hazardous", [], "en").steps)


# several tags


def test_stronger_tag_decides_alone() -> None:
    """A broken deposit bottle is broken glass: no shop takes it back."""
    broken = BOOK.apply("glass", ["broken"], "ko")
    assert BOOK.apply("glass", ["deposit", "broken"], "ko") == broken


def test_preparing_steps_are_dropped_when_the_thing_moves() -> None:
    """Nobody is asked to dry a soiled bag before it goes to general waste."""
    assert BOOK.apply("film", ["soiled", "wet"], "ko") == BOOK.apply("film", ["soiled"], "ko")


def test_wrapping_survives_a_stronger_tag() -> None:
    """Sharp scrap too large for the bin is wrapped all the same."""
    rule = BOOK.apply("metal", ["sharp", "large"], "en")
    assert rule.bin_id == "bulky"
    assert rule.steps[0].startswith("Wrap")


def test_tag_without_effect_changes_nothing() -> None:
    """A tag that means nothing for a category leaves its rule as it is."""
    assert BOOK.apply("glass", ["coated"], "ko") == BOOK.apply("glass", [], "ko")


@given(st.sampled_from(CATEGORIES), st.lists(st.sampled_from(TAGS)), st.randoms())
def test_order_and_repeats_of_tags_are_of_no_account(
    category: str, tags: list[str], random: Any
) -> None:
    """Any order of the same tags, with any repeats, gives the same rule."""
    shuffled = [*tags, *tags[:2]]
    random.shuffle(shuffled)
    assert BOOK.apply(category, tags, "en") == BOOK.apply(category, shuffled, "en")


@given(st.sampled_from(CATEGORIES), st.sets(st.sampled_from(TAGS)))
def test_every_rule_is_complete_in_both_languages(category: str, tags: set[str]) -> None:
    """Whatever the tags, no text is missing, Korean is Korean, English is not, bins agree."""
    korean, english = (BOOK.apply(category, tags, lang) for lang in ("ko", "en"))
    assert (korean.bin_id, korean.layer, korean.moved) == (
        english.bin_id,
        english.layer,
        english.moved,
    )
    assert len(korean.steps) == len(english.steps) > 0
    for rule, is_korean in ((korean, True), (english, False)):
        texts = [rule.bin, *rule.steps, *rule.not_these, rule.why, *filter(None, [rule.source])]
        assert all(text.strip() for text in texts)
        assert all(bool(HANGUL.search(text)) == is_korean for text in texts)
        assert len(set(rule.steps)) == len(rule.steps)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_single_tag_works_for_every_category(category: str) -> None:
    """Each category answers each tag, and each pair of tags, in each language."""
    for lang in LANGUAGES:
        for size in (0, 1, 2):
            for tags in itertools.combinations(TAGS, size):
                assert json.loads(json.dumps(BOOK.apply(category, tags, lang).to_wire()))


@pytest.mark.parametrize("category", CATEGORIES)
def test_plain_rule_has_two_to_four_steps(category: str) -> None:
    """A kiosk screen shows two to four steps for a thing without conditions."""
    assert 2 <= len(BOOK.apply(category, [], "ko").steps) <= 4


# the lists


@pytest.mark.parametrize("lang", LANGUAGES)
def test_categories_are_listed_in_the_order_of_the_api(lang: str) -> None:
    """Each category carries its id, name, bin and instructions, as its plain rule has them."""
    listed = BOOK.categories(lang)
    assert [entry["id"] for entry in listed] == list(CATEGORIES)
    for entry in listed:
        rule = BOOK.apply(str(entry["id"]), [], lang)
        assert entry["name"] == BOOK.name(str(entry["id"]), lang)
        assert (entry["bin"], entry["instructions"]) == (rule.bin, list(rule.steps))
        drawn = (rule.bin_id, rule.bin_color, rule.bin_shape, True)
        assert tuple(entry[key] for key in ("bin_id", "bin_color", "bin_shape", "here")) == drawn


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_lists_the_tags_that_change_its_rule(category: str) -> None:
    """Each tag that is listed changes the answer, and none that is not listed does."""
    (entry,) = (each for each in BOOK.categories("en") if each["id"] == category)
    plain = BOOK.apply(category, [], "en")
    assert entry["tags"] == [tag for tag in TAGS if BOOK.apply(category, [tag], "en") != plain]


def test_tags_are_listed_strongest_first() -> None:
    """The list of tags follows the priority that the data file writes down."""
    assert packaged()["tag_priority"] == TAGS
    assert all(HANGUL.search(str(tag["name"])) for tag in BOOK.tags("ko"))


def test_wire_rule_has_the_documented_keys() -> None:
    """The wire object has the contract's keys and those that draw the bin."""
    wire = BOOK.apply("glass", ["broken"], "en").to_wire()
    assert set(wire) == {
        *("bin", "steps", "not_these", "why", "layer", "source"),
        *("bin_id", "bin_color", "bin_shape"),
        *("here", "where"),
    }
    assert (wire["here"], wire["where"]) == (True, None)
    assert wire["layer"] == "national"


@pytest.mark.parametrize(
    ("arguments", "error", "value"),
    [
        (("gold", [], "ko"), UnknownCategory, "gold"),
        (("glass", ["shiny", "broken", "pretty"], "ko"), UnknownTag, "pretty"),
        (("glass", [], "fr"), UnknownLanguage, "fr"),
    ],
)
def test_unknown_choice_is_named(
    arguments: tuple[str, list[str], str], error: type[UnknownChoice], value: str
) -> None:
    """What the rules do not know raises its own error, which names it."""
    with pytest.raises(error, match=value) as caught:
        BOOK.apply(*arguments)
    assert caught.value.value == value
