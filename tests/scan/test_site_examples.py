"""Who wrote another shape than is wanted is shown how it looks."""

import re
from pathlib import Path
from typing import Final

import pytest

from eco_actor.doctor.finding import report
from eco_actor.doctor.site import look_at_site
from eco_actor.scan.site import Site, SiteError
from eco_actor.scan.site_examples import EXAMPLES, example_of
from tests.scan.site_files import faults_of, written

PARENT: Final = re.compile(r"(?P<above>.*?)(\.(?P<name>[^.\[]+)|(?P<item>\[\]))$")


def placed(path: str, lines: tuple[str, ...]) -> tuple[str, ...]:
    """The example of *path* as a whole file."""
    while path and (found := PARENT.match(path)):
        path = found["above"]
        if not found["item"]:
            name = path.rpartition(".")[2]
            name = {"*": "wet" if "effects.*" in path else "glass"}.get(name, name)
            lines = (f"{name}:", *("  " + line for line in lines))
        else:
            lines = (f"{path.rpartition('.')[2]}:", *("  " + line for line in lines))
    return lines


@pytest.mark.parametrize("path", EXAMPLES)
def test_each_example_is_what_it_shows(tmp_path: Path, path: str) -> None:
    """In its place it is a file without a fault, which no other shape is."""
    lines = EXAMPLES[path]
    if path in ("instead", "elsewhere"):
        lines += ("bins: [general]",)
    elif path == "rules.*.effects.*.not_these":
        lines += EXAMPLES["rules.*.steps"]
    lines = placed(path, lines)
    assert faults_of(tmp_path, "\n".join(lines)) == [], lines


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("- name: x", ""), ("hello", ""), ("bins: {plastic: x}", "bins"), ("bins: x", "bins"),
        ("bins: [[metal]]", "bins[]"), ("instead: [{glass: metal}]", "instead"),
        ("elsewhere: [glass]", "elsewhere"), ("texts: x", "texts"), ("name: [x]", "name"),
        ("rules: [{glass: {why: x}}]", "rules"), ("rules: {glass: x}", "rules.*"),
        ("rules: {glass: {steps: x}}", "rules.*.steps"),
        ("rules: {glass: {steps: {en: y}}}", "rules.*.steps.en"),
        ("rules: {glass: {not_these: {what: x}}}", "rules.*.not_these"),
        ("rules: {glass: {not_these: [x]}}", "rules.*.not_these[]"),
        ("rules: {glass: {effects: [wet]}}", "rules.*.effects"),
        ("rules: {glass: {effects: {wet: x}}}", "rules.*.effects.*"),
        ("rules: {glass: {effects: {wet: {first: x}}}}", "rules.*.effects.*.first"),
        ("region: [x]", "region"), ("region: {rules: [x]}", "rules"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_answered_with_the_right_one(tmp_path: Path, text: str, path: str) -> None:
    """Below the fault, indented, so that it is no fault of its own."""
    file = written(tmp_path, text)
    with pytest.raises(SiteError) as caught:
        Site.load(file)
    fault, *example = str(caught.value).split("\n")
    assert fault.startswith(f"{file}:1: ")
    assert tuple(line.removeprefix("    ") for line in example) == EXAMPLES[path]
    (finding,) = look_at_site(file)
    first, *rest = report([finding]).split("\n")
    assert first.endswith("-> serve refuses that")
    assert rest == example


def test_a_region_has_examples_of_its_own(tmp_path: Path) -> None:
    """No bin stands there, so an id alone is none of its list."""
    written(tmp_path, "bins: x", "gu.yaml")
    file = written(tmp_path, "region: {file: gu.yaml}")
    with pytest.raises(SiteError) as caught:
        Site.load(file)
    example = tuple(line.strip(" ") for line in str(caught.value).split("\n")[1:])
    assert example == ("bins:", "- id: paper", "name: paper box")
    written(tmp_path, "\n".join(example_of("bins", of_region=True)), "gu.yaml")
    written(tmp_path, "\n".join(example_of("", of_region=True)), "top.yaml")
    Site.load(file)
    Site.load(written(tmp_path, "region: {file: top.yaml}"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("bins: [zzz]", "bins[0]: unknown bin 'zzz': one of pet_clear, plastic, film, eps,"),
        ("rules: {zzz: {}}", "rules.zzz: unknown category 'zzz': one of pet_clear, plastic,"),
        ("rules: {glass: {zzz: x}}", "rules.glass.zzz: unknown key 'zzz': one of name, bin, steps"),
        (
            "rules: {glass: {effects: {zzz: {}}}}",
            "rules.glass.effects.zzz: unknown tag 'zzz': one of built_in_battery, large, broken,",
        ),
        ("bins: [{id: metal, shape: zzz}]", "bins[0].shape: unknown shape 'zzz': one of circle,"),
        ("name: {ko: a, b, en: c}", "name.b: unknown language 'b': one of ko, en; a text with a"),
        ("bins:\n  -plastic\n  -metal", "bins: a list belongs here, each part of it behind a dash,"
         " not a text: write a space behind each dash"),
        ("bins: [plastic - metal]", "bins[0]: unknown bin 'plastic - metal': each dash begins a"),
        ("name： x", "names with values belong here, not a text: write : where ： stands"),
    ],
)  # fmt: skip
def test_a_name_like_none_is_answered_with_all_that_there_are(
    tmp_path: Path, text: str, fault: str
) -> None:
    """Nobody has to look for the list of them elsewhere; and what is often meant is said."""
    (told,) = faults_of(tmp_path, text)
    assert told.startswith(f"1: {fault}"), told


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    """Its name, and the reason of the system, in one line."""
    with pytest.raises(SiteError) as caught:
        Site.load(tmp_path / "none.yaml")
    why = "cannot read it: No such file or directory"
    assert str(caught.value) == f"site file {tmp_path / 'none.yaml'}: {why}"


def test_an_empty_region_is_one_fault(tmp_path: Path) -> None:
    """And not, besides, one of its shape."""
    written(tmp_path, "", "gu.yaml")
    found = faults_of(tmp_path, "region: {file: gu.yaml}")
    assert found == ["gu.yaml:1: the file is empty: write at least a name"]
