"""The composed answer: Korean particles, the paragraph, the question when unsure."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.answer import BACKEND, answer_for, answer_unsure, with_particle
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import LANGUAGES, RuleBook, UnknownLanguage

BOOK = RuleBook.load()
TAGS = [str(tag["id"]) for tag in BOOK.tags("en")]
HANGUL = re.compile("[가-힣]")


@pytest.mark.parametrize(
    ("word", "pair", "expected"),
    [
        ("무색 페트병", "은/는", "무색 페트병은"),
        ("종이", "은/는", "종이는"),
        ("비닐", "이/가", "비닐이"),
        ("건전지", "이/가", "건전지가"),
        ("유리병", "을/를", "유리병을"),
        ("캔·고철", "과/와", "캔·고철과"),
        ("수거함", "으로/로", "수거함으로"),
        ("종량제봉투", "으로/로", "종량제봉투로"),
        ("교실", "으로/로", "교실로"),
        ("물", "은/는", "물은"),
        ("종이상자(골판지)", "은/는", "종이상자(골판지)는"),
        ("스티로폼(EPS)", "은/는", "스티로폼(EPS)은"),
        ("통(가)(나)", "이/가", "통(가)(나)이"),
        ("‘병’", "을/를", "‘병’을"),
        ("LED", "은/는", "LED는"),
        ("PET", "을/를", "PET를"),
        ("vinyl", "은/는", "vinyl은"),
        ("수거함 1", "으로/로", "수거함 1로"),
        ("수거함 3", "으로/로", "수거함 3으로"),
        ("수거함 4", "으로/로", "수거함 4로"),
        ("수거함 10", "이/가", "수거함 10이"),
        ("(빈)", "은/는", "(빈)는"),
        ("", "은/는", "는"),
    ],
)
def test_particle_follows_the_last_sound(word: str, pair: str, expected: str) -> None:
    """The particle fits the final consonant, as the word is read aloud."""
    assert with_particle(word, pair) == expected


def test_unknown_pair_of_particles_is_an_error() -> None:
    """A pair that Korean does not have is a programming error."""
    with pytest.raises(KeyError):
        with_particle("병", "a/an")


@given(st.text(), st.sampled_from(["은/는", "이/가", "을/를", "과/와", "으로/로"]))
def test_particle_is_one_of_its_pair_for_any_word(word: str, pair: str) -> None:
    """Whatever the word, it stays as it is and gets one of the two forms."""
    assert with_particle(word, pair) in {word + form for form in pair.split("/")}


def test_korean_answer_reads_as_one_paragraph() -> None:
    """The Korean text gives the verdict, the steps and the reason, in this order."""
    rule = BOOK.apply("pet_clear", [], "ko")
    text = answer_for(BOOK.name("pet_clear", "ko"), rule, "ko")
    assert text.startswith("무색 페트병은 투명 페트병 수거함에 버려 주세요. ")
    assert text == " ".join([text.split(". ")[0] + ".", *rule.steps, rule.why])


def test_english_answer_names_thing_and_bin() -> None:
    """The English text opens with the thing and its bin."""
    text = answer_for("Clear PET bottle", BOOK.apply("pet_clear", [], "en"), "en")
    assert text.startswith("Clear PET bottle: use the clear PET bin. ")


def test_exception_is_not_stated_as_the_rule() -> None:
    """For a thing moved by its condition the text speaks of things like this one."""
    korean = answer_for("비닐", BOOK.apply("film", ["soiled"], "ko"), "ko")
    english = answer_for("Plastic film", BOOK.apply("film", ["soiled"], "en"), "en")
    assert korean.startswith("이런 비닐은 종량제봉투에 버려 주세요.")
    assert english.startswith("Plastic film like this: use the general waste bag.")


@given(st.sampled_from(CATEGORIES), st.sets(st.sampled_from(TAGS)), st.sampled_from(LANGUAGES))
def test_answer_is_one_clean_line_in_its_language(category: str, tags: set[str], lang: str) -> None:
    """Every answer is one clean line in the language asked for, and names the bin."""
    rule = BOOK.apply(category, tags, lang)
    text = answer_for(BOOK.name(category, lang), rule, lang)
    assert "\n" not in text
    assert "  " not in text
    assert text.endswith((".", "!", "?"))
    assert rule.bin in text
    assert bool(HANGUL.search(text)) == (lang == "ko")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("count", range(5))
def test_unsure_answer_asks_to_choose_among_all(lang: str, count: int) -> None:
    """The question names every alternative, and is a question even with none."""
    names = [BOOK.name(category, lang) for category in CATEGORIES[:count]]
    text = answer_unsure(names, lang)
    assert all(name in text for name in names)
    assert bool(HANGUL.search(text)) == (lang == "ko")


def test_unsure_answer_for_the_usual_three() -> None:
    """The three best guesses stand in one Korean sentence."""
    text = answer_unsure(["유리병", "종이", "비닐"], "ko")
    assert text == "무엇인지 확실하지 않아요. 유리병, 종이, 비닐 중에서 골라 주세요."


def test_unknown_language_is_refused() -> None:
    """A language without texts raises the error that names it."""
    with pytest.raises(UnknownLanguage, match="fr"):
        answer_for("verre", BOOK.apply("glass", [], "en"), "fr")
    with pytest.raises(UnknownLanguage, match="fr"):
        answer_unsure([], "fr")


def test_backend_is_called_rule() -> None:
    """Clients see that the text was composed from the rule."""
    assert BACKEND == "rule"
