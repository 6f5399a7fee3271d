"""Names of settings that nearly are, or are not at all."""

from hypothesis import given
from hypothesis import strategies as st

from eco_actor.config import no_setting, typos, unknown


def test_a_name_that_is_no_setting_is_told_with_the_one_that_may_be_meant() -> None:
    """Else a typo would pass for a setting that has no effect."""
    given = {"ECO_DATADIR": "x", "ECO_KEEP_SCAN": "1", "ECO_ALOWED_HOST": "a", "ECO_PORT": "1"}
    near = {
        "ECO_DATADIR": "ECO_DATA_DIR",
        "ECO_KEEP_SCAN": "ECO_KEEP_SCANS",
        "ECO_ALOWED_HOST": "ECO_ALLOWED_HOST",
    }
    assert unknown(given) == near
    assert unknown(given | {"ECO_FRIENDLY": "1"}) == near | {"ECO_FRIENDLY": None}
    assert no_setting("ECO_FRIENDLY", None) == "ECO_FRIENDLY is no setting, and changes nothing"
    assert typos({"ECO_PROT": "1", "ECO_FRIENDLY": "1"}) == [
        "ECO_PROT is no setting, and changes nothing: is ECO_PORT meant?"
    ]


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=5), max_size=5))
def test_names_of_other_programs_are_nobody_s_business(environ: dict[str, str]) -> None:
    """Names without our prefix, and those that others of ours read."""
    ours = {"ECO_CACHE_DIR": "", "ECO_TRASHNET": "", "ECO_URL": "", "ECO_OPERATOR_TOKEN": ""}
    foreign = {name: value for name, value in environ.items() if not name.startswith("ECO_")}
    assert unknown(foreign | ours) == {}
