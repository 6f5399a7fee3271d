"""YAML as people write it: plain values, the line of each, and all that is not understood."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eco_actor.scan.yaml_file import MAX_DEPTH, Fault, read_yaml, sorted_faults

TEXT = """\
# a comment
name: 도서관
bins:
  - plastic
  - id: own
    color: "#1f6feb"
rules: {glass: {steps: [a,
  b]}}
"""


def faults_of(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [str(fault) for fault in read_yaml(data).faults]


def test_values_are_plain_and_have_lines() -> None:
    """Each value is found by its path, with the line of its key, or its own in a list."""
    document = read_yaml(TEXT.encode())
    assert document.faults == ()
    assert document.value == {
        "name": "도서관",
        "bins": ["plastic", {"id": "own", "color": "#1f6feb"}],
        "rules": {"glass": {"steps": ["a", "b"]}},
    }
    lines = {"": 1, "name": 2, "bins": 3, "bins[0]": 4, "bins[1]": 5, "bins[1].id": 5}
    lines |= {"bins[1].color": 6, "rules": 7, "rules.glass": 7, "rules.glass.steps": 7}
    lines |= {"rules.glass.steps[0]": 7, "rules.glass.steps[1]": 8}
    assert document.lines == lines
    assert document.line("bins[1].shape") == 5
    assert document.line("rules.glass.steps[9].x") == 7
    assert document.line("nothing") == 1


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("12", 12),
        ("-3", -3), ("no", "no"), ("on", "on"), ("012", "012"), ("12:30", "12:30"),
        ("2026-11-22", "2026-11-22"), ("1.5", "1.5"), ('"12"', "12"), ("'true'", "true"),
        ("9" * 19, "9" * 19), ("0x1f", "0x1f"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_a_scalar_is_a_text_unless_it_plainly_is_not(written: str, value: object) -> None:
    """Only true, false, null and whole numbers are anything else, and not in quotes."""
    assert read_yaml(f"a: {written}".encode()).value == {"a": value}


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_key() -> None:
    """Editors that write one are common."""
    assert read_yaml(b"\xef\xbb\xbfa: b\r\nc: d\r\n").value == {"a": "b", "c": "d"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3", "5: b.c: stands here twice, first on line 3: keep"),
        ("a: &x 1", "1: a: &x names this"),
        ("a: 1\nb: *x", "2: b: *x stands for something else"),
        ("a: 1\nb: !!str 3", "2: b: tag:yaml.org,2002:str is a tag"),
        ("a:\n  - !own {b: 1}", "2: a[0]: !own is a tag"),
        ("a: 1\n---\nb: 2", "2: a second document begins here: take the --- away"),
        ("a: 1\n? [b]\n: c", "2: a list or mapping cannot be a key"),
        ("a: 1\n*x : 2", "2: *x stands for something else"),
        ("a: 1\nb: \x07", "2: a character that cannot be: U+0007"),
        (b"a: 1\nb: \xff", "2: this is not UTF-8: save the file with"),
        ('a: 1\nb: "\\ud800"', "2: b: a character that cannot be shown"),
        ('a: 1\nb: "\\x01"', "2: b: a character that cannot be shown"),
        ('a: 1\n"\\x01": 1', "2: a character that cannot be shown in a key"),
        ('a: 1\nb: "\\U00110000"', "2: behind this, an escape or a number that cannot be"),
        ("a: 1\nb: " + "[" * 40, f"2: more than {MAX_DEPTH} lists and mappings"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_a_fault_with_its_line(text: str | bytes, fault: str) -> None:
    """Nothing of it is guessed."""
    found = faults_of(text)
    assert [line for line in found if fault in line], found


def test_what_stands_behind_a_fault_is_still_read() -> None:
    """Only where the syntax is lost, the reading ends."""
    assert len(faults_of("a: &x 1\na: 2\nb: !t 3\nc: *x")) == 4
    assert not read_yaml(b"a: 1\na: 2").broken
    assert read_yaml(b"a: 1\nb: [").broken


def test_a_huge_nest_is_left_alone_at_once() -> None:
    """Neither memory nor the stack is used up by brackets."""
    assert len(read_yaml(b"[" * 200_000).faults) == 1
    assert len(read_yaml(b"- " * 100_000).faults) == 1


def test_faults_are_told_in_order_and_once() -> None:
    """At one place the first that was found speaks; a line break in a key breaks no line."""
    faults = [Fault(3, "b", "late"), Fault(1, "", "x"), Fault(3, "b", "again"), Fault(3, "a", "y")]
    told = [str(fault) for fault in sorted_faults([*faults, Fault(1, "", "z")])]
    assert told == ["1: x", "1: z", "3: a: y", "3: b: late"]
    assert str(Fault(1, "a\nb", "c")) == "1: a\\nb: c"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_bytes_that_are_no_text_are_found_on_their_line(end: str) -> None:
    """In the files of any editor, with a byte order mark or without."""
    text = end.join(["name: 도서관", "region: \0", ""])
    assert faults_of(text) == ["2: a character that cannot be: U+0000"]
    data = text.replace("\0", "x").encode() + b"\xff"
    for mark in (b"", b"\xef\xbb\xbf"):
        (fault,) = faults_of(mark + data)
        assert fault.startswith("3: this is not UTF-8")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_what_else_is_on_a_line_is_found_whatever_ends_it(end: str) -> None:
    """Braces and comments, on the last line too."""
    document = read_yaml(end.join(["a: b", "", "c: {d: e}", "f: g # h"]).encode())
    assert (document.faults, document.lines["f"]) == ((), 4)
    assert (document.in_braces("c.d"), document.in_braces("f")) == (True, False)
    assert (document.has_comment("f"), document.has_comment("c")) == (True, False)


SIGNS = "가나a-z0:#&*'\"\\{[,?\n "
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(SIGNS, max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.[ :", max_size=3), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_is_a_part_of_it(value: Any) -> None:
    """What JSON says is read as JSON does, on one line or on many."""
    for indent in (None, 1):
        document = read_yaml(json.dumps(value, indent=indent, ensure_ascii=False).encode())
        assert (document.value, document.faults) == (value, ())


LINE_ENDS = re.compile(b"\r\n|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Of YAML 1.1, in UTF-8."""


@example(b"\r\x80")
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    """There is an answer for everything, and its lines are in the file."""
    document = read_yaml(data)
    lines = len(LINE_ENDS.split(data))
    assert all(1 <= fault.line <= lines for fault in document.faults)
