"""Options as they are kept with a scan."""

import msgpack
import pytest

from eco_actor.scan.options import Options

OTHER = "18bcfe56800nobody_knows_this_one"
SAID = Options("en", "glass", ("broken", "soiled"), "a jar", OTHER, OTHER)


@pytest.mark.parametrize("options", [Options(), SAID])
def test_what_was_said_comes_back(options: Options) -> None:
    """All of it, and nothing for what was not said."""
    assert Options.unpack(options.pack()) == options


def test_those_of_before_are_read() -> None:
    """What there was not yet when they were written is as if it had not been said."""
    old = {"lang": "en", "category": "glass", "tags": ["broken"], "user_input": "a jar"}
    assert Options.unpack(msgpack.packb(old)) == Options("en", "glass", ("broken",), "a jar")


def test_what_a_user_wrote_is_in_no_log() -> None:
    """What is printed of options does not have it."""
    assert "a jar" not in repr(SAID)
