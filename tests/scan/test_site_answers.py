"""Answers at a kiosk where one bin stands in for others: nothing in them contradicts the rest."""

from typing import Final

import pytest

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.site import Site
from tests.scan.site_files import EXAMPLE, KIOSK, site_of

NATIONAL: Final = RuleBook.load()


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site_of(tmp_path_factory.mktemp("site"), KIOSK)


def test_what_goes_elsewhere_is_told_with_the_bin_that_takes_it_here(kiosk: Site) -> None:
    """Not with one that another stands in for; and not at all where it goes into the same bin."""
    glass = kiosk.book.apply("glass", (), "en").not_these
    assert "Mirrors, heat-proof glass, crystal, ceramics → general waste bin" in glass
    plastic = kiosk.book.apply("plastic", (), "en").not_these
    assert plastic
    assert not any("PET" in line for line in plastic)
    assert any("Clear PET" in line for line in NATIONAL.apply("plastic", (), "en").not_these)
    assert kiosk.book.apply("pet_clear", (), "en").not_these == ()
    for site in (kiosk, Site.load(EXAMPLE)):
        for category in CATEGORIES:
            for entry in [(), *((tag,) for tag in site.book.tag_ids)]:
                rule = site.book.apply(category, entry, "en")
                names = {line.rpartition(" → ")[2] for line in rule.not_these}
                assert rule.bin not in names
                assert "clear PET bin" not in names


def test_a_condition_that_leads_to_the_same_bin_here_is_no_reason(kiosk: Site) -> None:
    """Coloured PET and clear PET share a bin here: nothing says that they are kept apart."""
    clear = kiosk.book.apply("pet_clear", (), "en")
    coloured = kiosk.book.apply("pet_clear", ("coloured",), "en")
    assert "kept apart" in NATIONAL.apply("pet_clear", ("coloured",), "en").why
    assert (coloured.bin_id, coloured.why) == ("plastic", clear.why)
    assert (coloured.moved, coloured.source, coloured.layer) == (False, None, "site")
    assert coloured.steps == NATIONAL.apply("pet_clear", ("coloured",), "en").steps
