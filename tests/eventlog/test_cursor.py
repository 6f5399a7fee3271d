"""Cursors as text."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.eventlog import Cursor

TOKENS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=16)


@given(TOKENS, st.integers(0, 16**15 - 1))
def test_a_cursor_is_what_its_text_says(epoch: str, position: int) -> None:
    """Parsing the text of a cursor gives the same cursor."""
    cursor = Cursor(epoch, position)
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text() | st.from_regex(r"[0-9a-zA-Z]{1,17}-[0-9a-fA-F]{1,16}", fullmatch=True))
def test_any_other_text_is_no_cursor(text: str) -> None:
    """Parsing never raises, and what it accepts is spelt like a cursor of these parts."""
    cursor = Cursor.parse(text)
    if cursor is not None:
        epoch, _, position = text.partition("-")
        assert cursor == Cursor(epoch, int(position, 16))
        assert text.isascii()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-",
            "a-",
            "-1",
            "a-1\n",
            " a-1",
            "a-1-1",
            "a-G",
            "a-A",
            "a--1",
            "a-0x1",
            "a-١",
            "ä-1",
        ),
        *("a" * 17 + "-1", "a-" + "1" * 16),
    ],
)
def test_near_misses_are_no_cursors(text: str) -> None:
    """What looks like one but is not is None, so that the client is told of a reset."""
    assert Cursor.parse(text) is None
