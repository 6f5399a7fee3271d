"""What an operator can get wrong in a site file: told all at once, each with its line."""

from pathlib import Path
from typing import Final

import pytest

from eco_actor.scan.site import MAX_FILE, MOST_FAULTS, Site, SiteError, SiteUnreadable
from eco_actor.scan.site_file import MAX_BINS
from eco_actor.scan.site_values import MAX_TEXT
from tests.scan.site_files import UNREADABLE, faults_of, site_of, written

BINS: Final = "bins: [plastic, metal, general]\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # the file
        ("", "1: the file is empty: write at least a name"),
        ("# nothing\n", "1: the file is empty: write at least a name"),
        ("just words", "1: names with values belong here, not a text"),
        ("- a\n- b", "1: names with values belong here, not a list"),
        ("name: x\nbin: [plastic]", "2: bin: unknown key 'bin': did you mean 'bins'?"),
        ("name: x\nbins:", "2: bins: no value is given"),
        ("name: x\nname: y", "2: name: stands here twice, first on line 1"),
        ("bin:\n  x: 1", "1: bin: unknown key 'bin': did you mean 'bins'?"),
        ("zzz: x", "1: zzz: unknown key 'zzz': one of name, region, bins, instead, elsewhere,"),
        # texts
        ("name: 7", "1: name: a text belongs here, not a number: put it in quotes"),
        ("name: true", "1: name: a text belongs here, not true or false: put it in quotes"),
        ("name: ''", "1: name: empty string"),
        ("name: [a]", "1: name: a text belongs here, not a list"),
        ("name:\n  ko: x\n  fr: y", "3: name.fr: unknown language 'fr': one of ko, en"),
        ("name:\n  ko: x\n  en:", "3: name.en: no value is given"),
        ("name: {}", "1: name: no value is given: write it in one of ko, en"),
        (f"name: x\nregion: {'x' * (MAX_TEXT + 1)}", f"2: region: a text has at most {MAX_TEXT}"),
        ("texts:\n  lede: x", "2: texts.lede: unknown text 'lede': did you mean 'lead'?"),
        ("texts: [x]", "1: texts: names with values belong here, not a list"),
        # bins
        ("bins: plastic", "1: bins: a list belongs here"),
        ("bins: []", "1: bins: an empty list"),
        ("bins:\n  - plastc", "2: bins[0]: unknown bin 'plastc': did you mean 'plastic'?"),
        ("bins:\n  - 3", "2: bins[0]: a text belongs here, not a number"),
        ("bins:\n  -", "2: bins[0]: no value is given"),
        (
            "bins:\n  - metal\n  - plastic\n  - id: metal\n    name: x",
            "4: bins[2]: the bin 'metal' stands here twice, first on line 2: keep one",
        ),
        ("bins:\n  - name: x", "2: bins[0].id: missing: write which bin this is"),
        ("bins:\n  - id: Own", "2: bins[0].id: 'Own' cannot be an id: write small letters"),
        ("bins:\n  - id: unknown", "2: bins[0].id: 'unknown' cannot be"),
        ("bins:\n  - id: metal\n    colour: x", "3: bins[0].colour: unknown key 'colour': did"),
        ("bins:\n  - id: own\n    name: x", "2: bins[0].color: missing: 'own' is a bin"),
        (
            "bins:\n  - id: metall\n    color: '#123456'",
            "2: bins[0].name: missing: 'metall' is a bin of your own: did you mean 'metal'?",
        ),
        (
            "bins:\n  - id: metal\n    color: #aabbcc",
            '3: bins[0].color: no value is given: what follows a # without quotes is a comment, so'
            ' write "#..."',
        ),
        ("bins:\n  - id: metal\n    color: red", "3: bins[0].color: a colour such as"),
        ("bins:\n  - id: metal\n    color: 123456", "3: bins[0].color: a colour"),
        ("bins:\n  - id: metal\n    color: '#abc'", "3: bins[0].color: a colour"),
        (
            "bins:\n  - id: metal\n    shape: can_\n  - glass",
            "3: bins[0].shape: unknown shape 'can_': did you mean 'can'?",
        ),
        (
            "bins:\n  - id: metal\n    shape: jar",
            "3: bins[0].shape: 'jar' is the shape of the bin 'glass'",
        ),
        (
            "bins:\n  - {id: a, name: a, color: '#000000', shape: star}\n"
            "  - {id: b, name: b, color: '#000000', shape: star}",
            "3: bins[1].shape: 'star' is the shape of the bin 'a'",
        ),
        # what is not here
        ("instead: {metal: plastic}", "1: instead.metal: the bin 'metal' is here: without"),
        (BINS + "instead:\n  metal: plastic", "3: instead.metal: the bin 'metal' is here: it"),
        (BINS + "instead:\n  glas: metal", "3: instead.glas: unknown bin 'glas': did you mean"),
        (BINS + "instead:\n  glass: mettle", "3: instead.glass: unknown bin 'mettle': did you"),
        (BINS + "instead:\n  glass: paper", "3: instead.glass: the bin 'paper' is not here either"),
        (BINS + "instead:\n  glass:\n    bin: eps", "4: instead.glass.bin: the bin 'eps' is not"),
        (BINS + "instead:\n  glass: {why: x}", "3: instead.glass.bin: missing"),
        (BINS + "instead:\n  glass: [x]", "3: instead.glass: a text belongs here, not a list"),
        (BINS + "elsewhere:\n  plastic: x", "3: elsewhere.plastic: the bin 'plastic' is here"),
        (BINS + "elsewhere:\n  glass: 3", "3: elsewhere.glass: a text belongs here, not a number"),
        (
            BINS + "instead: {glass: metal}\nelsewhere:\n  glass: x",
            "4: elsewhere.glass: never told: instead has another bin for this (line 2)",
        ),
        # rules
        ("rules:\n  glas:\n    why: x", "2: rules.glas: unknown category 'glas': did you mean"),
        ("rules:\n  glas:", "2: rules.glas: unknown category 'glas'"),
        ("rules:\n  glass:", "2: rules.glass: no value is given"),
        ("rules:\n  glass: metal", "2: rules.glass: names with values belong here, not a text"),
        ("rules:\n  glass:\n    bin: moon", "3: rules.glass.bin: unknown bin 'moon'"),
        ("rules:\n  glass:\n    wy: x", "3: rules.glass.wy: unknown key 'wy': did you mean 'why'?"),
        ("rules:\n  glass:\n    why:", "3: rules.glass.why: no value is given"),
        ("rules:\n  glass:\n    steps: x", "3: rules.glass.steps: a list belongs here"),
        ("rules:\n  glass:\n    steps: []", "3: rules.glass.steps: empty list"),
        ("rules:\n  glass:\n    steps:\n      - a\n      - 3", "5: rules.glass.steps[1]: a text"),
        (
            "rules:\n  glass:\n    steps:\n      ko: [a, b]\n      en: [a]",
            "3: rules.glass.steps: not the same number of items in each language",
        ),
        (
            "rules:\n  glass:\n    not_these:\n      - what: x",
            "4: rules.glass.not_these[0].bin: missing: write bin: and where it goes",
        ),
        (
            "rules:\n  glass:\n    not_these:\n      - what: x\n        bin: metl",
            "5: rules.glass.not_these[0].bin: unknown bin 'metl': did you mean 'metal'?",
        ),
        ("rules:\n  glass:\n    source: 3", "3: rules.glass.source: a text belongs here"),
        (
            "rules:\n  glass:\n    effects:\n      brokn: {first: [x]}",
            "4: rules.glass.effects.brokn: unknown tag 'brokn': did you mean 'broken'?",
        ),
        ("rules:\n  glass:\n    effects:\n      brokn:", "4: rules.glass.effects.brokn: unk"),
        (
            "rules:\n  glass:\n    effects:\n      wet:\n        always: yes",
            "5: rules.glass.effects.wet.always: true or false belongs here, not a text",
        ),
        # what only the whole shows
        (
            "rules:\n  glass:\n    effects:\n      wet:\n        always: true",
            "4: rules.glass.effects.wet: has no effect: give steps, first or last",
        ),
        (
            "rules:\n  glass:\n    effects:\n      large:\n        bin: bulky\n        why: x",
            "4: rules.glass.effects.large.steps: missing: another bin needs its own steps",
        ),
        (
            "rules:\n  glass:\n    effects:\n      broken:\n        why: null",
            "5: rules.glass.effects.broken.why: missing: another bin needs a reason",
        ),
        # the region
        ("region: 3", "1: region: a text belongs here, not a number"),
        ("region: {nme: x}", "1: region.nme: unknown key 'nme': did you mean 'name'?"),
        ("region:\n  name: x\n  rules:\n    glas: {}", "4: region.rules.glas: unknown category"),
        ("region:\n  bins:\n    - metal", "3: region.bins[0]: names with values belong here"),
        ("region:\n  file: 3", "2: region.file: a text belongs here"),
        ("name: x\nregion:\n  file: no.yaml", "3: region.file: no.yaml: cannot read it: No such"),
        (
            "region:\n  rules: {glass: {effects: {large: {bin: bulky, why: x}}}}\n"
            "rules:\n  glass: {why: y}",
            "2: region.rules.glass.effects.large.steps: missing",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    """One fault, one line, which names where it is and what would do."""
    found = [line.replace(f"{tmp_path}/", "") for line in faults_of(tmp_path, text)]
    assert [line for line in found if fault in line], found
    assert len(found) == 1, found


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Those of the syntax of names, of single parts, and of the whole."""
    text = """\
nmae: x
bins:
  - plastc
  - id: general
    color: #fff
rules:
  glass:
    bin: moon
    effects:
      large: {bin: bulky, steps: [x]}
      soild: {first: [x]}
name: &n x
"""
    found = [line.split(": ")[:2] for line in faults_of(tmp_path, text)]
    assert found == [
        ["1", "nmae"],
        ["3", "bins[0]"],
        ["5", "bins[1].color"],
        ["8", "rules.glass.bin"],
        ["10", "rules.glass.effects.large.why"],
        ["11", "rules.glass.effects.soild"],
        ["12", "name"],
    ]


def test_faults_of_a_region_are_told_of_its_own_file(tmp_path: Path) -> None:
    """Its file has lines of its own; what it says is not said again in that of the site."""
    region = (
        "name: 구\nrules:\n  glass:\n    bin: moon\n    effects: {large: {bin: bulky, why: x}}\n"
    )
    written(tmp_path, region, "gu.yaml")
    found = faults_of(tmp_path, "bins: [plastc]\nregion:\n  file: gu.yaml\n  name: x\n")
    places = [line.split(": ")[:2] for line in found]
    assert places == [
        ["1", "bins[0]"],
        ["4", "region.name"],
        ["gu.yaml:4", "rules.glass.bin"],
        ["gu.yaml:5", "rules.glass.effects.large.steps"],
    ]


def test_a_rule_of_the_site_that_spoils_one_of_its_region_is_the_fault(tmp_path: Path) -> None:
    """Whoever says more about the place is at fault, here the site."""
    written(tmp_path, "rules: {glass: {effects: {wet: {first: [x]}}}}", "gu.yaml")
    text = "region: {file: gu.yaml}\nrules:\n  glass:\n    effects:\n      wet:\n        first:\n"
    assert faults_of(tmp_path, text) == [
        "5: rules.glass.effects.wet: has no effect: give steps, first or last"
    ]


def test_after_a_fault_of_the_syntax_nothing_else_is_guessed(tmp_path: Path) -> None:
    """What was not read to its end is not judged by what it lacks."""
    found = faults_of(tmp_path, "nmae: x\nbins:\n  - metal\n  b: c: d\n")
    assert [line.split(":")[0] for line in found] == ["4"]


def test_what_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """A missing file, a folder, and one that is too large for what it is."""
    large = written(tmp_path, "#" * (MAX_FILE + 1), "large.yaml")
    for file, why in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "it is a directory, not a file"),
        (large, "256 KiB"),
    ):
        with pytest.raises(SiteError, match=why) as caught:
            Site.load(file)
        assert str(caught.value).startswith(f"site file {file}: ")


@pytest.mark.parametrize("whose", ["site", "region"])
def test_a_file_that_the_system_fails_to_read_is_none_of_its_faults(
    tmp_path: Path, whose: str
) -> None:
    """It may be as it should, and may be read another time; so may that of the region."""
    region = written(tmp_path, f"region: {{file: {UNREADABLE}}}")
    with pytest.raises(SiteUnreadable, match="Input/output error") as caught:
        Site.load(UNREADABLE if whose == "site" else region)
    assert str(caught.value).startswith(f"{UNREADABLE}: ")
    assert not isinstance(caught.value, SiteError)


def test_too_many_faults_are_counted(tmp_path: Path) -> None:
    """A file that is another's altogether does not fill the screen."""
    found = faults_of(tmp_path, "".join(f"k{n}: 1\n" for n in range(MOST_FAULTS + 5)))
    assert len(found) == MOST_FAULTS + 1
    assert found[-1] == f"{MOST_FAULTS + 1}: and 5 faults more from here on"


def test_there_is_a_bound_to_bins(tmp_path: Path) -> None:
    """They become labels of the metrics; and shapes run out before."""
    new = [f"  - {{id: b{n}, name: b{n}, color: '#000000'}}\n" for n in range(MAX_BINS + 1)]
    found = faults_of(tmp_path, "bins:\n" + "".join(new))
    assert found[0] == f"1: bins: at most {MAX_BINS} bins, these are {MAX_BINS + 1}"
    assert found[1] == "12: bins[10]: no shape is left for this bin"
    assert len(site_of(tmp_path, "bins:\n" + "".join(new[:10])).book.bins("ko")) == 29
