"""One kiosk as its operator describes it: its bins, what goes where else, its own rules."""

import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_actor.scan.answer import answer_for
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.presence import SOMEWHERE
from eco_actor.scan.rules import LANGUAGES, RuleBook, UnknownLanguage, national_rules
from eco_actor.scan.site import Site, SiteError
from eco_actor.scan.site_file import SHAPES
from eco_actor.scan.yaml_file import INDENT
from tests.scan.site_files import EXAMPLE, KIOSK, site_of, written
from tests.web.serving import ROOT

NATIONAL: Final = RuleBook.load()


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site_of(tmp_path_factory.mktemp("site"), KIOSK)


def said(site: Site, category: str, tags: tuple[str, ...], lang: str) -> str:
    return answer_for(site.book.name(category, lang), site.book.apply(category, tags, lang), lang)


def test_without_a_file_the_national_rules_hold_and_all_bins_are_here() -> None:
    """What is not said is as it is everywhere."""
    told = Site.none().to_wire("en")
    assert (told["name"], told["region"], told["texts"]) == (None, None, {})
    bins = told["bins"]
    assert isinstance(bins, list)
    assert len(bins) == 19
    assert all(each["here"] for each in bins)
    for category in CATEGORIES:
        assert Site.none().book.apply(category, (), "ko") == NATIONAL.apply(category, (), "ko")


def test_an_empty_mapping_changes_nothing(tmp_path: Path) -> None:
    """A file that says nothing in good form is one."""
    assert site_of(tmp_path, "{}").to_wire("ko") == Site.none().to_wire("ko")


def test_what_a_page_is_told(kiosk: Site) -> None:
    """Names and texts in its language, or in the only one that was given; here first."""
    korean, english = kiosk.to_wire("ko"), kiosk.to_wire("en")
    assert (korean["name"], english["name"]) == ("도서관", "도서관")
    assert (korean["region"], english["region"]) == ("은하구", "Eunha-gu")
    assert english["texts"] == {"title": "안녕", "notice": "9 pm"}
    bins = english["bins"]
    assert isinstance(bins, list)
    assert [each["id"] for each in bins[:4]] == ["plastic", "general", "cups", "pet_clear"]
    assert [each["here"] for each in bins[:4]] == [True, True, True, False]
    cups = ("cups", "cup bin", "#abcdef", SHAPES[0], True)
    assert tuple(bins[2][key] for key in ("id", "name", "color", "shape", "here")) == cups
    assert bins[1]["name"] == "general waste bin"
    assert bins[1]["shape"] == "tied_bag"
    with pytest.raises(UnknownLanguage):
        kiosk.to_wire("fr")


def test_another_bin_takes_what_belongs_into_one_that_is_not_here(kiosk: Site) -> None:
    """The reason says so, in place of the one for the bin of home; no source speaks for it."""
    rule = kiosk.book.apply("pet_clear", (), "ko")
    assert (rule.bin_id, rule.here, rule.where, rule.layer) == ("plastic", True, None, "site")
    assert rule.why == "이곳에는 투명 페트병 수거함이 없어서 플라스틱 수거함에 버려요."
    assert rule.source is None
    assert rule.steps == NATIONAL.apply("pet_clear", (), "ko").steps
    english = kiosk.book.apply("pet_clear", (), "en")
    assert english.why == "There is no clear PET bin here, so the plastics bin is used."
    assert not rule.moved
    assert said(kiosk, "pet_clear", (), "ko").startswith(
        "무색 페트병은 플라스틱 수거함에 버려 주세요."
    )


def test_why_a_condition_moves_a_thing_is_still_told(kiosk: Site) -> None:
    """Broken glass goes with the general waste here, and is dangerous all the same."""
    rule = kiosk.book.apply("glass", ("broken",), "en")
    reason = NATIONAL.apply("glass", ("broken",), "en").why
    assert (rule.bin_id, rule.moved) == ("general", True)
    assert rule.why == f"Small amounts are fine. {reason}"


def test_what_is_not_taken_here_is_said_plainly(kiosk: Site) -> None:
    """The bin it belongs into, that it is not here, and where to go; told or not."""
    rule = kiosk.book.apply("glass", (), "ko")
    assert (rule.bin_id, rule.here, rule.layer) == ("glass", False, "site")
    assert rule.where == "주차장으로 가져가 주세요."
    assert said(kiosk, "glass", (), "ko").startswith(
        "유리병은 유리병 수거함에 버려야 하는데, 이곳에는 없어요. 주차장으로 가져가 주세요. "
    )
    assert said(kiosk, "glass", (), "en").startswith(
        "Glass bottle or jar: use the glass bin, which is not here. Take it to the car park. "
    )
    for lang in LANGUAGES:
        assert kiosk.book.apply("bulky", (), lang).where == SOMEWHERE[lang]
    soiled = said(kiosk, "textile", ("large",), "ko")
    assert soiled.startswith("이런 옷·신발·가방은 대형폐기물 배출 장소에 내놓아야 하는데, 이곳에는")
    wire = rule.to_wire()
    assert (wire["here"], wire["where"]) == (False, rule.where)


def test_rules_of_the_site_win(kiosk: Site) -> None:
    """A bin of its own, a source that is no national one, steps given once for all languages."""
    rule = kiosk.book.apply("paper", (), "en")
    assert (rule.bin, rule.bin_color, rule.layer) == ("cup bin", "#abcdef", "site")
    assert rule.source == "House rules"
    for lang in LANGUAGES:
        assert kiosk.book.apply("metal", (), lang).steps == ("Rinse it.",)


def test_steps_name_bins_as_they_are_called_here(kiosk: Site) -> None:
    """No step sends people to a bin of another name, or to one that another stands in for."""
    assert (
        kiosk.book.apply("film", ("soiled",), "ko")
        .steps[-1]
        .endswith("일반쓰레기통에 넣어 주세요.")
    )
    for category in CATEGORIES:
        for entry in [(), *((tag,) for tag in kiosk.book.tag_ids)]:
            for lang, old in (("ko", "종량제봉투"), ("en", "general waste bag")):
                assert not any(
                    old in step for step in kiosk.book.apply(category, entry, lang).steps
                )


def listed(site: Site, category: str) -> dict[str, object]:
    return next(each for each in site.book.categories("en") if each["id"] == category)


def test_lists_show_what_is_done_here(kiosk: Site) -> None:
    """The list of categories has the bins of this place, and says which are not here."""
    bottle, glass = listed(kiosk, "pet_clear"), listed(kiosk, "glass")
    assert (bottle["bin_id"], bottle["here"]) == ("plastic", True)
    assert (glass["bin_id"], glass["here"]) == ("glass", False)
    assert any("general waste bin" in line for line in kiosk.book.apply("film", (), "en").not_these)


def test_null_takes_an_effect_away(tmp_path: Path) -> None:
    """What the nation says of a condition does not hold here."""
    site = site_of(tmp_path, "rules: {eps: {source: null, effects: {coloured: null}}}")
    before, now = listed(Site.none(), "eps")["tags"], listed(site, "eps")["tags"]
    assert isinstance(before, list)
    assert now == [tag for tag in before if tag != "coloured"] != before


def test_a_region_has_rules_of_its_own_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Its layer is between the nation's and the site's; its file is beside that of the site."""
    written(
        tmp_path,
        "name: 구\nbins: [{id: glass, name: 병통}]\nrules: {metal: {why: 구청}}",
        "gu.yaml",
    )
    site = site_of(tmp_path, "region: {file: gu.yaml}\nrules: {paper: {why: 여기}}")
    assert site.region == {"ko": "구", "en": "구"}
    rules = {each: site.book.apply(each, (), "ko") for each in ("metal", "paper", "glass", "food")}
    assert [rule.layer for rule in rules.values()] == ["region", "site", "region", "national"]
    assert (rules["metal"].why, rules["glass"].bin) == ("구청", "병통")


def test_json_is_a_site_file_too(tmp_path: Path) -> None:
    """For whoever makes the file by a program."""
    site = site_of(tmp_path, '{"name": {"en": "Library"}, "bins": ["metal"]}')
    assert site.name == {"ko": "Library", "en": "Library"}
    assert site.book.bin_ids[:2] == ("metal", "pet_clear")


# the example


def use(site: Site) -> None:
    """Whatever is in it can be told."""
    for lang in LANGUAGES:
        site.to_wire(lang)
        for each in site.book.categories(lang):
            for tags in [(), *((tag,) for tag in site.book.tag_ids)]:
                assert said(site, str(each["id"]), tags, lang)


def test_the_example_is_a_good_one() -> None:
    """It loads, six bins are here, and each part of a site file is shown in it."""
    site = Site.load(EXAMPLE)
    use(site)
    told = site.to_wire("ko")
    assert told["name"] == "은하구립도서관 1층"
    assert set(told["texts"]) == {"title", "lead", "notice"}  # type: ignore[call-overload]
    assert sum(each["here"] for each in told["bins"]) == 6  # type: ignore[attr-defined]
    layers = {site.book.apply(each, (), "ko").layer for each in CATEGORIES}
    assert layers == {"national", "site"}
    coloured = site.book.apply("eps", ("coloured",), "ko")
    assert len(coloured.steps) == 1
    assert {each for each in CATEGORIES if not site.book.apply(each, (), "ko").here} >= {"glass"}


def test_the_example_names_all_that_can_be_named() -> None:
    """Who reads it learns the ids of bins, categories, conditions and shapes."""
    text = EXAMPLE.read_text("utf-8")
    words = set(re.findall(r"[a-z_]+", "\n".join(re.findall(r"^#.*$", text, re.MULTILINE))))
    national = national_rules()
    assert {*CATEGORIES, *national["bins"], *national["tags"], *SHAPES} <= words


def test_pages_can_draw_the_shapes_of_own_bins() -> None:
    """Each is in the page's list of shapes, and none is that of a national bin."""
    drawn = (ROOT / "static" / "shapes.js").read_text("utf-8")
    assert all(re.search(rf"^\s*{shape}:", drawn, re.MULTILINE) for shape in SHAPES)
    assert not set(SHAPES) & {each["shape"] for each in national_rules()["bins"].values()}


LINES: Final = EXAMPLE.read_text("utf-8").splitlines()
SIGNS: Final = "\"'#:,-[]{}&*!|>%@`?\\ \t\n가ab0"


@st.composite
def changed(draw: st.DrawFn) -> str:
    """The example with a few of the changes that people make by mistake."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        lines = lines or [""]
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        place = draw(st.integers(0, len(line)))
        match draw(st.integers(0, 6)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), line)
            case 2:
                lines[at] = line[:place] + draw(st.text(SIGNS, max_size=3)) + line[place:]
            case 3:
                lines[at] = line[:place] + line[place + 1 :]
            case 4:
                lines[at] = " " * draw(st.integers(0, 8)) + line.strip()
            case 5:
                lines[at] = line.partition(":")[0] + ":"
            case _:
                del lines[at:]
                lines.append(line[:place])
    return "\n".join(lines)


@settings(deadline=None)
@given(text=changed())
def test_whatever_is_done_to_the_example_it_loads_or_says_on_which_line_it_does_not(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """There is no third way: no fault without a line of the file, and nothing that breaks later."""
    file = written(tmp_path_factory.getbasetemp(), text, "changed.yaml")
    try:
        site = Site.load(file)
    except SiteError as error:
        for line in str(error).splitlines():
            if line.startswith(INDENT):
                continue
            found = re.fullmatch(rf"{re.escape(str(file))}:(\d+): .+", line)
            assert found, line
            assert 1 <= int(found[1]) <= len(text.split("\n")) + 1
    else:
        use(site)
