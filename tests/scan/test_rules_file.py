"""Rules files: how faults are reported, and how local overlays lie over the national rules."""

import copy
import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import InvalidData, RuleBook, validate

BOOK = RuleBook.load()
TAGS = [str(tag["id"]) for tag in BOOK.tags("en")]


def packaged() -> Any:
    text = files("eco_actor.scan").joinpath("rules.json").read_text("utf-8")
    return json.loads(text)


def broken_with(path: str, value: object) -> Any:
    """The packaged rules with the value at a dotted *path* replaced, or removed for `...`."""
    data = packaged()
    place: Any = data
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    key: Any = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return data


def test_packaged_rules_are_valid() -> None:
    """Our own data file has no faults."""
    assert validate(packaged()) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("format", 2, "format: expected 1, got 2"),
        ("layer", "site", "layer: expected 'national', got 'site'"),
        ("extra", 1, "extra: unknown key"),
        ("bins", [], "bins: expected an object, got list"),
        ("bins.glass.color", "orange", "bins.glass.color: expected #rrggbb in lower case"),
        ("bins.glass.shape", "can", "bins.metal.shape: 'can' is already the shape of glass"),
        ("tags.wet.name.en", ..., "tags.wet.name.en: missing"),
        ("tag_priority.0", "shiny", "tag_priority[0]: unknown tag 'shiny'"),
        ("tag_priority.0", "wet", "tag_priority: 'wet' must stand here once, not 2 times"),
        ("categories.glass", ..., "categories.glass: missing"),
        ("categories.glass", None, "categories.glass: missing"),
        ("categories.gold", {}, "categories.gold: unknown key"),
        ("categories.glass.steps.ko.1", "", "categories.glass.steps.ko[1]: empty string"),
        ("categories.glass.steps.ko.1", " 가", "categories.glass.steps.ko[1]: blanks around"),
        ("categories.glass.steps.ko", [], "categories.glass.steps.ko: empty list"),
        ("categories.glass.steps.ko", "가", "categories.glass.steps.ko: expected a list, got str"),
        ("categories.glass.steps.en.0", ..., "categories.glass.steps: not the same number"),
        ("categories.glass.why.en", 7, "categories.glass.why.en: expected a string, got int"),
        ("categories.glass.why.fr", "x", "categories.glass.why.fr: unknown key"),
        ("categories.glass.bin", None, "categories.glass.bin: missing"),
        ("categories.glass.bin", "moon", "categories.glass.bin: unknown bin 'moon'"),
        ("categories.glass.source", "rumour", "categories.glass.source: unknown source 'rumour'"),
        ("categories.glass.not_these.0.bin", "x", "categories.glass.not_these[0].bin: unknown bin"),
        ("categories.glass.effects.shiny", {}, "categories.glass.effects.shiny: unknown tag"),
        ("categories.glass.effects.wet", {}, "categories.glass.effects.wet: has no effect"),
        (
            "categories.glass.effects.broken.why",
            ...,
            "categories.glass.effects.broken.why: missing",
        ),
        ("categories.glass.effects.broken.steps", ..., "effects.broken.steps: missing"),
        ("categories.glass.effects.broken.always", 1, "effects.broken.always: expected true"),
    ],
)
def test_fault_is_reported_with_its_path(path: str, value: object, problem: str) -> None:
    """Each kind of fault gives a line that starts with where it is."""
    problems = validate(broken_with(path, value))
    assert any(problem in line for line in problems), problems


@pytest.mark.parametrize("data", [None, [], "rules", 3, {}, {"categories": {"glass": []}}])
def test_anything_but_a_rules_file_is_refused(data: object) -> None:
    """Data of any other shape yields problems, never an exception, and cannot be loaded."""
    assert validate(data)
    with pytest.raises(InvalidData) as caught:
        RuleBook.from_layers(data)
    assert list(caught.value.problems) == validate(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.data(), JSON)
def test_any_value_in_any_place_is_judged_without_a_crash(
    data: st.DataObject, value: object
) -> None:
    """Whatever stands anywhere in the file, the checks answer; what they pass can be used."""
    rules = packaged()
    place: Any = rules
    key: Any = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    place[key] = value
    if not validate(rules):
        book = RuleBook.from_layers(rules)
        for category in CATEGORIES:
            assert book.apply(category, TAGS[:1], "ko").steps


def test_all_faults_are_reported_at_once() -> None:
    """One pass finds every fault, so that an author need not run it again for each."""
    data = broken_with("categories.glass.steps.ko.1", "")
    data["bins"]["paper"]["color"] = "brown"
    assert len(validate(data)) == 2


# overlays


REGION = {
    "layer": "region",
    "categories": {
        "carton": {"why": {"ko": "멸균팩은 따로 모아요.", "en": "Aseptic cartons are kept apart."}},
        "eps": {
            "effects": {
                "coloured": {
                    "bin": "general",
                    "last": None,
                    "steps": {"ko": ["종량제봉투에 넣어 주세요."], "en": ["Use the waste bag."]},
                    "why": {"ko": "이 구에서는 받지 않아요.", "en": "Not accepted here."},
                }
            }
        },
    },
}
SITE = {"layer": "site", "bins": {"glass": {"name": {"ko": "3번 유리함", "en": "glass bin 3"}}}}


def test_overlay_changes_only_what_it_says() -> None:
    """A region's words replace the national ones; the steps below them stay."""
    rule = RuleBook.load(REGION).apply("carton", [], "en")
    assert rule.why == "Aseptic cartons are kept apart."
    assert rule.steps == BOOK.apply("carton", [], "en").steps
    assert rule.layer == "region"


def test_overlay_of_one_tag_answers_for_that_tag_only() -> None:
    """Where a region refuses coloured foam, white foam is still answered by the nation."""
    book = RuleBook.load(REGION)
    assert (book.apply("eps", [], "en").bin_id, book.apply("eps", [], "en").layer) == (
        "eps",
        "national",
    )
    coloured = book.apply("eps", ["coloured"], "en")
    assert (coloured.bin_id, coloured.layer) == ("general", "region")
    assert coloured.steps == ("Use the waste bag.",)


def test_site_names_its_own_bin_everywhere() -> None:
    """A renamed bin shows in rules, in the list and where other categories point to it."""
    book = RuleBook.load(REGION, SITE)
    rule = book.apply("glass", [], "en")
    assert (rule.bin, rule.layer) == ("glass bin 3", "site")
    assert any(
        line.endswith("→ glass bin 3") for line in book.apply("incombustible", [], "en").not_these
    )
    assert book.apply("carton", [], "en").layer == "region"


def test_moved_thing_is_not_answered_by_its_home_layer() -> None:
    """When a national tag rule moves a thing, a region's words on its home rule are not used."""
    assert RuleBook.load(REGION).apply("carton", ["soiled"], "en").layer == "national"


@pytest.mark.parametrize(
    ("overlays", "problem"),
    [
        ([3], "overlays[0]: expected an object, got int"),
        ([{"layer": "national"}], "overlays[0].layer: expected one of ['region', 'site']"),
        ([{}], "overlays[0].layer: expected one of ['region', 'site'], got None"),
        ([SITE, REGION], "overlays[1].layer: expected one of [], got 'region'"),
        ([{**SITE, "bins": {"glass": {"name": {"ko": ""}}}}], "bins.glass.name.ko: empty string"),
        ([{**SITE, "bins": {"glass": None}}], "categories.glass.bin: unknown bin 'glass'"),
        ([{**SITE, "categories": 3}], "categories: expected an object, got int"),
        ([{**SITE, "categories": {"glass": 3}}], "categories.glass: expected an object, got int"),
    ],
)
def test_bad_overlay_is_refused_with_its_path(overlays: list[object], problem: str) -> None:
    """An overlay of no use is refused as a whole, naming what is wrong."""
    with pytest.raises(InvalidData) as caught:
        RuleBook.load(*overlays)
    assert any(problem in line for line in caught.value.problems), caught.value.problems


def test_overlay_leaves_its_source_unchanged() -> None:
    """Loading with overlays changes neither the overlay nor the national rules."""
    before = copy.deepcopy(REGION)
    RuleBook.load(REGION)
    assert before == REGION
    assert RuleBook.load().apply("carton", [], "en") == BOOK.apply("carton", [], "en")
