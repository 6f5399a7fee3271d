"""What the parser of YAML complains about, in the words of whoever wrote the file. Pure.

The parser says where it could not go on, which is often behind the place that is to be changed; and
in terms of its grammar. Here it is the line to look at, and what to write there.
"""

import re
from typing import Final

import yaml

_COLUMNS: Final = "lines that belong together begin in the same column"
_TOP: Final = "a file is lines of a name, a colon, a space and a value, such as name: Library"
_SIGNED: Final = re.compile("scanning (an alias|an anchor|a tag)|parsing a tag")
_KEYED: Final = re.compile(r"(- +)*[^\s:\"'{\[][^:]*: +\S")
_NO_BLANK: Final = re.compile(r"^( *)[\u00a0\u3000\u200b]")
_LINE_END: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_END: Final = {"[": "]", "{": "}"}
_CURLY: Final = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "：": ": "})


def lines_of(text: str) -> list[str]:
    """The lines of *text* as the parser counts them; what stands behind the last end is one too."""
    return _LINE_END.split(text)


def in_words(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line to look at, counted from 1, and what is wrong with it."""
    lines = lines_of(text)
    at = error.problem_mark or error.context_mark
    if at is None:
        return 1, _unknown(error)
    begun = error.context_mark or at
    context, problem = str(error.context or ""), str(error.problem or "")
    line = lines[at.line] if at.line < len(lines) else ""
    if "\\t" in problem:
        return at.line + 1, "a tab stands here: write spaces instead, two for each step inwards"
    if found := _of_signs(context, problem, line[at.column : at.column + 1]):
        return begun.line + 1 if "scanning a block" in context else at.line + 1, found
    directives = [n for n, each in enumerate(lines, 1) if each.startswith("%")]
    if directives and ("directive" in context or "document" in problem):
        return directives[0], "no line can begin with %: put # before it, if it is a note"
    if "mapping values" in problem:
        return _of_a_colon(lines, at.line, at.column)
    if "could not find expected ':'" in problem:
        return begun.line + 1, _of_no_colon(lines[begun.line])
    if "scanning a quoted" in context or "double-quoted" in context:
        return _of_quotes(begun.line + 1, problem, at.line + 1)
    if "flow" in context:
        sign = "[" if "sequence" in context else "{"
        within = at.line == begun.line or _indent(line) > _indent(lines[begun.line])
        if within and "<stream end>" not in problem:
            of = "" if at.line == begun.line else f" of line {begun.line + 1}"
            what = "put each text with , : ? or brackets in quotes, and end each quote"
            return at.line + 1, f"between the {sign}{of} and its {_END[sign]} {what}"
        return begun.line + 1, f"the {sign} here has no end: write {_END[sign]} where it ends"
    return at.line + 1, _of_blocks(error, problem, line)


def spaces_that_are_none(text: str) -> int | None:
    """The first line that is indented with what only looks like a space."""
    for number, line in enumerate(lines_of(text), 1):
        if _NO_BLANK.match(line):
            return number
    return None


def of_look_alikes(text: str) -> str:
    """A hint for a text with signs that only look like those that mean something."""
    if (plain := text.translate(_CURLY)) == text:
        return ""
    found = next(each for each in text if ord(each) in _CURLY)
    return f": write {plain[text.index(found)]} where {found} stands"


def _of_signs(context: str, problem: str, sign: str) -> str | None:
    """Of a text that begins with a sign that means something."""
    if "cannot start any token" in problem or _SIGNED.search(context):
        what = f"a text that begins with {sign}" if sign.strip() else "a text with * & ! before it"
        if "cannot start" not in problem:
            what = "a text that begins with * & or !"
        return f"{what} has to stand in quotes"
    if "scanning a block scalar" in context:
        return "a text that begins with | or > has to stand in quotes"
    return None


def _of_a_colon(lines: list[str], at: int, column: int) -> tuple[int, str]:
    """A colon with a space behind it where no name can be."""
    line = lines[at]
    if _KEYED.match(line[:column].strip()):
        return at + 1, (
            "a second colon stands on this line: put all that is behind the first in quotes"
            + of_look_alikes(line)
        )
    before = next((n for n in range(at - 1, -1, -1) if _says(lines[n])), None)
    if before is None:
        return at + 1, f"a colon where none can be: {_TOP}"
    if _KEYED.match(lines[before].strip()):
        return at + 1, f"this line begins further to the right than line {before + 1}: {_COLUMNS}"
    return before + 1, _of_no_colon(lines[before])


def _of_no_colon(line: str) -> str:
    """Of a line that is neither a name with a value nor part of a text."""
    if hint := of_look_alikes(line):
        return f"no colon stands here{hint}"
    missing = "space stands behind the colon" if ":" in line else "colon stands"
    return f"no {missing} here: {_TOP}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


def _of_quotes(begun: int, problem: str, at: int) -> tuple[int, str]:
    if "escape" in problem:
        return at, "in a text in \"...\" a \\ means something: write \\\\, or put the text in '...'"
    return begun, "the quote that begins here has no end: write one behind the text"


def _of_blocks(error: yaml.MarkedYAMLError, problem: str, line: str) -> str:
    """What stands behind something that is complete."""
    if "'<document start>'" in problem:
        return f"what stands above is a whole, to which nothing can be added here: {_TOP}"
    found = problem.partition("but found ")[2].strip("'")
    match found:
        case "}" | "]" | "," | "[" | "{":
            return f"the {found} here belongs to nothing: take it away, or put the text in quotes"
        case "<scalar>":
            return (
                "something stands behind the end of a text in quotes, or behind a ]: put the whole"
                " text in one pair of quotes, and in '...' write '' for each ' of the text; or a"
                " quote above has no end"
            )
        case ":":
            return "no name stands before the colon here"
        case "<block mapping start>" | "<block sequence start>":
            return f"this line, or one above it, is indented wrongly: {_COLUMNS}"
        case "-":
            return "a dash stands here, among names with values: indent it below its name"
        case "?" if not line.lstrip().startswith("?"):
            return "a name with a value stands here, in the same column as the dashes of a list"
    if "sequence entries" in problem:
        return "a dash behind a colon: begin a new line before it, or put the text in quotes"
    return _unknown(error)


def _unknown(error: yaml.MarkedYAMLError) -> str:
    told = ", ".join(part for part in (error.context, error.problem) if part)
    return f"this is not understood ({told}): {_TOP}"
