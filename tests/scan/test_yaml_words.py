"""What the parser cannot read, told to whoever wrote it: the line to look at, and what to write."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.scan.yaml_file import read_yaml
from eco_actor.scan.yaml_words import lines_of

JARGON: Final = ("YAML", "mapping", "scalar", "token", "block", "sequence", "parsing", "node")


def fault_of(text: str) -> str:
    """The one fault of *text*."""
    (fault,) = read_yaml(text.encode()).faults
    return str(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # tabs, and what looks like a space
        ("bins:\n\t- plastic", "2: a tab stands here: write spaces instead"),
        ("a:\n  b:\n  \tc: d", "3: a tab stands here"),
        ("name:\tx", "1: a tab stands here"),
        ("bins:\n\u00a0 - metal", "2: what looks like a space here is another sign"),
        ("name： x\nb: c", "1: no colon stands here: write : where ： stands"),
        # indentation
        ("name: x\n  region: y", "2: this line begins further to the right than line 1: lines"),
        ("a: x\n\n  b: y", "3: this line begins further to the right than line 1"),
        ("- id: x\n    name: y", "2: this line begins further to the right than line 1"),
        ("a:\n    b:\n        c: d\n      e: f", "4: this line, or one above it, is indented"),
        ("a:\n  - b\n - c", "3: this line, or one above it, is indented wrongly"),
        ("a:\n  - b: c\n   d: e", "3: this line, or one above it, is indented wrongly"),
        ("a:\n  - b\n  c: d", "3: a name with a value stands here, in the same column as the dash"),
        ("a:\n  b: c\n  - d", "3: a dash stands here, among names with values: indent it below"),
        ("a: b\n- c", "2: a dash stands here"),
        ("a: - b", "1: a dash behind a colon: begin a new line before it"),
        # colons
        ("name: x\nregion\nbins: [a]", "2: no colon stands here: a file is lines of a"),
        ("name: x\nlast:y\n", "2: no space stands behind the colon here"),
        ("name: x\nlast", "2: no colon stands here"),
        ("name:x\nbins: [a]", "1: no space stands behind the colon here: a file is lines of"),
        ("name\nbins: [a]", "1: no colon stands here: a file is lines of"),
        ("a:\n  b: Note: this", "2: a second colon stands on this line: put all that is behind"),
        ("a: “b: c”", '1: a second colon stands on this line: put all that is behind the first in'
         ' quotes: write " where “ stands'),
        (f"{'x' * 2000}: y", "1: a colon where none can be"),
        ("name: x\n: y", "2: no name stands before the colon here"),
        # quotes and brackets
        ('a: "x\nb: 1', "1: the quote that begins here has no end: write one behind the text"),
        ("a: 1\nb: 'x\n---\ny'", "2: the quote that begins here has no end"),
        ("a: 'it's'", "1: something stands behind the end of a text in quotes"),
        ("a: [x] y", "1: something stands behind the end of a text in quotes, or behind a ]"),
        (r'a: "\q"', r'1: in a text in "..." a \ means something: write \\'),
        ("a: x\nb: [c, d\ne: f", "2: the [ here has no end: write ] where it ends"),
        ("a: {b: c\nd: [e]", "1: the { here has no end: write } where it ends"),
        ("a: [x", "1: the [ here has no end"),
        ("a: {b: c?, d: e}", "1: between the { and its } put each text with , : ? or brackets"),
        ("a: {b: c,\n  d: e: f}", "2: between the { of line 1 and its } put each text"),
        ("a: {b: c}}", "1: the } here belongs to nothing: take it away"),
        ("a: b\n]", "2: the ] here belongs to nothing"),
        ('a: ["x"] [', "1: the [ here belongs to nothing"),
        ("a: ,b", "1: the , here belongs to nothing"),
        ("{a: b}\nc: d", "2: what stands above is a whole, to which nothing can be added here"),
        # signs that mean something
        ("a: @x", "1: a text that begins with @ has to stand in quotes"),
        ("a: `x`", "1: a text that begins with ` has to stand in quotes"),
        ("a: *** x", "1: a text that begins with * & or ! has to stand in quotes"),
        ("a: & x", "1: a text that begins with * & or ! has to stand in quotes"),
        ("a: !<x", "1: a text that begins with * & or ! has to stand in quotes"),
        ("a: |x", "1: a text that begins with | or > has to stand in quotes"),
        ("a: b\n%c: d", "2: no line can begin with %"),
        ("%c\na: b", "1: no line can begin with %"),
        ("%YAML 9.9\n---\na: b", "1: no line can begin with %"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_plain_words(text: str, fault: str) -> None:
    """At the line that is to be changed, which is not always where the parser gave up."""
    told = fault_of(text)
    assert told.startswith(fault), told
    assert not [word for word in JARGON if word in told], told


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["name: L", "bins: a: b", ""], "2: a second colon stands on this line"),
        (["a", "", "b", "c: d", ""], "3: no colon stands here"),
        (["# note", "", "a: [b", "c: d", ""], "3: the [ here has no end"),
        (["a: x", "bins:", "\u00a0 - metal"], "3: what looks like a space here"),
        (["a: x", "", "%c: d"], "3: no line can begin with %"),
    ],
)
def test_lines_are_counted_as_an_editor_does(end: str, lines: list[str], fault: str) -> None:
    """Whatever ends them."""
    assert fault_of(end.join(lines)).startswith(fault)


@given(st.text("ab: -\n\r\x85\u2028\u2029\t[]{},'\"#&*!|>%?@\\\u00a0：", max_size=30))
def test_there_are_words_for_whatever_is_written(text: str) -> None:
    """And a line of the file with each."""
    for fault in read_yaml(text.encode()).faults:
        assert 1 <= fault.line <= len(lines_of(text)) + 1
        assert fault.what
